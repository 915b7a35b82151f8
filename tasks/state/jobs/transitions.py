"""What goes into the ledger's transitions and what comes out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tasks.model import Callback, Command, Frozen, JobState, LastError, Receipt
from tasks.state.audit.entries import Event
from tasks.state.followups.links import Membership
from tasks.state.traffic.limiter import Sign


class Subject(Frozen):
    """What is known of the one remote object: its last receipt and when that came, until when an earlier write is in
    doubt, and (sealed) what that write said the object could be found by. Times in epoch milliseconds.
    """

    receipt: Receipt | None = None
    delivered_ms: int | None = None
    doubt_until_ms: int | None = None
    tried: str | None = None


@dataclass(frozen=True)
class Submission:
    """Everything that one submission stores; `contents` are sealed records by key, stored in the same script.

    `fingerprint` stands for the whole request; `same_request` tells whether a stored one does, also under an older key.
    `issue` is the key of the issue that its object shares links with; a job that `follows` another yields to any of its
    subject.
    """

    command: Command
    destination: str
    subject: str
    max_age_ms: int
    actor: str
    job_id: str | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""
    same_request: Callable[[str], bool] = bool
    family: str | None = None
    contents: Mapping[str, str] | None = None
    issue: str | None = None
    follows: str | None = None
    traceparent: str | None = None
    callback: Callback | None = None


@dataclass(frozen=True)
class Settlement:
    """How an attempt ends. `doubt` is `clear`, `keep`, or the epoch milliseconds until which a write is in doubt."""

    to: JobState
    event: Event
    due_ms: int | None = None
    counted: bool = True
    error: LastError | None = None
    receipt: Receipt | None = None
    doubt: str | int = "keep"
    suspend: str | None = None
    sign: Sign | None = None
    link: Membership | None = None


@dataclass(frozen=True)
class NotClaimed:
    """Why a job can't be run now: `unknown`, `state`, `destination`, `breaker`, `throttled`, `busy`, `full` or `stale`."""

    reason: str
    detail: str = ""
