"""The attempts that run in this worker, and how they end when it stops: on their own for a while, then given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

log = logging.getLogger(__name__)

GIVE_BACK_S = 10.0
T = TypeVar("T")


class Attempts:
    """Knows what runs. Used on the process's event loop only."""

    def __init__(self) -> None:
        self.stopping = False
        self._running: set[asyncio.Task[Any]] = set()
        self._hurry = asyncio.Event()

    async def run(self, work: Awaitable[T]) -> T:
        """The result of `work`, which `drain` waits for."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an attempt runs in a task")
        self._running.add(task)
        try:
            return await work
        finally:
            self._running.discard(task)

    async def drain(self, limit_s: float) -> None:
        """Take no more, let what runs finish within `limit_s` seconds, then have the rest given back to the ledger.

        Called again while it waits, it waits no longer.
        """
        if self.stopping:
            self._hurry.set()
            return
        self.stopping = True
        hurry = asyncio.ensure_future(self._hurry.wait())
        done = asyncio.ensure_future(self._finished())
        await asyncio.wait({hurry, done}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        done.cancel()
        rest = set(self._running)
        if rest:
            log.warning("%d attempts did not finish in time; they are given back", len(rest))
            await cancel_all(rest, GIVE_BACK_S)

    async def _finished(self) -> None:
        while self._running:
            await asyncio.wait(set(self._running))


async def cancel_all(tasks: set[asyncio.Task[Any]], patience_s: float) -> None:
    """Return when all of them have ended; whoever hasn't after `patience_s` seconds is told to again.

    Once isn't enough: until Python 3.12 `asyncio.wait_for`, which redis-py sends commands through, loses a cancellation
    that arrives in the moment in which the awaited work is done.
    """
    while tasks:
        for task in tasks:
            task.cancel()
        ended, tasks = await asyncio.wait(tasks, timeout=patience_s)
        for task in ended:
            if not task.cancelled():
                task.exception()  # an error that nobody asks for would be printed with its words
