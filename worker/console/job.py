"""One job: where it stands, what comes next, its attempts and timeline, what was sent, and what can be done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from tasks.errors import KeyTrouble, Refused
from tasks.model import Frozen, Job, JobState, content_id
from tasks.state.audit.entries import Event
from worker.console.content import (
    fields_of,
    marked_texts,
    preview,
    screened,
)
from worker.console.rendering import asset_address, part
from worker.console.visit import Route, Visit
from worker.titles import titles_of

OUTCOMES = ("ok", "failed", "unknown")
ENDINGS = {
    "job.delivered": "delivered",
    "job.retrying": "retrying",
    "job.waiting": "waiting",
    "job.held": "held",
    "job.dead": "dead",
    "job.superseded": "superseded",
    "job.taken_over": "worker lost",
}
DECISIONS = {"job.retried": "retry", "job.released": "release"}
ACTIONS = {
    "retry": (JobState.DEAD,),
    "release": (JobState.HELD,),
    "cancel": (JobState.QUEUED, JobState.RETRYING, JobState.HELD, JobState.DEAD),
}
WORDS = {
    "job.submitted": "Submitted",
    "attempt.started": "Attempt started",
    "job.screened": "Screening has findings",
    "job.delivered": "Delivered",
    "job.retrying": "Will be tried again",
    "job.waiting": "Waits for the destination",
    "job.held": "Held for a decision",
    "job.dead": "Failed for good",
    "job.superseded": "Superseded by a newer job",
    "job.taken_over": "Its worker was lost; taken over",
    "job.cancelled": "Cancelled",
    "job.retried": "Queued again",
    "job.released": "Released",
    "content.viewed": "Content viewed",
    "ticket.changed": "Changed at the destination",
}
PAPER_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)


class Call(Frozen):
    """One request of an attempt, as its outcome says."""

    what: str
    outcome: str
    status: int | None = None
    duration_ms: float | None = None
    received: int | None = None
    detail: str = ""


class Attempt(Frozen):
    """One attempt: its requests, and how it ended. Times in epoch milliseconds. `after` says whose decision began the
    round that it belongs to, as attempts are counted anew from there.
    """

    number: int
    started_ms: int
    ended_ms: int | None = None
    worker: str = ""
    end: str = "running"
    calls: tuple[Call, ...] = ()
    code: str = ""
    message: str = ""
    status: int | None = None
    excerpt: str = ""
    next_ms: int | None = None
    after: str = ""


async def show(visit: Visit) -> web.StreamResponse:
    """The page."""
    job = await visit.services.ledger.find(visit.part("id"))
    if job.id != visit.part("id"):
        raise web.HTTPSeeOther(f"/jobs/{part(job.id)}")
    events = await visit.services.ledger.events(job.id)
    content, trouble = None, ""
    try:
        content = await visit.services.contents.about(job.command)
    except KeyTrouble as error:
        trouble = str(error)
    record = await visit.services.destinations.get(job.destination)
    titles = await titles_of(visit.services, [job]) if content else {}
    return await visit.page(
        "job.html",
        job=job,
        title=titles.get(job.id) or content_id(job.command),
        content=content,
        content_id=content_id(job.command),
        trouble=trouble,
        record=record,
        screened=await screened(visit, content) if content else None,
        attempts=attempts_of(events),
        released_by=next((e.get("actor") for e in reversed(events) if e["event"] == "job.released"), None),
        events=[
            (event, WORDS.get(event["event"], event["event"]), _said_of(event))
            for event in reversed(events)
            if not _is_call(event)
        ],
        actions=[verb for verb, states in ACTIONS.items() if job.state in states],
    )


def attempts_of(events: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    """The attempts that a timeline tells of, the newest first."""
    found: list[Attempt] = []
    after = ""
    for event in events:
        name = str(event["event"])
        if name in DECISIONS:
            after = f"after the {DECISIONS[name]}" + (f" by {event['actor']}" if event.get("actor") else "")
        if name == "attempt.started":
            number, worker = int(event.get("attempt", 0)), str(event.get("worker", ""))
            found.append(Attempt(number=number, started_ms=event["at_ms"], worker=worker, after=after))
        elif found and found[-1].ended_ms is None:
            found[-1] = _grown(found[-1], name, event)
    return found[::-1]


def _is_call(event: Mapping[str, Any]) -> bool:
    """Whether a timeline's entry is the outcome of one request: those stand with their attempt."""
    stage, _, outcome = str(event["event"]).partition(".")
    return stage in ("lookup", "delivery") and outcome in OUTCOMES


def _grown(attempt: Attempt, name: str, event: Mapping[str, Any]) -> Attempt:
    """The attempt with one more event of the timeline."""
    stage, _, outcome = name.partition(".")
    if _is_call(event):
        call = Call(
            what=str(event.get("operation") or ("Write" if stage == "delivery" else "Look-up")),
            outcome=outcome,
            status=event.get("status"),
            duration_ms=event.get("duration_ms"),
            received=event.get("received"),
            detail=str(event.get("detail") or ""),
        )
        attempt = attempt.model_copy(update={"calls": (*attempt.calls, call)})
    if name in ENDINGS or "error" in event:
        error = _error_of(event)
        return attempt.model_copy(
            update={
                "ended_ms": event["at_ms"],
                "end": ENDINGS.get(name, "worker lost"),
                "code": error.get("code", ""),
                "message": " ".join(filter(None, (error.get("message"), error.get("advice")))),
                "status": error.get("status"),
                "excerpt": error.get("excerpt", ""),
                "next_ms": event.get("due_ms"),
            }
        )
    return attempt


def _error_of(event: Mapping[str, Any]) -> dict[str, Any]:
    raw = event.get("error")
    found = json.loads(raw) if isinstance(raw, str) and raw.startswith("{") else raw
    return found if isinstance(found, dict) else {}


def _said_of(event: Mapping[str, Any]) -> str:
    """What a timeline's entry adds, in words."""
    error = _error_of(event)
    parts = [
        f"by {event['actor']}" if event.get("actor") else "",
        f"“{event['reason']}”" if event.get("reason") else "",
        str(event.get("operation") or ""),
        f"status {event['status']}" if event.get("status") else "",
        ", ".join(event["findings"]) if isinstance(event.get("findings"), list) else "",
        f"attempt {event['attempt']} by {event.get('worker', '')}" if event.get("attempt") else "",
        error.get("message", ""),
        f"job {event['by']}" if event.get("by") else "",
    ]
    return " · ".join(part for part in parts if part)


async def paper(visit: Visit) -> web.StreamResponse:
    """The rendering as a page of its own for a sandboxed frame: no script, no form, no way out."""
    job = await visit.services.ledger.require(visit.part("id"))
    content = await visit.services.contents.about(job.command)
    record = await visit.services.destinations.get(job.destination)
    if content is None or record is None:
        raise web.HTTPNotFound
    shown = await preview(visit, record.settings, job.shown, content)
    response = await visit.page("paper.html", preview=shown, sheet=asset_address("paper.css"))
    response.headers["Content-Security-Policy"] = PAPER_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


async def text(visit: Visit) -> web.StreamResponse:
    """The text as it was submitted, with its findings marked, for those who decide; that they looked is audited."""
    job = await visit.services.ledger.require(visit.part("id"))
    content = await visit.services.contents.about(job.command)
    if content is None:
        raise Refused("The content is no longer stored.", code="unknown_document", advice="Store it again.")
    fields = fields_of(visit.services.ledger.command_of(job))
    await visit.services.ledger.note(job, Event.CONTENT_VIEWED, {"actor": visit.actor})
    texts = await marked_texts(visit, content, fields)
    record = await visit.services.destinations.get(job.destination)
    return await visit.page(
        "text.html", job=job, record=record, texts=texts, screened=await screened(visit, content), content=content
    )


async def act(visit: Visit) -> web.StreamResponse:
    """Retry, cancel or release it."""
    job_id, verb, reason = visit.part("id"), visit.part("verb"), visit.said("reason")[:500]
    target = f"/jobs/{part(job_id)}"
    try:
        done = await _acted(visit, job_id, verb, reason)
    except Refused as refused:
        await visit.services.ledger.require(job_id)
        return await visit.go(target, str(refused), "bad")
    words = {"retry": "Queued again.", "cancel": "Cancelled.", "release": "Released; it goes on now."}
    return await visit.go(f"/jobs/{part(done.id)}", words[verb])


async def _acted(visit: Visit, job_id: str, verb: str, reason: str) -> Job:
    ledger = visit.services.ledger
    if verb == "retry":
        return await visit.services.retry(job_id, visit.actor, reason)
    if verb == "cancel":
        return await ledger.cancel(job_id, visit.actor, reason)
    if not reason:
        raise Refused("Give a reason for the release.", code="no_reason", advice="The audit records it.")
    return await ledger.release(job_id, visit.actor, reason)


ROUTES = (
    Route("GET", "/jobs/{id}", show),
    Route("GET", "/jobs/{id}/paper", paper),
    Route("GET", "/jobs/{id}/text", text, "operate"),
    Route("POST", "/jobs/{id}/{verb:retry|cancel|release}", act, "operate"),
)
