"""Reads the audit trail: its newest entries, a walk over all of it, its verification and its checkpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from redis.asyncio import Redis

from tasks.state.audit.checkpoint import Checkpoint
from tasks.state.audit.entries import AuditEntry, entry_of
from tasks.state.audit.verification import AuditReport, Verification
from tasks.state.vault import Vault


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
