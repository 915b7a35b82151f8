"""Jobs: one, many, their timelines, and what an operator does with them."""

from __future__ import annotations

import base64
import hmac
import json
import time
from datetime import datetime
from typing import cast

from tasks.model import TERMINAL, Job, JobState
from tasks.state.jobs.overview import JobFilter
from worker.api.outputs import JobPage, JobView, Timeline, TimelineEvent, rfc3339
from worker.api.problems import ProblemError
from worker.api.queries import JobPath, JobsQuery, WaitQuery
from worker.api.route import WAKES, Answer, Call
from worker.runtime import Services

RESTING = TERMINAL | {JobState.HELD}


async def get_job(call: Call) -> Answer:
    """A job; with `?wait=` seconds as soon as it rests (delivered, dead, cancelled, superseded or held)."""
    wait_s = cast(WaitQuery, call.query).wait
    deadline_s = time.monotonic() + min(wait_s, call.services.settings.api_longest_wait_s)
    job = await _found(call)
    if job.state in RESTING or not wait_s:
        return Answer(JobView.of(job))
    wakes = call.request.app[WAKES]
    async with wakes.listening():
        while True:
            changed = wakes.next()
            job = await call.services.ledger.require(job.id)
            left_s = deadline_s - time.monotonic()
            if job.state in RESTING or left_s <= 0:
                return Answer(JobView.of(job))
            await wakes.wait(changed, left_s)


async def list_jobs(call: Call) -> Answer:
    """Jobs by state and destination, newest first."""
    query = cast(JobsQuery, call.query)
    position = _open_cursor(call.services, query) if query.cursor else None
    jobs, onward = await call.services.ledger.list(_filter(query), position, query.limit)
    following = _cursor(call.services, query, onward) if onward else None
    return Answer(JobPage(jobs=tuple(JobView.of(job) for job in jobs), next=following))


def _filter(query: JobsQuery) -> JobFilter:
    return JobFilter(
        state=query.state,
        destination=query.destination,
        cause=query.cause,
        kind=query.kind,
        text=query.q,
        since_ms=_epoch_ms(query.since),
        until_ms=_epoch_ms(query.until),
    )


def _epoch_ms(moment: str | None) -> int | None:
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp() * 1000)


async def job_events(call: Call) -> Answer:
    """A job's timeline."""
    events = await call.services.ledger.events(await _id(call))
    return Answer(Timeline(events=tuple(TimelineEvent.model_validate(_plain(event)) for event in events)))


def _plain(event: dict[str, object]) -> dict[str, object]:
    """The ledger keeps an event's error as JSON text and its moment in milliseconds; a client gets the object, and RFC 3339
    beside.
    """
    error, at_ms = event.get("error"), event["at_ms"]
    event = event | {"at": rfc3339(at_ms if isinstance(at_ms, int) else None)}
    return event | {"error": json.loads(error)} if isinstance(error, str) and error.startswith("{") else event


async def retry_job(call: Call) -> Answer:
    """Queue a dead job again, with its attempts and age reset."""
    return _changed(await call.services.retry(await _id(call), call.actor, call.reason))


async def cancel_job(call: Call) -> Answer:
    """End a job that isn't running."""
    return _changed(await call.services.ledger.cancel(await _id(call), call.actor, call.reason))


async def release_job(call: Call) -> Answer:
    """Let a held job go on; secrets are sent redacted."""
    return _changed(await call.services.ledger.release(await _id(call), call.actor, call.reason))


async def _found(call: Call) -> Job:
    """The job that the address names by its id or a unique beginning of it."""
    return await call.services.ledger.find(cast(JobPath, call.path).job_id)


async def _id(call: Call) -> str:
    """The same job's whole id."""
    return (await _found(call)).id


def _changed(job: Job) -> Answer:
    return Answer(JobView.of(job))


# -- cursors ---------------------------------------------------------------------------------------------------------
# A cursor belongs to the filter that it was given for, and clients can't make one up.


def _cursor(services: Services, query: JobsQuery, position: str) -> str:
    text = json.dumps([_filter(query).model_dump(mode="json"), position]).encode()
    return f"{base64.urlsafe_b64encode(text).decode().rstrip('=')}.{_mark(services, text)}"


def _open_cursor(services: Services, query: JobsQuery) -> str:
    packed, _, mark = (query.cursor or "").rpartition(".")
    try:
        text = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise _no_such_page() from None
    if not hmac.compare_digest(mark, _mark(services, text)):
        raise _no_such_page()
    chosen, position = json.loads(text)
    if chosen != _filter(query).model_dump(mode="json"):
        raise _no_such_page()
    return str(position)


def _mark(services: Services, text: bytes) -> str:
    return services.vault.mac("cursor", text).hex()[:32]


def _no_such_page() -> ProblemError:
    return ProblemError(
        404, "unknown_cursor", "No page has this cursor and filter.", "Use `next` of the page before, with its filter."
    )
