"""Following a job to its end, with progress on stderr."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.errors import KeyTrouble
from tasks.model import TERMINAL, Job, JobState
from worker.terminal.base import Context, exit_code
from worker.terminal.root import Failure

if TYPE_CHECKING:
    from worker.runtime import Services

WAITING = (JobState.QUEUED, JobState.RETRYING)
RESTING = TERMINAL | {JobState.HELD}
LOOK_EVERY_S = 0.1


def describe(job: Job) -> dict[str, Any]:
    """A job as JSON."""
    shown = job.model_copy(update={"command": job.shown})
    hidden = {"id", "token", "withheld", "sealed_fields", "origin"}
    return {"job_id": job.id, **shown.model_dump(mode="json", exclude=hidden, exclude_none=True)}


def sentence(job: Job, closed: str = "") -> str:
    """A job's state in one line; a job that only brings links up to date says so. `closed`: see `DestinationRecord`."""
    return (f"links of job {job.follows[:8]}: " if job.follows else "") + _state(job, closed)


def _state(job: Job, closed: str) -> str:
    if job.state is JobState.DELIVERED and job.receipt:
        number = f" {job.receipt.ticket_number}" if job.receipt.ticket_number else ""
        return f"{job.state.value}:{number} {job.receipt.url} ({job.receipt.change}, attempt {job.attempts})"
    waits = ", ".join(filter(None, (job.state.value, _waits(job, closed))))
    return waits + (f": {job.last_error}" if job.last_error else "")


def happened(job: Job, closed: str = "") -> str:
    """What there is to say of a job beside its state: what it made, or when it goes on and what went wrong."""
    about = f"links of job {job.follows[:8]}" if job.follows else ""
    made = f"{job.receipt.ticket_number or ''} {job.receipt.url}".strip() if job.receipt else ""
    if job.state is JobState.DELIVERED:
        return ": ".join(filter(None, (about, made)))
    return ": ".join(filter(None, (about, _waits(job, closed), str(job.last_error or ""))))


def _waits(job: Job, closed: str) -> str:
    """What a waiting job waits for: its destination, where that lets nothing out, else its time."""
    if job.state not in WAITING:
        return ""
    if closed:
        return f"{job.destination} is {closed}"
    return f"next at {_time(job.due_ms)}" if job.due_ms else ""


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S} UTC"


async def follow(services: Services, job_id: str, tell: Callable[[Job, str], None]) -> Job:
    """The job once it rests; `tell` hears of every change, and whether its destination is closed."""
    before: tuple[object, ...] = ()
    while True:
        job = await services.ledger.require(job_id)
        now = (job.state, job.attempts, job.last_error)
        if now != before:
            tell(job, await closed_for(services, job))
            before = now
        if job.state in RESTING:
            return job
        await asyncio.sleep(LOOK_EVERY_S)


async def closed_for(services: Services, job: Job) -> str:
    """Whether the destination of a waiting job lets nothing out, as it says itself; empty where it does, or can't be read."""
    try:
        record = await services.destinations.get(job.destination) if job.state in WAITING else None
    except KeyTrouble:  # `doctor` tells of it
        return ""
    return record.closed if record else ""


def wait_for(context: Context, job_id: str) -> Job:
    """Follow a job until it rests, and tell of each change before that on stderr. Ctrl-C ends the waiting alone."""

    def tell(job: Job, closed: str) -> None:
        if job.state not in RESTING:  # the caller shows how it ended
            context.tell(f"{job.id}  {sentence(job, closed)}")

    try:
        return context.run(lambda services: follow(services, job_id, tell))
    except KeyboardInterrupt:
        raise Failure(
            f"Stopped waiting. Job {job_id} goes on.", code="stopped", advice=f"Follow it: afterword job watch {job_id}"
        ) from None


def warned(job: Job) -> list[str]:
    """What the job's receipt warns of, a line each."""
    return [f"  Warning: {warning}" for warning in (job.receipt.warnings if job.receipt else ())]


def finish(context: Context, job: Job) -> None:
    """Show a job that rests, with what its receipt warns of, and end with its exit code."""
    context.show(describe(job), "\n".join([f"Job {job.id} is {sentence(job)}", *warned(job)]))
    if code := exit_code(job.state):
        raise SystemExit(code)
