"""How what happened to a job looks in Celery: a typed error, or a `Retry` with its due time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from celery.exceptions import Retry

from tasks.errors import AfterwordError, Permanent
from tasks.lifecycle import Ended
from tasks.model import TERMINAL, Job, JobState

Failed = TypeVar("Failed", bound=AfterwordError)


def wait_of(ended: Ended) -> Retry | None:
    """What an attempt looks like whose job goes on waiting; None for a job that has ended."""
    if ended.state in TERMINAL:
        return None
    message = str(ended.error) if ended.error else "Waiting for its turn."
    return Retry(message, when=datetime.fromtimestamp(ended.due_ms / 1000, UTC) if ended.due_ms else None)


def failure_of(job: Job) -> Permanent:
    """The error of a job that ended without a delivery."""
    if job.state is JobState.DEAD and job.last_error is not None:
        error = job.last_error
        return in_one_line(Permanent(error.message, code=error.code, advice=error.advice))
    if job.superseded_by:
        return Permanent(
            f"A newer job for the same subject, {job.superseded_by}, took its place.", code=job.state.value
        )
    return Permanent(f"The job is {job.state.value}.", code=job.state.value)


def in_one_line(error: Failed) -> Failed:
    """The same error, whose arguments hold all that it says: of an error, a result tells its type and its arguments only."""
    error.args = (str(error),)
    return error
