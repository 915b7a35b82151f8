"""The attempts that run in this worker, and how they end when it stops: on their own for a while, then given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)

GIVE_BACK_S = 10.0


class Attempts:
    """Knows what runs. Used on the process's event loop only."""

    def __init__(self) -> None:
        self.stopping = False
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._hurry = asyncio.Event()
        self._drained = asyncio.Event()

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, job_id: str, work: Coroutine[Any, Any, None]) -> None:
        """Run an attempt that `drain` waits for. One of the same job that runs already is its only one; a worker that stops
        begins none.
        """
        if self.stopping or job_id in self._running:
            work.close()
            return
        task = asyncio.create_task(work)
        self._running[job_id] = task
        task.add_done_callback(lambda _: self._running.pop(job_id, None))

    def revoke(self, job_id: str) -> None:
        """Cut the attempt of a job short, where it runs here: the job is then cancelled."""
        from tasks.lifecycle import REVOKED  # on use: a command that shows jobs runs no attempt

        if task := self._running.get(job_id):
            task.cancel(REVOKED)

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
        rest = set(self._running.values())
        if rest:
            log.warning("%d attempts did not finish in time; they are given back", len(rest))
            await cancel_all(rest, GIVE_BACK_S)
        self._drained.set()

    async def let_go(self, limit_s: float) -> None:
        """Return when nothing runs any more: after the drain that was begun, or one that is begun now."""
        if self.stopping:
            await self._drained.wait()
        else:
            await self.drain(limit_s)

    async def _finished(self) -> None:
        while self._running:
            await asyncio.wait(set(self._running.values()))


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
