"""What goes into the ledger's transitions and what comes out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from tasks.errors import KeyTrouble
from tasks.model import Callback, Command, Frozen, Job, JobState, LastError, Receipt
from tasks.state.audit.entries import Event
from tasks.state.followups.links import Membership
from tasks.state.traffic.limiter import Sign


class Shown(Frozen):
    """The content that was delivered last, by the digest of all that decides how it looks, and what was warned of then."""

    source: str = ""
    warnings: tuple[str, ...] = ()


class Subject(Frozen):
    """What is known of the one remote object: its last receipt and when that came, until when an earlier write is in
    doubt, (sealed) what that write said the object could be found by, what it shows, and (sealed) what we wrote last. Times in epoch milliseconds.
    """

    receipt: Receipt | None = None
    delivered_ms: int | None = None
    doubt_until_ms: int | None = None
    tried: str | None = None
    shown: Shown = Shown()
    wrote: str | None = None
    receipt_text: str | None = Field(default=None, repr=False, description="the receipt as it is stored")
    receipt_seal: str | None = Field(default=None, repr=False, description="its signature")


@dataclass(frozen=True)
class Submission:
    """Everything that one submission stores; `contents` are sealed records by key, stored in the same script.

    `fingerprint` stands for the whole request; `same_request` tells whether a stored one does, also under an older key.
    `issue` is the key of the issue that its object shares links with; a job that `follows` another yields to any of its
    subject. `words` are texts that it is found by. It begins no sooner than `not_before_ms`, and has ended at `until_ms` (epoch).
    It is refused where `caller` (of `state.access`) isn't let in, or its destination isn't `chosen` any more (`state.choosing`).
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
    origin: Mapping[str, object] | None = None
    words: tuple[str, ...] = ()
    not_before_ms: int | None = None
    until_ms: int | None = None
    caller: Mapping[str, Any] | None = None
    chosen: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Settlement:
    """How an attempt ends. `doubt` is `clear`, `keep`, or the epoch milliseconds until which a write is in doubt.
    `suspected` counts a refusal that was the job's own. `wrote` is what the object's fields hold of ours, sealed for
    each subject that it is kept with.
    """

    to: JobState
    event: Event
    due_ms: int | None = None
    counted: bool = True
    error: LastError | None = None
    receipt: Receipt | None = None
    shown: Shown | None = None
    wrote: Mapping[str, str] | None = None
    doubt: str | int = "keep"
    suspected: bool = False
    sign: Sign | None = None
    link: Membership | None = None


@dataclass(frozen=True)
class Lease:
    """How long an attempt may run before others take it for lost: each of its `requests` as long as its destination's
    settings let one be (`total_s` where there are none), and `margin_ms`.
    """

    requests: int
    margin_ms: int
    total_s: float = 30.0


@dataclass(frozen=True)
class Claimed:
    """A job taken for one attempt, with what the attempt needs, read in the same moment: what is known of its subject, and
    as Redis has them its destination's record, its sealed content, the members of its issue and its destination's tokens (`grant`). A `probe` tries whether a
    destination that failed answers again. `doubt` says why the job isn't to be done as its record has it; `forged`, that its
    subject's receipt was. `look_first_ms` is since when (epoch milliseconds) the remote
    side may hold objects that the ledger has lost; None where it may not.
    """

    job: Job
    subject: Subject
    destination: Mapping[bytes, bytes]
    content: bytes | None = field(default=None, repr=False)
    members: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    grant: Sequence[bytes] | None = field(default=None, repr=False, compare=False)  # read at the moment of each answer
    probe: bool = False
    look_first_ms: int | None = None
    doubt: KeyTrouble | None = None
    forged: bool = False


@dataclass(frozen=True)
class NotClaimed:
    """Why a job can't be run now: `unknown`, `state`, `unreadable` (only a newer version can read it), `settling` (a server
    that may have lost what some worker saw), `destination`, `breaker`, `throttled`, `busy`, `full` or `stale`.
    """

    reason: str
    detail: str = ""
