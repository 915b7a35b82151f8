"""Waiters wake up on the ledger's wake channel: one subscription for all of them, no polling while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

LOOK_AGAIN_S = 5.0
PAUSE_S = 0.1


class Wakes:
    """Tells waiters that some job changed."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._channel = f"{prefix}:wake"
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def next(self) -> asyncio.Event:
        """The event of the next change; take it before looking, so that no change falls between."""
        return self._changed

    async def wait(self, changed: asyncio.Event, limit_s: float) -> None:
        """Until that change, or `limit_s` seconds; at times without one, in case a message was lost.

        A burst of changes counts as one: between two looks there is a short pause.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(limit_s, LOOK_AGAIN_S)):
                await changed.wait()
                await asyncio.sleep(min(limit_s, PAUSE_S))

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self._channel)
                    while True:
                        if await pubsub.get_message(ignore_subscribe_messages=True, timeout=5):
                            self._tell()
            except (RedisError, OSError):
                await asyncio.sleep(1)
                self._tell()

    def _tell(self) -> None:
        told, self._changed = self._changed, asyncio.Event()
        told.set()
