"""A destination that fails as a whole is left alone and tried now and then; one whose credential is refused is suspended."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from tasks import lifecycle
from tasks.model import Job, JobState
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Lease, Settlement
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
    tickets,
)
from worker.runtime import open_services

pytestmark = pytest.mark.usefixtures("destinations")


async def test_a_destination_that_fails_as_a_whole_is_left_alone_and_its_jobs_wait_at_no_cost(
    services, sandbox, caplog
):
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 6)
    await fail(services, jobs[:3])
    assert (await health(services)).breaker == "open"
    refused = await claim(services, jobs[3])
    assert refused.reason == "breaker"
    assert (await services.ledger.require(jobs[3].id)).attempts == 0
    assert await services.ledger.dispatch(1000, 10) == []
    assert sum("fails again and again" in line.message for line in caplog.records) == 1


async def test_after_the_pause_exactly_one_job_tries(services, sandbox):
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 12)
    await fail(services, jobs[:3])
    await let_the_pause_end(services)
    assert (await health(services)).breaker == "half_open"
    assert len(await services.ledger.dispatch(1000, 10)) == 1
    claims = await asyncio.gather(*(claim(services, job) for job in jobs))
    assert sum(isinstance(found, Job) for found in claims) == 1
    assert await services.ledger.dispatch(1000, 10) == []


async def test_a_job_whose_moment_is_to_come_is_no_probe(services, sandbox):
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 3)
    await fail(services, jobs)
    for job in jobs:
        await services.ledger.cancel(job.id, "test", "")
    await let_the_pause_end(services)
    later = jobs[0].command.model_copy(update={"space_key": "ENG"})
    await services.submit(later, actor="test", not_before_ms=services.core.clock_ms() + 600_000)
    assert (await health(services)).breaker == "half_open"
    assert await services.ledger.dispatch(1000, 10) == []


async def test_a_job_whose_moment_is_to_come_keeps_no_other_from_being_the_probe(services, sandbox):
    """A probe that fails goes behind those that wait for their turn, and no appointment stands before it or after it."""
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 4)
    for space, wait_ms in (("OPS", 5_000), ("ENG", 600_000)):
        later = jobs[0].command.model_copy(update={"space_key": space})
        await services.submit(later, actor="test", not_before_ms=services.core.clock_ms() + wait_ms)
    await fail(services, jobs[:3], replace(DOWN, due_ms=services.core.clock_ms() + 60_000))
    await let_the_pause_end(services)
    moment = services.core.clock_ms() + 60_000
    await services.ledger.settle(await claim(services, jobs[3]), replace(DOWN, due_ms=moment))
    assert (await services.ledger.require(jobs[3].id)).due_ms < moment + 60_000
    await let_the_pause_end(services)
    (probe,) = await services.ledger.dispatch(1000, 10)
    assert probe in [job.id for job in jobs[:3]]


async def test_a_probe_that_succeeds_lets_all_go_on(services, sandbox, caplog):
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 8)
    await fail(services, jobs[:3])
    await let_the_pause_end(services)
    await services.ledger.settle(await claim(services, jobs[3]), UP)
    assert (await health(services)).breaker == "closed"
    assert len(await services.ledger.dispatch(1000, 20)) == 8
    assert sum("answers again" in line.message for line in caplog.records) == 1


async def test_a_probe_that_fails_makes_the_pause_longer_and_another_job_the_next_probe(services, sandbox, caplog):
    await configure(services, sandbox, breaker_failures=3, breaker_cooldown_s=5)
    jobs = await pages(services, 6)
    await fail(services, jobs[:3])
    first = (await health(services)).not_before_ms
    await let_the_pause_end(services)
    later = replace(DOWN, due_ms=services.core.clock_ms() + 60_000)
    await services.ledger.settle(await claim(services, jobs[3]), later)
    assert (await health(services)).not_before_ms > first + 4_000
    await let_the_pause_end(services)
    (probe,) = await services.ledger.dispatch(1000, 10)
    assert probe != jobs[3].id
    assert sum("fails again and again" in line.message for line in caplog.records) == 1, "told once, not at each probe"


async def test_a_probe_whose_worker_died_doesnt_keep_the_breaker_open(services, sandbox):
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 6)
    await fail(services, jobs[:3])
    await let_the_pause_end(services)
    await services.ledger.claim(jobs[3].id, "worker-dead", Lease(0, 0))
    assert (await claim(services, jobs[4])).reason == "breaker"
    await services.ledger.take_over(jobs[3].id)
    assert isinstance(await claim(services, jobs[4]), Job)


async def test_a_held_job_says_nothing_and_frees_the_probes_place(services, sandbox):
    await configure(services, sandbox, breaker_failures=3)
    jobs = await pages(services, 6)
    await fail(services, jobs[:3])
    await let_the_pause_end(services)
    await services.ledger.settle(await claim(services, jobs[3]), Settlement(JobState.HELD, Event.HELD))
    assert (await health(services)).breaker == "half_open"
    assert isinstance(await claim(services, jobs[4]), Job)


async def test_a_refused_connection_opens_it_and_an_answer_closes_it_through_the_whole_path(services, sandbox):
    await configure(services, sandbox, "servicenow", breaker_failures=3, instance_url="http://127.0.0.1:1")
    jobs = await tickets(services, 4)
    for job in jobs[:3]:
        assert (await lifecycle.attempt(services.core, job.id)).state is JobState.RETRYING
    assert (await lifecycle.attempt(services.core, jobs[3].id)).reason == "breaker"
    await configure(services, sandbox, "servicenow", breaker_failures=3)
    assert (await lifecycle.attempt(services.core, jobs[3].id)).state is JobState.DELIVERED


# -- suspension ------------------------------------------------------------------------------------------------------


async def test_the_operator_is_told_of_a_suspension_once(services, sandbox, caplog):
    await sandbox.fault(vendor="servicenow", fault="status", status=401, times=50)
    jobs = await tickets(services, 5)
    await asyncio.gather(*(lifecycle.attempt(services.core, job.id) for job in jobs))
    events = [entry.event for entry in await services.audit.tail(500)]
    assert events.count("destination.suspended") == 1
    told = [line for line in caplog.records if line.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "servicenow is suspended" in told[0].message
    for job in jobs:
        stored = await services.ledger.require(job.id)
        assert (stored.state, stored.attempts) == (JobState.QUEUED, 0)
    assert await services.ledger.dispatch(1000, 10) == []


async def test_one_worker_tests_a_suspended_destination_and_a_pass_lets_its_jobs_go_on(services, sandbox, settings):
    await configure(services, sandbox, "servicenow", probe_interval_s=60)
    await sandbox.fault(vendor="servicenow", fault="status", status=401, times=2)
    (job,) = await tickets(services, 1)
    await lifecycle.attempt(services.core, job.id)
    assert await services.destinations.due_probes() == []
    await services.redis.hset(key(services, "traffic", "servicenow"), "next_probe_ms", 1)
    async with open_services(settings) as other:
        asked = [s.destinations.due_probes() for s in (services, other) for _ in range(5)]
        found = [name for names in await asyncio.gather(*asked) for name in names]
    assert found == ["servicenow"]
    assert (await services.test_destination("servicenow", "probe")).success
    assert (await health(services, "servicenow")).state == "ready"
    assert await services.ledger.dispatch(1000, 10) == [job.id]


async def test_tests_of_a_destination_that_stays_suspended_become_rare(services, sandbox):
    await configure(services, sandbox, probe_interval_s=10)
    await services.destinations.suspend(await services.destinations.require("confluence"), "no credential")
    pauses = []
    for _ in range(3):
        pauses.append(round(((await health(services)).next_probe_ms - services.core.clock_ms()) / 10_000))
        await services.redis.hset(key(services, "traffic", "confluence"), "next_probe_ms", 1)
        assert await services.destinations.due_probes() == ["confluence"]
    assert pauses == [1, 2, 4]


async def test_a_test_that_passes_doesnt_end_a_pause_that_the_operator_made(services, sandbox):
    record = await services.destinations.require("confluence")
    assert await services.destinations.suspend(record, "401")
    await services.destinations.pause("confluence", "test")
    assert (await services.test_destination("confluence", "probe")).success
    assert (await health(services)).state == "paused"


async def test_a_late_refusal_of_the_old_credential_doesnt_suspend_the_new_one(services, sandbox):
    before = await services.destinations.require("confluence")
    await configure(services, sandbox)
    assert not await services.destinations.suspend(before, "401")
    assert (await health(services)).state == "ready"
