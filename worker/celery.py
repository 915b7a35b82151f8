"""The Celery app and its tasks: thin. A task wakes the lifecycle for one job; the ledger decides what happens.

celery -A worker worker        runs deliveries
celery -A worker flower        shows them
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from celery import Celery, Task, signals
from celery.exceptions import Ignore, Reject
from celery.loaders.app import AppLoader
from redis.exceptions import RedisError

from config.logging import configure_logging
from config.settings import ConfigError, settings_for
from tasks import lifecycle, progress
from tasks.errors import AfterwordError, AttemptFailed, Refused, StateUnavailable
from tasks.model import CommandName, JobState, parse_command
from tasks.state.jobs.transitions import NotClaimed
from tasks.tracing import checked_traceparent
from worker.answers import answer
from worker.broker.settings import celery_settings
from worker.connection_tests import TestRoom, test_by_message
from worker.rounds.callbacks import Callbacks
from worker.rounds.checkpoints import log_checkpoints
from worker.rounds.sweeper import WAKES, Sweeper
from worker.runtime import Loop, Services

log = logging.getLogger(__name__)

REQUEUE_PAUSE_S = 1.0  # a broker that is well while Redis is away must not spin


@contextmanager
def one_line_for_trouble() -> Iterator[None]:
    """A start that can't work ends with one clear line, also under Celery's own command."""
    try:
        yield
    except (ConfigError, AfterwordError, RedisError, OSError) as error:
        raise SystemExit(f"afterword: {error}") from None
    except Exception as error:  # Celery would swallow it, and go on as a worker that does nothing
        log.debug("start", exc_info=True)
        words = f"A fault in Afterword itself ({type(error).__name__}). AFTERWORD_LOG_LEVEL=DEBUG shows where."
        raise SystemExit(f"afterword: {words}") from None


class Loader(AppLoader):
    """Reads our settings when Celery first needs its own."""

    def read_configuration(self, env: str = "") -> Mapping[str, Any]:
        """Celery's configuration."""
        with one_line_for_trouble():
            return celery_settings(settings_for())


class Afterword(Celery):
    """The app, with the process's event loop."""

    amqp_cls = "worker.broker.guard:NamedAmqp"
    loop: Loop | None = None
    tests = TestRoom(limit=1)

    def running_loop(self) -> Loop:
        """The process's loop, opened at first use: a process of Celery's prefork pool gets one of its own."""
        if self.loop is None or self.loop.process != os.getpid():
            loop = Loop(settings_for())
            loop.start()
            self.loop = loop
        return self.loop

    def prepare(self) -> None:
        """Set up logging and open the loop, before the first message is taken; raises what opening it raises.

        Until Celery handles signals itself, SIGTERM ends the process: as the first one of a container it would ignore it.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _stop_at_once)
        configure_logging(settings_for(), progress.facts)
        self.running_loop()


def _stop_at_once(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


class Delivery(Task):
    """A task whose request never shows its arguments."""

    Request = "worker.broker.guard:DiscreetRequest"
    abstract = True
    throws = (AfterwordError,)  # an end that the ledger knows, no fault of the task: Celery logs it as expected


app = Afterword("afterword", loader=Loader, task_cls=Delivery, set_as_current=False)


def deliver(task: Task, command: CommandName, arguments: Mapping[str, Any]) -> dict[str, str]:
    """One attempt of the job whose id is the task's id.

    Returns the receipt in upstream's shape; raises `Retry` with the due time that the ledger holds, a typed error for
    a job that is dead, `Ignore` where this message has nothing to do, or `Reject` where another worker must have it.
    """
    traceparent = getattr(task.request, "traceparent", None)  # a header that tracing producers send
    given = None if getattr(task.request, WAKES, None) else arguments
    try:
        loop = app.running_loop()
        ended = loop.run(loop.attempts.run(_attempt(loop, str(task.request.id), command, given, traceparent)))
    except (StateUnavailable, RedisError, OSError) as trouble:
        log.error("job %s: %s", task.request.id, trouble)
        time.sleep(REQUEUE_PAUSE_S)
        raise Reject(str(trouble), requeue=True) from None
    except CancelledError:
        # Cut short before the ledger said anything: a job that came as this message may stand nowhere else yet.
        raise Reject("this worker stops", requeue=True) from None
    except AfterwordError as refused:
        log.error("job %s: %s", task.request.id, refused)
        raise
    return answer(ended)


async def _attempt(
    loop: Loop, job_id: str, command: CommandName, arguments: Mapping[str, Any] | None, traceparent: object = None
) -> lifecycle.Ended:
    """One attempt; without `arguments` the message only wakes a worker for a job that the ledger knows."""
    services = loop.services
    if await services.ledger.get(job_id) is None:
        if arguments is None:
            raise Ignore("the job was forgotten")
        await services.submit(
            parse_command({"command": command, **arguments}),
            actor="celery",
            job_id=job_id,
            adopt=True,
            traceparent=checked_traceparent(traceparent),
        )
    if loop.attempts.stopping:
        await services.upkeep.unsend(job_id)
        return await _settled_before(services, job_id, NotClaimed("stopping"))
    ended = await lifecycle.attempt(services.core, job_id)
    if isinstance(ended, lifecycle.Ended):
        return ended
    return await _settled_before(services, job_id, ended)


async def _settled_before(services: Services, job_id: str, reason: NotClaimed) -> lifecycle.Ended:
    """What a message finds that comes late or twice: the outcome, or the wait, that the ledger already holds."""
    job = await services.ledger.require(job_id)
    if job.state is JobState.DELIVERED:
        return lifecycle.Ended(job.state, receipt=job.receipt)
    error = job.last_error
    failure = AttemptFailed(error.message, code=error.code, advice=error.advice) if error else None
    due_ms = int(reason.detail) if reason.detail.isdigit() else job.due_ms
    return lifecycle.Ended(job.state, error=failure, due_ms=due_ms)


def arguments_of(**given: Any) -> dict[str, Any]:
    """The arguments that a message really gave."""
    return {name: value for name, value in given.items() if value is not None}


@app.task(bind=True, name="publish_to_confluence")
def publish_to_confluence(
    self: Task, doc_id: str, space_key: str, parent_page_id: str | None = None, destination: str | None = None
) -> dict[str, str]:
    """Put a document on a page of a Confluence space: `{"id", "url"}`."""
    given = arguments_of(doc_id=doc_id, space_key=space_key, parent_page_id=parent_page_id, destination=destination)
    return deliver(self, CommandName.PUBLISH, given)


@app.task(bind=True, name="create_servicenow_incident")
def create_servicenow_incident(
    self: Task, issue_id: str, config: dict[str, Any] | None = None, destination: str | None = None
) -> dict[str, str]:
    """File an issue as an incident: `{"id", "ticket_number", "url"}`."""
    return deliver(self, CommandName.INCIDENT, arguments_of(issue_id=issue_id, config=config, destination=destination))


@app.task(bind=True, name="create_azuredevops_workitem")
def create_azuredevops_workitem(
    self: Task, issue_id: str, project: str, config: dict[str, Any] | None = None, destination: str | None = None
) -> dict[str, str]:
    """File an issue as a work item: `{"id", "ticket_number", "url"}`."""
    given = arguments_of(issue_id=issue_id, project=project, config=config, destination=destination)
    return deliver(self, CommandName.WORK_ITEM, given)


def _test(kind: str, address: str, credentials: object, destination: str | None) -> dict[str, bool | str]:
    loop = app.running_loop()
    try:
        with app.tests.one():
            return loop.run(test_by_message(loop.services, kind, address, credentials, destination)).result()
    except Refused as refused:
        return {"success": False, "message": str(refused)}


@app.task(name="test_confluence_connection")
def test_confluence_connection(
    base_url: str, credentials: object, destination: str | None = None
) -> dict[str, bool | str]:
    """Test a Confluence address with a stored or sealed credential: `{"success", "message"}`."""
    return _test("confluence", base_url, credentials, destination)


@app.task(name="test_servicenow_connection")
def test_servicenow_connection(
    instance_url: str, credentials: object, destination: str | None = None
) -> dict[str, bool | str]:
    """Test a ServiceNow address with a stored or sealed credential: `{"success", "message"}`."""
    return _test("servicenow", instance_url, credentials, destination)


@app.task(name="test_azuredevops_connection")
def test_azuredevops_connection(
    org_url: str, credentials: object, destination: str | None = None
) -> dict[str, bool | str]:
    """Test an Azure DevOps address with a stored or sealed credential: `{"success", "message"}`."""
    return _test("azure_devops", org_url, credentials, destination)


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    configure_logging(settings_for(), progress.facts)


@signals.worker_init.connect
def _open(**_: object) -> None:
    with one_line_for_trouble():
        app.prepare()


@signals.worker_ready.connect
def _begin(sender: Any, **_: object) -> None:
    loop = app.running_loop()
    threads = int(sender.pool.limit)  # the command line may have set another number than our settings
    app.tests = TestRoom(limit=max(threads // 8, 1))
    sweeper = Sweeper(loop.services, app, loop.attempts, capacity=max(threads - app.tests.limit, 1))
    loop.spawn(sweeper.run())
    loop.spawn(log_checkpoints(loop.services))
    loop.spawn(Callbacks(loop.services).run())


@signals.worker_shutting_down.connect
def _drain(**_: object) -> None:
    """The first stop signal lets attempts finish; a second one gives them back at once."""
    if app.loop is not None:
        app.loop.spawn(app.loop.attempts.drain(app.loop.services.settings.drain_s))


@signals.worker_shutdown.connect
def _end(**_: object) -> None:
    if app.loop is not None:
        app.loop.stop()
