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
from tasks.model import Finding, Frozen, Job, JobState, LastError
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Settlement

STATE_AWAY_MS = 1_000
SECOND_TRY_MS = 5_000
SHORTEST_WAIT_MS, LONGEST_WAIT_MS = 2_000, 30_000


class Backoff(Frozen):
    """How long to wait between attempts, in seconds, and when to stop."""

    base_s: float = 2.0
    cap_s: float = 900.0
    max_attempts: int = 16

    def delay_s(self, attempt: int, chance: float) -> float:
        """The wait after attempt number `attempt` (from 1); `chance` in [0, 1) spreads it over its upper half."""
        whole = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 32))
        return whole * (0.5 + chance / 2)


def expired(job: Job, waited_for: str) -> LastError:
    """The error of a job that is older than its destination lets jobs become; `waited_for` is a sentence."""
    last = job.last_error
    return LastError(
        code="expired",
        message=f"The job waited for longer than it may. {waited_for}".strip(),
        advice="Correct that, then `afterword job retry`; `max_age_hours` of the destination says how long a job may wait.",
        status=last.status if last else None,
        excerpt=last.excerpt if last else "",
    )


def settlement_of(
    failure: AttemptFailed,
    job: Job,
    backoff: Backoff,
    *,
    now_ms: int,
    chance: float,
    finding: Finding | None = None,
    probe: bool = False,
) -> Settlement:
    """The settlement of a failed attempt, by the failure policy. `finding` is what a test of a suspected destination said;
    `probe` says that the attempt only tried whether a destination answers again, and it doesn't.
    """
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
            return _suspected(failure, job, error, finding, now_ms=now_ms, chance=chance)
        case Throttled():
            return Settlement(JobState.QUEUED, Event.WAITING, due_ms=failure.until_ms, counted=False, error=error)
        case Permanent() | Transient() if finding and finding.result in ("failed", "moved"):
            return _waiting(error, now_ms)
        case Permanent() if finding and finding.result == "unclear":
            return _unshown(job, error, now_ms=now_ms, chance=chance)
        case Permanent():
            return Settlement(JobState.DEAD, Event.DEAD, error=error)
        case Transient():
            return _again(failure, job, backoff, error, now_ms=now_ms, chance=chance, probe=probe)
    return _again(Transient(failure.message), job, backoff, error, now_ms=now_ms, chance=chance)


def _waiting(error: LastError, now_ms: int) -> Settlement:
    """For nothing: a suspended destination is not dispatched, and its jobs go on with its resumption."""
    return Settlement(JobState.QUEUED, Event.WAITING, due_ms=now_ms, counted=False, error=error)


def _suspected(
    failure: DestinationTrouble, job: Job, error: LastError, finding: Finding | None, *, now_ms: int, chance: float
) -> Settlement:
    """What trouble of a destination means for the job that met it, once the destination was tested."""
    if finding is None or finding.result in ("failed", "moved"):
        return _waiting(error, now_ms)
    if failure.passing == "job" and finding.result == "passed":
        own = "The destination passes its connection test, so this is about this job alone"
        # The step that fails for the same reason is named, and the reason is said once.
        words = finding.words.partition(":")[0] if failure.message in finding.words else finding.words
        found = f"{own} ({words})." if words else f"{own}."
        error = error.model_copy(update={"advice": f"{found} {error.advice}".strip()})
        if job.suspicions:
            again = f"{error.advice} Then `afterword job retry`.".strip()
            return Settlement(JobState.DEAD, Event.DEAD, error=error.model_copy(update={"advice": again}))
        due_ms = now_ms + int(SECOND_TRY_MS * _spread(chance))
        return Settlement(JobState.RETRYING, Event.RETRYING, due_ms=due_ms, error=error, suspected=True)
    return _unshown(job, error, now_ms=now_ms, chance=chance)


def _unshown(job: Job, error: LastError, *, now_ms: int, chance: float) -> Settlement:
    """Nobody's fault that could be shown: the job waits for free, the longer the older it is, until it expires."""
    wait_ms = min(max((now_ms - job.created_ms) // 4, SHORTEST_WAIT_MS), LONGEST_WAIT_MS)
    due_ms = now_ms + int(wait_ms * _spread(chance))
    return Settlement(JobState.QUEUED, Event.WAITING, due_ms=due_ms, counted=False, error=error)


def _spread(chance: float) -> float:
    return 0.75 + chance / 2


def _again(
    failure: Transient,
    job: Job,
    backoff: Backoff,
    error: LastError,
    *,
    now_ms: int,
    chance: float,
    probe: bool = False,
) -> Settlement:
    left_ms = job.expires_ms - now_ms
    spent = job.attempts >= backoff.max_attempts and not failure.throttled and not probe
    if left_ms <= 0:
        return Settlement(JobState.DEAD, Event.DEAD, error=expired(job, f"It last met this: {error.message}"))
    if spent:
        words = f"Gave up after {job.attempts} attempts. {error.advice}".strip()
        return Settlement(JobState.DEAD, Event.DEAD, error=error.model_copy(update={"advice": words}))
    floor_s = max(failure.retry_after or 0.0, 0.0)
    if failure.throttled:  # the destination makes everybody wait; this job is no exception and pays nothing for it
        due_ms = now_ms + min(int(1000 * floor_s), left_ms)
        return Settlement(JobState.QUEUED, Event.WAITING, due_ms=due_ms, counted=False, error=error)
    delay_s = backoff.delay_s(max(job.attempts, 1), chance)
    due_ms = now_ms + min(int(1000 * max(delay_s, floor_s)), left_ms)
    event = Event.WAITING if probe else Event.RETRYING
    return Settlement(JobState.RETRYING, event, due_ms=due_ms, counted=not probe, error=error)
