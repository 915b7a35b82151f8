"""The audit trail: what an entry is, how it is signed, and how the whole trail is verified.

A MAC covers the length-prefixed bytes of each field as stored, never re-serialised JSON, and the MAC before it.
The keys are not in Redis: whoever can write to Redis can't make an entry, and an edit, a gap, a swap or a cut
tail shows against the chain or its head.
"""

from __future__ import annotations

import hmac
import json
import struct
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any

from pydantic import Field
from redis.asyncio import Redis

from tasks.errors import KeyTrouble
from tasks.model import Frozen
from tasks.state.vault import Vault

CLOCK_TOLERANCE_MS = 10 * 60 * 1000


class Event(StrEnum):
    """Everything that is audited, by name."""

    SUBMITTED = "job.submitted"
    CLAIMED = "job.claimed"
    LOOKUP_INTENT = "lookup.intent"
    LOOKUP_OK = "lookup.ok"
    LOOKUP_FAILED = "lookup.failed"
    LOOKUP_UNKNOWN = "lookup.unknown"
    DELIVERY_INTENT = "delivery.intent"
    DELIVERY_OK = "delivery.ok"
    DELIVERY_FAILED = "delivery.failed"
    DELIVERY_UNKNOWN = "delivery.unknown"
    TEST_INTENT = "test.intent"
    TEST_OK = "test.ok"
    TEST_FAILED = "test.failed"
    TEST_UNKNOWN = "test.unknown"
    SCREENED = "job.screened"
    DELIVERED = "job.delivered"
    RETRYING = "job.retrying"
    WAITING = "job.waiting"
    HELD = "job.held"
    DEAD = "job.dead"
    SUPERSEDED = "job.superseded"
    TAKEN_OVER = "job.taken_over"
    CANCELLED = "job.cancelled"
    RETRIED = "job.retried"
    RELEASED = "job.released"
    BULK_RETRIED = "jobs.retried"
    BULK_CANCELLED = "jobs.cancelled"
    BULK_RELEASED = "jobs.released"
    CREDENTIAL_SET = "credential.set"
    DESTINATION_SET = "destination.set"
    DESTINATION_REMOVED = "destination.removed"
    DESTINATION_PAUSED = "destination.paused"
    DESTINATION_RESUMED = "destination.resumed"
    DESTINATION_SUSPENDED = "destination.suspended"
    DOCUMENT_PUT = "document.put"
    ISSUE_PUT = "issue.put"
    CALLBACK_INTENT = "callback.intent"
    CALLBACK_OK = "callback.ok"
    CALLBACK_FAILED = "callback.failed"
    CALLBACK_UNKNOWN = "callback.unknown"
    CALLBACK_DEAD = "callback.dead"
    APIKEY_CREATED = "apikey.created"
    APIKEY_REVOKED = "apikey.revoked"


class AuditEntry(Frozen):
    """One entry as read back. `at_ms` is the writer's clock, `id` the Redis server's (milliseconds-sequence)."""

    id: str
    chain: str
    seq: int
    at_ms: int
    event: str
    data: dict[str, Any] = Field(default_factory=dict)


class AuditReport(Frozen):
    """The result of a verification: `problems` names each entry or chain that doesn't hold."""

    ok: bool
    entries: int
    chains: int
    problems: tuple[str, ...] = ()


def _message(previous: str, *fields: str) -> bytes:
    parts = [part.encode("utf-8", "surrogatepass") for part in (previous, *fields)]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def sign(vault: Vault, chain: str, seq: int, at_ms: int, event: str, data: str, *, previous: str) -> dict[str, str]:
    """The stored fields of an entry, with its MAC."""
    fields = {"chain": chain, "seq": str(seq), "at": str(at_ms), "event": str(event), "data": data, "key": vault.key_id}
    return fields | {"mac": _mac(vault, fields, previous)}


def _mac(vault: Vault, fields: dict[str, str], previous: str) -> str:
    message = _message(previous, *(fields[name] for name in ("chain", "seq", "at", "event", "data", "key")))
    return vault.mac("audit", message, fields["key"]).hex()


class Audit:
    """Reads and verifies the trail. Entries are written by `Journal` only."""

    def __init__(self, redis: Redis, vault: Vault, prefix: str) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._vault = vault
        self._stream = f"{prefix}:audit"
        self._heads = f"{prefix}:audit:heads"

    async def tail(self, count: int = 50) -> list[AuditEntry]:
        """The newest `count` entries, oldest first."""
        rows = await self._redis.xrevrange(self._stream, count=count)
        return [_entry(_text(identifier), _fields(raw)) for identifier, raw in reversed(rows)]

    async def after(self, position: str = "-", count: int = 500) -> list[AuditEntry]:
        """Entries after the entry of id `position` (`-` for the first), oldest first."""
        start = position if position == "-" else f"({position}"
        return [_entry(_text(i), _fields(raw)) for i, raw in await self._redis.xrange(self._stream, start, count=count)]

    async def verify(self) -> AuditReport:
        """Check every MAC, every chain's order and every head. Entries written meanwhile are checked as well."""
        heads = {_text(k): _text(v) for k, v in (await self._redis.hgetall(self._heads)).items()}
        last: dict[str, tuple[int, str]] = {}
        seen: set[str] = set()
        problems: list[str] = []
        entries = 0
        async for identifier, fields in self._all():
            entries += 1
            problems += self._check(identifier, fields, last)
            seen.add(f"{fields.get('chain')} {fields.get('seq')}:{fields.get('mac')}")
        for chain, head in heads.items():
            if f"{chain} {head}" not in seen:
                problems.append(f"chain {chain}: its head says entry {head.split(':')[0]}, which is missing")
        headless = [chain for chain in last if chain not in heads and not await self._redis.hexists(self._heads, chain)]
        problems += [f"chain {chain}: its head is missing" for chain in headless]
        problems += [f"chain {chain}: has entries behind its head" for chain in heads if await self._ahead(chain, last)]
        return AuditReport(ok=not problems, entries=entries, chains=len(last), problems=tuple(problems[:100]))

    async def _ahead(self, chain: str, last: dict[str, tuple[int, str]]) -> bool:
        head = _text(await self._redis.hget(self._heads, chain) or "0:")
        return last.get(chain, (0, ""))[0] > int(head.split(":")[0])

    def _check(self, identifier: str, fields: dict[str, str], last: dict[str, tuple[int, str]]) -> list[str]:
        try:
            chain, seq, at = fields["chain"], int(fields["seq"]), int(fields["at"])
            before, previous = last.get(chain, (0, ""))
            genuine = hmac.compare_digest(_mac(self._vault, fields, previous), fields["mac"])
        except KeyTrouble as trouble:
            return [f"entry {identifier}: {trouble.message}"]
        except (KeyError, ValueError):
            return [f"entry {identifier}: not an audit entry"]
        last[chain] = (seq, fields["mac"])
        if seq != before + 1:
            return [f"entry {identifier}: number {seq} of chain {chain} follows number {before}"]
        if not genuine:
            return [f"entry {identifier}: number {seq} of chain {chain} was changed"]
        if abs(int(identifier.split("-", maxsplit=1)[0]) - at) > CLOCK_TOLERANCE_MS:
            return [f"entry {identifier}: its time differs from the server's by more than ten minutes"]
        return []

    async def _all(self) -> AsyncIterator[tuple[str, dict[str, str]]]:
        position = "-"
        while rows := await self._redis.xrange(self._stream, position, count=1000):
            for identifier, raw in rows:
                yield _text(identifier), _fields(raw)
            position = f"({_text(rows[-1][0])}"


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _fields(raw: dict[Any, Any]) -> dict[str, str]:
    return {_text(k): _text(v) for k, v in raw.items()}


def _entry(identifier: str, fields: dict[str, str]) -> AuditEntry:
    return AuditEntry(
        id=identifier,
        chain=fields.get("chain", ""),
        seq=int(fields.get("seq", 0)),
        at_ms=int(fields.get("at", 0)),
        event=fields.get("event", ""),
        data=json.loads(fields.get("data", "{}")),
    )
