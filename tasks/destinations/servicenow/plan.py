"""What is to become of an incident, or of a record of another table: its fields from the issue, the mapping and the job, ready to be sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from pydantic import Field

from tasks.destinations.contract import Work
from tasks.destinations.servicenow.settings import (
    CLOSE_CODE,
    CLOSE_NOTES,
    COLUMN_OF,
    DESCRIPTION_LENGTH,
    ENDS,
    JOURNALS,
    SHORT_DESCRIPTION_LENGTH,
    STATES,
    ServiceNowSettings,
    field_refusal,
)
from tasks.destinations.tickets.files import document_of
from tasks.destinations.tickets.mapping import Chosen
from tasks.destinations.tickets.status import Stage, stage_of
from tasks.errors import Permanent
from tasks.markup import clean, servicenow
from tasks.markup.options import Attachment
from tasks.markup.parser.parse import parse_document
from tasks.markup.told import first, warnings_of
from tasks.model import (
    INCIDENTS,
    PAGE_TITLES,
    Command,
    CreateServiceNowIncident,
    Frozen,
    Issue,
    Link,
    TicketConfig,
)

# Impact and urgency that the default priority rules turn into P1 to P5.
LEVELS: Mapping[int, tuple[int, int]] = {1: (1, 1), 2: (1, 2), 3: (2, 2), 4: (2, 3), 5: (3, 3)}
# The channels of a fresh instance, by the words that upstream uses for a source.
CHANNELS: Mapping[str, str] = {
    "email": "email",
    "monitoring": "monitoring",
    "alert": "monitoring",
    "phone": "phone",
    "self-service": "self-service",
    "chat": "virtual_agent",
}
STATE_UNKNOWN = (
    "the issue is {status}, and the state of the {table} was left alone: set `state` in the mapping for that"
)
_LINKS = re.compile(r"\s*(?:\r?\n(?:" + "|".join(PAGE_TITLES.values()) + r"): https?://\S+)+\s*\Z")


class RecordPlan(Frozen):
    """The fields of a `table`'s record, all strings as the table API wants them. `unlinked` is the description without links.

    `once` are fields of a new record only, `journals` entries that are added and never changed. `soft` names the fields that
    the issue suggests and nobody asked for: what the instance doesn't take of them is left out.
    """

    table: str
    fields: dict[str, str]
    unlinked: str
    expected_priority: str | None
    attachment: Attachment | None = None
    once: dict[str, str] = Field(default_factory=dict)
    journals: dict[str, str] = Field(default_factory=dict)
    soft: frozenset[str] = frozenset()
    stage: Stage | None = None
    warnings: tuple[str, ...] = ()
    states: dict[Stage, dict[str, str]] = Field(default_factory=dict)

    @property
    def content(self) -> dict[str, str]:
        """The fields as they are compared: the description without its links, and without what names the record."""
        return {name: self.unlinked if name == "description" else value for name, value in self.fields.items()}


def plan_of(settings: ServiceNowSettings, work: Work) -> RecordPlan:
    """The plan of a job; raises `Permanent` for arguments that can't work."""
    command, issue = work.command, work.issue
    if issue is None or not isinstance(command, CreateServiceNowIncident):
        raise Permanent("ServiceNow takes issues only.", code="wrong_kind")
    config, chosen, block = command.config, settings.rules.chosen(issue, work.links), links_block(work.links)
    document = parse_document(issue.description)
    shown = clean.plain_title(issue.title, SHORT_DESCRIPTION_LENGTH)
    words = partial(servicenow.render, document, title=shown, link_base=settings.link_base)
    fields = {
        "short_description": servicenow.without_code_tags(shown),
        "description": words(limit=DESCRIPTION_LENGTH - len(block)) + block,
        "correlation_id": work.subject,
        "correlation_display": "Afterword",
    }
    impact, urgency = _levels(config, chosen, issue.severity)
    if impact and urgency:
        fields |= {"impact": str(impact), "urgency": str(urgency)}
    table = table_of(command)
    is_incident = table == INCIDENTS
    asked = _asked(config, chosen, ends=not is_incident)
    unset = _unset(config, chosen, asked)
    fields = {name: value for name, value in fields.items() if name not in unset}
    suggested = {name: value for name, value in _suggested(issue, is_incident).items() if name not in asked}
    stage = None if "state" in asked else stage_of(issue.status, settings.follow_status)
    warnings = first(warnings_of(document, settings.link_base), "servicenow")
    if not is_incident and stage in ("resolved", "closed"):
        warnings += (STATE_UNKNOWN.format(table=table, status=issue.status),)
    fields |= suggested | {name: value for name, value in asked.items() if value}
    unlinked = fields["description"]
    if block and "description" not in asked:
        unlinked = words(limit=DESCRIPTION_LENGTH)
    return RecordPlan(
        table=table,
        fields={name: value for name, value in fields.items() if name not in JOURNALS},
        unlinked=unlinked,
        expected_priority=str(impact + urgency - 1) if is_incident and impact and urgency and not unset else None,
        attachment=document_of(
            settings.attach_document,
            issue,
            cut=settings.attach_document == "when_cut" and len(words()) > DESCRIPTION_LENGTH,
        ),
        warnings=warnings,
        once=_once(issue) if "opened_at" not in asked else {},
        journals={name: text for name in JOURNALS if (text := fields.get(name))},
        soft=frozenset(suggested),
        stage=stage if is_incident else None,
        states=_states(issue, chosen),
    )


def texts_of(plan: RecordPlan) -> dict[str, str]:
    """Every text that may be sent, for the last screening."""
    texts = {
        name: value for name, value in plan.fields.items() if name not in ("correlation_id", "correlation_display")
    }
    texts |= {"description": plan.unlinked, **plan.journals}
    texts |= plan.states.get(plan.stage, {}) if plan.stage else {}
    if plan.attachment is not None:
        texts["attachment"] = plan.attachment.content.decode()
    return texts


def table_of(command: Command) -> str:
    """The table that a job writes to; that of a job which an earlier version stored is `incident`."""
    return (command.table if isinstance(command, CreateServiceNowIncident) else None) or INCIDENTS


def _asked(config: TicketConfig, chosen: Chosen, *, ends: bool) -> dict[str, str]:
    """What the mapping and the job set, by column; the job has the last word. With `ends` the mapping's close code and notes
    are columns as others are; an incident gets them when it is resolved.
    """
    found = {name: chosen.values[name] for name in ENDS if ends and name in chosen.values}
    found |= {COLUMN_OF[name]: value for name, value in chosen.values.items() if name in COLUMN_OF}
    found |= chosen.fields
    if config.assignment_group:
        found["assignment_group"] = config.assignment_group
    for name, value in config.fields.items():
        if reason := field_refusal(name):
            raise Permanent(
                f"{name!r:.60} {reason}.",
                code="unknown_field",
                advice="Use the field's plain name (small letters, digits, _), and none that identifies the record.",
            )
        found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    cleaned = {name: clean.xml_text(value) for name, value in found.items()}
    return {n: servicenow.without_code_tags(v) if n in chosen.fields else v for n, v in cleaned.items()}


def _suggested(issue: Issue, is_incident: bool) -> dict[str, str]:
    """What an issue says by itself, where an incident has a field for it. Other tables have categories of their own, or none."""
    channel = CHANNELS.get(issue.source.strip().casefold(), "")
    found = {
        "assigned_to": issue.assigned_to.strip(),
        "category": issue.category.strip().lower() if is_incident else "",
        "contact_type": channel,
    }
    return {name: clean.plain_title(value, 100) for name, value in found.items() if value}


def _levels(config: TicketConfig, chosen: Chosen, severity: int | None) -> tuple[int | None, int | None]:
    level = chosen.severity(config.severity, severity)
    impact, urgency = LEVELS[level] if level else (None, None)
    impact = config.impact or _level(chosen.values.get("impact")) or impact
    urgency = config.urgency or _level(chosen.values.get("urgency")) or urgency
    return impact or urgency, urgency or impact


def _unset(config: TicketConfig, chosen: Chosen, asked: Mapping[str, str]) -> set[str]:
    """The levels that the mapping or the job switches off with an empty value, and the job sets in no other way."""
    off = {name for name in ("impact", "urgency") if "" in (chosen.values.get(name), asked.get(name))}
    return set() if config.severity else off - {name for name in off if getattr(config, name)}


def _level(value: str | None) -> int | None:
    return int(value) if value in ("1", "2", "3") else None


def _once(issue: Issue) -> dict[str, str]:
    """What a new record alone gets."""
    return {"opened_at": f"{issue.created_at:%Y-%m-%d %H:%M:%S}"} if issue.created_at else {}


def _states(issue: Issue, chosen: Chosen) -> dict[Stage, dict[str, str]]:
    """What brings an incident to each stage."""
    notes = chosen.values.get("close_notes") or CLOSE_NOTES.format(id=issue.id, status=issue.status)
    ends = {"close_code": chosen.values.get("close_code") or CLOSE_CODE, "close_notes": notes}
    return {
        "working": {"state": STATES["working"]},
        "resolved": {"state": STATES["resolved"], **ends},
        "closed": {"state": STATES["closed"], **ends},
    }


def links_block(links: tuple[Link, ...]) -> str:
    """Lines for a description's end that lead to the issue's pages; empty without any."""
    return "".join(f"\n{'' if i else chr(10)}{link.title}: {link.url}" for i, link in enumerate(links))


def without_links(description: str) -> str:
    """The description without those lines."""
    if not any(f"\n{title}: http" in description for title in PAGE_TITLES.values()):
        return description  # the pattern tries every blank of a long text
    return _LINKS.sub("", description)
