"""What users of Celery expect of a Celery application: workflows, revocation, pools and options."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
from celery import chain, chord, group
from celery.exceptions import Retry, TaskRevokedError

from tasks import lifecycle
from tasks.model import JobState, parse_command
from tests.conftest import ROOT, environment, stop, until
from tests.integration.celery_support import KWARGS, any_of, result_of
from tests.integration.test_lifecycle import INCIDENT, PUBLISH, WORK_ITEM
from tests.integration.test_processes import alive, settled
from worker.rounds.results import mark_as_retry

pytestmark = pytest.mark.usefixtures("destinations", "content")


def ours(answers):
    """What our workers answered, by their names: somebody else's worker hears the question, too."""
    return {name: reply for answer in answers or () for name, reply in answer.items() if name.startswith("celery-")}


async def fail_once(sandbox):
    await sandbox.fault(vendor="servicenow", operation="create", fault="status", status=503)


async def test_a_callback_runs_once_when_the_job_is_delivered_after_a_failed_attempt(sandbox, start_worker, somebody):
    await fail_once(sandbox)
    start_worker()
    result = somebody.incident().apply_async(link=somebody.note)
    ticket = await result_of(result)
    await until(lambda: any_of(somebody.calls), what="the callback")
    assert somebody.calls == [ticket]
    assert len(result.children) == 1


async def test_a_message_may_name_another_table_of_servicenow(sandbox, start_worker, somebody):
    """As upstream's argument: the record is in that table; a table that can't be one is told as the task's failure."""
    start_worker()
    send = partial(somebody.app.send_task, "create_servicenow_incident")
    made = await result_of(send(kwargs=KWARGS | {"table": "problem"}))
    refused = await result_of(send(kwargs=KWARGS | {"table": "No Table"}))
    assert made["ticket_number"].startswith("PRB")
    assert [row["kind"] for row in await sandbox.objects("servicenow")] == ["problem"]
    assert "table: must be a table's name" in str(refused)


async def test_an_error_callback_runs_once_when_the_job_is_dead(services, start_worker, somebody):
    start_worker()
    missing = somebody.app.signature("create_servicenow_incident", kwargs={"issue_id": "nothing"})
    result = missing.apply_async(link_error=somebody.failed)
    await until(lambda: any_of(somebody.calls), what="the error callback")
    assert somebody.calls == [result.id]
    assert "nothing" in str(await result_of(result))


async def test_a_chain_goes_on_and_a_chord_completes_whatever_happened_before(sandbox, start_worker, somebody):
    await fail_once(sandbox)
    start_worker()
    last = chain(somebody.incident(), somebody.collect.clone(), somebody.collect.clone()).apply_async()
    assert set(await result_of(last)) == {"id", "ticket_number", "url"}
    await fail_once(sandbox)
    item = somebody.app.signature("create_azuredevops_workitem", kwargs=KWARGS | {"project": "Operations"})
    both = chord(group(somebody.incident(), item), somebody.collect.clone()).apply_async()
    found = await result_of(both)
    assert [sorted(ticket) for ticket in found] == [["id", "ticket_number", "url"]] * 2


async def test_what_hangs_on_a_job_of_a_paused_destination_waits_for_its_delivery(services, start_worker, somebody):
    await services.destinations.pause("servicenow", "test")
    start_worker()
    result = somebody.incident().apply_async(link=somebody.note)

    async def adopted():
        return await services.ledger.get(result.id)

    job = await until(adopted, what="the job")
    assert "note" not in str(await services.redis.hget(f"{services.settings.prefix}:job:{job.id}", "origin")), "sealed"
    assert somebody.calls == []
    await services.destinations.resume("servicenow", "test")
    ticket = await result_of(result)
    await until(lambda: any_of(somebody.calls), what="the callback")
    assert somebody.calls == [ticket]


async def test_what_hangs_on_a_message_follows_a_job_that_was_there_without_it(
    services, sandbox, start_worker, somebody
):
    """As after an upgrade: the earlier version kept the message, and its job went on without what hung on it."""
    job = await services.submit(parse_command({"command": INCIDENT["command"], **KWARGS}), actor="celery")
    waits = await services.submit(parse_command(WORK_ITEM | KWARGS), actor="celery")
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED
    item = somebody.app.signature("create_azuredevops_workitem", kwargs=KWARGS | {"project": "Operations"})
    for _ in range(2):
        somebody.incident().apply_async(task_id=job.id, link=somebody.note)
        item.apply_async(task_id=waits.id, link=somebody.note)
    start_worker()
    await until(lambda: _called(somebody, 2), what="both callbacks")
    somebody.incident().apply_async(task_id=job.id, link=somebody.note)
    somebody.incident().apply_async(link=somebody.note)
    await until(lambda: _called(somebody, 3), what="the callback of another job")
    assert await services.redis.hget(f"{services.settings.prefix}:job:{job.id}", "origin") is None
    assert len(somebody.calls) == 3


async def _called(somebody, times):
    return len(somebody.calls) >= times


async def test_a_late_word_of_a_wait_leaves_the_end_that_was_told(services, somebody):
    """The worker of an earlier attempt may speak after the one that told the end."""
    waits = Retry("later")
    mark_as_retry(somebody.app.backend, "waits", waits)
    assert somebody.app.AsyncResult("waits").state == "RETRY"
    for end in ("FAILURE", "REVOKED", "SUCCESS"):
        somebody.app.backend.store_result(end, Exception("over") if end != "SUCCESS" else {"id": "1"}, end)
        mark_as_retry(somebody.app.backend, end, waits)
        assert somebody.app.AsyncResult(end).state == end
    await services.redis.set(somebody.app.backend.get_key_for_task("garbage"), b"no result")
    mark_as_retry(somebody.app.backend, "garbage", waits)
    assert somebody.app.AsyncResult("garbage").state == "RETRY"


async def test_a_revoked_job_that_waits_is_cancelled_for_good(services, sandbox, start_worker, somebody):
    await services.destinations.pause("servicenow", "test")
    start_worker()
    result = somebody.incident().apply_async()

    async def adopted():
        return await services.ledger.get(result.id)

    await until(adopted, what="the job")
    await alive(services)
    result.revoke()
    assert (await settled(services, result.id)).state is JobState.CANCELLED
    with pytest.raises(TaskRevokedError):
        raise await result_of(result)
    assert "job.cancelled" in [entry.event for entry in await services.audit.tail(50)]
    await services.destinations.resume("servicenow", "test")
    start_worker()
    after = await services.submit(parse_command(WORK_ITEM), actor="test")
    assert (await settled(services, after.id)).state is JobState.DELIVERED
    assert await sandbox.objects("servicenow") == []


async def test_a_terminated_job_is_cancelled_and_the_doubt_about_its_write_stays(
    services, sandbox, start_worker, somebody
):
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=30)
    start_worker()
    await alive(services)
    result = somebody.incident().apply_async()

    async def sent():
        return [r for r in (await sandbox.state())["requests"] if r["operation"] == "create"]

    await until(sent, what="the create request")
    result.revoke(terminate=True)
    ended = await settled(services, result.id)
    assert ended.state is JobState.CANCELLED
    assert (await services.ledger.subject(ended.subject)).doubt_until_ms is not None


async def test_a_moment_of_a_message_is_kept_by_the_ledger_and_no_worker(services, sandbox, start_worker, somebody):
    """Where a revocation finds it, a worker that ends takes nothing along, and no queue stands still behind it."""
    start_worker()
    later = somebody.incident().apply_async(countdown=3600)
    over = somebody.app.signature(
        "create_azuredevops_workitem", kwargs=KWARGS | {"project": "Operations"}, immutable=True
    )
    over = over.apply_async(countdown=3600, expires=1800)

    async def adopted():
        found = [await services.ledger.get(result.id) for result in (later, over)]
        return found if all(found) else None

    job, brief = await until(adopted, what="both jobs")
    assert job.due_ms > services.core.clock_ms() + 1_800_000
    assert brief.expires_ms < services.core.clock_ms() + 1_900_000
    later.revoke()
    assert (await settled(services, later.id)).state is JobState.CANCELLED
    soon = somebody.incident().apply_async(countdown=1)
    assert (await result_of(soon))["ticket_number"]
    assert len(await sandbox.objects("servicenow")) == 1


async def test_whatever_hangs_on_a_job_is_a_message_of_its_own_and_costs_no_result(services, start_worker, somebody):
    start_worker()
    ids = []
    for number in range(2):
        given = KWARGS | {"project": "Operations"}
        after = somebody.app.signature("create_azuredevops_workitem", kwargs=given, immutable=True)
        after.set(task_id=f"after-{number}")
        missing = somebody.app.signature("create_servicenow_incident", kwargs={"issue_id": "nothing"})
        missing.apply_async(link_error=after)
        ids.append(after.options["task_id"])
    for identifier in ids:
        assert (await result_of(somebody.app.AsyncResult(identifier)))["ticket_number"]
    unsendable = somebody.app.signature("note", serializer="unknown")
    delivered = somebody.incident().apply_async(link=[unsendable, somebody.note])
    assert (await result_of(delivered))["ticket_number"]
    await until(lambda: any_of(somebody.calls), what="the callback beside the one that can't be sent")


async def test_a_chain_ends_with_a_revoked_job(services, start_worker, somebody):
    await services.destinations.pause("servicenow", "test")
    start_worker()
    last = chain(somebody.incident(), somebody.collect.clone()).apply_async()

    async def adopted():
        return await services.ledger.get(last.parent.id)

    await until(adopted, what="the job")
    last.parent.revoke()
    await result_of(last)
    assert last.state == "REVOKED"


async def test_a_worker_that_stops_tells_the_end_of_its_last_attempt(services, sandbox, start_worker, somebody):
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=2)
    worker = start_worker()
    result = somebody.incident().apply_async(link=somebody.note)

    async def sent():
        return [r for r in (await sandbox.state())["requests"] if r["operation"] == "create"]

    await until(sent, what="the create request")
    stop(worker)
    assert (await services.ledger.require(result.id)).state is JobState.DELIVERED
    assert result.successful(), "no other worker is there to tell it"
    assert await services.redis.zcard(f"{services.settings.prefix}:telling") == 0


async def test_a_job_that_came_by_another_way_has_a_result_in_celery_too(services, start_worker, somebody):
    start_worker()
    job = await services.submit(parse_command(PUBLISH), actor="test")
    assert set(await result_of(somebody.app.AsyncResult(job.id))) == {"id", "url"}


@pytest.mark.parametrize(
    "options",
    [
        ("-P", "prefork", "-c", "2"),
        ("-P", "solo"),
        ("--autoscale", "10"),
        ("-Pthreads", "--autoscale=4,1"),
        ("--max-tasks-per-child", "1"),
        ("-Pprefork", "-c1", "--max-memory-per-child=1", "--max-tasks-per-child=1", "-Ofair"),
        ("--disable-prefetch", "--prefetch-multiplier=1"),
        ("-Psolo", "--disable-prefetch"),
        ("-E", "-Xjira", "--without-heartbeat", "--without-gossip", "--without-mingle"),
        ("-c", "auto"),
    ],
    ids=lambda options: options[0].strip("-") + options[1].partition(",")[0],
)
async def test_every_pool_and_option_that_is_taken_delivers(services, sandbox, start_worker, somebody, options):
    worker = start_worker(sys.executable, "-m", "celery", "-A", "worker", "worker", *options)
    for _ in range(3):
        ticket = somebody.incident().apply_async()
        assert (await result_of(ticket))["ticket_number"]
        assert (await services.ledger.require(ticket.id)).crashes == 0
    assert worker.poll() is None


def test_a_result_that_is_looked_up_without_an_app_is_ours_as_flower_does_it(settings):
    words = "import worker.celery; from celery.result import AsyncResult; print(AsyncResult('x').app.main)"
    given = environment(settings)
    found = subprocess.run(
        [sys.executable, "-c", words], cwd=ROOT, env=given, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "afterword"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--time-limit", "5"), "total_timeout_s"),
        (("--soft-time-limit", "5"), "total_timeout_s"),
        (("-Pgevent",), "Use threads"),
        (("-Peventlet",), "Use threads"),
        (("-P", "solo", "--autoscale", "4,1"), "solo can't grow"),
        (("--purge",), "afterword job cancel"),
        (("-B",), "no schedule"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused_in_one_line(settings, options, words):
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker", *options],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [(), ("-P", "threads")], ids=["ours", "by name"])
async def test_the_pool_grows_and_shrinks_on_demand(services, start_worker, somebody, options):
    worker = start_worker(sys.executable, "-m", "celery", "-A", "worker", "worker", *options)
    await alive(services)

    async def answered():
        return ours(somebody.app.control.pool_grow(3, reply=True, timeout=2))

    assert all("ok" in reply for reply in (await until(answered, what="an answer")).values())
    assert all("ok" in reply for reply in ours(somebody.app.control.pool_shrink(3, reply=True)).values())
    limited = somebody.app.control.time_limit("create_servicenow_incident", hard=1, reply=True)
    assert all("total_timeout_s" in reply["error"] for reply in ours(limited).values())
    stamped = ours(somebody.app.control.revoke_by_stamped_headers({"tenant": "seven"}, reply=True))
    assert all("Nothing is revoked" in reply["ok"] for reply in stamped.values())
    assert (await result_of(somebody.incident().apply_async()))["ticket_number"]
    assert worker.poll() is None


async def test_a_pool_that_cant_grow_says_so(services, start_worker, somebody):
    worker = start_worker(sys.executable, "-m", "celery", "-A", "worker", "worker", "-P", "solo")
    await alive(services)

    async def answered():
        return ours(somebody.app.control.pool_grow(3, reply=True, timeout=2))

    for replies in (await until(answered, what="an answer"), ours(somebody.app.control.pool_shrink(3, reply=True))):
        assert all("can't grow" in reply["error"] for reply in replies.values())
    assert worker.poll() is None


async def test_two_workers_of_one_host_have_names_of_their_own(services, start_worker, somebody):
    start_worker()
    start_worker()
    await alive(services, 2)

    async def both():
        names = ours(somebody.app.control.ping(timeout=2))
        return names if len(names) == 2 else None

    assert len(await until(both, what="answers under two names")) == 2


async def test_a_worker_of_some_queues_runs_their_jobs_only_and_leaves_no_message_behind(
    services, sandbox, start_worker, valkey
):
    start_worker(sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", "azure_devops")
    other = await services.submit(parse_command(INCIDENT), actor="test")
    ours = [await services.submit(parse_command(WORK_ITEM), actor="test") for _ in range(2)]
    assert (await settled(services, ours[-1].id)).state is JobState.DELIVERED
    assert (await services.ledger.require(other.id)).state is JobState.QUEUED
    assert await services.redis.llen("servicenow") == 0
    assert await sandbox.objects("servicenow") == []
