"""What producers hand over: issues and documents as upstream describes them.

Fields that we have no use for are ignored, so that a newer upstream keeps working.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
DestinationName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Severity = Literal[1, 2, 3, 4, 5]


class Frozen(BaseModel):
    """A value: immutable, and closed to fields it doesn't know.

    Each model's validator is built when the first value is made: a command needs few of the hundred.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Upstream(BaseModel):
    """A value of the producer's: immutable, open to fields we have no use for."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


def _moment(value: object) -> object:
    """Upstream writes times as epoch milliseconds or as `YYYY-MM-DD HH:MM:SS` in UTC without a zone."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (OverflowError, OSError):  # beyond the year 9999, or what the system can tell
            raise ValueError("no such moment") from None
    if isinstance(value, str) and value.strip():
        parsed = datetime.fromisoformat(value.strip().removesuffix(" UTC"))
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return None if value == "" else value


_SEVERITIES = {
    "critical": 1,
    "high": 2,
    "major": 2,
    "medium": 3,
    "moderate": 3,
    "low": 4,
    "minor": 4,
    "planning": 5,
    "info": 5,
    "informational": 5,
}


def parse_severity(value: object) -> object:
    """`P1`, `P1 - Critical`, `critical`, `1 - Critical` or 1, in any case, all mean severity 1; `info` means 5."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if not text:
        return None
    if found := re.match(r"^(?:p|sev[- ]?)?([1-5])\b", text):
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
    WithJsonSchema({"anyOf": [{"type": "integer", "enum": [1, 2, 3]}, {"type": "string", "enum": ["1", "2", "3"]}]}),
]


class Issue(Upstream):
    """One incident as upstream describes it. `severity` is 1 (critical) to 5 (planning, information), None where unknown."""

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
        """Also refuses a text under a name that there isn't: the ticket would have none, and nobody be told."""
        if not isinstance(data, Mapping):
            return data
        given = {k: v for k, v in data.items() if v is not None}
        wrong = next((name for name in OTHER_NAMES if is_seen(given.get(name))), None)
        if wrong and not is_seen(given.get("description")):
            raise ValueError(f"its text belongs into `description`, and not into `{wrong}`")
        return given


# What other systems call a text.
OTHER_NAMES = ("body", "content", "content_md", "description_md", "markdown", "text")
# A character that is seen: no blank, no control, and none that has no width.
SEEN = r"[^\s\x00-\x1F\u00AD\u200B-\u200F\u2060-\u2064\uFEFF]"


def is_seen(text: object) -> bool:
    """Whether it is a text with a character that is seen."""
    return isinstance(text, str) and re.search(SEEN, text) is not None


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
