"""What an audit entry is, and how it is signed.

A MAC covers the length-prefixed bytes of each field as stored, never re-serialised JSON, and the MAC before it.
The keys are not in Redis: whoever can write to Redis can't make an entry, and an edit, a gap, a swap or a cut
tail shows against the chain or its head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from tasks.model import Frozen
from tasks.state.audit.heads import packed
from tasks.state.clock import LAST_MS
from tasks.state.vault import Vault

SIGNED = ("chain", "seq", "at", "event", "data", "key")


class Event(StrEnum):
    """Everything that is audited, by name."""

    SUBMITTED = "job.submitted"
    CLAIMED = "job.claimed"
    LOOKUP_INTENT = "lookup.intent"
    LOOKUP_OK = "lookup.ok"
    LOOKUP_FAILED = "lookup.failed"
    LOOKUP_UNKNOWN = "lookup.unknown"
    DELIVERY_INTENT = "delivery.intent"
    DELIVERY_OK = "delivery.ok"
    DELIVERY_FAILED = "delivery.failed"
    DELIVERY_UNKNOWN = "delivery.unknown"
    TEST_INTENT = "test.intent"
    TEST_OK = "test.ok"
    TEST_FAILED = "test.failed"
    TEST_UNKNOWN = "test.unknown"
    SCREENED = "job.screened"
    DELIVERED = "job.delivered"
    RETRYING = "job.retrying"
    WAITING = "job.waiting"
    HELD = "job.held"
    DEAD = "job.dead"
    SUPERSEDED = "job.superseded"
    TAKEN_OVER = "job.taken_over"
    FORGIVEN = "job.forgiven"
    GIVEN_BACK = "job.given_back"
    CANCELLED = "job.cancelled"
    RETRIED = "job.retried"
    RELEASED = "job.released"
    BULK_RETRIED = "jobs.retried"
    BULK_CANCELLED = "jobs.cancelled"
    BULK_RELEASED = "jobs.released"
    TRIMMED = "retention.trimmed"
    LOGIN_INTENT = "login.intent"
    LOGIN_OK = "login.ok"
    LOGIN_FAILED = "login.failed"
    LOGIN_UNKNOWN = "login.unknown"
    CREDENTIAL_SET = "credential.set"
    CREDENTIAL_RENEWED = "credential.renewed"
    CREDENTIAL_GIVEN = "credential.given"
    CREDENTIAL_EXPIRING = "credential.expiring"
    DESTINATION_SET = "destination.set"
    RECORD_SIGNED = "record.signed"
    RECORD_REFUSED = "record.refused"
    DESTINATION_REMOVED = "destination.removed"
    DESTINATION_PAUSED = "destination.paused"
    DESTINATION_RESUMED = "destination.resumed"
    DESTINATION_TESTED = "destination.tested"
    DESTINATION_SUSPENDED = "destination.suspended"
    DOCUMENT_PUT = "document.put"
    ISSUE_PUT = "issue.put"
    TICKET_SEEN = "ticket.seen"
    TICKET_CHANGED = "ticket.changed"
    KEY_ROTATED = "key.rotated"
    RESEALED = "key.resealing"
    KEY_RESEALED = "key.resealed"
    KEYS_RETIRED = "key.retired"
    AUDIT_EXPORTED = "audit.exported"
    AUDIT_TRIMMED = "audit.trimmed"
    AUDIT_ACCEPTED = "audit.accepted"
    CONTENT_VIEWED = "content.viewed"
    LOGGED_IN = "session.opened"
    LOGGED_OUT = "session.closed"
    LOGIN_REFUSED = "session.refused"
    CALLBACK_INTENT = "callback.intent"
    CALLBACK_OK = "callback.ok"
    CALLBACK_FAILED = "callback.failed"
    CALLBACK_UNKNOWN = "callback.unknown"
    CALLBACK_DEAD = "callback.dead"
    NOTIFICATION_INTENT = "notification.intent"
    NOTIFICATION_OK = "notification.ok"
    NOTIFICATION_FAILED = "notification.failed"
    NOTIFICATION_UNKNOWN = "notification.unknown"
    RECEIVER_SET = "receiver.set"
    RECEIVER_REMOVED = "receiver.removed"
    VIEW_SAVED = "view.saved"
    VIEW_REMOVED = "view.removed"
    CONFLICT = "job.conflict"
    MESSAGE_SET_ASIDE = "message.set_aside"
    MESSAGES_DROPPED = "messages.dropped"
    APIKEY_CREATED = "apikey.created"
    APIKEY_REVOKED = "apikey.revoked"
    WENT_BACK = "ledger.went_back"
    LOOK_FIRST_SET = "lookfirst.set"
    LOOK_FIRST_CLEARED = "lookfirst.cleared"


UNREADABLE = "audit.unreadable"


class AuditEntry(Frozen):
    """One entry as read back. `at_ms` is when its writer made it (`state.clock`), `id` when Redis took it
    (milliseconds-sequence).
    """

    id: str
    chain: str
    seq: int
    at_ms: int
    event: str
    data: dict[str, Any] = Field(default_factory=dict)


def sign(vault: Vault, chain: str, seq: int, at_ms: int, event: str, data: str, *, previous: str) -> dict[str, str]:
    """The stored fields of an entry, with its MAC."""
    fields = {"chain": chain, "seq": str(seq), "at": str(at_ms), "event": str(event), "data": data, "key": vault.key_id}
    return fields | {"mac": mac_of(vault, fields, previous)}


def entry_of(identifier: str, fields: dict[str, str]) -> AuditEntry:
    """An entry from its stored fields. One that nobody of us wrote reads as `UNREADABLE`, so that readers get past it; what it
    is says the verification.
    """
    try:
        return AuditEntry(
            id=identifier,
            chain=fields.get("chain", ""),
            seq=int(fields.get("seq", 0)),
            at_ms=_moment(fields.get("at", "0")),
            event=fields.get("event", ""),
            data=json.loads(fields.get("data", "{}")),
        )
    except ValueError:
        taken_ms = min(int(identifier.partition("-")[0]), LAST_MS)
        return AuditEntry(id=identifier, chain="", seq=0, at_ms=taken_ms, event=UNREADABLE)


def _moment(written: str) -> int:
    at_ms = int(written)
    if not 0 <= at_ms <= LAST_MS:
        raise ValueError
    return at_ms


def mac_of(vault: Vault, fields: Mapping[str, str], previous: str) -> str:
    """The MAC of an entry: over the bytes of its fields as stored, and the MAC before it in its chain."""
    return vault.mac("audit", packed(previous, *(fields[name] for name in SIGNED)), fields["key"]).hex()
