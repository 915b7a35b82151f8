"""Whose trouble an answer tells of: the job's, the destination's, nobody's for long, or everybody's rate. Pure.

An answer is the vendor's own where it has one of the vendor's error shapes; each vendor's `answers` knows those, and has a
table of what its words mean. Any other refusal comes from something in between (a proxy, a filter, a moved address) and
says nothing about the job, whatever its status.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Whose = Literal["nobody", "job", "destination", "transient", "throttled"]
Passing = Literal["job", "wait", "shut"]
PORTAL = 511  # RFC 6585: a network that wants a login of its own
UNAUTHORIZED, THROTTLED, SLOW, TOO_LARGE_BODY = 401, 429, (408, 425), 413
TOO_LONG = (TOO_LARGE_BODY, 414, 431)  # a body, an address, headers: of these only the body is one job's
MOST_BYTES = 200_000  # an error that is longer is none of a vendor's


@dataclass(frozen=True)
class Answer:
    """What a verdict is found by. `operation` is what was asked, as the audit names it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    operation: str = ""

    def json(self) -> object:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body.decode("utf-8-sig")) if len(self.body) <= MOST_BYTES else None
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Verdict:
    """Whose trouble it is, in which words (the vendor's own are added by whoever raises it).

    `passing` says what the destination's trouble means where its test passes all the same: it was the `job`'s own, the job
    has to `wait` without blame, or the destination takes no writes at all and is `shut`. `strange` says that somebody else
    answered, so that nobody knows what became of a write.
    """

    whose: Whose
    code: str = ""
    message: str = ""
    advice: str = ""
    passing: Passing = "wait"
    strange: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a vendor's table: an answer with one of these statuses (none: any) and these words means that."""

    statuses: tuple[int, ...]
    words: str
    verdict: Verdict


Judge = Callable[[Answer], Verdict]

FINE = Verdict("nobody")
ASKS_TO_WAIT = Verdict("throttled", "throttled", "Too many requests")
BUSY = Verdict("transient", "conflict", "The remote side is busy with this object")
FAILED = Verdict("transient", "remote_failure", "The remote side failed")
NOT_THE_VENDOR = Verdict(
    "destination",
    "not_the_vendor",
    "Something else than the destination answered",
    "Check the address, and what stands between here and there: proxy, firewall, ingress. "
    "Then run `afterword destination test`.",
    strange=True,
)
NO_ENTRY = Verdict(
    "destination",
    "credential_refused",
    "A credential was refused, and not in the destination's own words",
    "Check account and secret, and whether a proxy in between wants a login of its own, then run `afterword destination test`.",
    strange=True,
)
TOO_LARGE = Verdict(
    "job",
    "too_large",
    "What was sent is too large for the remote side",
    "Shorten the document or hand over fewer or smaller files, then submit it again.",
)
TOO_LARGE_IN_BETWEEN = Verdict(
    "destination",
    "too_large",
    "Something in between takes no request of this size",
    "Raise its limit, or shorten the document, then submit it again.",
    passing="job",
    strange=True,
)
CREDENTIAL = Verdict(
    "destination",
    "credential_refused",
    "The credential was refused",
    "Check account and secret, or store a new one with `afterword destination set`, then run `afterword destination test`. "
    "An expired token, or an interactive user on a recent ServiceNow, is refused like this even when it is right.",
    passing="job",
)
NOT_PERMITTED = Verdict(
    "destination",
    "not_permitted",
    "The account may not do this",
    "Give the account the right, then run `afterword destination test`.",
    passing="job",
)
READ_ONLY = Verdict(
    "destination",
    "read_only",
    "The destination takes no writes now",
    "It is in maintenance or read-only mode; the jobs go on by themselves when that ends.",
    passing="shut",
)
UNPAID = Verdict(
    "destination",
    "not_served",
    "The vendor doesn't serve this site now",
    "See its billing, licence and number of users; the jobs go on by themselves when that is settled.",
    passing="shut",
)
GONE = Verdict(
    "destination",
    "no_such_api",
    "The destination doesn't have this API (any more)",
    "Check the address and the kind or flavor of the destination, and whether its token is made for this API.",
)
REFUSED = Verdict(
    "job",
    "refused",
    "The remote side refused the request",
    "Correct what it names, then `afterword job retry`.",
)

# What a status means once the vendor's own table is silent about the words.
COMMON: tuple[Row, ...] = (
    Row((405,), r"(?i)read.?only|maintenance", READ_ONLY),
    Row((405, 406, 407, 410, 421, 426, 451, 501, 505), "", GONE),
    Row((401,), "", CREDENTIAL),
    Row((402,), "", UNPAID),
    Row((403,), "", NOT_PERMITTED),
    Row((409, 423), "", BUSY),
    Row(TOO_LONG, "", TOO_LARGE),
)


def judged(answer: Answer, words: Callable[[Answer], str | None], table: Iterable[Row]) -> Verdict:
    """The verdict on an answer; `words` finds the vendor's in a refusal, None where it has none of the vendor's shapes."""
    status = answer.status
    if 200 <= status < 300:
        return FINE
    said = words(answer)
    if said is not None:
        for row in (*table, *(COMMON if status < 500 else ())):
            if (not row.statuses or status in row.statuses) and re.search(row.words, said):
                return row.verdict
    if status == THROTTLED:
        return ASKS_TO_WAIT
    if status in SLOW:
        return BUSY
    if status >= 500 and status != PORTAL:
        return FAILED
    if said is None or status < 400 or status == PORTAL:
        return (
            TOO_LARGE_IN_BETWEEN if status == TOO_LARGE_BODY else NO_ENTRY if status == UNAUTHORIZED else NOT_THE_VENDOR
        )
    return REFUSED


def by_status(answer: Answer) -> Verdict:
    """The verdict on an answer of a side whose shapes nobody knows, by its status alone."""
    return judged(answer, lambda _: "", ())
