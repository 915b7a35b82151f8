"""What becomes of a text before it leaves: rendered for a target, and what screening finds in it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.destinations.jira.plan import fitting
from tasks.destinations.servicenow.settings import DESCRIPTION_LENGTH
from tasks.markup import azure_devops, clean, confluence, jira, servicenow
from tasks.markup.confluence import viewer
from tasks.markup.jira import viewer as jira_viewer
from tasks.markup.parser.parse import parse_document
from tasks.markup.title import title_of
from tasks.markup.told import warnings_of
from tasks.screening import STRICTNESS, Policy, ScreeningFailed, Verdict, screen
from tasks.screening.files import said_by
from worker.policy import screening_policy
from worker.terminal.root import STOPPED, Failure

if TYPE_CHECKING:
    from worker.terminal.base import Context


def rendered(
    context: Context, target: str, text: str, name: str, attach: Sequence[Path], preview: Path | None
) -> dict[str, Any]:
    """What would be sent of a text, and what of it won't look as it was written; `name` stands in for a title.

    Writes a page that looks like the target to `preview`, where that is given.
    """
    text = _as_it_leaves(context, text)
    files = {path.name: path.read_bytes() for path in attach}
    title = title_of(text, name)
    page = confluence.RenderedPage(body="")
    if target == "confluence":
        page = confluence.render_page(text, confluence.PageOptions(files=files, drop_title_heading=title))
        title, body = page.title or title, page.body
    else:
        body = _ticket(target, text)
    if preview is not None:
        # A ticket has a title of its own, which this file doesn't tell; the preview is of one with the document's.
        shown = page.body if target == "confluence" else _ticket(target, text, title)
        preview.write_text(_preview(target, clean.plain_title(title), shown, page.attachments), "utf-8")
        context.tell(f"{preview} shows how it would look.")
    warnings = list(page.warnings if target == "confluence" else warnings_of(parse_document(text), None))
    found: dict[str, Any] = {"target": target, "title": title, "body": body, "warnings": warnings}
    if target == "confluence":
        named = [{"name": a.name, "media_type": a.media_type, "bytes": len(a.content)} for a in page.attachments]
        found |= {"labels": list(page.labels), "attachments": named}
    return found


def _ticket(target: str, text: str, title: str = "") -> str:
    """The description of a ticket, without a first heading that repeats its title."""
    if target == "azure_devops":
        return azure_devops.render(text, title=title)
    if target == "jira":
        return json.dumps(fitting(jira.render(text, title=title)), ensure_ascii=False, indent=2)
    return servicenow.render(text, limit=DESCRIPTION_LENGTH, title=title)


def screened(context: Context, content: bytes) -> dict[str, Any]:
    """What screening finds in a document or a file to attach, and what the policy does about it.

    Each finding has its line, and the number of its text where several are inside the file.
    """
    policy, said = screening_policy(context.settings), said_by(content)
    if not said.readable and policy.unreadable_attachments == "hold":
        advice = "A job with it would be held: `unreadable_attachments` of the screening policy lets such files pass."
        raise Failure("The file can't be read.", code="unreadable_attachment", advice=advice, status=STOPPED)
    action, rows = "pass", list[dict[str, Any]]()
    for part, text in enumerate(said.texts, 1):
        verdict = _verdict(text, policy)
        # Nothing can be redacted inside a file.
        itself = bool(said.charset) and part == 1
        own = "hold" if verdict.action == "redact" and not itself else verdict.action
        action = max(action, own, key=STRICTNESS.__getitem__)
        for finding in verdict.findings:
            line = text.count("\n", 0, finding.start) + 1
            row = {**asdict(finding), "line": line, "action": policy.action(finding)}
            rows.append(row if itself else {**row, "part": part})
    return {"action": action, "findings": rows}


def _verdict(text: str, policy: Policy, *, released: bool = False) -> Verdict:
    """Screening's verdict under this policy; a text that can't be screened is one that would be stopped."""
    try:
        return screen(text, policy, released=released)
    except ScreeningFailed as failed:
        advice = "A job with this text would be held: shorten or correct the text."
        raise Failure(str(failed), code="screening_failed", advice=advice, status=STOPPED) from None


def _as_it_leaves(context: Context, text: str) -> str:
    """The text after screening. Where policy would stop it, that is said, and the rest reads as after a release."""
    policy = screening_policy(context.settings)
    verdict = _verdict(text, policy, released=True)
    stopping = sorted({found.type for found in verdict.findings if policy.action(found) in ("hold", "block")})
    if stopping:
        context.tell(f"Warning: screening would stop this ({', '.join(stopping)}); see `afterword screen`.")
    return verdict.text


def _preview(target: str, title: str, body: str, attachments: tuple[confluence.Attachment, ...]) -> str:
    """A page that looks like the target. Files of the page are inside it."""
    if target == "jira":
        return viewer.document(title, jira_viewer.to_html(json.loads(body)))
    if target == "servicenow":
        return viewer.document(title, f'<div class="page"><pre>{html.escape(body)}</pre></div>', viewer.WRAPPED)
    if target == "azure_devops":
        return viewer.document(title, f'<div class="page">{body}</div>')
    inside = {
        a.name: f"data:{a.media_type};base64,{base64.b64encode(a.content).decode()}"
        for a in attachments
        if a.media_type.startswith("image/")
    }
    return viewer.document(title, viewer.to_html(body, inside.get))
