"""Commands that need no running instance: render, screen."""

from __future__ import annotations

import base64
import html
import json
from dataclasses import asdict
from pathlib import Path

import click

from tasks.destinations.jira.plan import fitting
from tasks.destinations.servicenow.settings import DESCRIPTION_LENGTH
from tasks.markup import azure_devops, clean, confluence, jira, servicenow
from tasks.markup.confluence import viewer
from tasks.markup.jira import viewer as jira_viewer
from tasks.markup.parser.parse import parse_document
from tasks.markup.title import title_of
from tasks.markup.told import warnings_of
from tasks.screening import STRICTNESS, Policy, ScreeningFailed, Verdict, screen
from worker.policy import screening_policy
from worker.terminal.base import Context, common
from worker.terminal.files import read_text
from worker.terminal.root import STOPPED, Failure

ATTACH = "A file handed over with the document, such as a picture it shows; may be repeated."
WARNINGS = "List what doesn't look as it was written, each with its line, instead of what would be sent."
PREVIEW = "Also write an HTML page that looks like the target, to be opened in a browser."


@click.command()
@click.argument("file")
@click.option("--for", "target", type=click.Choice(["confluence", "azure_devops", "servicenow", "jira"]), required=True)
@click.option("--attach", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), help=ATTACH)
@click.option("--preview", type=click.Path(path_type=Path, dir_okay=False), help=PREVIEW)
@click.option("--warnings", "only_warnings", is_flag=True, help=WARNINGS)
@common
def render(
    context: Context, file: str, target: str, attach: tuple[Path, ...], preview: Path | None, only_warnings: bool
) -> None:
    """Print what would be sent for a Markdown FILE, personal data and secrets redacted."""
    text = _as_it_leaves(context, read_text(file))
    files = {path.name: path.read_bytes() for path in attach}
    title = title_of(text, Path(file).stem)
    page = confluence.RenderedPage(body="")
    if target == "confluence":
        page = confluence.render_page(text, confluence.PageOptions(files=files, drop_title_heading=title))
        title, body = page.title or title, page.body
    elif target == "azure_devops":
        body = azure_devops.render(text)
    elif target == "jira":
        body = json.dumps(fitting(jira.render(text)), ensure_ascii=False, indent=2)
    else:
        body = servicenow.render(text, limit=DESCRIPTION_LENGTH)
    if preview is not None:
        titled = azure_devops.render(text, title=title) if target == "azure_devops" else body  # as a job leaves it out
        preview.write_text(_preview(target, clean.plain_title(title), titled, page.attachments), "utf-8")
        context.tell(f"{preview} shows how it would look.")
    warnings = list(page.warnings if target == "confluence" else warnings_of(parse_document(text), None))
    found: dict[str, object] = {"target": target, "title": title, "body": body, "warnings": warnings}
    if target == "confluence":
        named = [{"name": a.name, "media_type": a.media_type, "bytes": len(a.content)} for a in page.attachments]
        found |= {"labels": list(page.labels), "attachments": named}
    if only_warnings:
        context.show({"target": target, "warnings": warnings}, "\n".join(warnings) or "No warnings.")
        return
    for warning in warnings:
        context.tell(f"Warning: {warning}")
    if context.as_json:
        context.show(found)
    else:
        click.echo(body)


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


@click.command("screen")
@click.argument("file")
@common
def screen_(context: Context, file: str) -> None:
    """Show what screening finds in FILE; exit 3 where policy would stop it."""
    text = read_text(file)
    policy = screening_policy(context.settings)
    verdict = _verdict(text, policy)
    rows = []
    for finding in verdict.findings:
        line = text.count("\n", 0, finding.start) + 1
        rows.append({**asdict(finding), "line": line, "action": policy.action(finding)})
    lines = [f"line {row['line']}: {row['type']} ({row['severity']}) → {row['action']}" for row in rows]
    context.show({"action": verdict.action, "findings": rows}, "\n".join([*lines, f"Verdict: {verdict.action}"]))
    if STRICTNESS.get(verdict.action, 0) >= STRICTNESS["hold"]:
        raise SystemExit(STOPPED)
