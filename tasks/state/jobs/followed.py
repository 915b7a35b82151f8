"""Tickets whose remote state is followed: whose turn it is, and how each read when it was last seen, sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from tasks.errors import KeyTrouble
from tasks.model import Frozen, Receipt
from tasks.model.remote import RemoteTicket
from tasks.state.audit.entries import Event
from tasks.state.jobs.signatures import is_receipt_of
from tasks.state.journal import Journal
from tasks.state.vault import Vault

ISSUE = "issue:"  # what the name of a stored issue begins with
FIELDS = ("receipt", "receipt_seal", "remote", "followed", "delivered_by", "about")


class Seen(Frozen):
    """How a ticket read: when that was first seen, after which delivery, and when somebody else changed it last (epoch
    milliseconds).
    """

    ticket: RemoteTicket
    delivered_ms: int
    seen_ms: int
    changed_ms: int | None = None


@dataclass(frozen=True)
class Due:
    """A ticket to look at: the id of its issue, its receipt, the marks of what was written, and how it read last."""

    subject: str
    issue_id: str
    receipt: Receipt
    wrote: Mapping[str, tuple[str, str]]
    delivered_ms: int
    seen: Seen | None


@dataclass(frozen=True)
class Delivered:
    """One object of an issue: its receipt, and how it read last where it is followed."""

    subject: str
    destination: str
    job: str
    receipt: Receipt
    seen: Seen | None


class Followed:
    """What is followed, by destination."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault

    async def due(self, destination: str, batch: int, every_ms: int) -> list[Due]:
        """Up to `batch` tickets whose turn it is, for this caller alone; their next turn is in `every_ms`."""
        args = {"destination": destination, "batch": batch, "every_ms": every_ms}
        found = []
        for row in await self._journal.query("jobs/followed_due", args):
            subject, receipt, seal, wrote, remote, delivered_ms, about = (part.decode() for part in row)
            changed = not delivered_ms.isdecimal() or not is_receipt_of(self._vault, subject, receipt, seal)
            if changed or not about.startswith(ISSUE):
                continue  # the next job for it says so
            found.append(
                Due(
                    subject=subject,
                    issue_id=about.removeprefix(ISSUE),
                    receipt=Receipt.model_validate_json(receipt, extra="ignore"),
                    wrote=json.loads(self._open("wrote", subject, wrote) or "{}"),
                    delivered_ms=int(delivered_ms),
                    seen=self._seen(subject, remote),
                )
            )
        return found

    async def keep(self, destination: str, due: Due, seen: Seen, changed: Sequence[str]) -> bool:
        """Keep how a ticket reads now; its producer is told where somebody else `changed` it. False where it was delivered
        meanwhile.
        """
        ticket = seen.ticket
        told = ticket.model_dump(include={"number", "url", "state", "stage"}) | {"changed": list(changed)}
        sealed = self._vault.seal(seen.model_dump_json(), purpose="remote", owner=due.subject)
        args: dict[str, Any] = {"subject": due.subject, "delivered_ms": str(due.delivered_ms), "remote": sealed}
        args |= {"detail": {"changed": list(changed)}} | ({"ticket": json.dumps(told)} if changed else {})
        facts = {"destination": destination, "subject": due.subject, "issue": due.issue_id, "ticket": ticket.number}
        event = Event.TICKET_CHANGED if changed else Event.TICKET_SEEN
        reply = await self._journal.commit(
            "jobs/followed_seen", args, event, **facts, changed=",".join(changed) or None, state=ticket.state
        )
        return reply.ok

    async def drop(self, destination: str, subjects: Sequence[str]) -> None:
        """Look at these no more, until they are delivered again."""
        if subjects:
            args = {"destination": destination, "subjects": list(subjects)}
            await self._journal.query("jobs/followed_drop", args)

    async def of(self, issue: str) -> list[Delivered]:
        """The delivered objects of an issue (by its key) that have a ticket's record, in the order of their destinations."""
        prefix, found = self._journal.prefix, []
        for raw in await self._redis.smembers(f"{prefix}:links:{issue}:subjects"):
            subject = raw.decode()
            values = await self._redis.hmget(f"{prefix}:subject:{subject}", FIELDS)
            receipt, seal, remote, destination, job, about = ((value or b"").decode() for value in values)
            if destination and about.startswith(ISSUE) and is_receipt_of(self._vault, subject, receipt, seal):
                made = Receipt.model_validate_json(receipt, extra="ignore")
                found.append(Delivered(subject, destination, job, made, self._seen(subject, remote)))
        return sorted(found, key=lambda each: (each.destination, each.receipt.id))

    def _seen(self, subject: str, sealed: str) -> Seen | None:
        text = self._open("remote", subject, sealed)
        return Seen.model_validate_json(text, extra="ignore") if text else None

    def _open(self, purpose: str, subject: str, sealed: str) -> str:
        """What was sealed; a key that is gone makes the next look the first one."""
        try:
            return self._vault.open(sealed, purpose=purpose, owner=subject) if sealed else ""
        except KeyTrouble:
            return ""
