"""One destination's trouble is its own: rate, throttling, breaker, suspension and threads, in the ledger's own scripts."""

from __future__ import annotations

import asyncio

import pytest

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.http.quota import Guidance
from tasks.model import Document, Job, JobState, parse_command
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Claimed, Lease, NotClaimed, Settlement
from tests.integration.test_lifecycle import DOCUMENT, INCIDENT, ISSUE, PUBLISH, WORK_ITEM
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import open_services

pytestmark = pytest.mark.usefixtures("destinations")
DOWN = Settlement(JobState.RETRYING, Event.RETRYING, due_ms=0, sign="down")
UP = Settlement(JobState.RETRYING, Event.RETRYING, due_ms=0, sign="up")


async def configure(services, sandbox, name="confluence", **more):
    given = {**sandbox_destinations(sandbox.url)[name], "write_lag_s": 0.2, "total_timeout_s": 30, **more}
    return await services.destinations.set(name, parse_settings(given), FAKE_SECRET, "test")


async def pages(services, count, start=0) -> list[Job]:
    """Jobs of different subjects for Confluence."""
    found = []
    for number in range(start, start + count):
        document = Document(id=f"d{number}", title=f"Page {number}", content_md="words")
        command = parse_command(PUBLISH | {"doc_id": document.id})
        found.append(await services.submit(command, actor="test", document=document))
    return found


async def tickets(services, count, arguments=INCIDENT) -> list[Job]:
    """Jobs of different subjects for ServiceNow or Azure DevOps."""
    found = []
    for number in range(count):
        issue = ISSUE.model_copy(update={"id": f"i{number}"})
        command = parse_command(arguments | {"issue_id": issue.id})
        found.append(await services.submit(command, actor="test", issue=issue))
    return found


async def claim(services, job) -> Job | NotClaimed:
    found = await services.ledger.claim(job.id, "worker-1", Lease(0, 60_000))
    return found.job if isinstance(found, Claimed) else found


async def fail(services, jobs, settlement=DOWN):
    for job in jobs:
        await services.ledger.settle(await claim(services, job), settlement)


async def health(services, name="confluence"):
    return await services.destinations.health(name)


def key(services, *parts):
    return ":".join((services.settings.prefix, *parts))


async def server_ms(services) -> int:
    seconds, micros = await services.redis.time()
    return seconds * 1000 + micros // 1000


async def let_the_pause_end(services, name="confluence"):
    """As if its time had come."""
    if await services.redis.hget(key(services, "traffic", name), "until_ms") not in (None, b"0"):
        await services.redis.hset(key(services, "traffic", name), "until_ms", 1)
    await services.redis.hset(key(services, "destination", name), "not_before_ms", 0)


# -- rate ------------------------------------------------------------------------------------------------------------


async def test_a_rate_lets_its_burst_go_and_makes_the_next_job_wait_at_no_cost(services, sandbox):
    await configure(services, sandbox, rate_per_s=0.1, burst=2)
    jobs = await pages(services, 4)
    assert len(await services.ledger.dispatch(1000, 10)) == 2
    claims = [await claim(services, job) for job in jobs]
    assert [isinstance(found, Job) for found in claims] == [True, True, False, False]
    assert claims[2].reason == "throttled"
    waiting = await services.ledger.require(jobs[2].id)
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
    assert waiting.due_ms > waiting.updated_ms


async def test_all_workers_share_one_rate(services, sandbox, settings):
    await configure(services, sandbox, rate_per_s=10, burst=5, concurrency=20)
    jobs = [found for job in await pages(services, 5) if isinstance(found := await claim(services, job), Job)]
    assert len(jobs) == 5

    async def turns(other):
        asked = [
            other.ledger.intend(
                job, Event.LOOKUP_INTENT, writes=False, doubt_until_ms=0, facts={}, paid=False, patience_ms=9000
            )
            for job in jobs
            for _ in range(4)
        ]
        return await asyncio.gather(*asked)

    begun_ms = await server_ms(services)
    async with open_services(settings) as second, open_services(settings) as third:
        given = [turn for found in await asyncio.gather(*map(turns, (services, second, third))) for turn in found]
    assert len(given) == 60
    assert all(isinstance(turn, str) or turn.until_ms is None for turn in given)
    free_ms = float(await services.redis.hget(key(services, "traffic", "confluence"), "tat_ms"))
    assert free_ms - begun_ms >= 60 * 100, "sixty places at ten a second, whoever asked"


async def test_a_request_whose_turn_is_far_is_told_so_and_keeps_no_place(services, sandbox):
    await configure(services, sandbox, rate_per_s=0.05, burst=1)
    job = await claim(services, (await pages(services, 1))[0])

    async def ask(patience_ms):
        return await services.ledger.intend(
            job, Event.LOOKUP_INTENT, writes=False, doubt_until_ms=0, facts={}, paid=False, patience_ms=patience_ms
        )

    assert isinstance(await ask(0), str)
    far = [await ask(1000) for _ in range(5)]
    assert max(turn.until_ms for turn in far) - min(turn.until_ms for turn in far) <= 1
    assert isinstance((await ask(30_000)).wait_s, float)


async def test_a_limited_destination_delivers_all_and_never_faster_than_its_rate(services, sandbox):
    await configure(services, sandbox, "servicenow", rate_per_s=20, burst=2)
    jobs = await tickets(services, 6)
    ended = []
    while len(ended) < len(jobs):
        due = await services.ledger.dispatch(60_000, 10)
        ended += await asyncio.gather(*(lifecycle.attempt(services.core, job_id) for job_id in due))
        await asyncio.sleep(await services.destinations.upcoming_s(1.0))
    assert [end.state for end in ended] == [JobState.DELIVERED] * 6
    entries = [entry for entry in await services.audit.tail(500) if entry.event.endswith(".intent")]
    moments = sorted(int(entry.id.split("-")[0]) for entry in entries)
    for first, begin in enumerate(moments):
        for last in range(first, len(moments)):
            assert last - first + 1 <= 2 + (moments[last] - begin + 2) / 50


# -- what the destination asks for -----------------------------------------------------------------------------------


async def test_a_429_makes_every_job_of_the_destination_wait_and_counts_no_attempt(services, sandbox):
    await sandbox.fault(vendor="confluence", fault="rate_limit", retry_after="30")
    first, second = await pages(services, 2)
    ended = await lifecycle.attempt(services.core, first.id)
    assert ended.state is JobState.QUEUED
    assert (await services.ledger.require(first.id)).attempts == 0
    refused = await claim(services, second)
    assert refused.reason == "throttled"
    assert int(refused.detail) >= ended.due_ms - 2000
    assert await services.ledger.dispatch(1000, 10) == []
    assert (await health(services)).quota_reason == "confluence-burst-based"
    assert len((await sandbox.state())["requests"]) == 1


async def test_a_429_that_names_no_time_makes_a_short_pause_that_grows(services, sandbox):
    (job,) = await pages(services, 1)
    for pause_s in (1, 2, 4):
        await sandbox.fault(vendor="confluence", fault="status", status=429)
        before_ms = services.core.clock_ms()
        await lifecycle.attempt(services.core, job.id)
        began_ms = (await health(services)).not_before_ms - 1000 * pause_s
        assert before_ms - 2 <= began_ms <= services.core.clock_ms() + 2
        await let_the_pause_end(services)


async def test_after_a_429_fewer_jobs_run_at_once_until_it_answers_well_again(services, sandbox):
    await configure(services, sandbox, concurrency=8)
    jobs = await pages(services, 9)
    running = [await claim(services, job) for job in jobs[:8]]
    intent = await services.ledger.intend(running[0], Event.LOOKUP_INTENT, writes=False, doubt_until_ms=0, facts={})
    refused = Guidance(throttled=True)
    await services.ledger.conclude(
        running[0].id, intent, Event.LOOKUP_FAILED, {}, destination="confluence", guidance=refused
    )
    assert (await health(services)).room == 4
    for job in running:
        await services.ledger.settle(job, Settlement(JobState.DEAD, Event.DEAD, sign="up"))
    assert (await health(services)).room == 5
    await let_the_pause_end(services)
    await fail(services, (await pages(services, 30, start=100)), Settlement(JobState.DEAD, Event.DEAD, sign="up"))
    assert (await health(services)).room is None


async def test_retry_after_on_a_success_is_obeyed_by_the_next_call_and_nothing_is_sent_again(services, sandbox):
    await sandbox.fault(vendor="azure_devops", operation="create", fault="delayed", retry_after="20")
    first, second = await tickets(services, 2, WORK_ITEM)
    ended = await lifecycle.attempt(services.core, first.id)
    assert ended.state is JobState.DELIVERED
    assert (await claim(services, second)).reason == "throttled"
    assert len(await sandbox.objects("azure_devops")) == 1


async def test_a_short_pause_within_an_attempt_is_waited_out(services, sandbox):
    await services.contents.put_document(DOCUMENT, "test")
    await sandbox.fault(vendor="confluence", operation="lookup", fault="delayed", retry_after="1")
    job = await services.submit(parse_command(PUBLISH), actor="test")
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.state is JobState.DELIVERED
    entries = {entry.event: int(entry.id.split("-")[0]) for entry in reversed(await services.audit.tail(100))}
    assert entries["delivery.intent"] - entries["lookup.ok"] >= 1000
    assert (await services.ledger.require(job.id)).attempts == 1


async def test_a_long_pause_within_an_attempt_sends_the_job_back_to_wait(services, sandbox):
    await sandbox.fault(vendor="confluence", operation="lookup", fault="delayed", retry_after="300")
    (job,) = await pages(services, 1)
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.state is JobState.QUEUED
    assert ended.due_ms > services.core.clock_ms() + 250_000
    stored = await services.ledger.require(job.id)
    assert (stored.attempts, stored.last_error.code) == (0, "throttled")
    await let_the_pause_end(services)
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED


@pytest.mark.parametrize("value", ["negative", "absurd", "date", "nan", "Fri, 31 Dec 9999 23:59:59 GMT", "-1", "soon"])
async def test_an_absurd_retry_after_never_stops_a_destination_for_long(services, sandbox, value):
    await sandbox.fault(vendor="servicenow", fault="rate_limit", retry_after=value)
    (job,) = await tickets(services, 1)
    ended = await lifecycle.attempt(services.core, job.id)
    now_ms = services.core.clock_ms()
    assert ended.state is JobState.QUEUED
    assert ended.due_ms <= now_ms + 3_600_000
    assert (await health(services, "servicenow")).not_before_ms <= now_ms + 3_600_000


async def test_a_resumed_destination_forgets_its_pause(services, sandbox):
    await sandbox.fault(vendor="servicenow", fault="rate_limit", retry_after="3000")
    refused, waiting = await tickets(services, 2)
    await lifecycle.attempt(services.core, refused.id)
    assert (await claim(services, waiting)).reason == "throttled"
    await services.destinations.resume("servicenow", "test")
    assert (await lifecycle.attempt(services.core, waiting.id)).state is JobState.DELIVERED


# -- threads ---------------------------------------------------------------------------------------------------------


async def test_a_destination_that_holds_many_threads_leaves_the_others_their_share(services, sandbox):
    for name in ("confluence", "servicenow", "azure_devops"):
        await configure(services, sandbox, name, concurrency=16)
    await services.destinations.pause("jira", "test")
    await services.ledger.heartbeat("worker-1", 60_000, 9)
    hanging, healthy, third = (
        await pages(services, 12),
        await tickets(services, 12),
        await tickets(services, 6, WORK_ITEM),
    )
    taken = [found for job in hanging if isinstance(found := await claim(services, job), Job)]
    assert len(taken) == 3, "nine threads, three destinations that work"
    assert len([1 for job in healthy if isinstance(await claim(services, job), Job)]) == 3
    assert len([1 for job in third if isinstance(await claim(services, job), Job)]) == 3


async def test_threads_that_nobody_has_a_claim_to_are_used(services, sandbox):
    for name in ("confluence", "servicenow", "azure_devops"):
        await configure(services, sandbox, name, concurrency=16)
    await services.ledger.heartbeat("worker-1", 60_000, 9)
    await services.destinations.pause("servicenow", "test")
    await services.destinations.pause("azure_devops", "test")
    await services.destinations.pause("jira", "test")
    assert len([1 for job in await pages(services, 12) if isinstance(await claim(services, job), Job)]) == 9


async def test_no_more_messages_are_sent_than_the_workers_have_threads(services, sandbox):
    await services.ledger.heartbeat("worker-1", 60_000, 4)
    await services.ledger.heartbeat("worker-2", 60_000, 5)
    await services.ledger.heartbeat("worker-gone", -1, 100)
    await services.destinations.pause("jira", "test")
    await pages(services, 12)
    await tickets(services, 12)
    await tickets(services, 12, WORK_ITEM)
    assert len(await services.ledger.dispatch(10_000, 200)) == 9


async def test_a_long_backlog_doesnt_eat_the_batch_of_a_short_one(services, sandbox):
    await configure(services, sandbox, concurrency=100)
    await pages(services, 40)
    short = {job.id for job in await tickets(services, 3)}
    assert short <= set(await services.ledger.dispatch(10_000, 10))


async def test_a_suspended_destinations_backlog_is_neither_sent_nor_moved(services, sandbox):
    await pages(services, 20)
    await services.destinations.suspend(await services.destinations.require("confluence"), "401")
    before = await services.redis.zrange(key(services, "due", "confluence"), 0, -1, withscores=True)
    assert await services.ledger.dispatch(1000, 200) == []
    assert await services.redis.zrange(key(services, "due", "confluence"), 0, -1, withscores=True) == before
    assert await services.destinations.upcoming_s(7.0) == 7.0
    shown = await health(services)
    assert (shown.waiting, shown.running, shown.state) == (20, 0, "suspended")


async def test_the_timeline_says_what_each_request_was_and_how_long_it_took(services, sandbox):
    (job,) = await tickets(services, 1)
    await lifecycle.attempt(services.core, job.id)
    (made,) = [event for event in await services.ledger.events(job.id) if event["event"] == "delivery.ok"]
    assert made["operation"] == "POST /table/incident"
    assert made["status"] == 201
    assert made["duration_ms"] >= 0
    assert made["received"] > 0
