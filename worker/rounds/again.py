"""One thing done for ever, with pauses, and several things side by side, of which a slow one holds up nobody but itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from tasks.errors import AfterwordError
from tasks.state.outages import unavailable
from worker.attempts import cancel_all

log = logging.getLogger(__name__)

TROUBLE_PAUSE_S = 1.0
PATIENCE_S = 3.0  # a little more than closing the intent of a post that was cut short takes


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


class SideBySide:
    """Work for each of several names, one task at a time for each. `about` says in the log what a name is."""

    def __init__(self, about: str) -> None:
        self._about = about
        self._busy: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Begin the work of a name, unless an earlier one of that name still runs. What goes wrong is logged."""
        running = self._busy.get(name)
        if running is None or running.done():
            self._busy[name] = asyncio.create_task(self._do(name, work))

    async def end(self) -> None:
        """Cancel what still runs."""
        await cancel_all(set(self._busy.values()), PATIENCE_S)

    async def _do(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception as trouble:
            log.warning("%s %s: %s; trying again", self._about, name, _words(trouble))


def _words(trouble: Exception) -> str:
    if isinstance(trouble, RedisError):
        trouble = unavailable(trouble)
    return str(trouble) if isinstance(trouble, AfterwordError) else type(trouble).__name__
