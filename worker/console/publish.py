"""Publish: paste or upload a document, or file an issue; see first what screening finds and what would be shown."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField
from pydantic import BaseModel, ValidationError

from tasks.destinations.contract import Preview as DryRun
from tasks.destinations.tickets.commands import TICKETS, WITH_PROJECT, ticket_command
from tasks.errors import AttemptFailed, Refused
from tasks.markup.title import title_of
from tasks.model import Command, CommandName, Document, Frozen, Issue, explain, parse_command
from tasks.state.directory import DestinationRecord
from worker.console.content import preview, screened
from worker.console.files import LONGEST_TEXT, MOST_BYTES, MOST_FILES, MOST_OF_FORM, attached, names_in
from worker.console.visit import Route, Visit

SENT_BEFORE = "idempotency_conflict"
SAME_TITLE = "same_title"
DOCUMENT = ("title", "id", "issue_id", "doc_type", "content", "destination", "space", "parent")
TICKET_KINDS = tuple(TICKETS)
ISSUE = ("title", "id", "severity", "description", "destination", "work_item_type")


class Difference(Frozen):
    """What publishing would change on the page, or why that isn't known."""

    preview: DryRun | None = None
    trouble: str = ""


async def publish(visit: Visit) -> web.StreamResponse:
    """The form for a document."""
    given = {name: visit.asked(name) for name in DOCUMENT}
    return await _page(visit, "publish.html", given, ("confluence",))


async def issue(visit: Visit) -> web.StreamResponse:
    """The form for a ticket."""
    given = {name: visit.asked(name) for name in ISSUE}
    return await _page(visit, "issue.html", given, TICKET_KINDS)


async def publish_document(visit: Visit) -> web.StreamResponse:
    """Preview the document, or submit it."""
    given = {name: visit.said(name) for name in DOCUMENT}
    kinds = ("confluence",)
    try:
        given |= _uploaded(visit)
        named = given["id"] or given["issue_id"]
        fields = {"id": named or slug(given["title"]), "title": given["title"], "content_md": given["content"]}
        fields |= {"issue_id": given["issue_id"], "doc_type": given["doc_type"] or "rca"}
        document = checked(Document, fields | {"attachments": attached(visit)}, "content_md")
        record = await visit.services.destinations.choose(given["destination"] or None, "confluence")
        command = parse_command(_page_of(record, document.id, given))
        if visit.said("then") == "submit":
            if not named:
                await _no_other_of_that_title(visit, document)
            return await _submit(visit, command, document=document)
    except Refused as refused:
        if refused.code == SAME_TITLE:
            given["id"] = slug(given["title"])
        return await _page(visit, "publish.html", given, kinds, problem=refused)
    later = names_in(visit.said("later"))
    looked = await _look(visit, record, command, document, later) | {"later": later}
    if visit.said("then") == "compare":
        looked["difference"] = await _difference(visit, command, document)
    return await _page(visit, "publish.html", given, kinds, looked=looked)


async def _difference(visit: Visit, command: Command, document: Document) -> Difference:
    """What publishing would change. The other side is only read; what people wrote there is for those who may operate."""
    if not visit.session.may("operate"):
        return Difference(trouble="To compare with the page takes the right to operate.")
    try:
        return Difference(preview=await visit.services.preview(command, document))
    except (AttemptFailed, Refused) as failure:
        return Difference(trouble=str(failure))


async def file_issue(visit: Visit) -> web.StreamResponse:
    """Preview the ticket, or submit it."""
    given = {name: visit.said(name) for name in ISSUE}
    kinds = TICKET_KINDS
    try:
        given["id"] = given["id"] or slug(given["title"])
        fields = {name: given[name] for name in ("id", "title", "description", "severity")}
        content = checked(Issue, {name: value for name, value in fields.items() if value}, "description")
        record = await visit.services.destinations.require(given["destination"])
        command = _ticket(record, content.id, given)
        if visit.said("then") == "submit":
            return await _submit(visit, command, issue=content)
    except Refused as refused:
        return await _page(visit, "issue.html", given, kinds, problem=refused)
    return await _page(visit, "issue.html", given, kinds, looked=await _look(visit, record, command, content))


async def _no_other_of_that_title(visit: Visit, document: Document) -> None:
    """Raises `Refused` where the id that was made from the title stands for another text: its page would be replaced."""
    known = await visit.services.contents.document(document.id)
    if known is not None and known.content_md != document.content_md:
        raise Refused(
            f"A document with another text has this title: {document.id}.",
            code=SAME_TITLE,
            advice="Publish once more to replace its page, or give this document another title or id.",
        )


def _page_of(record: DestinationRecord, doc_id: str, given: dict[str, str]) -> dict[str, Any]:
    """The command that publishes a document with this destination."""
    space = given["space"] or getattr(record.settings, "space", None)
    if not space:
        raise Refused("The space is missing.", code="bad_arguments", advice="Give the key of a Confluence space.")
    parent = given["parent"] or None
    return {
        "command": CommandName.PUBLISH,
        "doc_id": doc_id,
        "space_key": space,
        "parent_page_id": parent,
        "destination": record.name,
    }


def _ticket(record: DestinationRecord, issue_id: str, given: dict[str, str]) -> Command:
    """The command that files an issue with this destination; the form's type is for those that have types."""
    typed = given["work_item_type"] and record.settings.kind in WITH_PROJECT
    config = {"work_item_type": given["work_item_type"]} if typed else None
    return ticket_command(record.name, record.settings, issue_id, config=config)


async def _submit(
    visit: Visit, command: Command, *, document: Document | None = None, issue: Issue | None = None
) -> web.StreamResponse:
    """Submit under the form's own key: a form that is sent twice makes one job."""
    once = f"console:{visit.session.digest}:{visit.said('once')}" if visit.said("once") else None
    try:
        job = await visit.services.submit(
            command, actor=visit.actor, idempotency_key=once, document=document, issue=issue
        )
    except Refused as refused:
        if refused.code != SENT_BEFORE:
            raise
        raise Refused(
            "This form was sent before, with another content.",
            code=SENT_BEFORE,
            advice="Send it once more to submit what it holds now.",
        ) from None
    return await visit.go(f"/jobs/{job.id}", "Submitted. This page follows the job by itself.")


async def _look(
    visit: Visit, record: DestinationRecord, command: Command, content: Document | Issue, later: Sequence[str] = ()
) -> dict[str, Any]:
    """What a form shows beside the text; nothing is missed of the files that only come along `later`."""
    shown = await preview(visit, record.settings, command, content)
    told = tuple(each for each in shown.warnings if not any(f": image {name} was not" in each for name in later))
    return {"screened": await screened(visit, content), "preview": shown.model_copy(update={"warnings": told})}


async def _page(
    visit: Visit,
    template: str,
    given: dict[str, str],
    kinds: tuple[str, ...],
    *,
    problem: Refused | None = None,
    looked: dict[str, Any] | None = None,
) -> web.Response:
    records = [r for r in await visit.services.destinations.list() if r.settings.kind in kinds]
    spent = problem is not None and problem.code in (SENT_BEFORE, SAME_TITLE)
    once = (not spent and visit.said("once")) or f"{visit.now_ms}"
    words = str(problem or "")
    if problem and any(getattr(file, "filename", "") for file in visit.form.getall("attachment", [])):
        words += " Choose the files again: a browser sends them once."
    facts: dict[str, Any] = {"given": given, "records": records, "problem": words, "looked": looked, "once": once}
    facts |= {"most_files": MOST_FILES, "most_bytes": MOST_BYTES, "longest_text": LONGEST_TEXT}
    return await visit.page(template, status=422 if problem else 200, **facts)


def _uploaded(visit: Visit) -> dict[str, str]:
    """The chosen file's text in place of the pasted one, with its own title where none is given."""
    file = visit.form.get("file")
    if isinstance(file, FileField) and file.filename:
        raw = file.file.read(LONGEST_TEXT + 1)
        try:
            text = raw[:LONGEST_TEXT].decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused("The file is not UTF-8 text.", code="not_utf8", advice="Save it as UTF-8 first.") from None
        if len(raw) > LONGEST_TEXT:
            raise Refused("The file is longer than 4 MB.", code="too_long", advice="Shorten it.")
        return {"content": text, "title": visit.said("title") or title_of(text)}
    if len(visit.said("content")) > LONGEST_TEXT:
        raise web.HTTPRequestEntityTooLarge(LONGEST_TEXT)
    return {"title": visit.said("title") or title_of(visit.said("content"))}


def slug(title: str) -> str:
    """An id made from a title, so that the same title means the same page; of one without Latin letters, its digest."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80]
    if words or not title:
        return words
    return f"title-{hashlib.sha256(title.encode('utf-8', 'replace')).hexdigest()[:16]}"


def checked(model: type[Any], data: dict[str, Any], body: str) -> Any:
    """The content, its text in the field `body`; raises `Refused` naming each field that doesn't fit."""
    if not issubclass(model, BaseModel):
        raise TypeError(model)
    if not data.get("title"):
        raise Refused("The title is missing.", code="bad_content", advice="Write one, or begin with a # heading.")
    if not data.get(body):
        raise Refused("The text is missing.", code="bad_content", advice="Paste it, or choose a file.")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Refused(f"This is not valid: {explain(error)}.", code="bad_content", advice="Correct it.") from None


ROUTES = (
    Route("GET", "/publish", publish, "submit"),
    Route("POST", "/publish", publish_document, "submit", MOST_OF_FORM),
    Route("GET", "/publish/issue", issue, "submit"),
    Route("POST", "/publish/issue", file_issue, "submit"),
)
