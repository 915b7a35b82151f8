"""A job's life, the file to read first.

1. `submit`   a producer's command becomes a record in the ledger, with its subject and its content.
2. `claim`    a worker takes the job for one attempt; a lease and a fencing token make it the only one.
3. `load`     content, destination and credential are opened.
4. `screen`   personal data is redacted; secrets stop the job before anything is rendered, and again as rendered.
5. `deliver`  the destination looks first if an earlier write is in doubt, then writes. Each request is in the audit
              before it is made (no entry, no request) and has its outcome there afterwards.
6. `settle`   what happened becomes the next state, by the pure policy in `retry`.

Everything a step needs comes in through `Services`; every step raises one of `tasks.errors`, and `attempt` is the one
place that acts on it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tasks import cross_links, redaction
from tasks.cross_links import Ties
from tasks.destinations import Destination, Work, destination_for
from tasks.errors import (
    AfterwordError,
    AttemptFailed,
    DestinationTrouble,
    Fenced,
    KeyTrouble,
    Permanent,
    Refused,
    Transient,
)
from tasks.model import (
    KIND_OF_COMMAND,
    Command,
    ConnectionReport,
    Document,
    Issue,
    Job,
    JobState,
    PublishToConfluence,
    Receipt,
    subject_key,
)
from tasks.outbound import Http, Origin, Recorder, Request
from tasks.retry import Backoff, settlement_of
from tasks.screening import Policy
from tasks.state.audit import Event
from tasks.state.contents import Contents
from tasks.state.directory import DestinationRecord, Directory
from tasks.state.ledger import Ledger, NotClaimed, Settlement, Submission
from tasks.state.links import Links, Membership
from tasks.state.vault import Vault

log = logging.getLogger(__name__)

LEASE_MARGIN_S = 15.0
ATTEMPT_REQUESTS = 6


class OpenHttp(Protocol):
    """Opens the guarded client of a destination: keep-alive sessions belong to the process, recorders to an attempt."""

    def __call__(
        self, destination: Destination[Any], authorization: Mapping[str, str], recorder: Recorder
    ) -> AbstractAsyncContextManager[Http]:
        """A client for the time of one attempt."""
        ...


@dataclass(frozen=True)
class Services:
    """What the lifecycle works with. Clock in epoch milliseconds, chance in [0, 1)."""

    ledger: Ledger
    contents: Contents
    directory: Directory
    links: Links
    vault: Vault
    open_http: OpenHttp
    policy: Policy
    worker: str
    clock_ms: Callable[[], int]
    chance: Callable[[], float]


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: the state the job is in now."""

    state: JobState
    receipt: Receipt | None = None
    error: AttemptFailed | None = None
    due_ms: int | None = None


# -- submit ----------------------------------------------------------------------------------------------------------


async def submit(
    services: Services,
    command: Command,
    *,
    actor: str,
    job_id: str | None = None,
    idempotency_key: str | None = None,
    document: Document | None = None,
    issue: Issue | None = None,
    adopt: bool = False,
) -> Job:
    """Store a job and return it; submitting the same id or idempotency key again returns the same job.

    Raises `Refused` for content that was never put and for a destination that doesn't exist. With `adopt` (a message
    of a plain Celery client, which nobody can refuse any more) such a job is stored as well and ends as dead, with
    the reason in its record.
    """
    try:
        record = await services.directory.choose(command.destination, KIND_OF_COMMAND[command.command])
        destination, max_age_ms = record.name, int(record.settings.max_age_hours * 3600_000)
    except Refused:
        if not adopt:
            raise
        destination, max_age_ms = command.destination or KIND_OF_COMMAND[command.command], 72 * 3600_000
    known = document
    if known is None and isinstance(command, PublishToConfluence):
        known = await services.contents.document(command.doc_id)
    subject = await subject_of(services, command, destination, document=known, issue=issue, adopt=adopt)
    contents = services.contents.sealed(document, issue)
    bodies = [content.model_dump(mode="json") for content in (document, issue) if content]
    request = json.dumps([command.model_dump(mode="json"), bodies], sort_keys=True)
    return await services.ledger.submit(
        Submission(
            command=command,
            destination=destination,
            subject=subject,
            max_age_ms=max_age_ms,
            actor=actor,
            job_id=job_id,
            idempotency_key=idempotency_key,
            fingerprint=services.vault.mac("idempotency", request.encode("utf-8", "surrogatepass")).hex(),
            contents=contents,
            issue=cross_links.issue_of(command, known),
        )
    )


async def subject_of(
    services: Services,
    command: Command,
    destination: str,
    *,
    document: Document | None = None,
    issue: Issue | None = None,
    adopt: bool = False,
) -> str:
    """The key of the one remote object that this command is about."""
    if isinstance(command, PublishToConfluence):
        document = document or await services.contents.document(command.doc_id)
        if document is None and not adopt:
            raise _missing(command)
        known = document is not None and document.issue_id is not None
        identity = [str(document.issue_id), document.doc_type] if known and document else [command.doc_id]
        return subject_key(destination, command.space_key, *identity)
    if issue is None and not adopt and await services.contents.issue(command.issue_id) is None:
        raise _missing(command)
    return subject_key(destination, getattr(command, "project", ""), command.issue_id)


def _missing(command: Command) -> Refused:
    if isinstance(command, PublishToConfluence):
        return Refused(
            f"Document {command.doc_id!r} was never put.",
            code="unknown_document",
            advice="Put it first (`afterword document put FILE --id ID`), then submit or retry the job.",
        )
    return Refused(
        f"Issue {command.issue_id!r} was never put.",
        code="unknown_issue",
        advice="Put it first (`afterword issue put FILE.json`), then submit or retry the job.",
    )


async def retry(services: Services, job_id: str, actor: str) -> Job:
    """Queue a dead job again. Content that was put since then counts for what its subject is."""
    job = await services.ledger.require(job_id)
    subject = await subject_of(services, job.command, job.destination, adopt=True)
    return await services.ledger.retry(job_id, actor, subject=subject)


# -- one attempt -----------------------------------------------------------------------------------------------------


async def attempt(services: Services, job_id: str) -> Ended | NotClaimed:
    """Run one attempt of a job if it is its turn, and settle it. Raises `StateUnavailable` when Redis is away."""
    job = await services.ledger.claim(job_id, services.worker, await _lease_ms(services, job_id))
    if isinstance(job, NotClaimed):
        return job
    doubt = Doubt()
    try:
        receipt, link = await _deliver(services, job, doubt)
    except Fenced:
        log.info("job %s: no longer ours", job.id)
        return NotClaimed("fenced")
    except AttemptFailed as failure:
        return await _settle_failure(services, job, doubt, failure)
    settled = Settlement(JobState.DELIVERED, Event.DELIVERED, receipt=receipt, doubt="clear", link=link)
    try:
        state = await services.ledger.settle(job, settled)
    except Fenced:
        return NotClaimed("fenced")
    log.info("job %s: delivered to %s (%s)", job.id, job.destination, receipt.change)
    return Ended(state, receipt=receipt)


async def _lease_ms(services: Services, job_id: str) -> int:
    job = await services.ledger.get(job_id)
    record = await services.directory.get(job.destination) if job else None
    total_s = record.settings.total_timeout_s if record else 30.0
    return int(1000 * (total_s * ATTEMPT_REQUESTS + LEASE_MARGIN_S))


async def _deliver(services: Services, job: Job, doubt: Doubt) -> tuple[Receipt, Membership | None]:
    try:
        record = await services.directory.require(job.destination)
        secret = await services.directory.secret(record)
        destination = destination_for(record.settings)
        authorization = destination.authorization(secret)
        work, ties = await _load(services, job, doubt, record)
    except Refused as refused:
        raise Permanent(refused.message, code=refused.code, advice=refused.advice) from None
    except KeyTrouble as trouble:
        raise DestinationTrouble(trouble.message, code=trouble.code, advice=trouble.advice) from None
    if job.follows and not record.settings.cross_links:
        raise Permanent("Cross-links were switched off.", code="cross_links_off", advice="Nothing has to be done.")
    prepared = None
    if not job.follows:
        work = await _screen(services, job, work)
        prepared = await asyncio.to_thread(destination.prepare, work)
        await asyncio.to_thread(redaction.check_outgoing, prepared, services.policy, released=work.released)

    budget_s = record.settings.total_timeout_s
    recorder = AuditedRequests(services, job, record, budget_s + destination.write_lag_s, doubt)
    try:
        async with (
            asyncio.timeout(budget_s * ATTEMPT_REQUESTS),
            services.open_http(destination, authorization, recorder) as http,
        ):
            if prepared is None:
                receipt = await destination.link(work, http)
            else:
                receipt = await destination.deliver(work, prepared, http, services.clock_ms)
            return receipt, ties.after(job, receipt, work.document)
    except TimeoutError:
        raise Transient("The attempt as a whole took too long.", code="timeout", certain=False) from None


async def _load(services: Services, job: Job, doubt: Doubt, record: DestinationRecord) -> tuple[Work, Ties]:
    known = await services.ledger.subject(job.subject)
    doubt.before_ms = known.doubt_until_ms
    document, issue = await _content(services, job)
    ties = await cross_links.ties_of(services.links, job, document, enabled=record.settings.cross_links)
    work = Work(
        job_id=job.id,
        subject=job.subject,
        command=job.command,
        document=document,
        issue=issue,
        previous=known.receipt,
        doubt_until_ms=known.doubt_until_ms,
        tried=_opened(services.vault, job.subject, known.tried),
        links=ties.links,
        released=job.released,
    )
    return work, ties


async def _content(services: Services, job: Job) -> tuple[Document | None, Issue | None]:
    """A job's content; a job that only brings links up to date needs none."""
    document, issue = None, None
    if job.follows:
        return None, None
    if isinstance(job.command, PublishToConfluence):
        document = await services.contents.document(job.command.doc_id)
    else:
        issue = await services.contents.issue(job.command.issue_id)
    if document is None and issue is None:
        raise _missing(job.command)
    return document, issue


def _opened(vault: Vault, subject: str, sealed: str | None) -> str:
    """What the write in doubt said to look for; a key that is gone makes the look-up poorer, not the job dead."""
    try:
        return vault.open(sealed, purpose="tried", owner=subject) if sealed else ""
    except KeyTrouble:
        return ""


# -- screening -------------------------------------------------------------------------------------------------------


async def _screen(services: Services, job: Job, work: Work) -> Work:
    """The work with personal data redacted; raises `Held` where policy stops it. Audited when anything was found."""
    verdicts = await asyncio.to_thread(redaction.verdicts_of, work, services.policy)
    findings = sorted({finding.type for verdict in verdicts.values() for finding in verdict.findings})
    if findings:
        actions = sorted({verdict.action for verdict in verdicts.values()})
        await services.ledger.note(job.id, Event.SCREENED, {"findings": findings, "actions": actions})
    return redaction.redacted(work, verdicts)


# -- audit of requests -----------------------------------------------------------------------------------------------


@dataclass
class Doubt:
    """Whether the remote side may hold a write that we have no certain answer for. Times in epoch milliseconds."""

    before_ms: int | None = None
    writes: int = 0
    until_ms: int | None = None

    def after_failure(self, failure: AttemptFailed, now_ms: int, lag_ms: int) -> str | int:
        """What the subject's record says after this attempt: `clear`, `keep`, or until when there is doubt."""
        if self.writes == 0:
            return "keep"
        if failure.certain and self.writes == 1:
            return "clear" if self.before_ms is None else self.before_ms
        answered = isinstance(failure, Transient) and failure.answered
        return max(now_ms + lag_ms if answered else self.until_ms or 0, self.before_ms or 0)


@dataclass
class AuditedRequests:
    """The recorder of one attempt: an intent before each request, its outcome after, both in the audit stream."""

    services: Services
    job: Job
    record: DestinationRecord
    doubt_s: float
    doubt: Doubt
    ordinal: int = field(default=0)

    async def before(self, request: Request, origin: Origin) -> tuple[str, str]:
        """Make the intent durable; raising here means that the request isn't made."""
        self.ordinal += 1
        stage = "delivery" if request.writes else "lookup"
        until_ms = self.services.clock_ms() + int(1000 * self.doubt_s)
        facts = request_facts(self.services, self.record, request, origin) | {"request": self.ordinal}
        intent = await self.services.ledger.intend(
            self.job,
            Event(f"{stage}.intent"),
            writes=request.writes,
            doubt_until_ms=until_ms,
            facts=facts,
            tried=self.services.vault.seal(request.tries, purpose="tried", owner=self.job.subject)
            if request.tries
            else None,
        )
        if request.writes:
            self.doubt.writes += 1
            self.doubt.until_ms = until_ms
        return intent, stage

    async def after(
        self, mark: tuple[str, str], outcome: str, *, status: int | None, sent: int, received: int, detail: str
    ) -> None:
        """Close the intent."""
        intent, stage = mark
        facts = {"status": status, "sent": sent, "received": received, "detail": detail[:200] or None}
        await self.services.ledger.conclude(self.job.id, intent, Event(f"{stage}.{outcome}"), facts)


def request_facts(
    services: Services, record: DestinationRecord | None, request: Request, origin: Origin
) -> dict[str, str | int | None]:
    """What the audit shows of a request: where it goes and a keyed digest of its body, never the body."""
    body = request.body if request.body is not None else json.dumps(request.json).encode() if request.json else b""
    return {
        "destination": record.name if record else None,
        "host": origin.netloc,
        "operation": request.operation,
        "body": services.vault.mac("digest", hashlib.sha256(body).digest()).hex()[:32] if body else None,
        "credential_revision": record.revision if record else None,
    }


# -- settle ----------------------------------------------------------------------------------------------------------


async def _settle_failure(services: Services, job: Job, doubt: Doubt, failure: AttemptFailed) -> Ended | NotClaimed:
    record = await services.directory.get(job.destination)
    lag_ms = int(1000 * destination_for(record.settings).write_lag_s) if record else 0
    backoff = Backoff(max_attempts=record.settings.max_attempts) if record else Backoff()
    now_ms = services.clock_ms()
    decided = settlement_of(failure, job, backoff, now_ms=now_ms, chance=services.chance())
    after = doubt.after_failure(failure, now_ms, lag_ms)
    try:
        state = await services.ledger.settle(job, Settlement(**(vars(decided) | {"doubt": after})))
    except Fenced:
        return NotClaimed("fenced")
    log.warning("job %s: %s: %s", job.id, state.value, failure)
    return Ended(state, error=failure, due_ms=decided.due_ms)


# -- connection tests ------------------------------------------------------------------------------------------------


async def test_connection(
    services: Services, destination: Destination[Any], secret: str | None, record: DestinationRecord | None, actor: str
) -> ConnectionReport:
    """Test a destination step by step; a pass lets a suspended destination go on."""
    recorder = AuditedTest(services, record)
    try:
        authorization = destination.authorization(secret)
        async with services.open_http(destination, authorization, recorder) as http:
            report = await destination.test(http)
    except AfterwordError as error:
        return ConnectionReport.failed("connection", str(error))
    if report.success and record is not None and record.state == "suspended":
        await services.directory.resume(record.name, actor)
    return report


@dataclass
class AuditedTest:
    """The recorder of a connection test: the same two entries around each request, without a job."""

    services: Services
    record: DestinationRecord | None

    async def before(self, request: Request, origin: Origin) -> str:
        """Make the intent durable."""
        facts = request_facts(self.services, self.record, request, origin)
        return await self.services.ledger.announce(Event.TEST_INTENT, facts)

    async def after(
        self, mark: object, outcome: str, *, status: int | None, sent: int, received: int, detail: str
    ) -> None:
        """Close the intent."""
        facts = {"status": status, "sent": sent, "received": received, "detail": detail[:200] or None}
        await self.services.ledger.conclude("", str(mark), Event(f"test.{outcome}"), facts)
