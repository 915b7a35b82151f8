"""Look first: what is known of a ledger that went back in time, and whether attempts look before they write because of it.

The journal notices that and raises the flag (`tasks/state/journal.py`); people can raise it, too, and only they clear it.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from tasks.model import Frozen
from tasks.state.audit.entries import Event
from tasks.state.journal import WENT_BACK, Journal
from tasks.state.memory import arguments
from tasks.state.stored import texts


class LookFirst(Frozen):
    """The last time that the ledger went back, in epoch milliseconds by Redis' clock.

    `since_ms` is when it was noticed, `by` which process or person. Between `after_ms` (the ledger's newest entry then, or at
    an earlier loss that nobody had cleared; 0 for an empty one) and `until_ms` (the newest entry that a process had seen)
    everything may be missing. Attempts look first while `active`: until an operator clears it.
    """

    active: bool = False
    since_ms: int | None = None
    by: str = ""
    reason: str = ""
    after_ms: int | None = None
    until_ms: int | None = None
    cleared_ms: int | None = None
    cleared_by: str = ""


class LookFirstFlag:
    """Reads, raises and clears the flag."""

    def __init__(self, redis: Redis, journal: Journal) -> None:
        self._redis = redis
        self._journal = journal

    async def read(self) -> LookFirst:
        """What is known of the last time; not active where there was none."""
        client: Any = self._redis
        raw = await client.hgetall(f"{self._journal.prefix}:look_first")
        found = texts(raw)
        known = {name: value for name, value in found.items() if name in LookFirst.model_fields}
        return LookFirst.model_validate(known | {"active": bool(found) and "cleared_ms" not in found})

    async def raise_by_hand(self, actor: str, reason: str = "") -> LookFirst:
        """Have every attempt look first from now on, for a loss that no process could notice."""
        facts = {"by": actor, "reason": reason or "by hand"}
        await self._journal.commit(
            WENT_BACK, arguments(facts), Event.LOOK_FIRST_SET, actor=actor, reason=reason or None
        )
        return await self.read()

    async def clear(self, actor: str, reason: str = "") -> LookFirst:
        """Let first attempts write straight away again; nothing happens where they do already."""
        facts = {"actor": actor, "reason": reason or None}
        await self._journal.commit("look_first/clear", {"by": actor}, Event.LOOK_FIRST_CLEARED, **facts)
        return await self.read()
