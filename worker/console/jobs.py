"""All jobs: states with counts and ages, search and filters in the address, groups by cause, pages, and bulk actions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from aiohttp import web

from tasks.errors import Refused
from tasks.model import Frozen, JobState, content_id
from tasks.operator.bulk import APPLIES_TO, Verb
from tasks.state.jobs.asked import TROUBLED, Asked, asked_of, understood
from tasks.state.jobs.overview import Cause, Count, JobFilter
from tasks.state.views.registry import View
from worker.console.rendering import KIND_WORDS, part
from worker.console.views import MOST_BESIDE, person_of
from worker.console.visit import Route, Visit
from worker.titles import titles_of

PAGE = 25
MOST_CAUSES = 12


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
    asked = asked_of(visit.request.query)
    chosen, troubles = understood(asked)
    cursor = visit.asked("cursor") or None
    statistics = await visit.services.ledger.statistics()
    found, following = await visit.services.ledger.list(chosen, cursor, PAGE)
    if not found and chosen.text and cursor is None:
        await _go_to_job(visit, chosen.text)
    records = await visit.services.destinations.list()
    destinations = sorted({*(record.name for record in records), *(count.destination for count in statistics)})
    searched = bool(chosen.text or chosen.kind or chosen.since_ms or chosen.until_ms)
    views = await visit.services.views.list(person_of(visit))
    groups = await _groups(visit, chosen) if chosen.state in TROUBLED and not (chosen.cause or searched) else []
    return await visit.page(
        "jobs.html",
        jobs=found,
        titles=await titles_of(visit.services, found),
        content_id=content_id,
        following=following,
        paged=cursor is not None,
        chosen=chosen,
        asked=asked.model_dump(),
        troubles=troubles,
        views=views,
        beside=_beside(views, asked),
        view=next((view for view in views if view.asked == asked), None),
        closed={record.name: record.closed for record in records},
        kinds={record.settings.kind: KIND_WORDS[record.settings.kind] for record in records},
        searched=searched,
        tabs=tabs(statistics, chosen.destination),
        total=sum(c.count for c in statistics if chosen.destination in (None, c.destination)),
        destinations=destinations,
        verbs=[verb for verb in APPLIES_TO if possible(verb, chosen.state)] if chosen.state else [],
        connected=bool(records),
        groups=groups,
    )


def _beside(views: list[View], asked: Asked) -> list[View]:
    """The few views that the page itself shows: the one that is open, and the first of the others."""
    return sorted(views, key=lambda view: view.asked != asked)[:MOST_BESIDE]


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
