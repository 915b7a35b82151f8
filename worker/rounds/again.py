"""One thing done for ever, with pauses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from tasks.errors import AfterwordError
from tasks.state.journal import unavailable

log = logging.getLogger(__name__)

TROUBLE_PAUSE_S = 1.0


async def again_and_again(work: Callable[[], Awaitable[float]], woken: asyncio.Event | None = None) -> None:
    """Do `work` for ever, with the pause in seconds that it returns, which `woken` ends early.

    Whatever goes wrong, the next time may be better; the same trouble again is told once.
    """
    woken, told = woken or asyncio.Event(), ""
    while True:
        woken.clear()
        try:
            pause_s = await work()
        except Exception as trouble:
            words = _words(trouble)
            if words != told:
                log.warning("%s: %s; trying again", work.__name__.strip("_"), words)
            told = words
            await asyncio.sleep(TROUBLE_PAUSE_S)
            continue
        told = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await woken.wait()


def _words(trouble: Exception) -> str:
    if isinstance(trouble, RedisError):
        trouble = unavailable(trouble)
    return str(trouble) if isinstance(trouble, AfterwordError) else type(trouble).__name__
