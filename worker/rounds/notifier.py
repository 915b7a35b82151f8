"""Tells receivers what needs a person: every worker looks, one at a time sends for each receiver.

What is to be told is read from the audit stream, from where the receiver was told last. So a receiver that is away loses
nothing, delays nobody, and gets one message when it is back.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tasks import mail
from tasks.audited import exchange_facts
from tasks.errors import AttemptFailed
from tasks.http.authorization import Fixed
from tasks.http.connector import open_session
from tasks.http.exchange import Exchange, Http, Limits
from tasks.http.message import Request
from tasks.http.origin import Origin
from tasks.notifications import (
    MOST_GROUPS,
    OPERATION,
    Group,
    cause_of,
    concerns,
    email_of,
    grouped,
    request_of,
    retry_ms,
)
from tasks.state.audit.entries import AuditEntry, Event
from tasks.state.receivers.registry import Receivers, Turn
from tasks.state.receivers.settings import AnyReceiver, EmailReceiver
from worker.rounds.again import SideBySide, again_and_again
from worker.runtime import Services

log = logging.getLogger(__name__)

LIMITS = Limits(total_s=10.0, connect_s=5.0, max_response_bytes=100_000)
MAIL_LIMIT_S = 60.0  # longer than `mail.send` lasts: a thread that goes on sending can't be stopped
LEASE_MS = 120_000
PAUSE_S = 2.0
PAUSE_MS = 2_000
PAGE = 200
MOST_ENTRIES = 20_000  # read for one message; what is behind them is told by the next
MOST_TOLD = 2_000  # entries in one message
ANY_SUCCESS = frozenset(range(200, 300))


@dataclass
class Recorder:
    """Records a message: its intent before, and with its outcome how far the receiver is told, in one script."""

    receivers: Receivers
    name: str
    facts: dict[str, object]
    arrived: Callable[[], dict[str, object]]
    failed: Callable[[], dict[str, object]]
    detail: str = ""

    async def before(self, _: Request | None, origin: Origin, begin: Callable[[], None]) -> str:
        """Make the intent durable."""
        begin()
        return await self.receivers.announce(self.name, {"host": origin.netloc, **self.facts})

    async def after(self, mark: str, exchange: Exchange) -> None:
        """Close the intent."""
        event, then = (
            Event(f"notification.{exchange.outcome}"),
            self.arrived if exchange.outcome == "ok" else self.failed,
        )
        self.detail = exchange.detail
        facts = {name: value for name, value in exchange_facts(OPERATION, exchange).items() if value is not None}
        await self.receivers.settle(self.name, event, facts | self.facts, intent=mark, **then())  # type: ignore[arg-type]


class Notifier:
    """One worker's part in notifications."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told = SideBySide("receiver")

    async def run(self) -> None:
        """Tell until cancelled. A slow receiver holds up nobody but itself."""

        async def look() -> float:
            for name in await self._services.receivers.names():
                self._told.begin(name, partial(self.tell, name))
            return PAUSE_S

        try:
            await again_and_again(look)
        finally:
            await self._told.end()

    async def tell(self, name: str) -> None:
        """Send what there is to tell, where the receiver is due; raises `KeyTrouble` where its record can't be opened."""
        services = self._services
        turn = await services.receivers.take(name, LEASE_MS)
        if turn is None or (receiver := await services.receivers.get(name)) is None:
            return
        entries, start, end = await self._unread(turn, receiver)
        if not entries:
            await services.receivers.move(turn, end, PAUSE_MS)
            return
        if start != turn.cursor:
            await services.receivers.move(turn, start, LEASE_MS)
        message = "ntf_" + hashlib.sha256(f"{name} {entries[0].id} {entries[-1].id}".encode()).hexdigest()[:24]
        recorder = Recorder(
            services.receivers,
            name,
            {"message": message, "entries": len(entries), "attempt": turn.failures + 1},
            arrived=lambda: {"turn": turn, "cursor": end, "wait_ms": 1000 * receiver.min_interval_s},
            failed=lambda: {"turn": turn, "wait_ms": retry_ms(turn.failures, services.core.chance())},
        )
        try:
            await send(services, receiver, grouped(entries), message, recorder)
        except AttemptFailed as failure:
            log.warning("receiver %s: a message failed (attempt %d): %s", name, turn.failures + 1, failure.code)

    async def _unread(self, turn: Turn, receiver: AnyReceiver) -> tuple[list[AuditEntry], str, str]:
        """What is to be told, the place before the first of it, and the place after all that was read."""
        found: list[AuditEntry] = []
        causes: set[object] = set()
        start = end = turn.cursor
        for _ in range(MOST_ENTRIES // PAGE):
            rows = await self._services.audit.after(end, PAGE)
            for entry in rows:
                if concerns(entry, receiver.topics):
                    causes.add(cause_of(entry))
                    if len(causes) > MOST_GROUPS:  # a longer message may be refused for its length
                        return found, start, end
                    found.append(entry)
                elif not found:
                    start = entry.id
                end = entry.id
            if len(rows) < PAGE or len(found) >= MOST_TOLD:
                break
        return found, start, end


async def test(services: Services, name: str) -> str:
    """Send a test message now; returns what went wrong, empty where it arrived. Raises `Refused` for an unknown receiver."""
    receiver, message = await services.receivers.require(name), f"ntf_test_{uuid.uuid4().hex[:16]}"
    recorder = Recorder(services.receivers, name, {"message": message, "entries": 0}, dict, dict)
    try:
        await send(services, receiver, (), message, recorder)
    except AttemptFailed as failure:
        return str(failure)
    return recorder.detail


async def send(
    services: Services, receiver: AnyReceiver, groups: tuple[Group, ...], message: str, recorder: Recorder
) -> None:
    """Send one message and record it; raises `AttemptFailed` where a post failed."""
    if isinstance(receiver, EmailReceiver):
        await _mail(receiver, groups, message, recorder)
        return
    request = request_of(receiver, groups, message, services.core.clock_ms())
    session = open_session(receiver.origin, LIMITS)
    try:
        http = Http(session, receiver.origin, Fixed(), LIMITS, recorder, services.journal.clock.now_s)
        await http.send(request, accept=ANY_SUCCESS)
    finally:
        await session.close()


async def _mail(receiver: EmailReceiver, groups: tuple[Group, ...], message: str, recorder: Recorder) -> None:
    server = mail.Server(
        receiver.smtp_host,
        receiver.smtp_port,
        receiver.security,
        receiver.origin,
        receiver.username,
        receiver.password,
    )
    made = email_of(receiver, groups, message)
    mark = await recorder.before(None, receiver.origin, lambda: None)
    began = time.monotonic()
    ended = partial(Exchange, sent=len(made.as_bytes()))
    exchange = ended("unknown", duration_ms=0, detail="it took too long")
    try:
        async with asyncio.timeout(MAIL_LIMIT_S):
            refused = await asyncio.to_thread(mail.send, server, made, receiver.to)
        detail = f"{refused} of {len(receiver.to)} mailboxes were refused" if refused else ""
        exchange = ended("ok", duration_ms=_since(began), detail=detail)
    except mail.MailFailed as failure:
        exchange = ended(
            "unknown" if failure.unknown else "failed",
            duration_ms=_since(began),
            status=failure.status,
            detail=failure.detail,
        )
        log.warning("receiver %s: its e-mail failed: %s", recorder.name, failure.detail)
    except AttemptFailed as failure:
        exchange = ended("failed", duration_ms=_since(began), detail=str(failure))
        log.warning("receiver %s: its e-mail failed: %s", recorder.name, failure)
    except TimeoutError:
        log.warning("receiver %s: its e-mail took too long", recorder.name)
    await recorder.after(mark, exchange)


def _since(began: float) -> int:
    return round(1000 * (time.monotonic() - began))
