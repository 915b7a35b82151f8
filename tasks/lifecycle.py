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
import contextlib
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from tasks import cross_links, redaction
from tasks.audited import PATIENCE_S, Trail, is_outage
from tasks.authorization.authorize import authorize
from tasks.destinations import AnySettings, destination_for
from tasks.destinations.contract import Prepared, Work
from tasks.errors import (
    AttemptFailed,
    DestinationTrouble,
    Fenced,
    KeyTrouble,
    Permanent,
    Refused,
    StateAway,
    StateUnavailable,
    Transient,
    place_of,
)
from tasks.exchanges import LOOKS, WRITES, exchanging, names_of, told
from tasks.loading import destination_of, load, unopened, wrote_by
from tasks.model import (
    KIND_OF_COMMAND,
    TERMINAL,
    Callback,
    Command,
    Document,
    Issue,
    Job,
    JobState,
    LastError,
    PublishToConfluence,
    Receipt,
    content_id,
)
from tasks.progress import about, working_on
from tasks.retry import Backoff, settlement_of
from tasks.services import Services
from tasks.state.audit.entries import Event
from tasks.state.followups.links import Membership
from tasks.state.jobs.transitions import Claimed, Lease, NotClaimed, Settlement, Shown, Submission
from tasks.state.outages import patiently
from tasks.subjects import missing, own_subject, subject_of, undecided
from tasks.suspicion import TEST_S, TURN_S, examine

log = logging.getLogger(__name__)

REVOKED = "revoked"
# Answers with a good status that may be somebody else's, or one object's alone.
ODD = frozenset({"odd_answer", "not_json"})
# What isn't there or can't be seen: so it looks also to an account that is taken for an anonymous visitor's, or sees nothing any more.
UNSEEN = frozenset(
    {"unknown_space", "unknown_project", "unknown_parent", "unknown_type", "unknown_reference", "unknown_person"}
)
NOT_FOUND = 404
MARGIN_S = 15 + TURN_S + TEST_S  # of a lease, beside the requests and the work on the content


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
    callback: Callback | None = None,
    adopt: bool = False,
    origin: Mapping[str, object] | None = None,
    traceparent: str | None = None,
    not_before_ms: int | None = None,
    until_ms: int | None = None,
    caller: Mapping[str, Any] | None = None,
    anew: bool = False,
) -> Job:
    """Store a job and return it; submitting the same id or idempotency key again returns the same job.

    Raises `Refused` for content that was not stored and for a destination that doesn't exist. With `adopt` (a message
    of a plain Celery client, which nobody can refuse any more) such a job is stored as well and ends as dead, with
    the reason in its record. `origin` is what hangs on that message in Celery: it is kept sealed until the job has ended.
    The job begins at `not_before_ms` at the soonest, and is over at `until_ms` at the latest (epoch milliseconds).

    Its destination is chosen by what this process has read of destinations before, unless `anew`: where the ledger has others
    by now, or lets the `caller` not in (`state.access`), nothing is stored and `Outdated` is raised.
    """
    asked, (command, destination, max_age_ms, among) = command, await _placed(services, command, adopt=adopt, anew=anew)
    content = document or issue or await _stored(services, command, adopt=adopt)
    job_id = job_id or str(uuid.uuid4())
    family = subject_of(command, destination, content)
    subject = own_subject(command, family, job_id)
    request = b"" if idempotency_key is None else _request(asked, document, issue, callback)
    return await services.ledger.submit(
        Submission(
            command=command,
            destination=destination,
            subject=subject,
            family=family if family != subject else None,
            max_age_ms=max_age_ms,
            actor=actor,
            job_id=job_id,
            idempotency_key=idempotency_key,
            fingerprint=services.vault.digest("idempotency", request) if request else "",
            same_request=lambda stored: services.vault.matches(stored, "idempotency", request),
            contents=services.contents.sealed(document, issue),
            issue=cross_links.issue_of(command, content),
            words=(content.title if content else "", content_id(command)),
            callback=callback,
            traceparent=traceparent,
            origin=origin,
            not_before_ms=not_before_ms,
            until_ms=until_ms,
            caller=caller,
            chosen=among,
        )
    )


async def _placed(
    services: Services, command: Command, *, adopt: bool, anew: bool
) -> tuple[Command, str, int, Mapping[str, Any] | None]:
    """The command with what its destination fills in, that destination's name, the longest age that it allows (ms), and what
    it was chosen by.
    """
    try:
        chosen = await services.directory.recall(command.destination, KIND_OF_COMMAND[command.command], anew=anew)
        settings = chosen.record.settings
        with contextlib.suppress(*([Refused] if adopt else [])):
            command = settings.placed(command)
    except Refused:
        if not adopt:
            raise
        return command, command.destination or undecided(command), 72 * 3600_000, None
    return command, chosen.record.name, int(settings.max_age_hours * 3600_000), chosen.among


async def _stored(services: Services, command: Command, *, adopt: bool) -> Document | Issue | None:
    """The content that was stored before; with `adopt`, None where there is none or it can't be opened."""
    try:
        content = await services.contents.about(command)
    except KeyTrouble:
        if not adopt or isinstance(command, PublishToConfluence):
            raise  # which page it is depends on the document
        return None
    if content is None and not adopt:
        raise missing(command)
    return content


def _request(asked: Command, document: Document | None, issue: Issue | None, callback: Callback | None) -> bytes:
    """What makes two submissions the same request, in one form."""
    bodies = [given.model_dump(mode="json") for given in (document, issue) if given]
    parts = [asked.model_dump(mode="json"), bodies, *([callback.url] if callback else [])]
    return json.dumps(parts, sort_keys=True).encode("utf-8", "surrogatepass")


# -- one attempt -----------------------------------------------------------------------------------------------------


async def attempt(services: Services, job_id: str, started: Callable[[Job], None] | None = None) -> Ended | NotClaimed:
    """Run one attempt of a job if it is its turn, and settle it; `started` hears of it once the job is claimed.

    While Redis is away or takes no writes it waits, and goes on when that is over.
    Cancelling it gives the job back to the ledger at once, for any other worker; cancelling it as `REVOKED` cancels the job.
    """
    claim = uuid.uuid4().hex
    lease = Lease(requests=LOOKS + WRITES, margin_ms=int(1000 * (MARGIN_S + services.processes.longest_s)))
    claiming = asyncio.ensure_future(
        patiently(lambda: services.ledger.claim(job_id, services.worker, lease, claim), PATIENCE_S)
    )
    try:
        claimed = await asyncio.shield(claiming)
    except asyncio.CancelledError as cancelled:
        # The claim may stand already: a job must not be left running with nobody at work.
        if not isinstance(claimed := await claiming, NotClaimed):
            return await asyncio.shield(_give_back(services, claimed.job, Trail(), cancelled))
        raise
    if isinstance(claimed, NotClaimed):
        return claimed
    job = claimed.job
    if started is not None:
        started(job)
    with working_on(job), services.tracing.span("attempt", about(job), parent=job.traceparent) as span:
        ended = await _run(services, claimed)
        span.note({"state": ended.state if isinstance(ended, Ended) else ended.reason})
        if isinstance(ended, Ended) and ended.error:
            span.fail(ended.error.code)
        return ended


async def _run(services: Services, claimed: Claimed) -> Ended | NotClaimed:
    job, trail = claimed.job, Trail(probe=claimed.probe)
    try:
        try:
            receipt, link, shown = await _deliver(services, claimed, trail)
        except (DestinationTrouble, Transient, Permanent) as trouble:
            if trail.record and _may_be_of_all(trouble):
                trail.finding = await examine(services, trail.record, trail.needs, trouble)
            raise
    except Fenced:
        log.info("job %s: no longer ours", job.id)
        return NotClaimed("fenced")
    except AttemptFailed as failure:
        return await _settle_failure(services, job, trail, failure)
    except asyncio.CancelledError as cancelled:
        return await asyncio.shield(_give_back(services, job, trail, cancelled))
    except Exception as fault:
        return await _settle_failure(services, job, trail, _unforeseen(job, fault))
    wrote = wrote_by(services.vault, job, receipt)
    settled = Settlement(
        JobState.DELIVERED,
        Event.DELIVERED,
        receipt=receipt,
        shown=shown,
        wrote=wrote,
        doubt="clear",
        sign="up",
        link=link,
    )
    ended = await _settle(services, job, trail, settled)
    if isinstance(ended, Ended):
        log.info("job %s: delivered to %s (%s)", job.id, job.destination, receipt.change)
    return ended


def _may_be_of_all(trouble: AttemptFailed) -> bool:
    """Whether other jobs of the destination may meet the same."""
    unseen = isinstance(trouble, Permanent) and (trouble.code in UNSEEN or trouble.status == NOT_FOUND)
    return unseen or isinstance(trouble, DestinationTrouble) or trouble.code in ODD


async def _deliver(
    services: Services, claimed: Claimed, trail: Trail
) -> tuple[Receipt, Membership | None, Shown | None]:
    job = claimed.job
    await _vouched(services, claimed)
    try:
        record = trail.record = await destination_of(services, claimed)
        destination = destination_for(record.settings)
        trail.needs = destination.needs(job.command)
        authorization = await authorize(services, record, claimed.grant)
        work, ties = await load(services, claimed, trail, record, lag_ms=int(1000 * destination.write_lag_s))
    except Refused as refused:
        raise Permanent(refused.message, code=refused.code, advice=refused.advice) from None
    except KeyTrouble as trouble:
        raise DestinationTrouble(trouble.message, code=trouble.code, advice=trouble.advice) from None
    exchange = partial(exchanging, services, job, trail, record, destination, authorization)
    if job.follows:
        if not record.settings.cross_links:
            raise Permanent("Cross-links were switched off.", code="cross_links_off", advice="Nothing has to be done.")
        async with exchange() as http:
            http.let_out(names_of(work))
            receipt = told(await destination.link(work, http), http)
        return receipt, ties.after(job, receipt, work.document), None

    shown = claimed.subject.shown
    if work.source and work.source == shown.source and claimed.subject.doubt_until_ms is None:
        async with exchange(LOOKS) as http:
            if (same := await destination.unchanged(work, http)) is not None:
                same = told(same, http).model_copy(update={"warnings": shown.warnings})
        if same is not None:
            return same, ties.after(job, same, work.document), shown
    with services.tracing.span("screen", about(job)):
        work, prepared = await _screened(services, job, work, record.settings)
    trail.needs = destination.needs(work.command, prepared.plan)
    async with exchange() as http:
        http.keep_inside((*prepared.content, *redaction.sources_of(work)))
        http.let_out((*names_of(work), *prepared.warnings))
        receipt = told(await destination.deliver(work, prepared, http, services.clock_ms), http)
    shown = Shown(source=work.source, warnings=prepared.warnings)
    return receipt, ties.after(job, receipt, work.document), shown


async def _vouched(services: Services, claimed: Claimed) -> None:
    """Go on only with a job that is as it was submitted; that it isn't stands in the audit, as a forged receipt does."""
    job, doubt = claimed.job, claimed.doubt
    if claimed.forged:
        facts = {"record": f"subject:{job.subject}", "reason": "tampered"}
        await services.ledger.note(job, Event.RECORD_REFUSED, facts)
    if doubt is None:
        return
    failure = unopened(doubt)
    if isinstance(failure, Permanent):
        await services.ledger.note(job, Event.RECORD_REFUSED, {"record": f"job:{job.id}", "reason": doubt.code})
    raise failure


# -- screening -------------------------------------------------------------------------------------------------------


async def _screened(services: Services, job: Job, work: Work, settings: AnySettings) -> tuple[Work, Prepared[Any]]:
    """The work with personal data redacted, and rendered; raises `Held` where policy stops it. Audited when anything was found."""
    size = redaction.size_of(work.document or work.issue)
    ready = await services.processes.run(size, redaction.outgoing, work, settings, services.policy.of(job.destination))
    if ready.findings:
        facts = {"findings": ready.findings, "actions": ready.actions}
        await services.ledger.note(job, Event.SCREENED, facts)
    if isinstance(ready.outcome, AttemptFailed):
        raise ready.outcome
    return ready.outcome


# -- settle ----------------------------------------------------------------------------------------------------------


async def _settle(services: Services, job: Job, trail: Trail, settlement: Settlement) -> Ended | NotClaimed:
    """What was decided is stored, however long Redis takes no writes. A worker that stops tries until it is told a second time."""

    async def store() -> JobState:
        await trail.in_order()
        try:
            return await services.ledger.settle(job, settlement)
        finally:
            await trail.in_order()

    settling = asyncio.ensure_future(patiently(store, PATIENCE_S))
    try:
        try:
            state = await asyncio.shield(settling)
        except asyncio.CancelledError as cancelled:
            state = await settling
            if cancelled.args == (REVOKED,) and state not in TERMINAL:
                with contextlib.suppress(Refused):  # another attempt has begun: whoever revokes may ask again
                    state = (await services.ledger.cancel(job.id, "celery", "revoked")).state
    except Fenced:
        return NotClaimed("fenced")
    return Ended(state, receipt=settlement.receipt, due_ms=settlement.due_ms)


async def _settle_failure(services: Services, job: Job, trail: Trail, failure: AttemptFailed) -> Ended | NotClaimed:
    settings = trail.record.settings if trail.record else None
    lag_ms = int(1000 * destination_for(settings).write_lag_s) if settings else 0
    backoff = Backoff(max_attempts=settings.max_attempts) if settings else Backoff()
    now_ms = services.clock_ms()
    decided = settlement_of(
        failure,
        job,
        backoff,
        now_ms=now_ms,
        chance=services.chance(),
        finding=trail.finding,
        probe=trail.probe and is_outage(failure),
    )
    doubt = trail.doubt.after_failure(failure, now_ms, lag_ms)
    made = failure.receipt if decided.to is JobState.DEAD else None
    wrote = wrote_by(services.vault, job, made)
    ended = await _settle(
        services, job, trail, replace(decided, doubt=doubt, sign=trail.sign(failure), receipt=made, wrote=wrote)
    )
    if isinstance(ended, NotClaimed):
        return ended
    level = logging.WARNING if decided.counted else logging.INFO
    log.log(level, "job %s: %s: %s", job.id, ended.state.value, failure)
    return replace(ended, error=failure)


async def _give_back(
    services: Services, job: Job, trail: Trail, cancelled: asyncio.CancelledError
) -> Ended | NotClaimed:
    """Settle an attempt that was cut short: because this worker stops, so that another one takes the job now, or because
    the job was revoked. What it may have written stays in doubt.
    """
    revoked = cancelled.args == (REVOKED,)
    words, code = ("The job was revoked", "revoked") if revoked else ("The worker was stopped", "worker_stopped")
    failure = Transient(f"{words} during this attempt.", code=code, certain=trail.doubt.writes == 0)
    settlement = Settlement(
        JobState.CANCELLED if revoked else JobState.RETRYING,
        Event.CANCELLED if revoked else Event.GIVEN_BACK,
        due_ms=None if revoked else services.clock_ms(),
        counted=False,
        error=LastError(code=failure.code, message=failure.message),
        doubt=trail.doubt.after_failure(failure, services.clock_ms(), 0),
    )
    ended = await _settle(services, job, trail, settlement)
    return replace(ended, error=failure) if isinstance(ended, Ended) else ended


def _unforeseen(job: Job, fault: Exception) -> AttemptFailed:
    """What an error that isn't one of ours means for the job: trying again may help. Its words may hold content."""
    if isinstance(fault, StateUnavailable | RedisError):
        return StateAway("Redis could not be reached during this attempt.", code="redis_absent", certain=False)
    log.error("job %s: a fault of ours: %s", job.id, place_of(fault))
    return Transient(
        f"A fault in Afterword itself ({type(fault).__name__}).",
        code="internal",
        advice="The worker's log says where.",
        certain=False,
    )
