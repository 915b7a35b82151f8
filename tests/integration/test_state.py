"""Ledger and audit on a real Valkey: order, fencing, take-over, tampering, a full and a vanished server."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import Fenced, Refused, StateUnavailable
from tasks.expiry import expire_overdue
from tasks.model import Document, Issue, Job, JobState, Receipt, parse_command
from tasks.state import journal
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Claimed, Lease, NotClaimed, Settlement
from tests.conftest import until
from tests.integration.test_lifecycle import DOCUMENT, PUBLISH
from worker.runtime import open_services

pytestmark = pytest.mark.usefixtures("destinations")


@pytest.fixture(autouse=True)
async def document(services):
    await services.contents.put_document(DOCUMENT, "test")


async def submit(services, command=PUBLISH, **more) -> Job:
    return await services.submit(parse_command(command), actor="test", **more)


async def claim(services, job) -> Job | NotClaimed:
    found = await services.ledger.claim(job.id, "worker-1", Lease(0, 60_000))
    return found.job if isinstance(found, Claimed) else found


def delivered() -> Settlement:
    return Settlement(JobState.DELIVERED, Event.DELIVERED, receipt=Receipt(id="1", url="http://x"), doubt="clear")


async def test_a_job_is_claimed_once(services):
    job = await submit(services)
    claims = await asyncio.gather(*(claim(services, job) for _ in range(20)))
    assert sum(isinstance(found, Job) for found in claims) == 1


async def test_a_newer_job_supersedes_one_that_waits(services):
    old, new = await submit(services), await submit(services)
    assert (await services.ledger.require(old.id)).superseded_by == new.id
    assert (await services.ledger.require(old.id)).state is JobState.SUPERSEDED


async def test_a_job_stands_aside_until_its_moment_and_comes_behind_whatever_waits_then(services):
    moment = services.core.clock_ms() + 600_000
    first, second = await submit(services, not_before_ms=moment), await submit(services, not_before_ms=moment)
    assert first.due_ms == moment
    assert await services.ledger.dispatch(1000, 10) == []
    assert (await claim(services, first)).reason == "early"
    due = await submit(services)
    assert {(await services.ledger.require(job.id)).state for job in (first, second, due)} == {JobState.QUEUED}
    for job in (first, second):  # time passes
        await services.redis.hset(f"{services.settings.prefix}:job:{job.id}", "not_before_ms", 1)
    assert (await claim(services, first)).reason == "busy"
    for job in (due, second, first):
        running = await claim(services, job)
        assert running.id == job.id
        await services.ledger.settle(running, delivered())


async def test_a_job_that_stood_aside_yields_to_a_newer_one_once_it_has_begun(services):
    later = await submit(services, not_before_ms=services.core.clock_ms() + 600_000)
    await services.redis.hset(f"{services.settings.prefix}:job:{later.id}", "not_before_ms", 1)
    running = await claim(services, later)
    newer = await submit(services)
    await services.ledger.settle(running, delivered())
    assert (await claim(services, newer)).id == newer.id
    past = await submit(services, not_before_ms=1)
    assert past.due_ms > 1, "a moment that has passed is none"
    newest = await submit(services)
    assert (await services.ledger.require(past.id)).superseded_by == newest.id


async def test_a_job_is_over_at_the_moment_that_its_producer_gave(services):
    job = await submit(services, until_ms=services.core.clock_ms())
    assert await expire_overdue(services.core) == [job.id]
    ended = await services.ledger.require(job.id)
    assert (ended.state, ended.last_error.code) == (JobState.DEAD, "expired")


async def test_jobs_for_one_subject_that_are_submitted_at_once_leave_one_that_waits(services):
    """Each is superseded by the next, the audit says so of each, and a job of another subject is none of them."""
    one_more = {"command": "create_servicenow_incident", "issue_id": "inc-9"}
    issue = Issue(id="inc-9", title="Another")
    submitted = await asyncio.gather(*(submit(services) for _ in range(6)), submit(services, one_more, issue=issue))
    jobs = [await services.ledger.require(job.id) for job in submitted]
    assert [job.state for job in jobs].count(JobState.QUEUED) == 2
    assert jobs[-1].state is JobState.QUEUED
    entries = [entry for entry in await services.audit.tail(50) if entry.event == "job.submitted"]
    told = {entry.data["supersedes"]: entry.data["job"] for entry in entries if "supersedes" in entry.data}
    assert told == {job.id: job.superseded_by for job in jobs if job.superseded_by}
    assert len(told) == 5


async def test_a_submission_returns_the_job_as_the_ledger_holds_it(services):
    job = await submit(services, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert job == await services.ledger.require(job.id)


async def test_a_destination_that_another_process_stored_or_removed_is_seen_at_once(services, settings):
    names = [record.name for record in await services.destinations.list()]
    async with open_services(settings) as another:
        settings_of_it = (await another.destinations.require("confluence")).settings
        await another.destinations.set("zz-second", settings_of_it, "fake-secret", "test")
        seen = await asyncio.gather(*(services.destinations.list() for _ in range(8)))
        assert [[record.name for record in records] for records in seen] == [[*names, "zz-second"]] * 8
        with pytest.raises(Refused, match="zz-second"):
            await submit(services, PUBLISH | {"destination": None})
        await another.destinations.remove("zz-second", "test")
    assert [record.name for record in await services.destinations.list()] == names


async def test_an_older_job_never_overwrites_a_newer_one(services):
    old = await claim(services, await submit(services))
    new = await submit(services)
    assert (await claim(services, new)).reason == "busy"
    retrying = Settlement(JobState.RETRYING, Event.RETRYING, due_ms=0)
    assert await services.ledger.settle(old, retrying) is JobState.SUPERSEDED
    assert isinstance(await claim(services, new), Job)


async def test_a_dead_job_is_not_retried_over_a_newer_delivery(services):
    old = await claim(services, await submit(services))
    await services.ledger.settle(old, Settlement(JobState.DEAD, Event.DEAD))
    new = await claim(services, await submit(services))
    await services.ledger.settle(new, delivered())
    with pytest.raises(Refused, match=new.id):
        await services.retry(old.id, "test")


async def test_a_late_writer_changes_nothing(services):
    job = (await services.ledger.claim((await submit(services)).id, "worker-1", Lease(0, 0))).job
    assert await services.ledger.lapsed() == [job.id]
    assert await services.ledger.take_over(job.id) is JobState.RETRYING
    with pytest.raises(Fenced):
        await services.ledger.settle(job, delivered())
    with pytest.raises(Fenced):
        await services.ledger.intend(job, Event.DELIVERY_INTENT, writes=True, doubt_until_ms=0, facts={})


async def test_a_job_that_ends_three_workers_is_quarantined(services):
    job = await submit(services)
    for _ in range(3):
        await services.ledger.claim(job.id, "worker-1", Lease(0, 0))
        await services.ledger.take_over(job.id)
    stored = await services.ledger.require(job.id)
    assert stored.state is JobState.DEAD
    assert stored.last_error.code == "quarantined"


async def test_jobs_that_die_in_company_share_the_blame(services):
    ids = [(await submit(services, PUBLISH | {"space_key": space})).id for space in ("OPS", "ENG", "SRE", "KB")]
    for number in range(3):
        for job_id in ids:
            assert isinstance(await services.ledger.claim(job_id, f"worker-{number}", Lease(0, 60_000)), Claimed)
        await services.redis.zadd(f"{services.settings.prefix}:workers", {f"worker-{number}": 1})
        assert sorted(await services.ledger.lapsed()) == sorted(ids)
        assert [await services.ledger.take_over(job_id) for job_id in ids] == 4 * [JobState.RETRYING]
    stored = await services.ledger.require(ids[0])
    assert (stored.crashes, stored.blame) == (3, 0.75)


async def test_an_attempt_that_ends_by_itself_clears_the_job_of_blame(services):
    job = await submit(services)
    for number in range(5):
        await services.ledger.claim(job.id, f"worker-{number}", Lease(0, 0))
        if number % 2:
            again = Settlement(JobState.RETRYING, Event.RETRYING, due_ms=0)
            await services.ledger.settle(await services.ledger.require(job.id), again)
        else:
            await services.redis.zadd(f"{services.settings.prefix}:workers", {f"worker-{number}": 1})
            assert await services.ledger.take_over(job.id) is JobState.RETRYING
    assert (await services.ledger.require(job.id)).crashes == 3


async def test_a_wake_up_that_is_lost_again_and_again_is_soon_sent_again(services):
    job = await submit(services)
    waits = []
    for _ in range(6):
        await services.redis.zadd(f"{services.settings.prefix}:due:confluence", {job.id: 0})
        await services.redis.zrem(f"{services.settings.prefix}:sent:confluence", job.id)
        assert await services.ledger.dispatch(1000, 10) == [job.id]
        seconds, micros = await services.redis.time()
        due_ms = await services.redis.zscore(f"{services.settings.prefix}:due:confluence", job.id)
        waits.append(round((due_ms - 1000 * seconds - micros / 1000) / 1000))
    assert waits == [1, 2, 4, 4, 4, 4]


async def test_the_same_idempotency_key_gives_the_same_job_and_another_request_is_refused(services):
    first = await submit(services, idempotency_key="k")
    assert (await submit(services, idempotency_key="k")).id == first.id
    with pytest.raises(Refused, match="Idempotency-Key"):
        await services.submit(parse_command(PUBLISH | {"space_key": "ENG"}), actor="test", idempotency_key="k")


async def test_a_suspended_destination_is_not_dispatched(services):
    job = await submit(services)
    await services.destinations.pause("confluence", "test")
    assert await services.ledger.dispatch(1000, 10) == []
    await services.destinations.resume("confluence", "test")
    assert await services.ledger.dispatch(1000, 10) == [job.id]


async def test_every_unfinished_job_has_one_next_step(services):
    job = await submit(services)
    prefix = services.settings.prefix

    async def places():
        due = await services.redis.zscore(f"{prefix}:due:confluence", job.id)
        lease = await services.redis.zscore(f"{prefix}:leases", job.id)
        return due is not None, lease is not None

    assert await places() == (True, False)
    held = await claim(services, job)
    assert await places() == (False, True)
    await services.ledger.settle(held, Settlement(JobState.RETRYING, Event.RETRYING, due_ms=1))
    assert await places() == (True, False)
    await services.ledger.cancel(job.id, "test")
    assert await places() == (False, False)


async def test_many_writers_at_once_make_one_chain_that_holds(services):
    await asyncio.gather(
        *(services.contents.put_document(Document(id=f"d{i}", title="t", content_md="x"), "t") for i in range(300))
    )
    report = await services.audit.verify()
    assert report.ok, report.problems
    assert report.chains == 1


@pytest.mark.parametrize("attack", ["edit", "delete", "insert", "cut the tail", "drop the chain", "rewrite the head"])
async def test_tampering_with_the_audit_is_found(services, attack):
    for _ in range(3):
        await submit(services)
    redis, prefix = services.redis, services.settings.prefix
    stream, heads = f"{prefix}:audit", f"{prefix}:audit:heads"
    rows = await redis.xrange(stream)
    (chain,) = await redis.hkeys(heads)
    if attack == "edit":
        identifier, fields = rows[-1]
        await redis.xdel(stream, identifier)
        await redis.xadd(stream, {**fields, b"data": b"{}"})
    elif attack == "delete":
        await redis.xdel(stream, rows[1][0])
    elif attack == "insert":
        await redis.xadd(stream, rows[0][1])
    elif attack == "cut the tail":
        await redis.xdel(stream, rows[-1][0])
    elif attack == "drop the chain":
        await redis.delete(stream)
    else:
        await redis.hset(heads, chain, b"1:" + rows[0][1][b"mac"])
    report = await services.audit.verify()
    assert not report.ok
    assert report.problems


async def test_nothing_is_written_when_redis_is_full(services, valkey):
    await services.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(StateUnavailable, match="full"):
            await submit(services)
    finally:
        await services.redis.config_set("maxmemory", "0")
    assert (await submit(services)).state is JobState.QUEUED
    assert (await services.audit.verify()).ok


async def test_a_cut_connection_leaves_the_chain_whole(services):
    for _ in range(5):
        await services.redis.client_kill_filter(_type="normal", skipme=False)
        await submit(services)
    report = await services.audit.verify()
    assert report.ok, report.problems


async def test_a_transition_that_can_not_be_sent_says_so_and_holds_up_no_other(services):
    with pytest.raises(TypeError):
        await services.journal.commit("lua/record", {"set": object()}, Event.DOCUMENT_PUT)
    assert (await submit(services)).state is JobState.QUEUED
    assert (await services.audit.verify()).ok


async def test_a_worker_that_is_gone_leaves_nothing_of_itself(services):
    for name in ("leaves", "dies"):
        await services.ledger.heartbeat(name, 1 if name == "dies" else 60_000, 1, "{}")
    await services.upkeep.goodbye("leaves")
    about = f"{services.settings.prefix}:workers:about"

    async def left() -> bool:
        await services.ledger.lapsed()
        return not await services.redis.hexists(about, "dies")

    await until(left, what="what the dead worker said of itself is forgotten")
    assert await services.redis.hgetall(about) == {}


async def test_bodies_and_secrets_are_sealed_at_rest(services):
    async for key in services.redis.scan_iter(f"{services.settings.prefix}*"):
        raw = await services.redis.dump(key)
        assert b"pool exhausted" not in raw
        assert b"sandbox-not-a-secret" not in raw


async def test_scripts_that_redis_forgot_while_a_transition_is_made_ready_are_loaded_again(settings, monkeypatch):
    """A Redis that was started again has none. A read beside the transition finds that first, and the transition failed by it."""

    async def forgotten(*given):
        monkeypatch.setattr(journal, "standing", standing)
        await fresh.redis.script_flush()
        assert await fresh.journal.query("jobs/lapsed", {"batch": 1}) == []
        return await standing(*given)

    standing = journal.standing
    monkeypatch.setattr(journal, "standing", forgotten)
    async with open_services(settings) as fresh:
        assert await fresh.journal.query("jobs/lapsed", {"batch": 1}) == []
        await fresh.contents.put_document(DOCUMENT, "test")
        assert await fresh.contents.document(DOCUMENT.id) == DOCUMENT


async def test_a_wake_up_names_a_job_that_may_begin(services):
    async with services.redis.pubsub() as pubsub:
        await pubsub.subscribe(f"{services.settings.prefix}:wake")

        async def word() -> str:
            while (message := await pubsub.get_message(timeout=10)) is not None:
                if message["type"] == "message":
                    return message["data"].decode()
            raise TimeoutError

        job = await submit(services)
        assert await word() == f"confluence {job.id}"
        await submit(services, not_before_ms=services.core.clock_ms() + 60_000)
        assert await word() == "1"
