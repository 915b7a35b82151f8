"""What a destination lets through: its limits, learned and set, its breaker, and whether it is suspended.

The decisions are in `traffic/decisions.lua`, as pure functions run inside the scripts that claim, dispatch, permit a request
and settle: whatever one worker learns holds for every worker with its next script.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, Literal

from tasks.http.quota import Guidance
from tasks.model import ConnectionReport, Frozen
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal
from tasks.state.traffic.standing import Evidence, LastTest, Standing, standing_of

log = logging.getLogger(__name__)

Sign = Literal["up", "busy", "down", "shut"]
Breaker = Literal["closed", "open", "half_open"]


class Health(Frozen):
    """What decides whether a destination's jobs go out, read at one moment. Times are epoch milliseconds.

    `not_before_ms` is the end of the pause that throttling or the open breaker imposes, 0 without one. `rate_per_s` is
    the operator's limit, `learned_per_s` a slower one that the destination asked for, `room` how many jobs may run at
    once while throttling keeps that below the setting. The quota is what the last answer said of it. `standing` is all of
    it in one word; `last_test` the newest connection test of the present settings.
    """

    name: str
    state: Literal["ready", "paused", "suspended"] = "ready"
    reason: str = ""
    breaker: Breaker = "closed"
    failures: int = 0
    not_before_ms: int = 0
    rate_per_s: float | None = None
    learned_per_s: float | None = None
    room: int | None = None
    quota_limit: float | None = None
    quota_remaining: float | None = None
    quota_reset_ms: int | None = None
    quota_reason: str = ""
    quota_at_ms: int | None = None
    next_probe_ms: int | None = None
    running: int = 0
    waiting: int = 0
    oldest_waiting_ms: int | None = None
    last_success_ms: int | None = None
    standing: Standing = Standing()
    last_test: LastTest | None = None


@dataclass(frozen=True)
class Turn:
    """When a request may be made: after `wait_s` seconds, for which its place is kept, or not before `until_ms`."""

    wait_s: float = 0.0
    until_ms: int | None = None


class Limiter:
    """Reads and switches what a destination lets through; the scripts of the ledger obey it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def health(self, name: str) -> Health:
        """A destination's health; that of one that isn't configured is the default."""
        raw = json.loads(await self._journal.query("traffic/health", {"name": name}))
        for rate in ("rate_per_s", "learned_per_s", "room"):
            raw[rate] = raw[rate] or None
        test = _last_test(raw.pop("test", None), raw.pop("test_at_ms"))
        evidence = {key: raw.pop(key) for key in ("now_ms", "proved", "proved_ms", "proved_step")}
        shared = {key: raw[key] for key in ("state", "reason", "failures", "not_before_ms")}
        known = Evidence.model_validate(evidence | shared | {"breaker_open": raw["breaker"] != "closed", "test": test})
        return Health.model_validate({"name": name, "standing": standing_of(known), "last_test": test} | raw)

    async def switch(
        self,
        name: str,
        to: str,
        event: Event,
        *,
        actor: str,
        reason: str = "",
        seen: tuple[str, int] | None = None,
        forget: bool = False,
        soon: bool = False,
        wholes: tuple[str, str] | None = None,
    ) -> bool:
        """Change a destination's state, with its audit entry; False where it isn't any more what was `seen`
        (state, revision), or its signed half not the first of `wholes`, in whose place the second one comes. With `forget` what
        was learned of its limits and failures is forgotten; with `soon` a suspended destination is tested again within seconds.
        """
        args: dict[str, Any] = {"name": name, "to": to, "reason": reason, "forget": forget, "soon": soon}
        if seen is not None:
            args |= {"from": seen[0], "revision": seen[1]}
        if wholes is not None:
            args |= {"whole": wholes[0], "whole_now": wholes[1]}
        reply = await self._journal.commit(
            "traffic/switch", args, event, destination=name, actor=actor, reason=reason or None
        )
        return reply.ok

    async def suspect(
        self, name: str, revision: int, since_ms: int | None, lease_ms: int
    ) -> tuple[Literal["test", "wait", "passed", "moved"], int]:
        """Who tests a destination that refused a job at `since_ms` (by Redis's clock; None for now), and that moment.

        `test`: the caller does, within `lease_ms`. `wait`: somebody does; ask again. `passed`: a test that began after the
        refusal passed. `moved`: the destination was suspended, paused or configured anew meanwhile.
        """
        args: dict[str, Any] = {"name": name, "revision": revision, "lease_ms": lease_ms}
        if since_ms is not None:
            args["since_ms"] = since_ms
        role, since = await self._journal.query("traffic/suspect", args)
        return role.decode(), int(since)

    async def tested(self, name: str, *, passed: bool) -> None:
        """The test that `suspect` gave to the caller has ended."""
        await self._journal.query("traffic/tested", {"name": name, "passed": passed})

    async def report(self, name: str, revision: int, report: ConnectionReport, actor: str) -> bool:
        """Keep what a connection test found, with its audit entry; False where the destination was configured anew since."""
        steps = [step.model_dump() for step in report.steps]
        failing = report.failure.name if report.failure else ""
        args = {
            "name": name,
            "revision": revision,
            "passed": report.success,
            "step": failing,
            "test": json.dumps({"actor": actor, "passed": report.success, "steps": steps}),
        }
        facts = {"outcome": "passed" if report.success else "failed", "step": failing or None}
        event = Event.DESTINATION_TESTED
        reply = await self._journal.commit("traffic/report", args, event, destination=name, actor=actor, **facts)
        return reply.ok

    async def due_probes(self) -> list[str]:
        """Suspended destinations that the caller, and nobody else, is to test now."""
        return [name.decode() for name in await self._journal.query("traffic/probes", {})]

    async def upcoming_s(self, within_s: float) -> float:
        """Seconds until the next moment at which a waiting job could start, at most `within_s`."""
        return int(await self._journal.query("traffic/upcoming", {"within_ms": int(1000 * within_s)})) / 1000


def _last_test(stored: str | None, at_ms: int) -> LastTest | None:
    """The test as it was kept; None where there is none that this version can read."""
    try:
        return LastTest.model_validate(json.loads(stored) | {"at_ms": at_ms}) if stored else None
    except (ValueError, TypeError):
        return None


def tell_of_breaker(destination: str, moved: str) -> None:
    """The one log line, in the whole fleet, when a destination's breaker `opened` or `closed`."""
    if moved == "opened":
        log.error("destination %s fails again and again: its jobs wait, and one at a time tries it", destination)
    elif moved == "closed":
        log.warning("destination %s answers again: its jobs go on", destination)


def lesson(guidance: Guidance, now_ms: int) -> dict[str, Any] | None:
    """Guidance as the scripts take it, in milliseconds; None where it says nothing."""
    if guidance.silent:
        return None
    told: dict[str, Any] = {"throttled": guidance.throttled}
    if guidance.pause_s is not None:
        told["pause_ms"] = round(1000 * guidance.pause_s)
    if guidance.pace_s is not None:
        told |= {"pace_ms": 1000 * guidance.pace_s, "pace_for_ms": round(1000 * guidance.pace_for_s)}
    quota = {"limit": guidance.limit, "remaining": guidance.remaining, "reason": guidance.reason or None}
    if guidance.reset_s is not None:
        quota["reset_ms"] = now_ms + round(1000 * guidance.reset_s)
    if known := {name: value for name, value in quota.items() if value is not None}:
        told["quota"] = known
    return told
