"""All jobs: states with counts and ages, search and filters in the address, groups by cause, pages, and bulk actions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time

from aiohttp import web

from tasks.errors import Refused
from tasks.model import Frozen, JobState, content_id
from tasks.operator.bulk import APPLIES_TO, Verb
from tasks.state.jobs.overview import Cause, Count, JobFilter
from worker.console.rendering import part
from worker.console.visit import Route, Visit
from worker.titles import titles_of

PAGE = 25
MOST_CAUSES = 12
TROUBLED = (JobState.RETRYING, JobState.HELD, JobState.DEAD)
ASKED = ("q", "state", "destination", "cause", "since", "until")


class Tab(Frozen):
    """One state's count, and when its oldest job was submitted (epoch milliseconds)."""

    state: str
    count: int
    oldest_ms: int | None = None


class Group(Frozen):
    """Jobs that share an error, as the list shows them: the newest of them says what happened and what to do."""

    cause: Cause
    message: str
    advice: str


async def jobs(visit: Visit) -> web.StreamResponse:
    """The list."""
    asked = {name: visit.asked(name) for name in ASKED}
    chosen = filter_of(asked)
    cursor = visit.asked("cursor") or None
    statistics = await visit.services.ledger.statistics()
    found, following = await visit.services.ledger.list(chosen, cursor, PAGE)
    if not found and chosen.text and cursor is None:
        await _go_to_job(visit, chosen.text)
    known = {record.name: record.settings.kind for record in await visit.services.destinations.list()}
    destinations = sorted({*known, *(count.destination for count in statistics)})
    searched = bool(chosen.text or chosen.since_ms or chosen.until_ms)
    groups = await _groups(visit, chosen) if chosen.state in TROUBLED and not (chosen.cause or searched) else []
    return await visit.page(
        "jobs.html",
        jobs=found,
        titles=await titles_of(visit.services, found),
        content_id=content_id,
        following=following,
        paged=cursor is not None,
        chosen=chosen,
        asked=asked,
        searched=searched,
        tabs=tabs(statistics, chosen.destination),
        total=sum(c.count for c in statistics if chosen.destination in (None, c.destination)),
        destinations=destinations,
        verbs=[verb for verb in APPLIES_TO if possible(verb, chosen.state)] if chosen.state and not searched else [],
        connected=bool(known),
        groups=groups,
    )


async def _go_to_job(visit: Visit, text: str) -> None:
    """Where nothing has these words, they may be the beginning of a job's id: then to that job."""
    with contextlib.suppress(Refused):
        job = await visit.services.ledger.find(text)
        raise web.HTTPSeeOther(f"/jobs/{part(job.id)}")


async def _groups(visit: Visit, chosen: JobFilter) -> list[Group]:
    """Why the jobs of this state are there, over all of them, the most frequent error first."""
    overview = visit.services.ledger.overview
    if chosen.state is None:
        return []
    causes = (await overview.causes(chosen.state, chosen.destination))[:MOST_CAUSES]
    examples = {job.id: job.last_error for job in await overview.jobs([cause.example for cause in causes])}
    errors = ((cause, examples.get(cause.example)) for cause in causes)
    return [
        Group(cause=cause, message=error.message if error else "", advice=error.advice if error else "")
        for cause, error in errors
    ]


def filter_of(asked: Mapping[str, str]) -> JobFilter:
    """The filter that an address or a form names; what isn't known or readable is left out."""
    state = asked.get("state", "")
    known = JobState(state) if state in JobState.__members__.values() else None
    return JobFilter(
        state=known,
        destination=asked.get("destination") or None,
        cause=asked.get("cause") or None if known in TROUBLED else None,
        text=asked.get("q") or None,
        since_ms=_day_ms(asked.get("since", "")),
        until_ms=_day_ms(asked.get("until", ""), days=1),
    )


def _day_ms(text: str, days: int = 0) -> int | None:
    """The beginning of a day (UTC) in epoch milliseconds, so many days later; None where it is none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000) + days * 86_400_000


def possible(verb: Verb, state: JobState | None) -> bool:
    """Whether the verb has anything to do with jobs in that state."""
    return state in APPLIES_TO[verb] or (verb == "cancel" and state is JobState.DEAD)


def tabs(statistics: Iterable[Count], destination: str | None) -> list[Tab]:
    """The states in the order of a job's life, summed over the destinations that are looked at."""
    mine = [count for count in statistics if destination in (None, count.destination) and count.count]
    result = []
    for state in JobState:
        found = [count for count in mine if count.state is state]
        oldest = min((count.oldest_ms for count in found), default=None)
        result.append(Tab(state=state.value, count=sum(count.count for count in found), oldest_ms=oldest))
    return result


ROUTES = (Route("GET", "/jobs", jobs),)
