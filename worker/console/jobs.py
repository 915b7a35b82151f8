"""All jobs: states with their counts and ages, filters in the address, pages, and the way to act on all that match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from aiohttp import web

from tasks.model import Frozen, JobState
from tasks.operator.bulk import APPLIES_TO, Verb
from tasks.state.jobs.overview import Count, JobFilter
from worker.console.visit import Route, Visit
from worker.titles import content_id, titles_of

PAGE = 25
SAMPLE = 200
TROUBLED = (JobState.RETRYING, JobState.HELD, JobState.DEAD)


class Tab(Frozen):
    """One state's count, and when its oldest job was submitted (epoch milliseconds)."""

    state: str
    count: int
    oldest_ms: int | None = None


class Cause(Frozen):
    """Why jobs of one state are where they are: an error's code and status, how many have it, one of its texts."""

    code: str
    status: int | None
    count: int
    message: str


async def jobs(visit: Visit) -> web.StreamResponse:
    """The list."""
    chosen = filter_of(visit.asked("state"), visit.asked("destination"))
    statistics = await visit.services.ledger.statistics()
    found, following = await visit.services.ledger.list(
        chosen.state, chosen.destination, visit.asked("cursor") or None, PAGE
    )
    known = {record.name: record.settings.kind for record in await visit.services.destinations.list()}
    destinations = sorted({*known, *(count.destination for count in statistics)})
    return await visit.page(
        "jobs.html",
        jobs=found,
        titles=await titles_of(visit.services, found),
        content_id=content_id,
        following=following,
        paged=bool(visit.asked("cursor")),
        chosen=chosen,
        tabs=tabs(statistics, chosen.destination),
        total=sum(c.count for c in statistics if chosen.destination in (None, c.destination)),
        destinations=destinations,
        verbs=[verb for verb in APPLIES_TO if possible(verb, chosen.state)] if chosen.state else [],
        connected=bool(known),
        causes=await _causes(visit, chosen) if chosen.state in TROUBLED else [],
    )


async def _causes(visit: Visit, chosen: JobFilter) -> list[Cause]:
    """The errors among the newest jobs that fit, the most frequent first."""
    overview = visit.services.ledger.overview
    ids, _ = await overview.page(chosen, None, SAMPLE)
    errors = [job.last_error for job in await overview.jobs(ids) if job.last_error]
    counted = Counter((error.code, error.status) for error in errors)
    texts = {(error.code, error.status): error.message for error in errors}
    return [
        Cause(code=code, status=status, count=count, message=texts[code, status])
        for (code, status), count in counted.most_common(6)
    ]


def filter_of(state: str, destination: str) -> JobFilter:
    """The filter that an address or a form names; an unknown state is none."""
    known = state in JobState.__members__.values()
    return JobFilter(state=JobState(state) if known else None, destination=destination or None)


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
