"""Redis takes no writes for a while, or doesn't answer: nobody is blamed for it, nothing is lost, nothing is sent twice."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from tasks import lifecycle
from tasks.model import JobState
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Claimed, Lease, Settlement
from tests.conftest import until
from tests.integration.redis_doors import SilentDoor
from tests.integration.test_processes import alive
from tests.integration.test_recovery import (
    all_delivered,
    create_was_sent,
    every_intent_has_one_outcome,
    own,
    own_worker,
    submit_many,
    with_redis,
)

__all__ = ["own", "own_worker"]
JOBS = 6
STOP_S = 60


@asynccontextmanager
async def full(server):
    """No memory is left."""
    async with _configured(server, "maxmemory", "1", "0"):
        yield


@asynccontextmanager
async def without_replicas(server):
    """It wants a replica in step, and has none."""
    async with _configured(server, "min-replicas-to-write", "1", "0"):
        yield


@asynccontextmanager
async def read_only(server):
    """It was made a replica, of a primary that is away."""
    async with Redis.from_url(server.url) as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        yield
        await client.execute_command("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def stopped(server):
    """Its process is stopped: connections stay, and nothing answers."""
    server._process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def _configured(server, name, bad, good):
    async with Redis.from_url(server.url) as client:
        await client.config_set(name, bad)
        yield
        await client.config_set(name, good)


OUTAGES = [full, read_only, without_replicas, stopped]


def named(outage) -> str:
    return outage.__name__


async def longer_than_a_heartbeat_counts(services):
    """Until every worker would be taken for dead by its heartbeat alone: some life more than the last one had."""
    await asyncio.sleep(2.2 * services.settings.heartbeat_ttl_s)


@pytest.mark.parametrize("outage", OUTAGES, ids=named)
async def test_an_outage_while_attempts_run_ends_in_deliveries_and_no_crash(own, own_worker, sandbox, outage):
    """Attempts keep what they have until Redis takes it; two workers live on, and neither takes the other for dead."""
    server, services = own
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=1.5, times=JOBS)
    workers = [own_worker(), own_worker()]
    await alive(services, 2)
    ids = await submit_many(services, JOBS)
    await create_was_sent(sandbox, times=JOBS)
    async with outage(server):
        await longer_than_a_heartbeat_counts(services)
    await all_delivered(services, ids)
    jobs = await services.ledger.overview.jobs(ids)
    assert [(job.crashes, job.blame, job.attempts) for job in jobs] == JOBS * [(0, 0, 1)]
    assert len(await sandbox.objects("servicenow")) == JOBS
    events = [entry.event for entry in await services.audit.after(count=10_000)]
    assert "job.taken_over" not in events
    assert [worker.poll() for worker in workers] == [None, None]
    await every_intent_has_one_outcome(services)
    assert {job.state for job in jobs} == {JobState.DELIVERED}


@pytest.mark.parametrize("outage", OUTAGES, ids=named)
async def test_an_answer_is_kept_for_as_long_as_its_worker_lives(own, sandbox, monkeypatch, outage):
    """Whatever an attempt's own patience with Redis and its limit are: the answer is there, and is stored in the end."""
    server, services = own
    for name in ("tasks.lifecycle.PATIENCE_S", "tasks.audited.OUTCOME_S"):
        monkeypatch.setattr(name, 0.1)
    monkeypatch.setattr("tasks.exchanges.WRITES", 0.5)  # an attempt has 1.5 s
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=0.5)
    (job_id,) = await submit_many(services, 1)
    attempt = asyncio.create_task(lifecycle.attempt(services.core, job_id))
    await create_was_sent(sandbox)
    async with outage(server):
        await asyncio.sleep(3)
        assert not attempt.done()
    ended = await attempt
    assert (ended.state, ended.receipt.change) == (JobState.DELIVERED, "created")
    assert len(await sandbox.objects("servicenow")) == 1


# -- who is gone, and who could not be heard


TTL_MS = 1200


async def beat(services, worker, **said):
    return await services.ledger.heartbeat(worker, TTL_MS, 8, **said)


async def running(services, worker, count=1) -> list[str]:
    ids = await submit_many(services, count)
    for job_id in ids:
        assert isinstance(await services.ledger.claim(job_id, worker, Lease(0, 60_000)), Claimed)
    return ids


async def silent(services, *names):
    """Until no heartbeat of these workers counts any more."""

    async def over():
        seconds, micros = await services.redis.time()
        scores = [await services.redis.zscore(f"{services.settings.prefix}:workers", name) for name in names]
        return all(score <= 1000 * seconds + micros // 1000 for score in scores)

    await until(over, what="the end of the heartbeats")


async def test_after_a_silence_of_all_workers_none_is_taken_for_dead_at_once(services, destinations):
    """Who is heard first again may not conclude anything from the silence of the others."""
    await beat(services, "first")
    await beat(services, "second")
    (job_id,) = await running(services, "second")
    await silent(services, "first", "second")
    await beat(services, "first")
    assert await services.ledger.lapsed() == []
    assert await services.ledger.take_over(job_id) is None
    await beat(services, "second")
    job = await services.ledger.require(job_id)
    await services.ledger.settle(job, Settlement(JobState.DEAD, Event.DEAD))


async def test_who_stays_silent_after_that_is_taken_for_dead(services, destinations):
    """The respite has an end: a life of a heartbeat in which others are heard all the time."""
    await beat(services, "first")
    await beat(services, "second")
    (job_id,) = await running(services, "second")
    await silent(services, "first", "second")

    async def lapsed():
        await beat(services, "first")
        return await services.ledger.lapsed() == [job_id]

    await until(lapsed, what="the end of the respite")
    assert await services.ledger.take_over(job_id) is JobState.RETRYING
    assert (await services.ledger.require(job_id)).crashes == 1


async def test_time_in_which_a_worker_could_not_be_heard_is_none_of_its_attempts(services, destinations):
    """A lease that ran out meanwhile is renewed with the first heartbeat."""
    await beat(services, "first")
    (job_id,) = await submit_many(services, 1)
    await services.ledger.claim(job_id, "first", Lease(0, TTL_MS))
    await silent(services, "first")
    await beat(services, "first")
    leases = f"{services.settings.prefix}:leases"
    seconds, micros = await services.redis.time()
    assert await services.redis.zscore(leases, job_id) > 1000 * seconds + micros // 1000 + TTL_MS / 2


async def taken_from(services, worker, times=1) -> str:
    """A job that was taken over from that worker so many times, while others were heard."""
    (job_id,) = await running(services, worker)
    for turn in range(times):
        if turn:
            assert isinstance(await services.ledger.claim(job_id, worker, Lease(0, 60_000)), Claimed)
        await services.redis.zadd(f"{services.settings.prefix}:workers", {worker: 1})
        await beat(services, "other")
        assert await services.ledger.take_over(job_id) is not None
    return job_id


async def test_a_worker_that_was_out_of_reach_and_comes_back_takes_the_crash_back(services, destinations):
    """It says so with its heartbeat; the audit has it."""
    job_id = await taken_from(services, "cut-off")
    assert (await services.ledger.require(job_id)).crashes == 1
    assert await beat(services, "cut-off") == [job_id]
    await services.ledger.forgive(job_id, "cut-off")
    job = await services.ledger.require(job_id)
    assert (job.crashes, job.blame, job.state) == (0, 0, JobState.RETRYING)
    assert await beat(services, "cut-off") == []
    assert "job.forgiven" in [entry.event for entry in await services.audit.tail(20)]
    assert (await services.audit.verify()).ok


async def test_a_job_that_was_quarantined_for_a_worker_that_lives_goes_on(services, destinations):
    """No three outages make a job dead."""
    job_id = await taken_from(services, "cut-off", times=3)
    assert (await services.ledger.require(job_id)).last_error.code == "quarantined"
    for found in await beat(services, "cut-off"):
        await services.ledger.forgive(found, "cut-off")
    job = await services.ledger.require(job_id)
    assert (job.state, job.crashes) == (JobState.QUEUED, 0)


async def test_a_worker_that_stalled_takes_nothing_back(services, destinations):
    """What stops a whole process may be the job: three such stalls end in quarantine, as three deaths do."""
    job_id = await taken_from(services, "hung")
    assert await beat(services, "hung", stalled=True) == []
    assert (await services.ledger.require(job_id)).crashes == 1


async def test_what_a_worker_leaves_behind_that_said_goodbye_is_no_crash(services, destinations):
    """It gave up what it could not settle: others take it at once."""
    await beat(services, "other")
    (job_id,) = await running(services, "leaves")
    await services.upkeep.goodbye("leaves")
    assert await services.ledger.lapsed() == [job_id]
    assert await services.ledger.take_over(job_id) is JobState.RETRYING
    job = await services.ledger.require(job_id)
    assert (job.crashes, job.blame) == (0, 0)


async def test_a_worker_that_redis_stopped_answering_and_then_left_still_hears_a_signal(
    own, start_worker, settings, monkeypatch
):
    """Celery's own heartbeat met the silence first, and waited for the broker for ever."""
    server, services = own
    with SilentDoor(int(server.url.rpartition(":")[2].removesuffix("/0"))) as door:
        monkeypatch.setattr("tests.conftest.environment", with_redis(f"{server.url.rpartition(':')[0]}:{door.port}/0"))
        worker = start_worker()
        await alive(services)
        door.shut()
        log = settings.data / "worker-0.log"

        async def noticed():
            return "heartbeat: Redis doesn't answer" in log.read_text("utf-8")

        await until(noticed, what="a silence that the worker notices")
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, STOP_S) == 0


async def test_a_worker_that_was_cut_off_alone_takes_its_crash_back_by_itself(own, sandbox, start_worker, monkeypatch):
    """What lies between it and Redis lets nothing through, while another worker goes on: that one delivers the job."""
    server, services = own
    with SilentDoor(int(server.url.rpartition(":")[2].removesuffix("/0"))) as door:
        through = f"{server.url.rpartition(':')[0]}:{door.port}/0"
        await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=1.5, times=1)
        monkeypatch.setattr("tests.conftest.environment", with_redis(through))
        cut_off = start_worker()
        await alive(services)
        (job_id,) = await submit_many(services, 1)
        await create_was_sent(sandbox)
        door.shut()
        monkeypatch.setattr("tests.conftest.environment", with_redis(server.url))
        start_worker()
        await all_delivered(services, [job_id])
        assert (await services.ledger.require(job_id)).crashes == 1
        door.open()

        async def taken_back():
            return (await services.ledger.require(job_id)).crashes == 0

        await until(taken_back, what="the word of the worker that lived")
    assert cut_off.poll() is None
    assert len(await sandbox.objects("servicenow")) == 1
    await every_intent_has_one_outcome(services)
