"""How a destination stands: one answer for console, command line, API, doctor and metrics. Pure.

Evidence are connection tests and deliveries, as `prove` in `traffic/decisions.lua` keeps them. New settings and a new
credential make a destination untested again: what was known was known of the old ones.
"""

from __future__ import annotations

from typing import Literal, get_args

from tasks.model import ConnectionStep, Frozen
from tasks.state.clock import moment

StandingName = Literal["untested", "healthy", "failing", "throttled", "suspended", "paused"]
STANDINGS: tuple[StandingName, ...] = get_args(StandingName)
DELIVERY = "delivery"  # the step that the breaker speaks of


class LastTest(Frozen):
    """The newest connection test of a destination's present settings: who asked, when (epoch milliseconds), its steps."""

    at_ms: int
    actor: str
    passed: bool
    steps: tuple[ConnectionStep, ...] = ()

    @property
    def failure(self) -> ConnectionStep | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.ok is False), None)


class Standing(Frozen):
    """One word for a destination, and what belongs to it.

    `at_ms` (epoch milliseconds) is since when it is healthy or failing, or until when it is throttled. `step` is what
    fails, `reason` what was said of it, why it is suspended, or who paused it. `words` is all of that but a failure's
    reason, for people, in UTC.
    """

    name: StandingName = "untested"
    at_ms: int | None = None
    step: str = ""
    reason: str = ""
    words: str = "untested"

    @property
    def good(self) -> bool | None:
        """Whether jobs go out by all that is known; None where nothing is known."""
        return None if self.name == "untested" else self.name in ("healthy", "throttled")

    @property
    def before(self) -> str:
        """The words before the moment, or all of them where there is none."""
        return _before(self.name, self.at_ms, self.reason)

    @property
    def after(self) -> str:
        """The words after the moment."""
        return f"at step {self.step}" if self.name == "failing" and self.step else ""


class Evidence(Frozen):
    """What is known of a destination at one moment, `now_ms`. Times in epoch milliseconds, 0 where there is none."""

    now_ms: int = 0
    state: Literal["ready", "paused", "suspended"] = "ready"
    reason: str = ""
    breaker_open: bool = False
    failures: int = 0
    not_before_ms: int = 0
    proved: Literal["", "healthy", "failing"] = ""
    proved_ms: int = 0
    proved_step: str = ""
    test: LastTest | None = None


def standing_of(known: Evidence) -> Standing:
    """How the destination stands. What a person decided comes first, then what stops its jobs, then what was seen last."""
    failed = known.test.failure if known.test else None
    if known.state == "paused":
        return _standing("paused", reason=known.reason.removeprefix("paused by "))
    if known.state == "suspended":
        return _standing("suspended", step=failed.name if failed else "", reason=known.reason)
    if known.proved == "failing" and known.proved_step != DELIVERY:
        said = failed.detail if failed and failed.name == known.proved_step else ""
        return _standing("failing", known.proved_ms or None, known.proved_step, said)
    if known.breaker_open or known.proved == "failing":
        since = known.proved_ms if known.proved == "failing" else 0
        said = f"{known.failures} attempts of different jobs failed in a row." if known.failures else ""
        return _standing("failing", since or None, DELIVERY, said)
    if known.not_before_ms > known.now_ms:
        return _standing("throttled", known.not_before_ms)
    if known.proved == "healthy":
        return _standing("healthy", known.proved_ms or None)
    return _standing("untested")


def _standing(name: StandingName, at_ms: int | None = None, step: str = "", reason: str = "") -> Standing:
    bare = Standing(name=name, at_ms=at_ms, step=step, reason=reason)
    parts = (bare.before, moment(at_ms) if at_ms else "", bare.after)
    return bare.model_copy(update={"words": " ".join(part for part in parts if part)})


def _before(name: StandingName, at_ms: int | None, reason: str) -> str:
    link = {"healthy": "since", "failing": "since", "throttled": "until"}.get(name) if at_ms else None
    if link is None:
        link = {"suspended": "because", "paused": "by"}.get(name) if reason else None
        return f"{name} {link} {_inline(reason)}" if link else name
    return f"{name} {link}"


def _inline(reason: str) -> str:
    """A reason on one line, inside a sentence."""
    return " ".join(reason.split()).rstrip(".")
