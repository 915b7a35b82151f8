"""Edit and publish again: the text of a job that is held or dead, changed where it is, and submitted as a new job."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tasks.errors import Refused
from tasks.model import Command, Document, Issue, Job, JobState, PublishToConfluence, parse_command
from tasks.state.audit.entries import Event
from worker.console.content import preview, screened
from worker.console.publish import checked
from worker.console.visit import Route, Visit

EDITABLE = (JobState.HELD, JobState.DEAD)
FIELDS = ("title", "text", "space", "parent")


async def edit(visit: Visit) -> web.StreamResponse:
    """The form with the job's own text; that somebody looked at it is audited."""
    job, content = await _job(visit)
    await visit.services.ledger.note(job, Event.CONTENT_VIEWED, {"actor": visit.actor})
    command = visit.services.ledger.command_of(job)
    return await _page(visit, job, _given(command, content), await _look(visit, job, command, content))


async def publish_again(visit: Visit) -> web.StreamResponse:
    """Preview the changed text, or submit it as a new job; the old one ends and says which replaced it."""
    job, content = await _job(visit)
    given = {name: visit.said(name) for name in FIELDS}
    try:
        changed = _changed(content, given)
        command = _redirected(visit.services.ledger.command_of(job), given)
        if visit.said("then") == "submit":
            return await _replace(visit, job, command, changed)
    except Refused as refused:
        return await _page(visit, job, given, None, problem=refused)
    return await _page(visit, job, given, await _look(visit, job, command, changed))


async def _job(visit: Visit) -> tuple[Job, Document | Issue]:
    job = await visit.services.ledger.require(visit.part("id"))
    if job.state not in EDITABLE:
        raise Refused(
            f"The job is {job.state.value}; only one that is held or dead is published again.",
            code="wrong_state",
            advice="Publish the document anew.",
        )
    content = await visit.services.contents.about(job.command)
    if content is None:
        raise Refused("The content is no longer stored.", code="unknown_document", advice="Publish it anew.")
    return job, content


def _given(command: Command, content: Document | Issue) -> dict[str, str]:
    """What the form shows first."""
    given = {"title": content.title, "space": "", "parent": ""}
    if isinstance(command, PublishToConfluence):
        given |= {"space": command.space_key or "", "parent": command.parent_page_id or ""}
    return given | {"text": content.content_md if isinstance(content, Document) else content.description}


def _changed(content: Document | Issue, given: dict[str, str]) -> Any:
    """The content with the new title and text, and everything else as it was; raises `Refused`."""
    body = "content_md" if isinstance(content, Document) else "description"
    return checked(type(content), {**dict(content), "title": given["title"], body: given["text"]}, body)


def _redirected(command: Command, given: dict[str, str]) -> Command:
    """The command with the space and parent of the form; raises `Refused`."""
    if not isinstance(command, PublishToConfluence):
        return command
    place = {"space_key": given["space"], "parent_page_id": given["parent"] or None}
    return parse_command(command.model_dump(mode="json") | place)


async def _replace(visit: Visit, job: Job, command: Command, content: Document | Issue) -> web.StreamResponse:
    """Submit under a key of the old job and the form: a form that is sent twice makes one job."""
    new = await visit.services.submit(
        command.model_copy(update={"destination": job.destination}),
        actor=visit.actor,
        idempotency_key=f"edit:{job.id}:{visit.said('once')}",
        document=content if isinstance(content, Document) else None,
        issue=content if isinstance(content, Issue) else None,
    )
    await visit.services.ledger.cancel(job.id, visit.actor, f"Replaced by job {new.id}.", superseded_by=new.id)
    return await visit.go(f"/jobs/{new.id}", "Submitted. The old job is cancelled and says that this one replaced it.")


async def _look(visit: Visit, job: Job, command: Command, content: Document | Issue) -> dict[str, Any]:
    record = await visit.services.destinations.require(job.destination)
    shown = await preview(visit, record.settings, command, content)
    return {"screened": await screened(visit, content), "preview": shown}


async def _page(
    visit: Visit, job: Job, given: dict[str, str], looked: dict[str, Any] | None, *, problem: Refused | None = None
) -> web.Response:
    facts = {"job": job, "given": given, "looked": looked, "problem": str(problem or "")}
    once = visit.said("once") or f"{visit.now_ms}"
    return await visit.page("edit.html", status=422 if problem else 200, once=once, **facts)


ROUTES = (
    Route("GET", "/jobs/{id}/edit", edit, "operate"),
    Route("POST", "/jobs/{id}/edit", publish_again, "operate"),
)
