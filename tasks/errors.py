"""Everything that can go wrong with a job, as one small tree.

    AfterwordError
    ├── Refused              the producer's or operator's request can't be accepted; nothing was stored
    ├── StateUnavailable     Redis is absent, full, read-only or too old; nothing was sent to a destination
    ├── KeyTrouble           the key ring or a sealed record can't be used
    ├── Fenced               the job is no longer ours: lease lost, cancelled or superseded
    └── AttemptFailed        an attempt ended without a delivery
        ├── Transient            trying again may help
        │   └── StateAway            ours is the fault, not the remote side's: the attempt doesn't count
        ├── Permanent            the remote side understood and refused
        ├── DestinationTrouble   the credential or the instance itself, it seems: a test decides
        ├── Unsettled            an earlier write may exist, and it is too early to be sure
        ├── Throttled            the destination's limit is used up; the request was not made
        └── Held                 screening or an edited page: a person decides

Texts say what happened and what to do. They never hold a credential or a document's words,
and every error survives pickling (Celery and multiprocessing move them between processes).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any


class AfterwordError(Exception):
    """The root. `code` is a stable word for programs; `advice` tells a person what to do next."""

    def __init__(self, message: str, *, code: str = "error", advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__.copy())


def place_of(fault: BaseException) -> str:
    """What a fault of ours is and where, for a log line: without its words, which may hold content."""
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} at {frame.filename}:{frame.lineno}"


def _rebuild(kind: type[AfterwordError], state: dict[str, Any]) -> AfterwordError:
    error = kind.__new__(kind)
    Exception.__init__(error, state.get("message", ""))
    error.__dict__.update(state)
    return error


class Refused(AfterwordError):
    """A request that can't be accepted as it stands; nothing was stored or sent."""


class StateUnavailable(AfterwordError):
    """Redis can't take the write. The caller must not go on with whatever the write was to permit."""


class KeyTrouble(AfterwordError):
    """No usable key, or a sealed record that doesn't open in this place."""


class Fenced(AfterwordError):
    """The ledger refused a transition: this worker no longer holds the job."""


class AttemptFailed(AfterwordError):
    """An attempt that ended without a delivery.

    `status` is the HTTP status where there was one; `answered` says that a complete answer came back. `certain` is True
    when the remote side can't have carried out the write; otherwise the next attempt looks before it writes. `receipt`
    names an object that was made or changed before this happened.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "failed",
        advice: str = "",
        status: int | None = None,
        answered: bool = False,
        certain: bool = True,
        excerpt: str = "",
    ) -> None:
        super().__init__(message, code=code, advice=advice)
        self.status = status
        self.answered = answered
        self.certain = certain
        self.excerpt = excerpt
        self.receipt: Any = None

    def retell(self, tell: Callable[[str], str]) -> None:
        """Put the texts as `tell` has them: they may name what an answer said."""
        self.message, self.advice, self.excerpt = map(tell, (self.message, self.advice, self.excerpt))
        self.args = (self.message,)


class Transient(AttemptFailed):
    """Trying again may help. `retry_after` (seconds) is the remote side's own floor; `throttled` says it asks
    everybody to slow down, not just this job.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, throttled: bool = False, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
        self.throttled = throttled


class StateAway(Transient):
    """Redis was out of this worker's reach for a while: the attempt says nothing about the job."""


class Permanent(AttemptFailed):
    """The remote side understood the request and refused it; the same request will be refused again."""


class DestinationTrouble(AttemptFailed):
    """The destination's credential or instance seems to be at fault: test it, and suspend it rather than fail its jobs one
    by one.

    `passing` says what it was where that test passes: the `job`'s own trouble, one that the job has to `wait` out, or a
    destination that is `shut` for writes.
    """

    def __init__(self, message: str, *, passing: str = "wait", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.passing = passing


class Unsettled(AttemptFailed):
    """A look-up found nothing, but an earlier write may still appear until `until_ms` (epoch milliseconds)."""

    def __init__(self, message: str, *, until_ms: int, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.until_ms = until_ms


class Throttled(AttemptFailed):
    """The destination's limit is used up until `until_ms` (epoch milliseconds); the request was not made."""

    def __init__(self, message: str, *, until_ms: int, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.until_ms = until_ms


class Held(AttemptFailed):
    """A person has to decide: the job waits until it is released or cancelled."""
