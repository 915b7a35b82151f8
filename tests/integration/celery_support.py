"""Somebody else's Celery application, and how its results are waited for."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker as start_thread_worker

from tests.conftest import until

KWARGS = {"issue_id": "inc-1"}


class Somebody:
    """Somebody else's Celery application on the same broker, with a task that notes what it is called with."""

    def __init__(self, url: str, queue: str) -> None:
        self.app = Celery("somebody", broker=url, backend=url, set_as_current=False)
        self.app.conf.task_default_queue = queue
        self.app.conf.task_routes = {"create_*": "celery", "publish_*": "celery"}
        self.calls: list = []

        @self.app.task(name="note", shared=False)
        def note(result):
            self.calls.append(result)

        @self.app.task(name="collect", shared=False)
        def collect(found):
            return found

        @self.app.task(name="failed", shared=False)
        def failed(task_id):
            self.calls.append(task_id)

        # Whoever sends what follows a task, the queue of it goes along.
        self.note, self.collect, self.failed = (task.s().set(queue=queue) for task in (note, collect, failed))

    def incident(self):
        return self.app.signature("create_servicenow_incident", kwargs=KWARGS, immutable=True)


@pytest.fixture
def somebody(valkey, settings):
    somebody = Somebody(valkey.url, f"somebody-{settings.prefix}")
    with start_thread_worker(somebody.app, perform_ping_check=False, pool="solo", shutdown_timeout=30):
        yield somebody
    somebody.app.close()


async def result_of(result):
    """The result once it is there: the sandbox and the services live on the test's own loop."""
    await until(lambda: _ready(result), what="the result")
    return result.result


async def _ready(result):
    return result.ready()


async def any_of(calls):
    """What was noted until now."""
    return list(calls)
