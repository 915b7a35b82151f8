"""The ledger's wake channel: whoever waits for a change hears of it there, and nobody polls while nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from redis.asyncio import Redis

from worker.attempts import cancel_all

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0
PATIENCE_S = 1.0
PAUSE_S = 0.1
AFTER_TROUBLE_S = 1.0


async def listen(redis: Redis, prefix: str, tell: Callable[[], None]) -> None:
    """Call `tell` at every wake-up, for ever; also after any trouble, when one may have been missed."""
    while True:
        try:
            async with redis.pubsub() as pubsub:
                await pubsub.subscribe(f"{prefix}:wake")
                while True:
                    if await pubsub.get_message(ignore_subscribe_messages=True, timeout=5):
                        tell()
        except Exception as trouble:
            log.debug("wake-ups: %s", type(trouble).__name__)
            await asyncio.sleep(AFTER_TROUBLE_S)
            tell()


class Wakes:
    """Tells any number of waiters that some job changed, over one subscription."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs."""
        listening = asyncio.create_task(listen(self._redis, self._prefix, self._tell))
        try:
            yield
        finally:
            await cancel_all({listening}, PATIENCE_S)

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

    def _tell(self) -> None:
        told, self._changed = self._changed, asyncio.Event()
        told.set()
