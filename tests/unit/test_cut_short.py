"""A worker that stops while something still waits: a message may be all there is of its job, and no task holds it up."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from celery.exceptions import Reject

from tasks.model import CommandName
from worker.attempts import cancel_all
from worker.celery import app, deliver


class SilentLedger:
    """A ledger that doesn't answer."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    async def get(self, _: str) -> None:
        self.asked.set()
        await asyncio.Event().wait()


def until_asked(ledger: SilentLedger, delivery: Future) -> None:
    while not ledger.asked.wait(0.05):
        assert not delivery.done(), delivery.exception()


def test_a_message_that_was_not_adopted_yet_goes_back_to_the_queue_when_its_worker_stops(monkeypatch):
    loop, ledger = asyncio.new_event_loop(), SilentLedger()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    running = Future()

    def run(work):
        running.set_result(asyncio.run_coroutine_threadsafe(work, loop))
        return running.result().result(60)

    services = SimpleNamespace(ledger=ledger)
    monkeypatch.setattr(app, "running_loop", lambda: SimpleNamespace(run=run, services=services))
    with ThreadPoolExecutor(1) as threads:
        delivery = threads.submit(
            deliver, SimpleNamespace(request=SimpleNamespace(id="job-1")), CommandName.INCIDENT, {"issue_id": "inc-1"}
        )
        until_asked(ledger, delivery)
        running.result(60).cancel()  # as the loop does when it ends
        with pytest.raises(Reject) as rejected:
            delivery.result()
    assert rejected.value.requeue
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_a_task_that_loses_its_first_cancellation_is_cancelled_again():
    heard = 0

    async def hard_of_hearing() -> None:
        nonlocal heard
        while heard < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard += 1

    task = asyncio.create_task(hard_of_hearing())
    await asyncio.sleep(0)
    await cancel_all({task}, 0.01)
    assert heard == 2
