"""The audit around each request, and the request's turn: no entry, no request; no room at the destination, no request.

An attempt's request waits for its turn where that is near: it holds its place then, for every other worker to see. Where
it is far the attempt ends at no cost, and the job waits in the ledger.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.destinations.contract import Needs
from tasks.errors import (
    AfterwordError,
    AttemptFailed,
    DestinationTrouble,
    StateAway,
    StateUnavailable,
    Throttled,
    Transient,
    place_of,
)
from tasks.http.exchange import Exchange
from tasks.http.message import Request
from tasks.http.origin import Origin
from tasks.model import Finding, Job
from tasks.state.audit.entries import Event
from tasks.state.directory import DestinationRecord
from tasks.state.jobs.ledger import Ledger
from tasks.state.outages import patiently
from tasks.state.traffic.limiter import Sign, Turn
from tasks.state.vault import Vault

log = logging.getLogger(__name__)

PATIENCE_S = 30.0  # for a request's turn
OUTCOME_S = 120.0  # for a Redis that answers to take an outcome
NO_ANSWER = frozenset(
    {
        "no_connection",
        "no_such_host",
        "timeout",
        "connection_lost",
        "tls_handshake",
        "proxy_unreachable",
        "proxy_failed",
    }
)


@dataclass
class Doubt:
    """Whether the remote side may hold a write that we have no certain answer for. Times in epoch milliseconds."""

    before_ms: int | None = None
    writes: int = 0
    landed: int = 0
    until_ms: int | None = None

    def after_failure(self, failure: AttemptFailed, now_ms: int, lag_ms: int) -> str | int:
        """What the subject's record says after this attempt: `clear`, `keep`, or until when there is doubt."""
        if self.writes == 0:
            return "keep"
        if failure.certain and self.writes == 1 and not self.landed:
            return "clear" if self.before_ms is None else self.before_ms
        answered = self.landed == self.writes or failure.answered
        return max(now_ms + lag_ms if answered else self.until_ms or 0, self.before_ms or 0)


@dataclass
class Trail:
    """What an attempt leaves for its settlement: doubt, the destination as it was read, how often it answered, what the job
    needs there, what a test found where the destination was suspected, whether it is a `probe` of one that failed, and the
    last answer's outcome on its way to the audit (`closing`), which may be `delayed`.
    """

    doubt: Doubt = field(default_factory=Doubt)
    record: DestinationRecord | None = None
    answered: int = 0
    needs: Needs = field(default_factory=Needs)
    finding: Finding | None = None
    probe: bool = False
    closing: asyncio.Future[None] | None = None
    delayed: bool = False

    async def in_order(self) -> None:
        """Return once what is stored next comes behind the last answer's outcome. The journal keeps its order, so that is at once,
        and both take one trip, unless Redis didn't take the outcome at first.
        """
        if self.closing and self.delayed:
            await asyncio.wait({self.closing})

    def sign(self, failure: AttemptFailed | None) -> Sign | None:
        """What the attempt shows of the destination as a whole; None where it was never asked."""
        if failure is not None and is_outage(failure):
            return "down"
        tested = self.finding is not None and self.finding.result in ("passed", "unclear")
        if tested and isinstance(failure, DestinationTrouble) and failure.passing != "job":
            return "shut" if failure.passing == "shut" else "down"
        if not self.answered:
            return None
        return "busy" if isinstance(failure, Transient | Throttled | DestinationTrouble) else "up"


def is_outage(failure: AttemptFailed) -> bool:
    """Whether a failure speaks of the destination as a whole: it can't be reached, doesn't answer, or answers with 5xx."""
    return isinstance(failure, Transient) and (failure.code in NO_ANSWER or (failure.status or 0) >= 500)


@dataclass
class AuditedRequests:
    """The recorder of one attempt: an intent before each request, its outcome after, both in the audit stream.

    `limit` bounds the attempt: it moves with every wait for a turn, because waiting isn't being slow, and no request
    begins after it, whatever became of the cancellation that it sent.
    """

    ledger: Ledger
    vault: Vault
    clock_ms: Callable[[], int]
    alive: Callable[[], bool]
    job: Job
    record: DestinationRecord
    doubt_s: float
    trail: Trail
    limit: asyncio.Timeout
    ordinal: int = field(default=0)

    async def before(self, request: Request, origin: Origin, begin: Callable[[], None]) -> tuple[str, str, str]:
        """Wait for the request's turn and make the intent durable; raising here means that the request isn't made."""
        self.ordinal += 1
        stage = "delivery" if request.writes else "lookup"
        facts = request_facts(self.vault, self.record, request, origin) | {"request": self.ordinal}
        patience_s, paid = PATIENCE_S, False
        while True:
            await self._not_counting(self.trail.in_order())
            if not self.alive():
                raise StateAway("This worker could not say for too long that it lives.", code="silent")
            if self.limit.expired():
                raise overdue()
            begin()
            until_ms = self.clock_ms() + int(1000 * self.doubt_s)
            try:
                turn = await self.ledger.intend(
                    self.job,
                    Event(f"{stage}.intent"),
                    writes=request.writes,
                    doubt_until_ms=until_ms,
                    facts=facts,
                    tried=self._sealed(request.tries),
                    paid=paid,
                    patience_ms=int(1000 * patience_s),
                )
            except StateUnavailable:
                if self.trail.closing is None or self.trail.closing.done():
                    raise
                continue  # the outcome before it waits for Redis as well
            if not isinstance(turn, Turn):
                break
            if turn.until_ms is not None:
                raise Throttled(f"{self.record.name} asks us to wait.", code="throttled", until_ms=turn.until_ms)
            self.limit.reschedule((self.limit.when() or 0.0) + turn.wait_s)
            await asyncio.sleep(turn.wait_s)
            patience_s, paid = patience_s - turn.wait_s, True
        if request.writes:
            self.trail.doubt.writes += 1
            self.trail.doubt.until_ms = until_ms
        return turn, stage, request.operation

    def _sealed(self, tries: str) -> str | None:
        return self.vault.seal(tries, purpose="tried", owner=self.job.subject) if tries else None

    async def after(self, mark: tuple[str, str, str], exchange: Exchange) -> None:
        """Close the intent; what the answer said about limits holds for every worker from then on. A good outcome isn't waited for:
        it is stored with what the attempt stores next, and before it.
        """
        await self._not_counting(self.trail.in_order())  # only the newest one is waited for
        intent, stage, operation = mark
        self.trail.answered += exchange.status is not None
        self.trail.doubt.landed += stage == "delivery" and exchange.outcome == "ok"
        event = Event(f"{stage}.{exchange.outcome}")
        facts = exchange_facts(operation, exchange)
        name, guidance = self.record.name, exchange.guidance

        async def conclude() -> None:
            try:
                await self.ledger.conclude(
                    self.job.id, intent, event, facts, job=self.job, destination=name, guidance=guidance
                )
            except Exception:
                self.trail.delayed = True
                raise

        self.trail.closing, self.trail.delayed = asyncio.ensure_future(patiently(conclude, OUTCOME_S)), False
        self.trail.closing.add_done_callback(self._tell_of_loss)
        if exchange.outcome == "ok":
            await asyncio.sleep(0)  # from here on it is in the journal's queue
        else:
            await self._not_counting(self.trail.closing)

    def _tell_of_loss(self, closing: asyncio.Future[None]) -> None:
        """Say in the log that an outcome could not be stored: nobody may be waiting for it any more."""
        if not closing.cancelled() and (trouble := closing.exception()):
            why = trouble if isinstance(trouble, AfterwordError) else place_of(trouble)
            log.error("job %s: the outcome of a request is not in the audit: %s", self.job.id, why)

    async def _not_counting(self, waiting: Awaitable[None]) -> None:
        """Wait for Redis: that time is none of the attempt's, whose answer must not be lost by it."""
        began, end = asyncio.get_running_loop().time(), self.limit.when()
        with suppress(RuntimeError):  # an attempt that is cut short has no limit any more
            self.limit.reschedule(None)
        try:
            await waiting
        finally:
            with suppress(RuntimeError):
                self.limit.reschedule(end and end + asyncio.get_running_loop().time() - began)


def overdue() -> Transient:
    """The error of an attempt whose requests were answered, each in its time, but which took too long as a whole.

    It may be a big job or a slow worker: a destination that is slow itself shows in single requests.
    """
    return Transient("The attempt as a whole took too long.", code="attempt_timeout", certain=False)


def request_facts(
    vault: Vault, record: DestinationRecord | None, request: Request, origin: Origin
) -> dict[str, str | int | None]:
    """What the audit shows of a request: where it goes and a keyed digest of its body, never the body."""
    body = request.payload
    return {
        "destination": record.name if record else None,
        "host": origin.netloc,
        "operation": request.operation,
        "body": vault.mac("digest", hashlib.sha256(body).digest()).hex()[:32] if body else None,
        "credential_revision": record.revision if record else None,
    }


def exchange_facts(operation: str, exchange: Exchange) -> dict[str, Any]:
    """What audit and timeline show of a request's end."""
    return {
        "operation": operation,
        "status": exchange.status,
        "duration_ms": exchange.duration_ms,
        "sent": exchange.sent,
        "received": exchange.received,
        "detail": exchange.detail[:200] or None,
    }


@dataclass
class AuditedTest:
    """The recorder of a connection test: the same two entries around each request, without a job.

    A test doesn't wait for its turn, because it is how people look at a destination that makes others wait; what its
    answers say about limits counts for everybody. Only with `in_turn` a request keeps the destination's limits. A dry run's looks are recorded the same way, as look-ups, and so are
    requests to an authorization server, as logins: what those say about limits is about that server alone.
    """

    ledger: Ledger
    vault: Vault
    record: DestinationRecord | None
    stage: Literal["test", "lookup", "login"] = "test"
    in_turn: bool = False

    async def before(self, request: Request, origin: Origin, begin: Callable[[], None]) -> tuple[str, str]:
        """Make the intent durable."""
        begin()
        facts = request_facts(self.vault, self.record, request, origin)
        within = self.record.name if self.record and self.in_turn else None
        return await self.ledger.announce(Event(f"{self.stage}.intent"), facts, within=within), request.operation

    async def after(self, mark: tuple[str, str], exchange: Exchange) -> None:
        """Close the intent."""
        intent, operation = mark
        await self.ledger.conclude(
            "",
            intent,
            Event(f"{self.stage}.{exchange.outcome}"),
            exchange_facts(operation, exchange),
            destination=self.record.name if self.record and self.stage != "login" else None,
            guidance=exchange.guidance,
        )
