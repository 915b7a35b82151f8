"""What Celery is told while Redis is in trouble."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from redis.exceptions import ConnectionError as Unreachable

from tasks.lifecycle import Ended
from tasks.model import CommandName, JobState
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
