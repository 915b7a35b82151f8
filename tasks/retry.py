"""What happened + which attempt it was → what next. Pure: time and chance come in as values.

Source of the defaults: delays double from 2 s to 15 min with full jitter above half, so that jobs that failed together
don't return together; at most 16 attempts or 72 h.
"""

from __future__ import annotations

from tasks.errors import (
    AttemptFailed,
    DestinationTrouble,
    Held,
    Permanent,
    StateAway,
    Throttled,
    Transient,
    Unsettled,
)
from tasks.model import Frozen, Job, JobState, LastError
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Settlement

STATE_AWAY_MS = 1_000


class Backoff(Frozen):
    """How long to wait between attempts, in seconds, and when to stop."""

    base_s: float = 2.0
    cap_s: float = 900.0
    max_attempts: int = 16

    def delay_s(self, attempt: int, chance: float) -> float:
        """The wait after attempt number `attempt` (from 1); `chance` in [0, 1) spreads it over its upper half."""
        whole = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 32))
        return whole * (0.5 + chance / 2)


def settlement_of(failure: AttemptFailed, job: Job, backoff: Backoff, *, now_ms: int, chance: float) -> Settlement:
    """The settlement of a failed attempt, by the failure policy."""
    error = LastError(
        code=failure.code,
        message=failure.message,
        advice=failure.advice,
        status=failure.status,
        excerpt=failure.excerpt,
    )
    match failure:
        case Held():
            return Settlement(JobState.HELD, Event.HELD, error=error)
        case Unsettled():
            due_ms = max(failure.until_ms, now_ms)
            return Settlement(JobState.RETRYING, Event.WAITING, due_ms=due_ms, counted=False, error=error)
        case StateAway():
            due_ms = now_ms + STATE_AWAY_MS
            return Settlement(JobState.RETRYING, Event.WAITING, due_ms=due_ms, counted=False, error=error)
        case DestinationTrouble():
            return Settlement(
                JobState.QUEUED,
                Event.WAITING,
                due_ms=now_ms,  # a suspended destination is not dispatched: its jobs go on with its resumption
                counted=False,
                error=error,
                suspend=str(failure),
            )
        case Throttled():
            return Settlement(JobState.QUEUED, Event.WAITING, due_ms=failure.until_ms, counted=False, error=error)
        case Permanent():
            return Settlement(JobState.DEAD, Event.DEAD, error=error)
        case Transient():
            return _again(failure, job, backoff, error, now_ms=now_ms, chance=chance)
    return _again(Transient(failure.message), job, backoff, error, now_ms=now_ms, chance=chance)


def _again(
    failure: Transient, job: Job, backoff: Backoff, error: LastError, *, now_ms: int, chance: float
) -> Settlement:
    left_ms = job.expires_ms - now_ms
    spent = job.attempts >= backoff.max_attempts and not failure.throttled
    if spent or left_ms <= 0:
        words = f"Gave up after {job.attempts} attempts. {error.advice}".strip()
        return Settlement(JobState.DEAD, Event.DEAD, error=error.model_copy(update={"advice": words}))
    floor_s = max(failure.retry_after or 0.0, 0.0)
    if failure.throttled:  # the destination makes everybody wait; this job is no exception and pays nothing for it
        due_ms = now_ms + min(int(1000 * floor_s), left_ms)
        return Settlement(JobState.QUEUED, Event.WAITING, due_ms=due_ms, counted=False, error=error)
    delay_s = backoff.delay_s(max(job.attempts, 1), chance)
    due_ms = now_ms + min(int(1000 * max(delay_s, floor_s)), left_ms)
    return Settlement(JobState.RETRYING, Event.RETRYING, due_ms=due_ms, error=error)
