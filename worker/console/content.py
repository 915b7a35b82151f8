"""A job's content as people may see it: findings by place, the rendering as it would leave, the text with its marks.

Nobody is shown more than the destination would get, but for operators who look at a held text; that is audited.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from markupsafe import Markup

from tasks.destinations import AnySettings, destination_for
from tasks.destinations.contract import Work
from tasks.errors import AfterwordError, AttemptFailed
from tasks.markup import azure_devops
from tasks.markup.jira import viewer
from tasks.model import Command, Document, Frozen, Issue, PublishToConfluence, subject_key
from tasks.redaction import readable_files, size_of
from tasks.screening import STRICTNESS, Action, Finding, Policy, ScreeningFailed, screen
from worker.console.rendering import marked
from worker.console.visit import Visit
from worker.display import as_html

TITLES = ("title", "short_description", "System.Title", "summary")
BODIES = ("body", "description", "System.Description", "Microsoft.VSTS.TCM.ReproSteps")
FIELDS = {"title": "Title", "content_md": "Document", "description": "Description"}
MOST_SHOWN = 200


class Found(Frozen):
    """One finding as it may be shown: what and where, never the value. `line` counts from 1."""

    field: str
    line: int
    type: str
    severity: str
    category: str
    action: Action


class Screened(Frozen):
    """What screening says of a content: the strictest action, its findings, and how many more there are."""

    action: str
    found: tuple[Found, ...] = ()
    more: int = 0
    trouble: str = ""

    @property
    def stops(self) -> bool:
        """Whether policy would hold the job."""
        return self.action in ("hold", "block") or bool(self.trouble)


class Preview(Frozen):
    """The rendering: `body` is safe markup, `warnings` say what doesn't look as written. `trouble` says why there is none."""

    title: str = ""
    body: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    trouble: str = ""


def texts_of(content: Document | Issue) -> dict[str, str]:
    """The texts that screening looks at, by field."""
    if isinstance(content, Document):
        return {"title": content.title, "content_md": content.content_md, **readable_files(content)}
    return {"title": content.title, "description": content.description}


def fields_of(command: Command) -> dict[str, str]:
    """The fields that a command sets, for those who decide about it."""
    if isinstance(command, PublishToConfluence):
        return {}
    return {f"field {name}": str(value) for name, value in command.config.fields.items()}


async def screened(visit: Visit, content: Document | Issue) -> Screened:
    """What screening says of this content; what it can't be looked at for would hold the job as well."""
    core = visit.services.core
    try:
        return await core.processes.run(size_of(content), _screened, content, core.policy)
    except AttemptFailed as failure:
        return Screened(action="hold", trouble=str(failure))


def _screened(content: Document | Issue, policy: Policy) -> Screened:
    texts = texts_of(content)
    found: list[Found] = []
    strictest = "pass"
    for field, text in texts.items():
        try:
            verdict = screen(text, policy)
        except ScreeningFailed as failed:
            return Screened(action="hold", trouble=str(failed))
        strictest = max(strictest, verdict.action, key=STRICTNESS.__getitem__)
        found += [_place(field, text, finding, policy) for finding in verdict.findings]
    return Screened(action=strictest, found=tuple(found[:MOST_SHOWN]), more=max(0, len(found) - MOST_SHOWN))


def _named(field: str) -> str:
    """A text's name for people; a file's is its own."""
    return FIELDS.get(field) or field[:1].upper() + field[1:]


def _place(field: str, text: str, finding: Finding, policy: Policy) -> Found:
    return Found(
        field=_named(field),
        line=text.count("\n", 0, finding.start) + 1,
        type=finding.type,
        severity=finding.severity,
        category=finding.category,
        action=policy.action(finding),
    )


async def preview(visit: Visit, settings: AnySettings, command: Command, content: Document | Issue) -> Preview:
    """What the destination would show: screened as after a release, rendered, and cleaned."""
    core = visit.services.core
    try:
        return await core.processes.run(size_of(content), _preview, settings, command, content, core.policy)
    except AttemptFailed as failure:
        return Preview(trouble=str(failure))


def _preview(settings: AnySettings, command: Command, content: Document | Issue, policy: Policy) -> Preview:
    try:
        clean = {name: text for name, text in _clean(texts_of(content), policy).items() if name in FIELDS}
        safe = content.model_copy(update=clean)
        work = Work(
            job_id="preview",
            subject=subject_key("preview"),
            command=command,
            document=safe if isinstance(safe, Document) else None,
            issue=safe if isinstance(safe, Issue) else None,
        )
        prepared = destination_for(settings).prepare(work)
        texts = _clean(prepared.texts, policy)
    except (AfterwordError, ScreeningFailed) as error:
        return Preview(trouble=str(error))
    body = "".join(
        _body(settings, prepared.plan, name, text, as_planned=text == prepared.texts[name])
        for name, text in texts.items()
        if name in BODIES
    )
    title = next((text for name, text in texts.items() if name in TITLES), "")
    facts = tuple((name, text) for name, text in texts.items() if text and name not in (*TITLES, *BODIES))
    return Preview(title=title, body=body, facts=facts, warnings=tuple(sorted(prepared.warnings, key=_line)))


def _line(warning: str) -> int:
    """The line that a warning is about; last what is about none."""
    found = re.match(r"line (\d+)", warning)
    return int(found[1]) if found else sys.maxsize


def _body(settings: AnySettings, plan: object, name: str, text: str, *, as_planned: bool) -> str:
    """A body as its destination shows it; a document of Jira's by its words alone where screening took something out of these."""
    planned = getattr(plan, "fields", {}).get(name)
    if isinstance(planned, dict) and as_planned:
        return viewer.to_html(planned)
    if getattr(plan, "formats", {}).get(name) == "Markdown":
        text = azure_devops.render(text)
    return as_html(settings.kind, text)


def _clean(texts: Mapping[str, str], policy: Policy) -> dict[str, str]:
    """The texts as they would leave after a release; raises `ScreeningFailed`."""
    return {name: screen(text, policy, released=True).text for name, text in texts.items()}


async def marked_texts(visit: Visit, content: Document | Issue, fields: Mapping[str, str]) -> list[tuple[str, Markup]]:
    """Each text as it was submitted, with every finding marked; only for those who decide about it.

    Without the marks where screening takes too long: what is held for that has to be decided about, too.
    """
    core = visit.services.core
    try:
        return await core.processes.run(size_of(content), _marked_texts, content, fields, core.policy)
    except AttemptFailed:
        texts = {name: text for name in FIELDS if isinstance(text := getattr(content, name, None), str)}
        return [(_named(name), Markup.escape(text)) for name, text in (texts | dict(fields)).items()]


def _marked_texts(content: Document | Issue, fields: Mapping[str, str], policy: Policy) -> list[tuple[str, Markup]]:
    texts = {**texts_of(content), **fields}
    return [(_named(name), _marked(text, policy)) for name, text in texts.items()]


def _marked(text: str, policy: Policy) -> Markup:
    try:
        verdict = screen(text, policy)
    except ScreeningFailed:
        return Markup.escape(text)
    spans = [(f.start, f.end, f"{f.type}|{policy.action(f)}") for f in verdict.findings]
    return marked(text, spans, _mark)


def _mark(words: str, label: str) -> Markup:
    kind, _, action = label.partition("|")
    return Markup('<mark class="found found-{}"><b>{}</b>{}</mark>').format(action, kind, words)
