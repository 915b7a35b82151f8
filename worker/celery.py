"""The Celery app and its tasks: thin. A task wakes the lifecycle for one job; the ledger decides what happens.

celery -A worker worker        runs deliveries
celery -A worker flower        shows them
"""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
from celery import Celery, Task, signals
from celery.exceptions import Ignore, Reject
from celery.loaders.app import AppLoader
from celery.utils.nodenames import default_nodename
from celery.utils.sysinfo import is_auto_concurrency
from click.core import ParameterSource
from redis.exceptions import RedisError

from config.logging import configure_logging
from config.settings import ConfigError, settings_for
from tasks import progress
from tasks.destinations import KINDS
from tasks.errors import AfterwordError, Refused, StateUnavailable
from tasks.model import CommandName
from worker import control
from worker.adoption import Reception, adopt, arguments_of, ties_of
from worker.answers import in_one_line
from worker.broker.options import check_command, check_options, for_each_process, unique_nodename
from worker.broker.settings import celery_settings
from worker.connection_tests import TestRoom, test_by_message
from worker.loop import Loop
from worker.processes.warm import keep, warm_up
from worker.rounds.callbacks import Callbacks
from worker.rounds.checkpoints import keep_checkpoints
from worker.rounds.endings import tell_of_ends
from worker.rounds.follower import follow_tickets
from worker.rounds.notifier import Notifier
from worker.rounds.runner import Runner
from worker.rounds.sweeper import Sweeper
from worker.rounds.teller import Teller
from worker.siblings import Siblings

log = logging.getLogger(__name__)

TESTS_SHARE = 2  # of the threads that handle messages, every second one may test a connection
STOP_MARGIN_S = 12.0  # for what a process does after its attempts have ended
REQUEUE_PAUSE_S = 1.0  # a broker that is well while Redis is away must not spin


@contextmanager
def one_line_for_trouble() -> Iterator[None]:
    """A start that can't work ends with one clear line, also under Celery's own command."""
    try:
        yield
    except (ConfigError, AfterwordError, RedisError, OSError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SystemExit(f"afterword: {words}") from None
    except Exception:  # Celery would swallow it, and go on as a worker that does nothing
        log.debug("start", exc_info=True)
        raise SystemExit("afterword: A fault in Afterword itself. AFTERWORD_LOG_LEVEL=DEBUG shows where.") from None


class Loader(AppLoader):
    """Reads our settings when Celery first needs its own."""

    def read_configuration(self, env: str = "") -> Mapping[str, Any]:
        """Celery's configuration."""
        with one_line_for_trouble():
            command = click.get_current_context(silent=True)
            check_command((command and command.info_name) or "")
            settings = settings_for()
            own = settings.instance().get("flower_url")  # an account that reads none of our records
            if own and not settings.redis_url and "flower" in sys.argv[1:]:
                settings = settings.model_copy(update={"redis_url": own})
            return celery_settings(settings)


class Afterword(Celery):
    """The app, with the process's event loop."""

    amqp_cls = "worker.broker.channel:NamedAmqp"
    events_cls = "worker.broker.events:OwnEvents"
    loop: Loop | None = None
    asked_concurrency: int | None = None
    asked_name: str | None = None
    passed_on: Sequence[str] = ()  # to each process of this worker
    siblings: Siblings | None = None
    teller: Teller | None = None
    tests = TestRoom(limit=1)

    def type_checker(self, fun: Callable[..., Any], bound: bool = False) -> Any:
        """As in Celery, in a form that says: a task of ours that follows a failure (`link_error`) is sent as a message, under an
        id of its own. Celery would call it in the process that tells of the failure.
        """
        return staticmethod(partial(super().type_checker(fun, bound=bound).__func__))

    def running_loop(self) -> Loop:
        """The process's loop, opened at first use: a process of Celery's prefork pool gets one of its own."""
        if self.loop is None or self.loop.process != os.getpid():
            loop = Loop(settings_for())
            loop.start()
            self.loop = loop
        return self.loop

    def reception(self, consumer: Any) -> Reception:
        """What takes the messages of that consumer of Celery's."""
        return Reception(consumer, self.running_loop)

    def prepare(self) -> None:
        """Set up logging and open the loop, before the first message is taken; raises what opening it raises.

        Until Celery handles signals itself, SIGTERM ends the process: as the first one of a container it would ignore it.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _stop_at_once)
        configure_logging(settings_for(), progress.facts)
        self.running_loop()

    def finish(self) -> None:
        """Return when no attempt runs any more and all ends are told; once that is so, it costs nothing."""
        if self.loop is None or self.loop.process != os.getpid():
            return
        if self.siblings is not None and not self.siblings.stopping:
            self.siblings.stop()  # the remote command `shutdown` comes without a signal
        teller, self.teller = self.teller, None
        try:
            self.loop.run(self.loop.attempts.let_go(self.loop.services.settings.drain_s))
            if teller is not None:
                self.loop.run(teller.tell())  # what the last attempts left to tell, after what is being told now
        except (AfterwordError, RedisError, OSError) as trouble:
            log.warning("the last ends are told by another worker: %s", trouble)


def _stop_at_once(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


class Delivery(Task):
    """A task whose request never shows its arguments."""

    Request = "worker.broker.guard:DiscreetRequest"
    abstract = True
    throws = (AfterwordError,)  # an end that the ledger knows, no fault of the task: Celery logs it as expected

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; raises `Refused` for arguments that it doesn't take, of which Celery would log a traceback."""
        try:
            inspect.signature(self.run).bind(*args, **kwargs)
        except TypeError as wrong:
            refused = Refused(
                f"The arguments of {self.name} are not valid: {wrong!s:.200}.",
                code="bad_arguments",
                advice="Correct them and submit again.",
            )
            raise in_one_line(refused) from None
        return self.run(*args, **kwargs)


app = Afterword("afterword", loader=Loader, task_cls=Delivery, set_as_current=False)
app.set_default()  # whoever asks for a result without naming an app, as Flower does, means this one


def deliver(task: Task, command: CommandName, arguments: Mapping[str, Any]) -> None:
    """Put the job of a message into the ledger, which tells of everything that becomes of it; its id is the task's id.

    Messages come here only where `Reception` couldn't adopt them: so that Celery tells their producers why.

    Raises `Ignore` once it is there, so that the message is acknowledged and no result is stored yet; a typed error where
    the message asks for what can't be, or `Reject` where the ledger can't be reached.
    """
    request = task.request
    try:
        if request.id is None:
            raise Refused(
                f"{task.name} was called by another task, and each job has the id of a task of its own.",
                code="called_directly",
                advice="Send a group of tasks instead of chunks, map or starmap.",
            )
        loop = app.running_loop()
        loop.run(adopt(loop.services, str(request.id), {"command": command, **arguments}, **ties_of(request)))
    except (StateUnavailable, RedisError, OSError) as trouble:
        log.error("job %s: %s", request.id, trouble)
        time.sleep(REQUEUE_PAUSE_S)
        raise Reject(str(trouble), requeue=True) from None
    except CancelledError:
        # Cut short before the ledger said anything: a job that came as this message may stand nowhere else yet.
        raise Reject("this worker stops", requeue=True) from None
    except AfterwordError as refused:
        log.error("job %s: %s", request.id, refused)
        raise in_one_line(refused) from None
    raise Ignore("the ledger has it")


@app.task(bind=True, name="publish_to_confluence")
def publish_to_confluence(
    self: Task,
    doc_id: str,
    space_key: str | None = None,
    parent_page_id: str | None = None,
    destination: str | None = None,
) -> None:
    """Put a document on a page of a Confluence space: `{"id", "url"}`."""
    given = arguments_of(doc_id=doc_id, space_key=space_key, parent_page_id=parent_page_id, destination=destination)
    deliver(self, CommandName.PUBLISH, given)


@app.task(bind=True, name="create_servicenow_incident")
def create_servicenow_incident(
    self: Task,
    issue_id: str,
    config: dict[str, Any] | None = None,
    destination: str | None = None,
    table: str | None = None,
) -> None:
    """File an issue as an incident, or as a record of another table: `{"id", "ticket_number", "url"}`."""
    given = arguments_of(issue_id=issue_id, config=config, destination=destination, table=table)
    deliver(self, CommandName.INCIDENT, given)


@app.task(bind=True, name="create_azuredevops_workitem")
def create_azuredevops_workitem(
    self: Task,
    issue_id: str,
    project: str | None = None,
    config: dict[str, Any] | None = None,
    destination: str | None = None,
) -> None:
    """File an issue as a work item: `{"id", "ticket_number", "url"}`."""
    given = arguments_of(issue_id=issue_id, project=project, config=config, destination=destination)
    deliver(self, CommandName.WORK_ITEM, given)


@app.task(bind=True, name="create_jira_issue")
def create_jira_issue(
    self: Task,
    issue_id: str,
    project: str | None = None,
    config: dict[str, Any] | None = None,
    destination: str | None = None,
) -> None:
    """File an issue as an issue of a Jira project: `{"id", "ticket_number", "url"}`."""
    given = arguments_of(issue_id=issue_id, project=project, config=config, destination=destination)
    deliver(self, CommandName.JIRA_ISSUE, given)


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


@app.task(name="test_jira_connection")
def test_jira_connection(base_url: str, credentials: object, destination: str | None = None) -> dict[str, bool | str]:
    """Test a Jira address with a stored or sealed credential: `{"success", "message"}`."""
    return _test("jira", base_url, credentials, destination)


@signals.setup_logging.connect
def _set_up_logging(logfile: str | None = None, **_: object) -> None:
    with one_line_for_trouble():
        configure_logging(settings_for(), progress.facts, logfile)


@signals.worker_init.connect
def _open(sender: Any, **_: object) -> None:
    if sender.app is not app:
        return  # somebody else's worker in this process
    with one_line_for_trouble():
        app.prepare()


@signals.celeryd_init.connect
def _check_options(instance: Any, options: Mapping[str, Any], **_: object) -> None:
    """Name this worker, and refuse options that would do nothing, or harm."""
    if instance.app is not app:
        return
    sys.argv[:] = sys.orig_argv[1:]  # at a SIGHUP Celery starts this command anew, which may have been `python -m …`
    with one_line_for_trouble():
        check_options(options)
    if instance.hostname == default_nodename(None):
        instance.hostname = unique_nodename()
    else:
        app.asked_name = instance.hostname
    # What nobody gave says nothing: the pool's size is none of attempts, and Celery has a log level of its own.
    command = click.get_current_context(silent=True)
    given = {
        name: value
        for name, value in (command.params.items() if command else ())
        if command and command.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    size = given.get("concurrency")
    app.asked_concurrency = None if is_auto_concurrency(size) else size
    app.passed_on = for_each_process(given)
    if "loglevel" in given:
        os.environ["AFTERWORD_LOG_LEVEL"] = logging.getLevelName(given["loglevel"])


@signals.worker_ready.connect
def _begin(sender: Any, **_: object) -> None:
    """Run jobs, now that messages are taken: `sender` is Celery's consumer."""
    if sender.app is not app:
        return
    loop = app.running_loop()
    services = loop.services
    warm_up()
    keep()
    app.tests = TestRoom(limit=max(int(sender.pool.limit) // TESTS_SHARE, 1))
    capacity = int(app.asked_concurrency or services.settings.concurrency)
    kinds = frozenset(app.amqp.queues.consume_from)  # the queues of `-Q`, by default all

    if not kinds & set(KINDS):
        log.warning("this worker takes messages and runs no jobs: its queues (-Q) name no kind of destination")

    teller = app.teller = Teller(services, app, sender.send_events)
    runner = Runner(services, loop.attempts, teller, capacity, None if kinds >= set(KINDS) else kinds)
    sweeper = Sweeper(services, capacity)
    options = ["--loglevel", services.settings.log_level, "--queues", ",".join(sorted(kinds)), *app.passed_on]
    siblings = app.siblings = Siblings(services.settings, capacity, options, app.asked_name)

    def share(attempts: int) -> None:
        runner.capacity = sweeper.capacity = attempts

    control.install(loop)
    for work in (
        teller.run(),
        runner.run(),
        sweeper.run(),
        siblings.run(share),
        keep_checkpoints(services),
        tell_of_ends(services),
        follow_tickets(services),
        Callbacks(services).run(),
        Notifier(services).run(),
    ):
        loop.spawn(work)


@signals.worker_shutting_down.connect
def _drain(how: str, **_: object) -> None:
    """The first stop signal lets attempts finish; a second one gives them back at once."""
    if app.siblings is not None:
        app.siblings.stop(signal.SIGTERM if how == "Warm" else signal.SIGQUIT)
    if app.loop is not None:
        app.loop.spawn(app.loop.attempts.drain(app.loop.services.settings.drain_s))


@signals.worker_shutdown.connect
def _end(**_: object) -> None:
    if app.loop is not None:
        try:
            app.finish()
        finally:
            if app.siblings is not None:
                app.siblings.end(app.loop.services.settings.drain_s + STOP_MARGIN_S)
            app.loop.stop()
