"""What a Celery client is told in the corners: at a worker's end, of ids that no job can have, of calls that fit no task."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from celery.canvas import xstarmap

from tasks.model import JobState, parse_command
from tests.conftest import stop, until
from tests.integration.celery_support import KWARGS, any_of, result_of
from tests.integration.test_lifecycle import PUBLISH
from tests.integration.test_processes import alive, settled

pytestmark = pytest.mark.usefixtures("destinations", "content")


@contextmanager
def looking_on(app):
    """The events of all workers, as Flower receives them: id of the task, if it is about one, and type."""
    seen: list[tuple[str | None, str]] = []
    with app.connection_for_read() as connection:
        handlers = {"*": lambda event: seen.append((event.get("uuid"), event["type"]))}
        receiver = app.events.Receiver(connection, handlers=handlers)
        thread = threading.Thread(target=receiver.capture, daemon=True)
        thread.start()
        yield seen
        receiver.should_stop = True
        thread.join()


async def test_whoever_looks_on_sees_the_end_of_an_attempt_that_a_stopping_worker_finished(
    services, sandbox, start_worker, somebody
):
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=2)
    worker = start_worker()
    await alive(services)
    with looking_on(somebody.app) as seen:
        await until(lambda: any_of(seen), what="a word of the worker's")
        result = somebody.incident().apply_async()

        async def sent():
            return [r for r in (await sandbox.state())["requests"] if r["operation"] == "create"]

        await until(sent, what="the create request")
        stop(worker)

        async def ended():
            return [kind for about, kind in seen if about == result.id and kind in ("task-succeeded", "task-failed")]

        assert await until(ended, 30, what="the event of the end") == ["task-succeeded"]


@pytest.mark.parametrize("identifier", ["x" * 300, "two\nlines", "a tab\t"], ids=["long", "lines", "tab"])
async def test_an_id_that_no_job_can_have_has_a_result_that_says_so(services, start_worker, somebody, identifier):
    start_worker()
    result = somebody.incident().apply_async(task_id=identifier)
    assert "more than 255 characters" in str(await result_of(result))
    assert result.state == "FAILURE"
    assert [kept.task_id for kept in await services.dead_list.list()] == [None], "lists and logs don't show it"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "missing a required argument: 'issue_id'"),
        (KWARGS | {"surprise": 1}, "unexpected keyword argument 'surprise'"),
        ({"issue_id": ["inc-1"]}, "issue_id: must be text"),
        (KWARGS | {"config": "P1"}, "config: must be an object"),
        (KWARGS | {"config": {"fields": {"a": {}}}}, "config.fields.a: must be text, a number, true or false. Correct"),
        (KWARGS | {"destination": "nowhere"}, "nowhere"),
    ],
    ids=["missing", "unknown", "type", "config", "field", "destination"],
)
async def test_arguments_that_fit_no_task_end_as_a_failure_with_one_line(
    start_worker, somebody, settings, arguments, words
):
    start_worker()
    failed = await result_of(somebody.app.send_task("create_servicenow_incident", kwargs=arguments))
    assert words in str(failed)
    assert "\n" not in str(failed)
    assert "Traceback" not in (settings.data / "worker-0.log").read_text()


async def test_a_task_that_another_task_calls_is_refused_with_what_to_send_instead(services, start_worker, somebody):
    start_worker()
    several = xstarmap(somebody.app.signature("create_servicenow_incident"), [("inc-1",), ("inc-1",)], app=somebody.app)
    assert "Send a group" in str(await result_of(several.apply_async()))
    assert (await services.ledger.list())[0] == []


async def test_what_hangs_on_a_message_that_expires_behind_a_paused_destination_is_told(
    services, start_worker, somebody
):
    """Celery itself looks at a message's expiry only when it takes it; the job has its end in the ledger."""
    await services.destinations.pause("servicenow", "test")
    start_worker()
    await alive(services)
    late = somebody.incident().apply_async(expires=20, link_error=somebody.failed)
    assert isinstance(await result_of(late), Exception)
    assert (await services.ledger.require(late.id)).last_error.code == "expired"
    assert await until(lambda: any_of(somebody.calls), what="the error callback") == [late.id]


async def test_a_worker_that_takes_no_messages_for_a_while_runs_jobs_and_takes_what_waited(
    services, start_worker, somebody
):
    start_worker()
    await alive(services)
    control = somebody.app.control
    ours = [name for answer in control.ping(timeout=3) for name in answer if name.startswith("celery-")]
    control.cancel_consumer("celery", ours, reply=True, timeout=3)
    waits = somebody.incident().apply_async()
    job = await services.submit(parse_command(PUBLISH), actor="test")
    assert (await settled(services, job.id)).state is JobState.DELIVERED
    assert waits.state == "PENDING"
    control.add_consumer("celery", destination=ours, reply=True, timeout=3)
    assert (await result_of(waits))["ticket_number"]
