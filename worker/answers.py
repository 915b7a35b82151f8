"""How what happened to a job looks in Celery: a typed error, or a `Retry` with its due time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from celery.exceptions import Retry

from tasks.errors import AfterwordError, Permanent
from tasks.lifecycle import Ended
from tasks.model import TERMINAL, JobState, LastError

Failed = TypeVar("Failed", bound=AfterwordError)


def wait_of(ended: Ended) -> Retry | None:
    """What an attempt looks like whose job goes on waiting; None for a job that has ended."""
    if ended.state in TERMINAL:
        return None
    message = str(ended.error) if ended.error else "Waiting for its turn."
    return Retry(message, when=datetime.fromtimestamp(ended.due_ms / 1000, UTC) if ended.due_ms else None)


def failure_of(state: JobState, error: AfterwordError | LastError | None) -> Permanent:
    """The error of a job that ended without a delivery."""
    if state is JobState.DEAD and error is not None:
        return in_one_line(Permanent(error.message, code=error.code, advice=error.advice))
    return Permanent(f"The job is {state.value}.", code=state.value)


def in_one_line(error: Failed) -> Failed:
    """The same error, whose arguments hold all that it says: of an error, a result tells its type and its arguments only."""
    error.args = (str(error),)
    return error
