"""What is to become of a work item: its fields from the issue, the mapping and the job, ready to be sent. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from pydantic import Field

from tasks.destinations.azure_devops.settings import (
    ASSIGNED,
    DESCRIPTION,
    FIELD_OF,
    HISTORY,
    PRIORITY,
    REPRO,
    SEVERITY,
    STATE,
    TAG_LENGTH,
    TITLE_LENGTH,
    AzureDevOpsSettings,
    field_refusal,
)
from tasks.destinations.contract import Work
from tasks.destinations.tickets.files import document_of, named_by_content
from tasks.destinations.tickets.mapping import Chosen
from tasks.destinations.tickets.status import Stage, stage_of
from tasks.errors import Permanent
from tasks.markup import azure_devops, clean
from tasks.markup.options import Attachment
from tasks.markup.parser.parse import parse_document
from tasks.markup.told import first, warnings_of
from tasks.model import CreateAzureDevOpsWorkItem, Frozen, Issue, Link, TicketConfig

Value = str | int | float | bool
SEVERITIES: Mapping[int, str] = {1: "1 - Critical", 2: "2 - High", 3: "3 - Medium", 4: "4 - Low", 5: "4 - Low"}

LEVELS = frozenset({PRIORITY, SEVERITY})


class WorkItemPlan(Frozen):
    """A work item's type and fields, and the pages it links to.

    `tags` are the issue's, `history` is a comment that is added and never changed. `soft` names the fields that the issue
    suggests and nobody asked for: what the server refuses of them is left out.
    """

    type: str
    fields: dict[str, Value]
    tag: str
    tags: tuple[str, ...] = ()
    history: str = ""
    formats: dict[str, str] = Field(default_factory=dict)
    links: tuple[Link, ...] = ()
    parent: str = ""
    attachment: Attachment | None = None
    soft: frozenset[str] = frozenset()
    stage: Stage | None = None
    warnings: tuple[str, ...] = ()


def plan_of(settings: AzureDevOpsSettings, work: Work) -> WorkItemPlan:
    """The plan of a job; raises `Permanent` for arguments that can't work."""
    command, issue = work.command, work.issue
    if issue is None or not isinstance(command, CreateAzureDevOpsWorkItem):
        raise Permanent("Azure DevOps takes issues only.", code="wrong_kind")
    config, chosen = command.config, settings.rules.chosen(issue, work.links, quote=_quoted)
    kind = config.work_item_type or chosen.values.get("type") or settings.work_item_type
    bug = kind.casefold() == "bug"  # the server takes a type's name in any case
    body = chosen.values.get("body_field") or (REPRO if bug else DESCRIPTION)
    markdown = settings.body_format == "markdown"
    document = parse_document(issue.description)
    title = clean.plain_title(issue.title, TITLE_LENGTH)
    written = (
        azure_devops.render_markdown(issue.description, title=title, link_base=settings.link_base)
        if markdown
        else azure_devops.render(document, title=title, link_base=settings.link_base)
    )
    fields: dict[str, Value] = {
        "System.Title": title,
        body: written,
    }
    severity = chosen.severity(config.severity, issue.severity)
    if severity:
        fields[PRIORITY] = min(severity, 4)
        if bug:
            fields[SEVERITY] = SEVERITIES[severity]
    asked = _asked(config, chosen)
    told = config.severity or chosen.values.get("severity")
    assignee = clean.plain_title(issue.assigned_to, 200)
    suggested: dict[str, Value] = {ASSIGNED: assignee} if assignee and ASSIGNED not in asked else {}
    unset = set() if config.severity else {name for name in LEVELS if asked.get(name) == ""}
    fields = {name: value for name, value in fields.items() if name not in unset}
    fields |= suggested | {name: value for name, value in asked.items() if value != ""}
    parent = chosen.values.get("parent", "")
    file = document_of(settings.attach_document, issue, cut=False)  # its fields have room for any document
    return WorkItemPlan(
        type=kind,
        fields={name: value for name, value in fields.items() if name != HISTORY},
        tag=f"aw-{work.subject}",
        tags=tuple(_tags(issue, chosen)),
        history=str(fields.get(HISTORY, "")),
        formats={body: "Markdown"} if markdown else {},
        links=work.links,
        parent=parent if parent.isdigit() else "",
        attachment=named_by_content(file) if file else None,
        soft=frozenset(suggested) | (frozenset() if told else LEVELS & fields.keys() - asked.keys()),
        warnings=first(warnings_of(document, settings.link_base), "azure_devops"),
        stage=None if STATE in asked else stage_of(issue.status, settings.follow_status),
    )


def texts_of(plan: WorkItemPlan) -> dict[str, str]:
    """Every text that may be sent, for the last screening."""
    texts = {name: str(value) for name, value in plan.fields.items()}
    texts |= {"attachment": plan.attachment.content.decode()} if plan.attachment else {}
    return texts | {"System.Tags": "; ".join(plan.tags), HISTORY: plan.history}


def _asked(config: TicketConfig, chosen: Chosen) -> dict[str, Value]:
    """What the mapping and the job set, by field; the job has the last word."""
    found: dict[str, Value] = {FIELD_OF[name]: value for name, value in chosen.values.items() if name in FIELD_OF}
    found |= chosen.fields
    for name, value in config.fields.items():
        if reason := field_refusal(name):
            raise Permanent(
                f"{name!r:.60} {reason}.",
                code="unknown_field",
                advice="Use the field's reference name, such as System.AreaPath.",
            )
        found[name] = value
    return found


def _quoted(template: str, fact: str) -> str:
    """What is filled in between tags is no markup."""
    return html.escape(fact, quote=False) if "<" in template else fact


def _tags(issue: Issue, chosen: Chosen) -> list[str]:
    """Tags in the form that Azure DevOps takes: no comma or semicolon, no leading @. A work item has no field for an issue's
    category and source; they are tags, unless the mapping has others for them.
    """
    more = [chosen.values.get("category", issue.category), chosen.values.get("source", issue.source)]
    mapped = chosen.values.get("tags", "").split(",")
    cleaned = (
        clean.plain_title(re.sub(r"[,;]", " ", tag), TAG_LENGTH).lstrip("@ ") for tag in (*issue.tags, *more, *mapped)
    )
    return list({tag.casefold(): tag for tag in cleaned if tag and not tag.startswith("aw-")}.values())[:90]
