"""The audit trail: what an entry is, how it is signed, and how the whole trail is verified.

A MAC covers the length-prefixed bytes of each field as stored, never re-serialised JSON, and the MAC before it.
The keys are not in Redis: whoever can write to Redis can't make an entry, and an edit, a gap, a swap or a cut
tail shows against the chain or its head.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from enum import StrEnum
from typing import Any

from pydantic import Field
from redis.asyncio import Redis

from tasks.model import Frozen
from tasks.state.checkpoint import Checkpoint
from tasks.state.vault import Vault
from tasks.state.verification import AuditReport, Verification, mac_of


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
    GIVEN_BACK = "job.given_back"
    CANCELLED = "job.cancelled"
    RETRIED = "job.retried"
    RELEASED = "job.released"
    BULK_RETRIED = "jobs.retried"
    BULK_CANCELLED = "jobs.cancelled"
    BULK_RELEASED = "jobs.released"
    TRIMMED = "retention.trimmed"
    CREDENTIAL_SET = "credential.set"
    DESTINATION_SET = "destination.set"
    DESTINATION_REMOVED = "destination.removed"
    DESTINATION_PAUSED = "destination.paused"
    DESTINATION_RESUMED = "destination.resumed"
    DESTINATION_SUSPENDED = "destination.suspended"
    DOCUMENT_PUT = "document.put"
    ISSUE_PUT = "issue.put"
    KEY_ROTATED = "key.rotated"
    RESEALED = "key.resealing"
    KEY_RESEALED = "key.resealed"
    KEYS_RETIRED = "key.retired"
    AUDIT_EXPORTED = "audit.exported"
    AUDIT_TRIMMED = "audit.trimmed"
    CONTENT_VIEWED = "content.viewed"
    LOGGED_IN = "session.opened"
    LOGGED_OUT = "session.closed"
    LOGIN_REFUSED = "session.refused"
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


def sign(vault: Vault, chain: str, seq: int, at_ms: int, event: str, data: str, *, previous: str) -> dict[str, str]:
    """The stored fields of an entry, with its MAC."""
    fields = {"chain": chain, "seq": str(seq), "at": str(at_ms), "event": str(event), "data": data, "key": vault.key_id}
    return fields | {"mac": mac_of(vault, fields, previous)}


class Audit:
    """Reads, verifies and exports the trail. Entries are written by `Journal` only."""

    def __init__(self, redis: Redis, vault: Vault, prefix: str) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._vault = vault
        self._stream = f"{prefix}:audit"
        self._heads = f"{prefix}:audit:heads"
        self._base = f"{prefix}:audit:base"

    async def tail(self, count: int = 50) -> list[AuditEntry]:
        """The newest `count` entries, oldest first."""
        rows = await self._redis.xrevrange(self._stream, count=count)
        return [entry_of(_text(identifier), _fields(raw)) for identifier, raw in reversed(rows)]

    async def before(self, position: str | None = None, count: int = 500) -> list[AuditEntry]:
        """Entries before the entry of id `position` (None for the end), newest first."""
        end = "+" if position is None else f"({position}"
        rows = await self._redis.xrevrange(self._stream, end, "-", count=count)
        return [entry_of(_text(identifier), _fields(raw)) for identifier, raw in rows]

    async def after(self, position: str = "-", count: int = 500) -> list[AuditEntry]:
        """Entries after the entry of id `position` (`-` for the first), oldest first."""
        start = position if position == "-" else f"({position}"
        return [
            entry_of(_text(i), _fields(raw)) for i, raw in await self._redis.xrange(self._stream, start, count=count)
        ]

    async def verify(self, checkpoints: Iterable[Checkpoint] = ()) -> AuditReport:
        """Check every MAC, every chain's order and every head, and that nothing is gone that a checkpoint vouches for.

        Entries written meanwhile are checked as well.
        """
        walk = Verification(self._vault, tuple(checkpoints), await self.base())
        before = await self._known_heads()
        async for identifier, fields in self.rows():
            walk.take(identifier, fields)
        walk.heads(before, await self._known_heads())
        return walk.report()

    async def checkpoint(self) -> Checkpoint:
        """A signed statement of where every chain stands now, to be kept outside Redis."""
        pipeline = self._redis.pipeline(transaction=True)
        heads, newest, clock = await pipeline.hgetall(self._heads).xrevrange(self._stream, count=1).time().execute()
        return Checkpoint(
            at_ms=clock[0] * 1000 + clock[1] // 1000,
            last_id=_text(newest[0][0]) if newest else "0-0",
            heads=_fields(heads),
            key=self._vault.key_id,
        ).signed(self._vault)

    async def base(self) -> Checkpoint | None:
        """How far the trail was trimmed; None where it is whole. A forged one shows in `verify`."""
        raw = await self._redis.get(self._base)
        return None if raw is None else Checkpoint.model_validate_json(raw)

    async def rows(self, after: str = "-", before_ms: int | None = None) -> AsyncIterator[tuple[str, dict[str, str]]]:
        """Every entry as stored: after the entry of id `after`, older than `before_ms` by the server's clock."""
        position = after if after == "-" else f"({after}"
        end = "+" if before_ms is None else f"({before_ms}-0"
        while rows := await self._redis.xrange(self._stream, position, end, count=1000):
            for identifier, raw in rows:
                yield _text(identifier), _fields(raw)
            position = f"({_text(rows[-1][0])}"

    async def _known_heads(self) -> dict[str, str]:
        return _fields(await self._redis.hgetall(self._heads))


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _fields(raw: dict[Any, Any]) -> dict[str, str]:
    return {_text(k): _text(v) for k, v in raw.items()}


def entry_of(identifier: str, fields: dict[str, str]) -> AuditEntry:
    """An entry from its stored fields."""
    return AuditEntry(
        id=identifier,
        chain=fields.get("chain", ""),
        seq=int(fields.get("seq", 0)),
        at_ms=int(fields.get("at", 0)),
        event=fields.get("event", ""),
        data=json.loads(fields.get("data", "{}")),
    )
