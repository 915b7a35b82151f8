"""How a job's end looks in Celery: a result, a `Retry` with its due time, or a typed error."""

from __future__ import annotations

from datetime import UTC, datetime

from celery.exceptions import Ignore, Retry

from tasks.errors import AfterwordError, Permanent
from tasks.lifecycle import Ended
from tasks.model import JobState, LastError


def answer(ended: Ended) -> dict[str, str]:
    """What a task returns; raises what it ends with otherwise."""
    match ended.state:
        case JobState.DELIVERED if ended.receipt is not None:
            return ended.receipt.result()
        case JobState.DEAD | JobState.CANCELLED | JobState.SUPERSEDED:
            raise failure_of(ended.state, ended.error)
        case JobState.QUEUED | JobState.RETRYING | JobState.HELD:
            message = str(ended.error) if ended.error else "Waiting for its turn."
            due_ms = ended.due_ms
            raise Retry(message, when=datetime.fromtimestamp(due_ms / 1000, UTC) if due_ms else None)
        case _:
            raise Ignore


def failure_of(state: JobState, error: AfterwordError | LastError | None) -> Permanent:
    """The error of a job that ended without a delivery."""
    if state is JobState.DEAD and error is not None:
        return Permanent(error.message, code=error.code, advice=error.advice)
    return Permanent(f"The job is {state.value}.", code=state.value)
