"""What is to become of an issue: its fields from the issue, the mapping and the job, ready to be sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import Field

from tasks.destinations.contract import Work
from tasks.destinations.jira.fields import Value, not_settable
from tasks.destinations.jira.settings import COMMENT, FIELD_OF, JiraSettings, field_refusal, label_of
from tasks.destinations.tickets.files import document_of, named_by_content
from tasks.destinations.tickets.status import Stage, stage_of
from tasks.errors import Permanent
from tasks.markup import clean, jira, servicenow
from tasks.markup.jira import adf
from tasks.markup.options import Attachment
from tasks.markup.parser.parse import parse_document
from tasks.markup.told import first, warnings_of
from tasks.model import CreateJiraIssue, Frozen, Link

TITLE_LENGTH = 255
DESCRIPTION_LENGTH = 32_767  # of a comment, too
PRIORITIES: Mapping[int, str] = {1: "Highest", 2: "High", 3: "Medium", 4: "Low", 5: "Lowest"}
_ADDRESS = re.compile(r"<([^<>\s]+@[^<>\s]+)>\s*$")


class IssuePlan(Frozen):
    """An issue's fields as Jira takes them, `words`, which a reader gets to see of its description, and `extra`: the fields
    of the mapping and the job, whose form the project tells.

    `stage` is the issue's own, which the status follows: by the status or transition `move_by`, where the mapping names one, and
    with that `resolution` and the fields `on_move` of its screen. `comment` is added and never changed. `suggested` is whom a new issue is assigned to because its issue says so, where Jira
    knows such a person.
    """

    fields: dict[str, Any]
    words: str
    labels: tuple[str, ...]
    extra: dict[str, Value]
    item_type: str | None
    stage: Stage | None = None
    move_by: str = ""
    resolution: str = ""
    on_move: dict[str, str] = Field(default_factory=dict)
    comment: str = ""
    suggested: str = ""
    attachment: Attachment | None = None
    links: tuple[Link, ...] = ()
    warnings: tuple[str, ...] = ()


def plan_of(settings: JiraSettings, work: Work) -> IssuePlan:
    """The plan of a job; raises `Permanent` for arguments that can't work."""
    command, issue = work.command, work.issue
    if issue is None or not isinstance(command, CreateJiraIssue):
        raise Permanent("Jira takes issues only.", code="wrong_kind")
    config, chosen = command.config, settings.rules.chosen(issue, work.links)
    extra: dict[str, Value] = {FIELD_OF[name]: text for name, text in chosen.values.items() if name in FIELD_OF}
    assigned = "assignee" in {name.strip().lower() for name in (*extra, *chosen.fields, *config.fields)}
    unset = {name.strip().lower() for name, text in (extra | dict(chosen.fields)).items() if not text}
    extra = {name: text for name, text in (extra | dict(chosen.fields)).items() if text}
    for name in config.fields:
        if field_refusal(name):
            raise not_settable(name)
    extra |= config.fields
    comment = "".join([str(extra.pop(name)) for name in list(extra) if name.strip().lower() == COMMENT][-1:])
    fields: dict[str, Any] = {"summary": clean.plain_title(issue.title, TITLE_LENGTH)}
    document, base = parse_document(issue.description), settings.link_base
    if settings.cloud:
        whole = jira.render(document, title=fields["summary"], link_base=base)
        fields["description"] = fitting(whole)
        words, cut = jira.words(fields["description"]), fields["description"] is not whole
    else:
        said = partial(servicenow.render, document, title=fields["summary"], link_base=base)
        fields["description"] = plain_text(said)
        words = said()
        cut = len(_escaped(said)) > DESCRIPTION_LENGTH
    file = document_of(settings.attach_document, issue, cut=cut)
    severity = chosen.severity(config.severity, issue.severity)
    if severity and (config.severity or "priority" not in unset):
        fields["priority"] = {"name": PRIORITIES[severity]}
    mapped_labels = chosen.values.get("labels", "").split(",")
    labels = dict.fromkeys([*settings.labels, *filter(None, map(label_of, (*issue.tags, *mapped_labels)))])
    return IssuePlan(
        fields=fields,
        words=words,
        labels=(*labels, f"aw-{work.subject}"),
        extra=extra,
        stage=stage_of(issue.status, settings.follow_status),
        move_by=chosen.values.get("status", ""),
        resolution=chosen.values.get("resolution", ""),
        on_move={name: text for name, text in chosen.transition.items() if text},
        item_type=config.work_item_type or chosen.values.get("type") or settings.issue_type,
        comment=clean.cut(comment, DESCRIPTION_LENGTH),
        suggested="" if assigned else address_of(clean.plain_title(issue.assigned_to, 200)),
        attachment=named_by_content(file) if file else None,
        links=work.links,
        warnings=first(warnings_of(document, base), "jira"),
    )


def texts_of(plan: IssuePlan) -> dict[str, str]:
    """Every text that may be sent, for the last screening."""
    texts = {name: str(value) for name, value in plan.extra.items()}
    texts |= {"summary": plan.fields["summary"], "labels": " ".join(plan.labels[:-1]), COMMENT: plan.comment}
    texts["assignee"] = plan.suggested or texts.get("assignee", "")
    texts |= {f"{name} of a transition": text for name, text in plan.on_move.items()}
    texts |= {"attachment": plan.attachment.content.decode()} if plan.attachment else {}
    return {name: text for name, text in texts.items() if text} | {"description": plan.words}


def address_of(person: str) -> str:
    """The address in `Name <address>`; otherwise the words as they are."""
    found = _ADDRESS.search(person)
    return found[1] if found else person


def plain_text(said: Callable[..., str]) -> str:
    """The description for a Data Center: plain text in which nothing is markup, within the length of a field.

    `said` gives the words within a `limit`.
    """
    limit = DESCRIPTION_LENGTH
    while len(text := _escaped(said, limit)) > DESCRIPTION_LENGTH:
        limit -= max(len(text) - DESCRIPTION_LENGTH, 1)
    return text


def _escaped(said: Callable[..., str], limit: int | None = None) -> str:
    return jira.escaped(said(limit=limit, kept=jira.KEPT))


def fitting(document: adf.Node) -> adf.Node:
    """The document, or its first blocks with a word that there is more, within the length of a field."""
    if len(jira.words(document)) <= DESCRIPTION_LENGTH:
        return document
    kept, room = [], DESCRIPTION_LENGTH - 100
    for block in document["content"]:
        room -= len(jira.words({"content": [block]})) + 1
        if room < 0:
            break
        kept.append(block)
    if not kept:
        return adf.plain(clean.cut(jira.words(document), DESCRIPTION_LENGTH - 100))
    return document | {"content": [*kept, *adf.plain("… (the rest didn't fit)")["content"]]}
