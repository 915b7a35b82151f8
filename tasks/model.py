"""The shapes that cross a boundary: what producers send, what a job is, what a delivery yields.

All are frozen and refuse unknown fields, but for upstream's own documents and issues, whose extra fields are
ignored so that a newer upstream keeps working.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from tasks.errors import Refused

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
DestinationName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Severity = Literal[1, 2, 3, 4]


class Frozen(BaseModel):
    """A value: immutable, and closed to fields it doesn't know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Upstream(BaseModel):
    """A value of the producer's: immutable, open to fields we have no use for."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _moment(value: object) -> object:
    """Upstream writes times as epoch milliseconds or as `YYYY-MM-DD HH:MM:SS` in UTC without a zone."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000, UTC)
    if isinstance(value, str) and value.strip():
        parsed = datetime.fromisoformat(value.strip().removesuffix(" UTC"))
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return None if value == "" else value


_SEVERITIES = {"critical": 1, "high": 2, "medium": 3, "low": 4}


def parse_severity(value: object) -> object:
    """`P1`, `P1 - Critical`, `critical`, `1 - Critical` or 1, in any case, all mean severity 1."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if not text:
        return None
    if found := re.match(r"^(?:p|sev[- ]?)?([1-4])\b", text):
        return int(found.group(1))
    return _SEVERITIES.get(text, value)


def _tags(value: object) -> object:
    """Upstream keeps tags as a JSON array inside a string; a real array is taken as well."""
    if isinstance(value, str):
        if not value.strip():
            return ()
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = None
        value = parsed if isinstance(parsed, list) else [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return () if value is None else value


Moment = Annotated[datetime | None, BeforeValidator(_moment)]
AnySeverity = Annotated[Severity | None, BeforeValidator(parse_severity)]
# ServiceNow writes these two as texts, and so do producers that copy from it.
Level = Annotated[
    Literal[1, 2, 3],
    BeforeValidator(lambda value: int(value) if value in ("1", "2", "3") else value),
    WithJsonSchema({"enum": [1, 2, 3, "1", "2", "3"]}),
]


class Issue(Upstream):
    """One incident as upstream describes it. `severity` is 1 (critical) to 4 (low), None where unknown."""

    id: Identifier
    title: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    description: str = ""
    severity: AnySeverity = None
    status: str = "open"
    category: str = ""
    source: str = ""
    assigned_to: str = ""
    tags: Annotated[tuple[str, ...], BeforeValidator(_tags)] = ()
    created_at: Moment = None
    updated_at: Moment = None
    resolved_at: Moment = None

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, data: object) -> object:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, Mapping) else data


ATTACHMENTS_BYTES = 25_000_000


def _decoded(value: object) -> object:
    """Base64 text (RFC 4648) as bytes; bytes stay as they are."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


Base64 = Annotated[bytes, BeforeValidator(_decoded), PlainSerializer(_encoded, return_type=str)]


class DocumentFile(Upstream):
    """A file handed over with a document, such as a screenshot that its text shows.

    `name` is the relative path that the text links it by, `content` base64 in JSON.
    """

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^/\x00-\x1f\x7f\\][^\x00-\x1f\x7f\\]*$")
    ]
    media_type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,100}$")] = (
        "application/octet-stream"
    )
    content: Base64 = Field(repr=False)


class Document(Upstream):
    """One RCA or post-mortem in Markdown, as upstream generates it, with the files that it shows."""

    id: Identifier
    title: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    content_md: str
    issue_id: Identifier | None = None
    doc_type: Literal["rca", "postmortem"] = "rca"
    created_at: Moment = None
    updated_at: Moment = None
    attachments: tuple[DocumentFile, ...] = ()

    @model_validator(mode="after")
    def _files_fit(self) -> Self:
        names = [file.name.casefold() for file in self.attachments]
        if len(set(names)) < len(names):
            raise ValueError("two attachments have the same name")
        if sum(len(file.content) for file in self.attachments) > ATTACHMENTS_BYTES:
            raise ValueError(f"the attachments are larger than {ATTACHMENTS_BYTES // 1_000_000} MB together")
        return self

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, data: object) -> object:
        return (
            {k: v for k, v in data.items() if v is not None and v != ""}
            | {"content_md": "" if data.get("content_md") is None else data["content_md"]}
            if isinstance(data, Mapping)
            else data
        )


class TicketConfig(Frozen):
    """What a producer may override for one incident or work item."""

    work_item_type: str | None = Field(default=None, min_length=1, max_length=128)
    severity: AnySeverity = None
    impact: Level | None = None
    urgency: Level | None = None
    assignment_group: str | None = None
    if_exists: Literal["update", "skip", "new"] = "update"
    fields: dict[str, str | int | float | bool] = Field(default_factory=dict)


class CommandName(StrEnum):
    """The commands by the names of upstream's Celery tasks."""

    PUBLISH = "publish_to_confluence"
    INCIDENT = "create_servicenow_incident"
    WORK_ITEM = "create_azuredevops_workitem"


class PublishToConfluence(Frozen):
    """Put a document on a page of a Confluence space."""

    command: Literal[CommandName.PUBLISH] = CommandName.PUBLISH
    doc_id: Identifier
    space_key: Annotated[str, StringConstraints(pattern=r"^[~A-Za-z0-9._-]{1,255}$")]
    parent_page_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")] | None = None
    destination: DestinationName | None = None


class CreateServiceNowIncident(Frozen):
    """File an issue as an incident."""

    command: Literal[CommandName.INCIDENT] = CommandName.INCIDENT
    issue_id: Identifier
    config: TicketConfig = TicketConfig()
    destination: DestinationName | None = None


class CreateAzureDevOpsWorkItem(Frozen):
    """File an issue as a work item of a project."""

    command: Literal[CommandName.WORK_ITEM] = CommandName.WORK_ITEM
    issue_id: Identifier
    project: Annotated[
        str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\\/:*?\"<>|;#$%{},+=\[\]\x00-\x1f]+$")
    ]
    config: TicketConfig = TicketConfig()
    destination: DestinationName | None = None


Command = Annotated[
    PublishToConfluence | CreateServiceNowIncident | CreateAzureDevOpsWorkItem, Field(discriminator="command")
]
_COMMAND: TypeAdapter[PublishToConfluence | CreateServiceNowIncident | CreateAzureDevOpsWorkItem] = TypeAdapter(Command)

KIND_OF_COMMAND: Mapping[CommandName, str] = {
    CommandName.PUBLISH: "confluence",
    CommandName.INCIDENT: "servicenow",
    CommandName.WORK_ITEM: "azure_devops",
}


def parse_command(data: Mapping[str, Any], *, stored: bool = False) -> Command:
    """The command in `data`; raises `Refused` naming each bad argument, without echoing its value.

    A stored one may be of a newer version: what it has besides is ignored.
    """
    present = {key: value for key, value in data.items() if value is not None}
    if isinstance(present.get("parent_page_id"), int):
        present["parent_page_id"] = str(present["parent_page_id"])
    try:
        return _COMMAND.validate_python(present, extra="ignore" if stored else None)
    except ValidationError as error:
        raise Refused(
            f"The arguments of {present.get('command', 'the job')!s:.60} don't fit: {explain(error)}.",
            code="bad_arguments",
            advice="Correct them and submit again.",
        ) from None


def explain(error: ValidationError) -> str:
    """What pydantic refused, one clause a field, without the refused values (they may be secret)."""
    clauses = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"] if not str(part).startswith(tuple(CommandName)))
        clauses.append(f"{place or 'value'}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(clauses)


class JobState(StrEnum):
    """The states of the design's state machine."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    HELD = "held"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


TERMINAL = frozenset({JobState.DELIVERED, JobState.DEAD, JobState.CANCELLED, JobState.SUPERSEDED})


class Receipt(Frozen):
    """What a delivery left on the remote side. `change` is created, updated, unchanged or found."""

    id: str
    url: str
    ticket_number: str | None = None
    change: Literal["created", "updated", "unchanged", "found", "skipped"] = "created"
    version: int | None = None
    warnings: tuple[str, ...] = ()

    def result(self) -> dict[str, str]:
        """The shape upstream expects as a task's result: a page, or a ticket with its number."""
        result = {"id": self.id, "url": self.url}
        return result if self.ticket_number is None else result | {"ticket_number": self.ticket_number}


PAGE_TITLES: Mapping[str, str] = {"rca": "Root cause analysis", "postmortem": "Post-mortem"}


class Link(Frozen):
    """Where another object of the same issue is. `key` tells it from all others, whatever its address becomes."""

    key: str
    kind: str
    title: str
    url: str


class Callback(Frozen):
    """Where a job's outcome is posted, and the API key whose callback secret signs it."""

    url: str
    origin: str
    apikey: str


class LastError(Frozen):
    """Why the newest attempt failed, in words for a person and a code for programs."""

    code: str
    message: str
    advice: str = ""
    status: int | None = None
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class Job(Frozen):
    """A job's record. Times are epoch milliseconds by the Redis server's clock; `order` counts the submissions
    of one subject, so that the newest can be told. `crashes` counts the attempts that ended with their worker; `blame` is
    this job's share of those in a row. `issue` is the key of the issue whose objects share links. A job with `follows` is
    no producer's: it only brings the links of that job's object up to date.
    """

    id: str
    command: Command
    state: JobState
    destination: str
    kind: str
    subject: str
    order: int
    attempts: int = 0
    crashes: int = 0
    blame: float = 0.0
    created_ms: int
    updated_ms: int
    due_ms: int | None = None
    expires_ms: int
    worker: str | None = None
    token: int = 0
    released: bool = False
    last_error: LastError | None = None
    receipt: Receipt | None = None
    superseded_by: str | None = None
    issue: str | None = None
    follows: str | None = None
    traceparent: str | None = Field(default=None, description="W3C trace context that the attempts continue")


class ConnectionStep(Frozen):
    """One thing a connection test looked at: `ok` is None where it could not be checked."""

    name: str
    ok: bool | None
    detail: str = ""


class ConnectionReport(Frozen):
    """A connection test's truthful answer, step by step."""

    steps: tuple[ConnectionStep, ...]

    @classmethod
    def failed(cls, name: str, detail: str) -> ConnectionReport:
        """A report of one step that failed."""
        return cls(steps=(ConnectionStep(name=name, ok=False, detail=detail),))

    @property
    def success(self) -> bool:
        """True when at least one step passed and none failed."""
        return any(step.ok for step in self.steps) and not any(step.ok is False for step in self.steps)

    @property
    def message(self) -> str:
        """One line for a person: the failure where there is one, else what was checked and what could not be."""
        failed = [step for step in self.steps if step.ok is False]
        if failed:
            return f"{failed[0].name}: {failed[0].detail}"
        checked = ", ".join(step.name for step in self.steps if step.ok)
        unchecked = "; ".join(f"{step.name} ({step.detail})" for step in self.steps if step.ok is None)
        return f"Checked: {checked}." + (f" Could not check: {unchecked}." if unchecked else "")

    def result(self) -> dict[str, bool | str]:
        """The shape upstream expects as a task's result."""
        return {"success": self.success, "message": self.message}


def subject_key(*parts: str) -> str:
    """The subject's key: 32 hex digits that stand for one object on the remote side."""
    joined = "\x00".join(parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]
