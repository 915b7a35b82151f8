"""Gives the newest checkpoint a time stamp, remembers how that went, and checks those that were kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis

from tasks.model import Frozen
from tasks.state.audit.checkpoint import Checkpoint
from tasks.state.audit.notary import Notary, NotStamped
from tasks.state.audit.outside import Outside
from tasks.state.audit.verification import Stamped
from tasks.state.stored import texts

LENT_S = 30  # less than a round, so that each round tries again


class StampHealth(Frozen):
    """How the last tries went: when one succeeded and when one failed last (epoch milliseconds, 0 for never), and why."""

    stamped_ms: int = 0
    failed_ms: int = 0
    why: str = ""

    @property
    def failing(self) -> bool:
        """Whether the last try failed."""
        return self.failed_ms > self.stamped_ms


class Stamps:
    """Time stamps of one instance's checkpoints. The first of its processes asks; another one goes on if it dies."""

    def __init__(self, redis: Redis, prefix: str, outside: Outside, notary: Notary) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._prefix = prefix
        self._health = f"{prefix}:audit:stamps"
        self._outside = outside
        self._notary = notary

    async def stamp_newest(self, now_ms: int) -> bool:
        """Have the newest checkpoint stamped where it isn't: it speaks for all before it. False where there is nothing to do,
        or another process does it. Raises `NotStamped`, `OSError` or Redis' errors; it can be tried again in a minute.
        """
        found = await asyncio.to_thread(self._outside.unstamped)
        if found is None:
            return False
        name, content = found
        if not await self._redis.set(f"{self._prefix}:audit:stamping:{name}", 1, nx=True, ex=LENT_S):
            return False
        try:
            stamp = await self._notary.stamp(content)
        except NotStamped as trouble:
            await self._redis.hset(self._health, mapping={"failed_ms": now_ms, "why": str(trouble)})
            raise
        await asyncio.to_thread(self._outside.keep_stamp, name, stamp)
        await self._redis.hset(self._health, "stamped_ms", now_ms)
        return True


async def stamp_health(redis: Redis, prefix: str) -> StampHealth:
    """How the last tries went, whichever process made them."""
    store: Any = redis
    raw = await store.hgetall(f"{prefix}:audit:stamps")
    return StampHealth.model_validate(texts(raw))


def checked(stamps: Iterable[tuple[Checkpoint, bytes, bytes]], notary: Notary | None) -> tuple[Stamped, list[str]]:
    """What the kept stamps say, and what is wrong with some of them."""
    found, problems, unchecked = [], [], 0
    for point, content, stamp in stamps:
        if notary is None:
            unchecked += 1
            continue
        try:
            found.append(notary.seen_ms(stamp, content))
        except NotStamped as trouble:
            problems.append(f"time stamp of the checkpoint of {point.at_ms}: {trouble}")
    since, until = min(found, default=None), max(found, default=None)
    return Stamped(checkpoints=len(found), since_ms=since, until_ms=until, unchecked=unchecked), problems
