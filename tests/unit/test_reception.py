"""What becomes of a message that Celery's consumer hands on: adopted and acknowledged on the loop, or a call of its task."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest
from celery.worker import state

from tasks.errors import StateUnavailable
from worker import adoption
from worker.adoption import Reception


class Loop:
    """A loop in a thread of its own, as a worker has one."""

    def __init__(self) -> None:
        self.services = SimpleNamespace()
        self.running = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def spawn(self, work) -> None:
        self.running.append(asyncio.run_coroutine_threadsafe(work, self._loop))

    def settle(self) -> None:
        """Return when everything that was spawned has ended."""
        for running in self.running:
            running.exception(60)

    def turn(self) -> None:
        """Return when what was ready on the loop has run."""
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def ticket(issue_id, config=None, destination=None) -> tuple:
    """A task's arguments."""
    return issue_id, config, destination


class Request:
    """As much of Celery's request as a reception looks at."""

    def __init__(self, name: str, *args: object, identifier: str = "job-1", revoked: bool = False, **kwargs: object):
        self.id, self.type, self.name, self.args, self.kwargs = identifier, name, name, list(args), kwargs
        self.task = SimpleNamespace(run=ticket)
        self._context = SimpleNamespace(id=identifier, callbacks=["next"], traceparent=None)
        self.acknowledged, self._revoked = threading.Event(), revoked

    def revoked(self) -> bool:
        return self._revoked

    def acknowledge(self) -> None:
        self.acknowledged.set()


class Consumer:
    """Celery's consumer: what is asked of the pool is noted."""

    def __init__(self) -> None:
        self.pool: list[Request] = []
        self.on_task_request = self.pool.append

    def call_soon(self, what, *args) -> None:
        what(*args)


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def consumer():
    return Consumer()


@pytest.fixture
def reception(loop, consumer):
    return Reception(consumer, lambda: loop)


@pytest.fixture
def adopted(monkeypatch):
    """The adoptions that were asked for."""
    calls = []

    async def adopt(_, job_id, given, **ties):
        calls.append((job_id, given, ties))

    monkeypatch.setattr(adoption, "adopt", adopt)
    return calls


def test_an_adopted_message_is_acknowledged_and_never_reaches_the_pool(loop, consumer, reception, adopted):
    """Its arguments keep their names, however they were given, and what hangs on it goes along."""
    request = Request("create_servicenow_incident", "inc-1", destination="desk")
    counted = state.total_count[request.name]
    reception.take(request)
    loop.settle()
    assert state.total_count[request.name] == counted + 1
    given = {"command": "create_servicenow_incident", "issue_id": "inc-1", "destination": "desk"}
    ties = {"wakes": False, "origin": {"callbacks": ["next"]}, "traceparent": None}
    assert adopted == [("job-1", given, ties | {"not_before_ms": None, "until_ms": None})]
    assert request.acknowledged.is_set()
    assert consumer.pool == []
    assert "job-1" not in state.requests


def test_messages_that_come_meanwhile_are_adopted_together(loop, consumer, reception, monkeypatch):
    first, together = threading.Event(), asyncio.Event()
    at_once: list[str] = []

    async def adopt(_, job_id, given, **ties):
        if job_id == "first":
            await asyncio.to_thread(first.wait)
            return
        at_once.append(job_id)
        if len(at_once) == 3:
            together.set()
        await together.wait()

    monkeypatch.setattr(adoption, "adopt", adopt)
    requests = [Request("create_jira_issue", "i", identifier=name) for name in ("first", "a", "b", "c")]
    for request in requests:
        reception.take(request)
    first.set()
    loop.settle()
    assert sorted(at_once) == ["a", "b", "c"]
    assert all(request.acknowledged.is_set() for request in requests)


@pytest.mark.parametrize(
    "request_",
    [Request("create_servicenow_incident"), Request("create_servicenow_incident", "inc-1", surprise=1)],
    ids=["without its argument", "with an unknown argument"],
)
def test_a_message_that_fits_no_task_becomes_a_call_of_it(loop, consumer, reception, adopted, request_):
    """Celery tells its producer what is wrong with it."""
    reception.take(request_)
    loop.settle()
    assert consumer.pool == [request_]
    assert not request_.acknowledged.is_set()
    assert adopted == []


def test_a_message_that_the_ledger_cant_take_becomes_a_call_of_its_task(loop, consumer, reception, monkeypatch):
    async def adopt(*_, **__):
        raise StateUnavailable("Redis is full.", code="redis_full")

    monkeypatch.setattr(adoption, "adopt", adopt)
    request = Request("create_servicenow_incident", "inc-1")
    counted = state.total_count[request.name]
    reception.take(request)
    loop.settle()
    assert consumer.pool == [request]
    assert not request.acknowledged.is_set()
    assert state.total_count[request.name] == counted, "the pool counts it"


def test_an_adoption_that_is_cut_short_leaves_its_message_to_others(loop, consumer, reception, monkeypatch):
    """The worker stops: the message isn't acknowledged, so the broker offers it again."""
    asked, cut = threading.Event(), threading.Event()

    async def adopt(*_, **__):
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    monkeypatch.setattr(adoption, "adopt", adopt)
    request = Request("create_servicenow_incident", "inc-1")
    reception.take(request)
    assert asked.wait(60)
    loop.running[0].cancel()
    assert cut.wait(60)
    loop.turn()
    assert not request.acknowledged.is_set()
    assert consumer.pool == []
    asked.clear()
    reception.take(Request("create_servicenow_incident", "inc-2"))
    assert asked.wait(60), "later messages are adopted all the same"
    loop.running[1].cancel()


def test_what_asks_for_no_job_runs_in_the_pool(consumer, reception):
    request = Request("test_servicenow_connection", "https://example.test")
    reception.take(request)
    assert consumer.pool == [request]


def test_a_message_that_was_revoked_while_it_waited_is_left_to_celery(loop, consumer, reception, adopted):
    """Celery has told of it and acknowledged it by then."""
    reception.take(Request("create_servicenow_incident", "inc-1", revoked=True))
    assert (loop.running, consumer.pool, adopted) == ([], [], [])
