"""Callbacks: a job's outcome, posted to the address that its producer named, signed after Standard Webhooks.

Only origins that the operator listed are posted to, under the same guard as every destination: nothing is followed,
private addresses are refused unless their network is allowed, and each post stands in the audit before it is made.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tasks.audited import exchange_facts
from tasks.http.exchange import Exchange
from tasks.http.message import Request
from tasks.http.origin import Origin
from tasks.retry import Backoff
from tasks.state.audit.entries import Event
from tasks.state.clock import rfc3339
from tasks.state.followups.outbox import Outbox, Outcome

GIVE_UP_AFTER_MS = 72 * 3600_000
POST_LIMIT_S = 10.0
LEASE_MS = 40_000
GONE = 410
BACKOFF = Backoff(base_s=5.0, cap_s=3600.0)


def request_of(outcome: Outcome, secret: str, now_ms: int) -> Request:
    """The signed request; only the time, and with it the signature, differ from one attempt to the next."""
    body = payload(outcome)
    timestamp = str(now_ms // 1000)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": outcome.message,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(secret, outcome.message, timestamp, body),
    }
    return Request("POST", urlsplit(outcome.url).path or "/", "POST callback", headers=headers, body=body, writes=True)


def payload(outcome: Outcome) -> bytes:
    """What is posted: the outcome as it was when the job ended, or what became of its ticket."""
    error = outcome.error
    data = {
        "job_id": outcome.job,
        "state": outcome.state.value,
        "command": outcome.command,
        "destination": outcome.destination,
        "result": outcome.receipt.result() if outcome.receipt else None,
        "error": {"code": error.code, "message": error.message, "advice": error.advice} if error else None,
        "superseded_by": outcome.superseded_by,
    }
    kind = f"job.{outcome.state.value}"
    if outcome.ticket is not None:
        kind, data = "ticket.changed", data | {"ticket": outcome.ticket}
    return json.dumps({"type": kind, "timestamp": rfc3339(outcome.at_ms), "data": data}).encode()


def sign(secret: str, message: str, timestamp: str, body: bytes) -> str:
    """The `webhook-signature` of Standard Webhooks: HMAC-SHA-256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signature).decode()


def next_due(outcome: Outcome, *, status: int | None, now_ms: int, chance: float) -> int | None:
    """When a failed post is tried again, or None where that is given up."""
    if status == GONE or now_ms - outcome.at_ms >= GIVE_UP_AFTER_MS:
        return None
    return now_ms + int(1000 * BACKOFF.delay_s(outcome.attempts, chance))


@dataclass
class AuditedPost:
    """The recorder of one post: its intent before, and with its outcome the message's own fate, in one script."""

    outbox: Outbox
    outcome: Outcome
    clock_ms: Callable[[], int]
    chance: Callable[[], float]

    async def before(self, _: Request, origin: Origin, begin: Callable[[], None]) -> str:
        """Make the intent durable."""
        begin()
        return await self.outbox.announce(self.outcome, {"host": origin.netloc})

    async def after(self, mark: str, exchange: Exchange) -> None:
        """Settle the message."""
        facts = exchange_facts("POST callback", exchange)
        if exchange.outcome == "ok":
            await self.outbox.settle(self.outcome, Event.CALLBACK_OK, None, facts, mark)
            return
        await self.failed(Event(f"callback.{exchange.outcome}"), exchange.status, facts, mark)

    async def failed(
        self, event: Event, status: int | None, facts: Mapping[str, object], intent: str | None = None
    ) -> None:
        """Plan the next post, or give up."""
        due_ms = next_due(self.outcome, status=status, now_ms=self.clock_ms(), chance=self.chance())
        await self.outbox.settle(self.outcome, event if due_ms else Event.CALLBACK_DEAD, due_ms, facts, intent)
