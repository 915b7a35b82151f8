"""What Celery is told while Redis is in trouble."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from unittest.mock import AsyncMock, MagicMock

import pytest
from celery.events.state import State
from redis.exceptions import ConnectionError as Unreachable

from tasks.lifecycle import Ended
from tasks.model import CommandName, JobState, LastError
from worker.answers import failure_of
from worker.rounds.teller import Teller

SENT_MS = 1000


def test_a_redis_that_fails_while_a_wait_is_stored_takes_no_event_along():
    """Whoever looks on in Flower would otherwise see an attempt that goes on for ever."""
    sent = []
    backend = MagicMock()
    backend.client.transaction.side_effect = Unreachable
    teller = Teller(MagicMock(), SimpleNamespace(backend=backend), into(sent))
    job = SimpleNamespace(id="job-1", attempts=1, origin=None, command=SimpleNamespace(command=CommandName.INCIDENT))
    teller.started(job)
    teller.ended(job, Ended(JobState.RETRYING, due_ms=1_764_338_400_000), 0.1)
    with pytest.raises(Unreachable):
        teller._tell_all(teller._notes, [], [], print)
    assert [event for event, _ in sent] == ["task-received", "task-started", "task-retried"]


async def test_a_wait_is_no_news_any_more_once_the_job_has_ended_elsewhere():
    """Flower keeps the last word of a wait, also where the word of an end came before."""
    sent = []
    teller = Teller(MagicMock(), SimpleNamespace(backend=MagicMock()), into(sent))
    for name in ("ended", "waits"):
        teller.ended(job_of(name, JobState.RETRYING), Ended(JobState.RETRYING, due_ms=1_764_338_400_000), 0.1)
    teller._services = services_with([job_of("ended", JobState.DELIVERED), job_of("waits", JobState.RETRYING)])
    await teller.tell()
    assert [(event, fields["uuid"]) for event, fields in sent] == [("task-retried", "waits")]


@pytest.mark.parametrize(
    ("ended_ms", "told"), [(SENT_MS, ["task-revoked"]), (SENT_MS + 1, [])], ids=["before", "after"]
)
async def test_an_end_that_came_before_the_word_of_a_wait_was_sent_is_told_once_more(ended_ms, told):
    """That word waits for the thread that sends it, for seconds on a busy machine; meanwhile somebody revokes the job."""
    sent, after = [], []
    services = services_with([job_of("job-1", JobState.RETRYING)])
    teller = Teller(services, SimpleNamespace(backend=MagicMock()), into(sent, after))
    teller.ended(job_of("job-1", JobState.RETRYING), Ended(JobState.RETRYING, due_ms=1_764_338_400_000), 0.1)
    await teller.tell()
    services.ledger.overview.jobs.return_value = [job_of("job-1", JobState.CANCELLED, ended_ms)]
    await teller.tell()
    assert [event for event, _ in sent] == ["task-retried"], "it isn't sent yet, and the other worker tells the end"
    for then in after:
        then()
    await asyncio.sleep(0)
    await teller.tell()
    await teller.tell()
    assert [event for event, _ in sent] == ["task-retried", *told]


async def test_an_end_is_told_once_more_also_where_the_next_wait_or_a_redis_that_is_away_came_between():
    """The end that another worker told is the one that both of the job's waits came after."""
    sent, after = [], []
    services = services_with([job_of("job-1", JobState.RETRYING)])
    teller = Teller(services, SimpleNamespace(backend=MagicMock()), into(sent, after))
    waits = Ended(JobState.RETRYING, due_ms=1_764_338_400_000)
    teller.ended(job_of("job-1", JobState.RETRYING), waits, 0.1)
    await teller.tell()
    after.pop()()
    teller.ended(job_of("job-1", JobState.RETRYING), waits, 0.1)
    await asyncio.sleep(0)
    services.ledger.overview.jobs.side_effect = Unreachable
    with pytest.raises(Unreachable):
        await teller.tell()
    services.ledger.overview.jobs = AsyncMock(return_value=[job_of("job-1", JobState.CANCELLED)])
    await teller.tell()
    await teller.tell()
    assert [event for event, _ in sent] == ["task-retried", "task-revoked"]


async def test_flower_shows_a_dead_job_that_was_cancelled_as_revoked():
    """To it a failure is the later word of the two, whichever came last."""
    sent, seen = [], State()
    services = services_with([job_of("job-1", JobState.CANCELLED)], to_tell=["job-1"])
    services.ledger.origin_of.return_value = {}
    backend = MagicMock(get_state=lambda _: "FAILURE")
    await Teller(services, SimpleNamespace(backend=backend), into(sent)).tell()
    for clock, (event, fields) in enumerate([("task-failed", {"uuid": "job-1"}), *sent]):
        facts = {"hostname": "w", "timestamp": 1.0 + clock, "local_received": 1.0 + clock, "clock": clock}
        seen.event({"type": event, **facts, **fields})
    assert seen.tasks["job-1"].state == "REVOKED"


async def test_an_end_that_another_worker_brought_about_has_no_time_that_it_took():
    """Nor is it told as none at all."""
    sent = []
    mine, other = (job_of(name, JobState.DELIVERED) for name in ("mine", "other"))
    services = services_with([mine, other], to_tell=["mine", "other"])
    services.ledger.origin_of.return_value = {}
    teller = Teller(services, SimpleNamespace(backend=MagicMock()), into(sent))
    teller.ended(mine, Ended(JobState.DELIVERED), 0.25)
    await teller.tell()
    assert {fields["uuid"]: fields.get("runtime") for _, fields in sent} == {"mine": 0.25, "other": None}


def into(sent: list, after: list | None = None):
    """Keeps the events that are sent, and what is to be called then."""

    def send(events, then=None):
        sent.extend(events)
        if then is not None and after is not None:
            after.append(then)

    return send


def job_of(job_id: str, state: JobState, updated_ms: int = 1):
    receipt = SimpleNamespace(result=lambda: {"id": "1", "url": "https://example.org/1"})
    command = SimpleNamespace(command=CommandName.INCIDENT)
    return SimpleNamespace(
        id=job_id, attempts=2, origin=None, command=command, state=state, updated_ms=updated_ms, receipt=receipt
    )


def services_with(jobs: list, to_tell: list[str] = ()):
    """A ledger that has these jobs."""
    services = MagicMock()
    services.upkeep.to_tell = AsyncMock(return_value=list(to_tell))
    services.upkeep.told = AsyncMock()
    services.ledger.overview.jobs = AsyncMock(return_value=jobs)
    services.core.clock_ms = lambda: SENT_MS
    services.settings.sweep_interval_s = 1.0
    return services


def test_a_failure_says_in_its_arguments_what_to_do_and_which_job_took_the_place():
    """A result tells a plain client no more of an error than its arguments."""
    error = LastError(code="absent", message="The issue is not stored.", advice="Store it first.")
    dead = SimpleNamespace(state=JobState.DEAD, last_error=error, superseded_by=None)
    assert failure_of(dead).args == ("The issue is not stored. Store it first.",)
    superseded = SimpleNamespace(state=JobState.SUPERSEDED, last_error=None, superseded_by="job-2")
    assert "A newer job for the same subject, job-2," in str(failure_of(superseded))
