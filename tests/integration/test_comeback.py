"""A destination that was away comes back: it is tried every 15 s at the least, and all that waited for it goes on then."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from tasks import lifecycle
from tasks.model import Job, JobState
from tests.conftest import until
from tests.integration.test_limits import (
    DOWN,
    UP,
    claim,
    configure,
    fail,
    health,
    key,
    let_the_pause_end,
    pages,
    server_ms,
    tickets,
)
from tests.integration.test_recovery import all_delivered

pytestmark = pytest.mark.usefixtures("destinations")
FAR_MS = 900_000


async def down_until(services, ahead_ms=FAR_MS):
    return replace(DOWN, due_ms=await server_ms(services) + ahead_ms)


async def due_in_ms(services, job) -> float:
    return await services.redis.zscore(key(services, "due", "confluence"), job.id) - await server_ms(services)


async def test_a_destination_is_tried_also_where_every_job_waits_for_much_longer(services, sandbox):
    """The jobs' own pauses grow to a quarter of an hour; the destination may be back long before."""
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 3)
    await fail(services, jobs, await down_until(services))
    assert await services.ledger.dispatch(1000, 10) == []
    assert await services.destinations.upcoming_s(60) <= 5
    await let_the_pause_end(services)
    assert len(await services.ledger.dispatch(1000, 10)) == 1


async def test_probes_wear_no_job_out_and_take_turns(services, sandbox):
    """However long the outage is: an attempt that only tries the destination isn't counted, and the next one is another's."""
    await configure(services, sandbox, "servicenow", breaker_failures=3, instance_url="http://127.0.0.1:1")
    jobs = await tickets(services, 3)
    for job in jobs:
        await lifecycle.attempt(services.core, job.id)
    tried = []
    for _ in range(2 * 18):
        await let_the_pause_end(services, "servicenow")
        (job_id,) = await services.ledger.dispatch(1000, 10)
        tried.append(job_id)
        assert (await lifecycle.attempt(services.core, job_id)).state is JobState.RETRYING
    assert set(tried) == {job.id for job in jobs}
    assert all(before != after for before, after in itertools.pairwise(tried))
    assert {(await services.ledger.require(job.id)).attempts for job in jobs} == {1}


async def test_an_answer_lets_those_go_on_that_waited_for_it_and_no_others(services, sandbox):
    """Who waits for another reason than the outage waits as long as before."""
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 6)
    other = jobs.pop()
    await services.ledger.settle(
        await claim(services, other), replace(UP, sign=None, due_ms=await server_ms(services) + FAR_MS)
    )
    await fail(services, jobs[:3], await down_until(services))
    await let_the_pause_end(services)
    await services.ledger.settle(await claim(services, jobs[4]), UP)
    started = await services.ledger.dispatch(1000, 10)
    assert {job.id for job in jobs} == set(started)
    assert await due_in_ms(services, other) > FAR_MS / 2


async def test_a_failure_that_opened_no_breaker_keeps_its_own_pause(services, sandbox):
    """Single failures of a destination that works are no outage."""
    await configure(services, sandbox, breaker_failures=3)
    first, second = await pages(services, 2)
    await fail(services, [first], await down_until(services))
    await services.ledger.settle(await claim(services, second), UP)
    assert first.id not in await services.ledger.dispatch(1000, 10)
    assert await due_in_ms(services, first) > FAR_MS / 2


async def test_a_long_backlog_goes_on_piece_by_piece(services, sandbox):
    """No script moves all of it at once; each look for due jobs moves a little more than it takes."""
    await configure(services, sandbox, breaker_failures=3, concurrency=2)
    jobs = await pages(services, 12)
    for job in jobs[:11]:
        await services.redis.hdel(key(services, "traffic", "confluence"), "until_ms")
        await fail(services, [job], await down_until(services))
    await services.redis.hset(key(services, "traffic", "confluence"), "until_ms", 1)
    await services.ledger.settle(await claim(services, jobs[11]), UP)
    assert len(await services.ledger.dispatch(1000, 2)) == 2
    assert sum([await due_in_ms(services, job) > FAR_MS / 2 for job in jobs]) == 7


async def test_a_resumed_destination_goes_on_with_all_that_waited(services, sandbox):
    """An operator who knows that it is back waits for no probe."""
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 3)
    await fail(services, jobs, await down_until(services))
    await services.destinations.resume("confluence", "test")
    assert set(await services.ledger.dispatch(1000, 10)) == {job.id for job in jobs}


async def test_a_probe_without_an_answer_keeps_the_next_one_no_longer_than_a_pause(services, sandbox):
    """A destination that swallows requests holds a probe for its whole time-out."""
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 5)
    await fail(services, jobs[:3])
    await let_the_pause_end(services)
    assert isinstance(await claim(services, jobs[3]), Job)
    assert (await claim(services, jobs[4])).reason == "breaker"
    running = key(services, "running", "confluence")
    await services.redis.zincrby(running, -16_000, jobs[3].id)
    assert isinstance(await claim(services, jobs[4]), Job)
    assert (await health(services)).breaker == "half_open"


async def test_a_backlog_is_delivered_within_seconds_after_the_destination_came_back(services, sandbox, start_worker):
    """A real worker, an outage until every job waits, and nothing else done than that the vendor answers again."""
    await configure(services, sandbox, "servicenow", breaker_failures=3, breaker_cooldown_s=1, concurrency=4)
    await sandbox.fault(vendor="servicenow", fault="status", status=503, times=100_000)
    jobs = await tickets(services, 30)
    start_worker()

    async def failing():
        return (await health(services, "servicenow")).breaker != "closed"

    await until(failing, what="the open breaker")
    for job in jobs:  # as after a long outage: each of those that failed is due in a quarter of an hour
        due = key(services, "due", "servicenow")
        await services.redis.zadd(due, {job.id: await server_ms(services) + FAR_MS}, xx=True)
        await services.redis.zadd(key(services, "stalled", "servicenow"), {job.id: 1})
    async with sandbox.session.delete(f"{sandbox.url}/_sandbox/faults") as answer:
        assert answer.status < 300
    await asyncio.wait_for(all_delivered(services, [job.id for job in jobs]), 60)
    assert len(await sandbox.objects("servicenow")) == 30
    assert {job.crashes for job in await services.ledger.overview.jobs([job.id for job in jobs])} == {0}
