"""The workers, as they say of themselves with each heartbeat and as the ledger sees their attempts."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from tasks.model import Frozen
from tasks.state.clock import SKEW_LIMIT_S


class About(Frozen):
    """What a worker says of itself. `started_ms` in epoch milliseconds, `concurrency` in attempts at once, `skew_ms` how far
    its machine's clock was ahead of the Redis server's when it said so.
    """

    host: str = ""
    pid: int | None = None
    version: str = ""
    started_ms: int | None = None
    concurrency: int | None = None
    skew_ms: int | None = None

    @property
    def wrong_s(self) -> float | None:
        """The skew in seconds where it is large enough to be told to people."""
        skew_s = (self.skew_ms or 0) / 1000
        return skew_s if abs(skew_s) >= SKEW_LIMIT_S else None


class WorkerState(Frozen):
    """One worker: until when its last heartbeat counts (epoch milliseconds), and how many attempts it runs."""

    name: str
    until_ms: int
    running: int
    about: About


async def workers(redis: Redis, prefix: str) -> list[WorkerState]:
    """All workers that live, or are gone and still hold jobs; those heard of last first."""
    client: Any = redis  # replies are bytes; redis-py's types allow for str as well
    rows = await client.zrevrange(f"{prefix}:workers", 0, 999, withscores=True)
    if not rows:
        return []
    names = [name.decode() for name, _ in rows]
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.scard(f"{prefix}:worker:{name}:jobs")
    counts = await pipeline.execute()
    said = await client.hmget(f"{prefix}:workers:about", names)
    return [
        WorkerState(name=name, until_ms=int(until), running=int(running), about=_about(raw))
        for name, (_, until), running, raw in zip(names, rows, counts, said, strict=True)
    ]


def _about(raw: bytes | None) -> About:
    """A worker of another version may say less, or more than we know."""
    try:
        return About.model_validate_json(raw) if raw else About()
    except ValidationError:
        return About()
