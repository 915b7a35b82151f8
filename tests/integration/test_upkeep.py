"""What the sweeper keeps in order: intents without outcome, ends that nobody was told of, records grown old."""

from __future__ import annotations

import asyncio

import pytest

from tasks import lifecycle
from tasks.audited import AuditedTest
from tasks.http.message import Request
from tasks.http.origin import Origin
from tasks.model import Issue, JobState, parse_command
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Lease, Settlement
from tests.conftest import until
from tests.integration.test_lifecycle import INCIDENT, ISSUE, run, submit

pytestmark = pytest.mark.usefixtures("destinations")
LATER_MS = 10**13


@pytest.fixture(autouse=True)
async def content(services):
    await services.contents.put_issue(ISSUE, "test")


async def outcomes_of(services, intent):
    return [e.event for e in await services.audit.tail(500) if e.data.get("intent") == intent]


async def keys(services) -> set[str]:
    prefix = services.settings.prefix
    return {raw.decode().removeprefix(f"{prefix}:") async for raw in services.redis.scan_iter(f"{prefix}:*")}


async def test_an_intent_whose_outcome_was_never_written_is_closed_as_unknown(services):
    job = await submit(services, INCIDENT)
    claimed = (await services.ledger.claim(job.id, "w", Lease(0, 60_000))).job
    intents = [
        await services.ledger.intend(claimed, Event.LOOKUP_INTENT, writes=False, doubt_until_ms=0, facts={}),
        await services.ledger.intend(claimed, Event.DELIVERY_INTENT, writes=True, doubt_until_ms=0, facts={}),
    ]
    assert await services.upkeep.close_orphans() == 0
    await services.ledger.settle(claimed, Settlement(JobState.RETRYING, Event.RETRYING, due_ms=1))
    assert await services.upkeep.close_orphans() == 2
    assert [await outcomes_of(services, intent) for intent in intents] == [["lookup.unknown"], ["delivery.unknown"]]


async def test_a_late_outcome_does_not_make_a_second_one(services):
    job = await submit(services, INCIDENT)
    claimed = (await services.ledger.claim(job.id, "w", Lease(0, 0))).job
    intent = await services.ledger.intend(claimed, Event.DELIVERY_INTENT, writes=True, doubt_until_ms=0, facts={})
    await services.ledger.take_over(job.id)
    await services.upkeep.close_orphans()
    await services.ledger.conclude(job.id, intent, Event.DELIVERY_OK, {})
    assert await outcomes_of(services, intent) == ["delivery.unknown"]
    assert (await services.audit.verify()).ok


async def test_a_test_that_died_leaves_an_intent_that_is_closed_once_no_test_can_last_so_long(services, monkeypatch):
    record = await services.destinations.require("servicenow")
    mark, _ = await AuditedTest(services.ledger, services.vault, record).before(
        Request("GET", "/x", "GET /x"), Origin(base_url=record.settings.address), begin=lambda: None
    )
    assert await services.upkeep.close_orphans() == 0
    monkeypatch.setattr("tasks.state.upkeep.housekeeping.LONGEST_TEST_MS", -1)
    assert await services.upkeep.close_orphans() == 1
    assert await outcomes_of(services, mark) == ["test.unknown"]


async def test_ended_jobs_are_forgotten_with_everything_about_them_and_the_subject_stays(services, sandbox):
    before = await keys(services)
    job = await submit(services, INCIDENT, idempotency_key="k")
    assert (await run(services, job)).state is JobState.DELIVERED
    upkeep = services.upkeep
    assert await upkeep.forget("finished:done", job.created_ms - 1) == 0
    assert await upkeep.forget("finished:done", LATER_MS) == 1
    assert await services.ledger.get(job.id) is None
    assert await services.ledger.statistics() == []
    left = {name.split(":")[0] for name in await keys(services) - before}
    assert not left & {"job", "jobs", "state", "due", "sent", "finished", "idempotency", "needs", "intents", "known"}
    assert f"subject:{job.subject}" in await keys(services)
    again = await run(services, await submit(services, INCIDENT, idempotency_key="k"))
    assert again.receipt.change == "unchanged"
    assert len(await sandbox.objects("servicenow")) == 1
    entries = [e for e in await services.audit.tail(100) if e.event == "retention.trimmed"]
    assert [e.data["count"] for e in entries] == [1]


async def test_forgetting_a_job_leaves_the_idempotency_key_that_a_newer_job_was_made_with(services):
    first = await submit(services, INCIDENT, idempotency_key="k")
    await services.ledger.cancel(first.id, "test")
    (mark,) = [name async for name in services.redis.scan_iter(f"{services.settings.prefix}:idempotency:*")]
    await services.redis.delete(mark)  # its own age is over
    second = await submit(services, INCIDENT, idempotency_key="k")
    await services.upkeep.forget("finished:done", LATER_MS)
    assert (await submit(services, INCIDENT, idempotency_key="k")).id == second.id


async def test_dead_jobs_have_an_age_of_their_own(services):
    job = (await services.ledger.claim((await submit(services, INCIDENT)).id, "w", Lease(0, 60_000))).job
    await services.ledger.settle(job, Settlement(JobState.DEAD, Event.DEAD))
    assert await services.upkeep.forget("finished:done", LATER_MS) == 0
    assert await services.upkeep.forget("finished:dead", LATER_MS) == 1
    assert await services.ledger.list() == ([], None)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.HELD])
async def test_what_an_unfinished_job_needs_stays_however_old_it_is(services, state):
    job = await submit(services, INCIDENT)
    if state is JobState.HELD:
        claimed = (await services.ledger.claim(job.id, "w", Lease(0, 60_000))).job
        await services.ledger.settle(claimed, Settlement(JobState.HELD, Event.HELD))
    await services.contents.put_issue(Issue(id="unused", title="x"), "test")
    upkeep = services.upkeep
    assert await upkeep.forget("contents", LATER_MS) == 1
    assert await upkeep.forget("subjects", LATER_MS) == 0
    assert await services.contents.issue("unused") is None
    assert await services.contents.issue(ISSUE.id) == ISSUE
    await services.ledger.cancel(job.id, "test")
    assert await upkeep.forget("contents", LATER_MS) == 1
    assert await upkeep.forget("subjects", LATER_MS) == 1
    assert await services.contents.issue(ISSUE.id) is None
    assert {name for name in await keys(services) if name.startswith(("subject:", "links:"))} <= {"links:pending"}


async def test_retention_goes_on_in_batches_until_all_is_forgotten(services, monkeypatch):
    monkeypatch.setattr("tasks.state.upkeep.housekeeping.BATCH", 10)

    async def one(number):
        issue = Issue(id=f"i-{number}", title="x")
        command = parse_command(INCIDENT | {"issue_id": issue.id})
        job = await services.submit(command, actor="test", issue=issue)
        await services.ledger.cancel(job.id, "test")

    await asyncio.gather(*(one(number) for number in range(25)))
    upkeep = services.upkeep
    assert [await upkeep.forget("finished:done", LATER_MS) for _ in range(4)] == [10, 10, 5, 0]


async def test_an_attempt_that_is_cut_short_is_given_back_at_once(services, sandbox):
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=30)
    job = await submit(services, INCIDENT)
    running = asyncio.create_task(lifecycle.attempt(services.core, job.id))
    while not any(r["operation"] == "create" for r in (await sandbox.state())["requests"]):
        await asyncio.sleep(0.02)
    running.cancel()
    ended = await running
    stored = await services.ledger.require(job.id)
    assert (ended.state, stored.state) == (JobState.RETRYING, JobState.RETRYING)
    assert (stored.attempts, stored.crashes) == (0, 0)
    assert stored.due_ms <= services.core.clock_ms()
    assert (await services.ledger.subject(job.subject)).doubt_until_ms is not None
    assert "delivery.unknown" in [e.event for e in await services.audit.tail(20)]


async def ended_job(services, name):
    issue = Issue(id=name, title="x")
    job = await services.submit(parse_command(INCIDENT | {"issue_id": issue.id}), actor="test", issue=issue)
    return await services.ledger.cancel(job.id, "test")


async def test_an_end_that_came_after_the_one_that_is_told_is_told_as_well(services, destinations):
    first, upkeep, worker = await ended_job(services, "told"), services.upkeep, services.core.worker
    assert await upkeep.to_tell(worker) == [first.id]
    await upkeep.told(worker, {first.id: first.updated_ms - 1})
    assert await upkeep.to_tell(worker) == [first.id], "it changed since it was read"
    await upkeep.told(worker, {first.id: first.updated_ms, "forgotten": 0})
    assert await upkeep.to_tell(worker) == []


async def test_an_end_that_could_not_be_told_is_offered_again_soon(services, destinations):
    """Not only once the worker's time for it is over: a minute would be long for who waits for a result."""
    job, upkeep = await ended_job(services, "untold"), services.upkeep
    assert await upkeep.to_tell("one") == [job.id]
    await upkeep.told("one", {}, [job.id])
    assert await upkeep.to_tell("one") == [], "not at once"
    await until(lambda: upkeep.to_tell("another"), what="the end, offered again")


async def test_ends_that_a_dead_worker_was_to_tell_are_told_by_another(services, destinations):
    job, upkeep = await ended_job(services, "dead"), services.upkeep
    await services.redis.zadd(f"{services.settings.prefix}:workers", {"dead": 1})
    assert await upkeep.to_tell("dead") == [job.id]
    assert await upkeep.to_tell("lives") == []
    await services.ledger.lapsed()
    assert await upkeep.to_tell("lives") == [job.id]


async def test_ends_that_a_worker_leaves_are_told_by_another(services, destinations):
    job, upkeep = await ended_job(services, "left"), services.upkeep
    assert await upkeep.to_tell("leaves") == [job.id]
    await upkeep.goodbye("leaves")
    assert await upkeep.to_tell("another") == [job.id]
