"""Reads the audit trail: its newest entries, a walk over all of it, its verification and its checkpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import islice
from typing import Any

from redis.asyncio import Redis

from tasks.state.audit.checkpoint import Checkpoint, Gone
from tasks.state.audit.entries import AuditEntry, entry_of
from tasks.state.audit.notary import Notary
from tasks.state.audit.opening import Standing, gone_of, standing
from tasks.state.audit.outside import Outside
from tasks.state.audit.stamps import checked
from tasks.state.audit.verification import AuditReport, Own, Verification
from tasks.state.stored import text, texts
from tasks.state.vault import Vault

PAGE = 1000
MOST_HEADS = 256
BETWEEN = 100  # entries that are checked before others on the loop have their turn
Tell = Callable[[int, int], None]


class Audit:
    """Reads, verifies and exports the trail. Entries are written by `Journal` only.

    `outside` is where this instance's checkpoints are kept, `own` what this process remembers of the chain it writes, `notary`
    who gives checkpoints time stamps.
    """

    def __init__(
        self,
        redis: Redis,
        vault: Vault,
        prefix: str,
        outside: Outside | None = None,
        own: Callable[[], Own | None] = lambda: None,
        notary: Notary | None = None,
    ) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._vault = vault
        self._prefix = prefix
        self._stream = f"{prefix}:audit"
        self._heads = f"{prefix}:audit:heads"
        self._base = f"{prefix}:audit:base"
        self._own = own
        self.outside = outside
        self.notary = notary

    async def tail(self, count: int = 50) -> list[AuditEntry]:
        """The newest `count` entries, oldest first."""
        rows = await self._redis.xrevrange(self._stream, count=count)
        return [entry_of(text(identifier), texts(raw)) for identifier, raw in reversed(rows)]

    async def before(self, position: str | None = None, count: int = 500) -> list[AuditEntry]:
        """Entries before the entry of id `position` (None for the end), newest first."""
        end = "+" if position is None else f"({position}"
        rows = await self._redis.xrevrange(self._stream, end, "-", count=count)
        return [entry_of(text(identifier), texts(raw)) for identifier, raw in rows]

    async def after(self, position: str = "-", count: int = 500) -> list[AuditEntry]:
        """Entries after the entry of id `position` (`-` for the first), oldest first."""
        start = position if position == "-" else f"({position}"
        return [entry_of(text(i), texts(raw)) for i, raw in await self._redis.xrange(self._stream, start, count=count)]

    async def verify(self, checkpoints: Iterable[Checkpoint] = (), tell: Tell = lambda _done, _of: None) -> AuditReport:
        """Check every MAC, every chain's order and every head, and that nothing is gone that is known outside Redis: by the
        checkpoints kept there, by those given, and by this process. Entries written meanwhile are checked as well.

        `tell` hears how many entries are checked, and how many there were at the start. Raises `Refused` where the kept
        checkpoints can't be read.
        """
        kept, stamps = await asyncio.to_thread(self.outside.evidence) if self.outside else ([], [])
        own, submitted = self._own(), await self._counted()
        walk = Verification(self._vault, (*checkpoints, *kept), await self.base(), await self.gone(), own)
        before, count = await self._known_heads(), await self._redis.xlen(self._stream)
        tell(0, count)
        position = "-"
        while rows := await self._redis.xrange(self._stream, position, count=PAGE):
            for start in range(0, len(rows), BETWEEN):
                for identifier, fields in rows[start : start + BETWEEN]:
                    walk.take(identifier, fields)
                await asyncio.sleep(0)
            position = f"({text(rows[-1][0])}"
            tell(walk.entries, max(count, walk.entries))
        walk.heads(before, await self._known_heads())
        walk.counted(submitted)
        if stamps:
            walk.stamps(*await asyncio.to_thread(checked, stamps, self.notary))
        return walk.report((await self.standing()).at_ms)

    async def standing(self) -> Standing:
        """Where every chain stands now."""
        return await standing(self._redis, self._prefix)

    async def checkpoint(self, most_heads: int = MOST_HEADS) -> Checkpoint:
        """A signed statement of where every chain stands now, to be kept outside Redis.

        It has the total of all chains, and names `most_heads` of them at most, so that it can say which of them lacks entries.
        """
        stand = await self.standing()
        heads = dict(islice(stand.heads.items(), most_heads))
        return Checkpoint(
            at_ms=stand.at_ms, last_id=stand.last_id, heads=heads, total=stand.total(), key=self._vault.key_id
        ).signed(self._vault)

    async def base(self) -> Checkpoint | None:
        """How far the trail was trimmed; None where it is whole. A forged one shows in `verify`."""
        raw = await self._redis.get(self._base)
        return None if raw is None else Checkpoint.model_validate_json(raw)

    async def gone(self) -> Gone | None:
        """What is kept of the chains that went with the trimmed part."""
        return gone_of(await self._redis.get(self._base), await self._redis.get(f"{self._prefix}:audit:gone"))

    async def rows(self, after: str = "-", before_ms: int | None = None) -> AsyncIterator[tuple[str, dict[str, str]]]:
        """Every entry as stored: after the entry of id `after`, older than `before_ms` by the server's clock."""
        position = after if after == "-" else f"({after}"
        end = "+" if before_ms is None else f"({before_ms}-0"
        while rows := await self._redis.xrange(self._stream, position, end, count=PAGE):
            for identifier, raw in rows:
                yield text(identifier), texts(raw)
            position = f"({text(rows[-1][0])}"

    async def _known_heads(self) -> dict[str, str]:
        return texts(await self._redis.hgetall(self._heads))

    async def _counted(self) -> int:
        """How many jobs the ledger counted as submitted."""
        counters = await self._redis.hgetall(f"{self._prefix}:metrics")
        return sum(int(count) for name, count in counters.items() if name.split(b" ")[1:] == [b"submitted"])
