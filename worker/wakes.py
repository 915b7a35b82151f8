"""The ledger's wake channel: whoever waits for a change hears of it there, and nobody polls while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

from redis.asyncio import Redis

from worker.attempts import cancel_all

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0
PATIENCE_S = 1.0
PAUSE_S = 0.1
AFTER_TROUBLE_S = 1.0
LINGER_S = 30.0  # whoever waits for one job often waits for another soon


def for_ever() -> bool:
    """Always."""
    return True


async def listen(redis: Redis, prefix: str, tell: Callable[[str], None], wanted: Callable[[], bool] = for_ever) -> None:
    """Call `tell` at every wake-up, with its word, as long as that is wanted; also once it listens, with none, as one may have
    been missed before.
    """
    while wanted():
        try:
            async with redis.pubsub() as pubsub:
                await pubsub.subscribe(f"{prefix}:wake")
                while wanted():
                    if message := await pubsub.get_message(timeout=5):
                        tell(message["data"].decode("utf-8", "replace") if message["type"] == "message" else "")
        except Exception as trouble:
            log.debug("wake-ups: %s", type(trouble).__name__)
            await asyncio.sleep(AFTER_TROUBLE_S)
            tell("")


class Wakes:
    """Tells any number of waiters that some job changed, over one subscription. While nobody waits there is none: a process
    that only takes submissions doesn't hear of each of them.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._waiters, self._last_s = 0, 0.0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs, and a little longer. What changed before the subscription stood is told with it."""
        self._waiters += 1
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(listen(self._redis, self._prefix, self._tell, self._wanted))
        try:
            yield
        finally:
            self._waiters, self._last_s = self._waiters - 1, time.monotonic()

    async def close(self) -> None:
        """End the subscription."""
        if self._listening is not None:
            await cancel_all({self._listening}, PATIENCE_S)

    def _wanted(self) -> bool:
        return self._waiters > 0 or time.monotonic() < self._last_s + LINGER_S

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

    def _tell(self, _: str) -> None:
        told, self._changed = self._changed, asyncio.Event()
        told.set()
