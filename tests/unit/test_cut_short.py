"""A worker that stops while it still waits for the ledger: the message may be all there is of the job."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from celery.exceptions import Reject

from tasks.model import CommandName
from worker.attempts import Attempts
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
    loop, ledger, attempts = asyncio.new_event_loop(), SilentLedger(), Attempts()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    monkeypatch.setattr(
        app, "loop", SimpleNamespace(run=run, attempts=attempts, services=SimpleNamespace(ledger=ledger))
    )
    with ThreadPoolExecutor(1) as threads:
        delivery = threads.submit(
            deliver, SimpleNamespace(request=SimpleNamespace(id="job-1")), CommandName.INCIDENT, {"issue_id": "inc-1"}
        )
        until_asked(ledger, delivery)
        run(attempts.drain(0))
        with pytest.raises(Reject) as rejected:
            delivery.result()
    assert rejected.value.requeue
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
