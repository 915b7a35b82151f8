"""The dead list: what was set aside, because it is no message that a worker can take, or says something else than an earlier one.

A message may hold anything, also a password that somebody sent in the clear. Each is therefore sealed as soon as it is set
aside; log and audit have its length and a digest only.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis

from tasks.errors import Refused
from tasks.model import Frozen
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal
from tasks.state.stored import texts
from tasks.state.vault import Vault

MOST = 1000
MOST_BYTES = 8_000_000
KEPT_BYTES = 64_000  # of one message; what is longer is cut
PURPOSE = "aside"


class SetAside(Frozen):
    """One message that was set aside. `kind` is the word that it is counted by, `at_ms` by the Redis server's clock."""

    id: str
    kind: str
    words: str
    at_ms: int
    length: int
    task_id: str | None = None


class DeadList:
    """Messages by id, the newest first; no more than `MOST` of them and `MOST_BYTES` bytes."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault
        self._prefix = journal.prefix

    async def keep(self, raw: bytes, *, kind: str, words: str, task_id: str | None = None) -> None:
        """Seal a message, count it by `kind`, and put it into the audit by length and digest; raises `StateUnavailable`."""
        identifier = f"{self._journal.clock.now_ms():011x}{secrets.token_hex(4)}"
        kept = raw[:KEPT_BYTES].decode("utf-8", "backslashreplace")
        sealed = self._vault.seal(kept, purpose=PURPOSE, owner=identifier, field="message")
        fields = {"kind": kind, "words": words, "length": str(len(raw)), "sealed": sealed, "task_id": task_id or ""}
        args = {
            "id": identifier,
            "fields": [part for pair in fields.items() for part in pair],
            "size": len(sealed),
            "kind": kind,
            "most": MOST,
            "most_bytes": MOST_BYTES,
        }
        digest = self._vault.mac("digest", hashlib.sha256(raw).digest()).hex()[:32]
        facts = {"message": identifier, "kind": kind, "length": len(raw), "body": digest, "task": task_id}
        await self._journal.commit("dead_list/keep", args, Event.MESSAGE_SET_ASIDE, **facts)

    async def list(self, most: int = MOST) -> list[SetAside]:
        """What was set aside, the newest first."""
        ids = [found.decode() for found in await self._redis.zrevrange(f"{self._prefix}:asides", 0, most - 1)]
        rows = [(identifier, await self._raw(identifier)) for identifier in ids]
        return [_set_aside(identifier, raw) for identifier, raw in rows if raw]

    async def open(self, identifier: str) -> str:
        """The message itself, cut to its first 64 kB; raises `Refused` where it is gone and `KeyTrouble`."""
        raw = await self._raw(identifier)
        if not raw:
            raise Refused(
                f"No message {identifier!r:.40} was set aside.",
                code="unknown_message",
                advice="`afterword message list` shows them.",
            )
        return self._vault.open(raw.get("sealed", ""), purpose=PURPOSE, owner=identifier, field="message")

    async def drop(self, actor: str) -> int:
        """Forget them all; how many there were."""
        count = int(await self._redis.zcard(f"{self._prefix}:asides"))
        await self._journal.commit("dead_list/drop", {}, Event.MESSAGES_DROPPED, messages=count, actor=actor)
        return count

    async def held(self) -> int:
        """How many are kept now."""
        return int(await self._redis.zcard(f"{self._prefix}:asides"))

    async def counts(self) -> Mapping[str, int]:
        """How many were ever set aside, by kind."""
        facts = await self._redis.hgetall(f"{self._prefix}:asides:facts")
        pairs = ((name.decode(), int(count)) for name, count in facts.items())
        return {name.removeprefix("kind "): count for name, count in sorted(pairs) if name.startswith("kind ")}

    async def _raw(self, identifier: str) -> dict[str, str]:
        return texts(await self._redis.hgetall(f"{self._prefix}:aside:{identifier}"))


def describe(raw: bytes) -> str:
    """A message by length and hash, for logs."""
    return f"{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()[:16]}"


def _set_aside(identifier: str, raw: Mapping[str, str]) -> SetAside:
    return SetAside(
        id=identifier,
        kind=raw.get("kind", ""),
        words=raw.get("words", ""),
        at_ms=int(raw.get("at_ms", 0)),
        length=int(raw.get("length", 0)),
        task_id=raw.get("task_id") or None,
    )
