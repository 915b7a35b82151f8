"""A worker process' one event loop, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from config.settings import Settings
from worker.attempts import Attempts, cancel_all
from worker.runtime import Services, open_services_patiently

log = logging.getLogger(__name__)

PATIENCE_S = 5.0  # a little more than saying goodbye may take
T = TypeVar("T")


class Loop:
    """The process's one event loop, in a thread of its own; task threads hand coroutines to it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="afterword-loop", daemon=True)
        self._started = threading.Event()
        self._trouble: Exception | None = None
        self.process = os.getpid()
        self.attempts = Attempts()
        self.services: Services

    def start(self) -> None:
        """Open the services; raises what `open_services_patiently` raises."""
        self._thread.start()
        self._started.wait()
        if self._trouble is not None:
            raise self._trouble

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine run on the loop, from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a coroutine on the loop that lives until the loop stops at the latest."""
        asyncio.run_coroutine_threadsafe(work, self._loop).add_done_callback(_say)

    def stop(self) -> None:
        """Cancel what runs, close the services, end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        except Exception as error:
            self._trouble = error
            self._loop.close()
        finally:
            self._started.set()

    async def _main(self) -> None:
        async with open_services_patiently(self._settings) as services:
            self.services = services
            self._started.set()
            await self._stop.wait()
            await cancel_all(asyncio.all_tasks() - {asyncio.current_task()}, PATIENCE_S)


def _say(ended: Future[None]) -> None:
    """What nobody waits for must not end unheard."""
    if not ended.cancelled() and (error := ended.exception()) is not None:
        log.error("A part of this worker ended: %s", type(error).__name__)
