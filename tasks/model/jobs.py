"""What a job is: its states, its record, what a delivery yields, and what a connection test found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import Field

from tasks.model.commands import WITHHELD, Command, field_names, with_fields
from tasks.model.content import Frozen


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
    """What a delivery left on the remote side. `change` is created, updated, unchanged or found. `notes` say what was set of a
    page beside its content: readers, editors, owner, status.

    `wrote` holds, for each field of a ticket, marks of what was sent and of what the remote side made of it. It is kept
    sealed beside the subject and is no part of what is stored or shown of a receipt.
    """

    id: str
    url: str
    ticket_number: str | None = None
    change: Literal["created", "updated", "unchanged", "found", "skipped"] = "created"
    version: int | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    wrote: Mapping[str, tuple[str, str]] | None = Field(default=None, exclude=True, repr=False)

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
    this job's share of those in a row. `suspicions` counts refusals that were its own, as a test of its destination showed. `issue` is the key of the issue whose objects share links. A job with `follows` is
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
    suspicions: int = 0
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
    family: str | None = Field(default=None, repr=False, description="the subject of its issue, for a job with its own")
    traceparent: str | None = Field(default=None, description="W3C trace context that the attempts continue")
    withheld: tuple[str, ...] = Field(default=(), description="names of the fields that the command sets")
    origin: str | None = Field(
        default=None, repr=False, description="what hangs on the producer's message, as `state.jobs` opens it"
    )
    sealed_fields: str | None = Field(
        default=None, repr=False, description="those fields, as `state.records` opens them"
    )

    @property
    def shown(self) -> Command:
        """The command as anybody may see it: of the fields that it sets, the names."""
        names = (*field_names(self.command), *self.withheld)
        return with_fields(self.command, dict.fromkeys(names, WITHHELD)) if names else self.command


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
    def failure(self) -> ConnectionStep | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.ok is False), None)

    @property
    def message(self) -> str:
        """One line for a person: the failure where there is one, else what was checked and what could not be."""
        if failed := self.failure:
            return f"{failed.name}: {failed.detail}"
        checked = ", ".join(
            f"{step.name} ({step.detail})" if step.detail else step.name for step in self.steps if step.ok
        )
        unchecked = "; ".join(f"{step.name} ({step.detail})" for step in self.steps if step.ok is None)
        return f"Checked: {checked}." + (f" Could not check: {unchecked}." if unchecked else "")

    def result(self) -> dict[str, bool | str]:
        """The shape upstream expects as a task's result."""
        return {"success": self.success, "message": self.message}


@dataclass(frozen=True)
class Finding:
    """What the test of a suspected destination found. `moved`: it was suspended, paused or configured anew by somebody else
    meanwhile; `unclear`: it gave no answer. `words` name the step that failed.
    """

    result: Literal["passed", "failed", "moved", "unclear"]
    words: str = ""


def subject_key(*parts: str) -> str:
    """The subject's key: 32 hex digits that stand for one object on the remote side."""
    joined = "\x00".join(parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]
