"""What the API answers."""

from __future__ import annotations

import operator
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from tasks.authorization.status import CredentialStatus
from tasks.destinations import AnySettings
from tasks.model import Command, ConnectionStep, Frozen, Job, JobState, LastError, Receipt
from tasks.state import clock
from tasks.state.audit.entries import AuditEntry
from tasks.state.directory import DestinationRecord
from tasks.state.jobs.followed import Delivered
from tasks.state.receivers.settings import ReceiverView
from tasks.state.traffic.limiter import Health
from tasks.state.traffic.standing import Standing


def _without_default(schema: dict[str, Any]) -> None:
    """What an answer leaves out has no default: a program gets nothing there."""
    schema.pop("default", None)


Ignored = Annotated[tuple[str, ...], Field(exclude_if=operator.not_, json_schema_extra=_without_default)]


class Stored(Frozen):
    """What was put. `ignored` names fields that nothing is made of, where there are any."""

    id: str
    title: str
    ignored: Ignored = ()


class TicketView(Frozen):
    """A ticket of an issue: its number and address as they are now, and how it read when it was last seen to differ. What
    stands from `state` on is only known where the destination is followed.
    """

    job_id: str
    destination: str
    id: str
    ticket_number: str
    url: str
    state: str | None = None
    stage: str | None = None
    assignee: str | None = None
    links: tuple[str, ...] = ()
    seen_ms: int | None = None
    seen_at: str | None = None
    changed_ms: int | None = None
    changed_at: str | None = None

    @classmethod
    def of(cls, made: Delivered) -> TicketView:
        """What API and command line show of it."""
        receipt, seen = made.receipt, made.seen
        shown = seen.ticket.model_dump(exclude={"number", "url"}) if seen else {}
        seen_ms, changed_ms = (seen.seen_ms, seen.changed_ms) if seen else (None, None)
        return cls(
            job_id=made.job,
            destination=made.destination,
            id=receipt.id,
            ticket_number=seen.ticket.number if seen else receipt.ticket_number or receipt.id,
            url=seen.ticket.url if seen else receipt.url,
            seen_ms=seen_ms,
            seen_at=rfc3339(seen_ms),
            changed_ms=changed_ms,
            changed_at=rfc3339(changed_ms),
            **shown,
        )


class IssueView(Frozen):
    """The tickets of an issue. `stored` says whether its text is still held."""

    id: str
    stored: bool
    tickets: tuple[TicketView, ...]


class Accepted(Frozen):
    """A job that will end in exactly one terminal state. `state` is the one it was accepted in. `ignored` names fields of its
    content that nothing is made of, where there are any.
    """

    job_id: str
    state: JobState
    ignored: Ignored = ()


class PageResult(Frozen):
    """A delivered page, in upstream's shape."""

    id: str
    url: str


class TicketResult(Frozen):
    """A delivered ticket with its number, in upstream's shape."""

    id: str
    ticket_number: str
    url: str


def _result(receipt: Receipt) -> PageResult | TicketResult:
    given = receipt.result()
    return (TicketResult if "ticket_number" in given else PageResult).model_validate(given)


class JobView(Frozen):
    """A job. Times are epoch milliseconds (`…_ms`), and RFC 3339 beside (`…_at`)."""

    job_id: str
    state: JobState
    command: Command
    destination: str
    kind: str
    attempts: int
    crashes: int = 0
    created_ms: int
    updated_ms: int
    due_ms: int | None = None
    expires_ms: int
    created_at: str
    updated_at: str
    due_at: str | None = None
    expires_at: str
    released: bool = False
    superseded_by: str | None = None
    result: PageResult | TicketResult | None = None
    receipt: Receipt | None = None
    error: LastError | None = None

    @classmethod
    def of(cls, job: Job) -> JobView:
        """What an API client sees of a job."""
        shown = {name: getattr(job, name) for name in cls.model_fields if name in Job.model_fields}
        times = {f"{name}_at": rfc3339(getattr(job, f"{name}_ms")) for name in ("created", "updated", "due", "expires")}
        result = _result(job.receipt) if job.receipt else None
        return cls(job_id=job.id, result=result, error=job.last_error, **shown | times | {"command": job.shown})


def rfc3339(at_ms: int | None) -> str | None:
    """A moment as RFC 3339 in UTC, with milliseconds; None for what is no moment, as somebody may have written into Redis."""
    return None if at_ms is None or not 0 <= at_ms <= clock.LAST_MS else clock.rfc3339(at_ms)


class JobPage(Frozen):
    """Jobs, newest first; `next` is the cursor of the next page, absent at the end."""

    jobs: tuple[JobView, ...]
    next: str | None = None


class TimelineEvent(Frozen):
    """One thing that happened to a job; what else stands in it depends on the event."""

    model_config = ConfigDict(extra="allow", frozen=True)

    event: str
    at_ms: int
    at: str


class Timeline(Frozen):
    """A job's events, oldest first."""

    events: tuple[TimelineEvent, ...]


class DestinationView(Frozen):
    """A destination without its credential."""

    name: str
    settings: AnySettings
    revision: int
    state: str = Field(description="ready, paused or suspended")
    reason: str = ""
    not_before_ms: int = 0
    last_success_ms: int | None = None
    has_credential: bool
    credential: CredentialStatus
    standing: Standing
    health: Health

    @classmethod
    def of(cls, record: DestinationRecord, health: Health, credential: CredentialStatus) -> DestinationView:
        """What an API client sees of a destination."""
        shown = {name: getattr(record, name) for name in cls.model_fields if hasattr(record, name)}
        return cls(health=health, standing=health.standing, credential=credential, **shown)


class Destinations(Frozen):
    """All destinations, by name."""

    destinations: tuple[DestinationView, ...]


class ConnectionAnswer(Frozen):
    """A connection test's answer in upstream's shape, and step by step."""

    success: bool
    message: str
    steps: tuple[ConnectionStep, ...]


class AuditPage(Frozen):
    """Audit entries, oldest first; `next` goes on after the last of them, also for entries yet to come."""

    entries: tuple[AuditEntry, ...]
    next: str | None = None


class AuditProgress(Frozen):
    """A verification of the audit that still runs: how many entries are checked, of how many."""

    run: str
    entries: int
    of: int


class Alive(Frozen):
    """The process answers."""

    status: str = "ok"


class Check(Frozen):
    """One thing that readiness depends on."""

    name: str
    ok: bool
    detail: str


class Readiness(Frozen):
    """Whether jobs can be taken and delivered."""

    ready: bool
    checks: tuple[Check, ...]


class Specification(Frozen):
    """The OpenAPI document."""

    model_config = ConfigDict(extra="allow", frozen=True)

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


class Receivers(Frozen):
    """All receivers of notifications."""

    receivers: tuple[ReceiverView, ...]


class Notified(Frozen):
    """Whether a test message was taken, and what went wrong where it wasn't."""

    success: bool
    message: str
