"""The command palette: pages, destinations, views, jobs and actions that the person may use, by what they type."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Literal

from aiohttp import web

from tasks.errors import Refused
from tasks.model import Frozen, Job, JobState, content_id
from tasks.state.directory import DestinationRecord
from tasks.state.jobs.overview import JobFilter
from tasks.state.views.registry import View
from worker.console.rendering import KIND_WORDS, STATE_WORDS, part, query, visible
from worker.console.views import HERE as VIEWS
from worker.console.views import in_words, person_of
from worker.console.visit import Route, Visit
from worker.titles import titles_of

MOST = 20
MOST_JOBS = 6
LONGEST = 200
SHORTEST_JOB = 2  # characters, from which on jobs are looked for
PAGES = (
    ("Overview", "/", "read"),
    ("Jobs", "/jobs", "read"),
    ("Held jobs", "/jobs?state=held", "read"),
    ("Failed jobs", "/jobs?state=dead", "read"),
    ("Saved views", VIEWS, "read"),
    ("Publish a document", "/publish", "submit"),
    ("Create a ticket", "/publish/issue", "submit"),
    ("Workers", "/workers", "read"),
    ("Audit", "/audit", "read"),
    ("Destinations", "/settings/destinations", "read"),
    ("Notifications", "/settings/notifications", "admin"),
    ("API keys", "/settings/keys", "admin"),
    ("API reference", "/docs", "read"),
)


class Entry(Frozen):
    """One line: where it leads, or, where `does` is set, the form that it sends there."""

    kind: Literal["Page", "Destination", "View", "Job", "Action", "Search"]
    title: str
    detail: str = ""
    address: str
    does: bool = False


class Entries(Frozen):
    """What fits, the best first."""

    entries: tuple[Entry, ...]


async def palette(visit: Visit) -> web.StreamResponse:
    """What fits `q`, as JSON. `at` is the page that the person looks at: its job comes with what can be done to it."""
    asked = visit.asked("q")[:LONGEST]
    records = await visit.services.destinations.list()
    views = await visit.services.views.list(person_of(visit))
    known = [*await _of_job(visit), *_pages(visit), *_of_destinations(visit, records), *_of_views(views)]
    fitting = _fitting(asked, known)
    jobs = await _jobs(visit, asked) if len(asked) >= SHORTEST_JOB else []
    search = (
        [Entry(kind="Search", title=f"Search jobs for “{asked}”", address=query("/jobs", q=asked))] if asked else []
    )
    room = MOST - len(jobs) - len(search)
    found = Entries(entries=(*fitting[:room], *jobs, *search))
    return web.json_response(text=found.model_dump_json())


def _fitting(asked: str, entries: Sequence[Entry]) -> list[Entry]:
    """Those that have every word that was typed, first those that begin so."""
    words = asked.casefold().split()

    def text(entry: Entry) -> str:
        return f"{entry.title} {entry.detail} {entry.kind}".casefold()

    found = [entry for entry in entries if all(word in text(entry) for word in words)]
    return sorted(found, key=lambda entry: not text(entry).startswith(asked.casefold()))


def _pages(visit: Visit) -> Iterator[Entry]:
    for title, address, scope in PAGES:
        if visit.session.may(scope):
            yield Entry(kind="Page", title=title, address=address)
    yield Entry(kind="Action", title="Log out", address="/logout", does=True)


def _of_destinations(visit: Visit, records: Sequence[DestinationRecord]) -> Iterator[Entry]:
    for record in records:
        name, kind = record.name, KIND_WORDS[record.settings.kind]
        place = f"/settings/destinations/{part(name)}"
        yield Entry(kind="Destination", title=name, detail=kind, address=f"/settings/destinations#{part(name)}")
        yield Entry(kind="Page", title=f"Jobs of {name}", detail=kind, address=query("/jobs", destination=name))
        if visit.session.may("operate"):
            verb = "Resume" if record.state == "paused" else "Pause"
            yield Entry(kind="Action", title=f"{verb} {name}", address=f"{place}/{verb.lower()}", does=True)
            yield Entry(kind="Action", title=f"Test the connection of {name}", address=f"{place}/test", does=True)


def _of_views(views: Sequence[View]) -> Iterator[Entry]:
    for view in views:
        yield Entry(kind="View", title=view.name, detail=in_words(view.asked), address=f"{VIEWS}/{part(view.id)}")


async def _of_job(visit: Visit) -> list[Entry]:
    """What can be done to the job whose page the person looks at."""
    before, _, job_id = visit.asked("at").rpartition("/")
    job = await visit.services.ledger.get(job_id) if before == "/jobs" and job_id else None
    if job is None or not visit.session.may("operate"):
        return []
    place, found = f"/jobs/{part(job.id)}", []
    if job.state is JobState.DEAD:
        found.append(Entry(kind="Action", title="Retry this job", address=f"{place}/retry", does=True))
    if job.state in (JobState.DEAD, JobState.HELD):
        found.append(Entry(kind="Action", title="Edit and publish this job again", address=f"{place}/edit"))
    return found


async def _jobs(visit: Visit, asked: str) -> list[Entry]:
    """Jobs by words, remote number or the beginning of their id, newest first."""
    ledger = visit.services.ledger
    found, _ = await ledger.list(JobFilter(text=asked), None, MOST_JOBS)
    with contextlib.suppress(Refused):  # none begins so, or several
        job = await ledger.find(asked)
        found = [job, *(other for other in found if other.id != job.id)][:MOST_JOBS]
    titles = await titles_of(visit.services, found)
    return [_of(job, titles.get(job.id, content_id(job.command))) for job in found]


def _of(job: Job, title: str) -> Entry:
    number = job.receipt.ticket_number if job.receipt else ""
    parts = [number, STATE_WORDS[job.state], job.destination, job.id[:8]]
    detail = " · ".join(each for each in parts if each)
    return Entry(kind="Job", title=visible(title), detail=visible(detail), address=f"/jobs/{part(job.id)}")


ROUTES = (Route("GET", "/palette", palette),)
