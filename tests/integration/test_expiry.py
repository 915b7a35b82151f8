"""Waiting has an end: whatever a job waits for, it is dead with the code `expired` once its time is over, and says why."""

from __future__ import annotations

import pytest

from tasks import expiry, lifecycle
from tasks.expiry import expire_overdue, waited_for
from tasks.model import Document, JobState, parse_command
from tasks.state.jobs.transitions import NotClaimed
from tests.conftest import until
from tests.integration.test_lifecycle import PUBLISH
from tests.integration.test_limits import configure, health, key, pages, tickets

pytestmark = pytest.mark.usefixtures("destinations")
SHORT = 1 / 3600 / 4  # hours: a quarter of a second


async def expire(services, jobs):
    """Sweep until all of them have ended."""

    async def all_ended():
        await expire_overdue(services.core)
        found = [await services.ledger.require(job.id) for job in jobs]
        return found if all(job.state is JobState.DEAD for job in found) else None

    return await until(all_ended, 10, "the jobs' end")


async def over(services, job):
    """Wait until the job's time is over."""

    async def passed():
        return services.core.clock_ms() > job.expires_ms

    await until(passed, what="the end of its time")


async def suspend(services):
    await services.destinations.suspend(await services.destinations.require("confluence"), "credential: refused")


async def pause(services):
    await services.destinations.pause("confluence", "ann")


async def throttle(services):
    later = services.core.clock_ms() + 3600_000
    await services.redis.hset(key(services, "destination", "confluence"), "not_before_ms", later)


async def open_breaker(services):
    later = services.core.clock_ms() + 3600_000
    await services.redis.hset(key(services, "traffic", "confluence"), "until_ms", later)


async def remove(services):
    await services.destinations.remove("confluence", "ann")


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (suspend, "confluence is suspended: credential: refused"),
        (pause, "confluence is paused by ann"),
        (throttle, "asked everybody to wait"),
        (open_breaker, "kept failing"),
        (remove, "is not configured"),
    ],
)
async def test_a_job_that_waits_for_too_long_is_dead_and_says_what_it_waited_for(services, sandbox, stop, words):
    await configure(services, sandbox, max_age_hours=SHORT)
    jobs = await pages(services, 3)
    await stop(services)
    for job in await expire(services, jobs):
        assert job.last_error.code == "expired"
        assert words in job.last_error.message
        assert job.attempts == 0
    assert set(await services.upkeep.to_tell(services.core.worker)) == {job.id for job in jobs}
    assert isinstance(await lifecycle.attempt(services.core, jobs[0].id), NotClaimed)
    events = [entry.event for entry in await services.audit.tail(200)]
    assert events.count("job.dead") == 3
    assert (await services.audit.verify()).ok


async def test_a_job_whose_earlier_write_stays_unsettled_expires_and_keeps_its_doubt(services, sandbox):
    await configure(services, sandbox, "servicenow", max_age_hours=2 / 3600, write_lag_s=600)
    await sandbox.fault(vendor="servicenow", fault="commit_then_drop", operation="create")
    (job,) = await tickets(services, 1)
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.RETRYING
    await services.redis.zadd(key(services, "due", "servicenow"), {job.id: services.core.clock_ms() + 3600_000})
    (ended,) = await expire(services, [job])
    assert ended.last_error.code == "expired"
    assert "broke" in ended.last_error.message
    assert await services.redis.hexists(key(services, "subject", job.subject), "doubt_until_ms")


async def test_a_held_job_waits_for_people_as_long_as_it_takes(services, sandbox):
    await configure(services, sandbox, max_age_hours=SHORT)
    planted = "password: hunter" + "2-Xy99"
    document = Document(id="secret", title="x", content_md=planted)
    job = await services.submit(parse_command(PUBLISH | {"doc_id": "secret"}), actor="test", document=document)
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.HELD
    await over(services, job)
    assert await expire_overdue(services.core) == []
    assert (await services.ledger.require(job.id)).state is JobState.HELD


async def test_a_job_that_is_released_may_wait_as_long_as_its_destination_lets_it(services, sandbox):
    await configure(services, sandbox, max_age_hours=200)
    document = Document(id="secret", title="x", content_md="password: hunter" + "2-Xy99")
    job = await services.submit(parse_command(PUBLISH | {"doc_id": "secret"}), actor="test", document=document)
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.HELD
    released = await services.ledger.release(job.id, "ann")
    assert 199 < (released.expires_ms - services.core.clock_ms()) / 3600_000 <= 200


async def test_a_job_that_expired_makes_room_for_a_new_one_and_can_be_retried(services, sandbox):
    await configure(services, sandbox, max_age_hours=SHORT)
    (job,) = await pages(services, 1)
    await pause(services)
    await expire(services, [job])
    await configure(services, sandbox)
    await services.destinations.resume("confluence", "ann")
    again = await services.retry(job.id, "ann")
    assert again.expires_ms - services.core.clock_ms() > 71 * 3600_000
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED


async def test_a_job_that_is_retried_before_its_moment_takes_nobodys_place(services, sandbox):
    await configure(services, sandbox)
    command = parse_command(PUBLISH)
    content = Document(id="doc-1", title="x", content_md="words")
    now_ms = services.core.clock_ms()
    moments = {"not_before_ms": now_ms + 3600_000, "until_ms": now_ms + 1}
    later = await services.submit(command, actor="test", document=content, **moments)
    await expire(services, [later])
    again = await services.retry(later.id, "ann")
    assert again.due_ms == moments["not_before_ms"]
    assert again.expires_ms > again.due_ms
    sooner = await services.submit(command, actor="test", document=content)
    assert (await services.ledger.require(later.id)).state is JobState.QUEUED, "nothing took its place either"
    assert (await lifecycle.attempt(services.core, sooner.id)).state is JobState.DELIVERED
    assert (await services.ledger.require(later.id)).state is JobState.QUEUED


async def test_all_of_a_long_queue_are_found_in_turn(services, sandbox, monkeypatch):
    monkeypatch.setattr(expiry, "BATCH", 3)
    lasting = await pages(services, 7)
    await configure(services, sandbox, max_age_hours=SHORT)
    jobs = await pages(services, 7, start=50)
    await pause(services)
    await expire(services, jobs)
    assert {(await services.ledger.require(job.id)).state for job in lasting} == {JobState.QUEUED}


async def test_a_job_that_was_given_more_time_is_left_alone(services, sandbox):
    await configure(services, sandbox, max_age_hours=SHORT)
    (job,) = await pages(services, 1)
    await over(services, job)
    await services.redis.hset(key(services, "job", job.id), "expires_ms", services.core.clock_ms() + 60_000)
    assert not await services.ledger.expire(job, expiry.expired(job, ""))
    assert (await services.ledger.require(job.id)).state is JobState.QUEUED


async def test_a_worker_ends_what_waits_behind_a_suspended_destination(services, sandbox, start_worker):
    await configure(services, sandbox, max_age_hours=1 / 3600, probe_interval_s=600)
    await suspend(services)
    (job,) = await pages(services, 1)
    start_worker()

    async def ended():
        found = await services.ledger.require(job.id)
        return found if found.state is JobState.DEAD else None

    assert (await until(ended, 40, "the end")).last_error.code == "expired"


async def test_what_a_job_waited_for_is_its_turn_where_nothing_else_is_known(services):
    (job,) = await pages(services, 1)
    assert "its turn" in waited_for(job, await health(services), 0)
