"""What Celery is told while Redis is in trouble."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from redis.exceptions import ConnectionError as Unreachable

from tasks.lifecycle import Ended
from tasks.model import CommandName, JobState, LastError
from worker.answers import failure_of
from worker.rounds.teller import Teller


def test_a_redis_that_fails_while_a_wait_is_stored_takes_no_event_along():
    """Whoever looks on in Flower would otherwise see an attempt that goes on for ever."""
    sent = []
    backend = MagicMock()
    backend.client.transaction.side_effect = Unreachable
    teller = Teller(MagicMock(), SimpleNamespace(backend=backend), sent.extend)
    job = SimpleNamespace(id="job-1", attempts=1, origin=None, command=SimpleNamespace(command=CommandName.INCIDENT))
    teller.started(job)
    teller.ended(job, Ended(JobState.RETRYING, due_ms=1_764_338_400_000), 0.1)
    with pytest.raises(Unreachable):
        teller._tell_all(teller._notes, [])
    assert [event for event, _ in sent] == ["task-received", "task-started", "task-retried"]


def test_a_failure_says_in_its_arguments_what_to_do_and_which_job_took_the_place():
    """A result tells a plain client no more of an error than its arguments."""
    error = LastError(code="absent", message="The issue is not stored.", advice="Store it first.")
    dead = SimpleNamespace(state=JobState.DEAD, last_error=error, superseded_by=None)
    assert failure_of(dead).args == ("The issue is not stored. Store it first.",)
    superseded = SimpleNamespace(state=JobState.SUPERSEDED, last_error=None, superseded_by="job-2")
    assert "A newer job for the same subject, job-2," in str(failure_of(superseded))
