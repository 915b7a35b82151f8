"""Who paused a destination is a person's word: it stands in the signed half of its record, and scripts read the state beside it.

The word has a moment of its own. A Redis that lost the newest one, or in which it was put back, is answered by pausing or resuming
again; settings and credential, which that doesn't touch, aren't older for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.state.newest import Newest
from tasks.state.signed import Doubt

BY, AT = "paused", "paused_ms"  # in what is signed: who paused it, empty where nobody did, and when that was said
PAUSE_CHANGED = "pause_changed"


def paused_of(facts: Mapping[str, Any] | None, raw: Mapping[str, str]) -> str:
    """Who paused the destination, by what is signed; by the state where nothing signed says anything."""
    if facts is not None and BY in facts:
        return str(facts[BY])
    return (raw.get("reason") or "paused") if raw.get("state") == "paused" else ""


class Pauses:
    """Signs who paused a destination, and tells where Redis says otherwise."""

    def __init__(self, newest: Newest) -> None:
        self._newest = newest

    def said(self, name: str, paused: str, now_ms: int) -> dict[str, Any]:
        """What is to be signed of it: later than anything that was said before."""
        return {BY: paused, AT: max(now_ms, self._newest.of(_record(name)) + 1)}

    def learn(self, name: str, facts: Mapping[str, Any]) -> None:
        """Refuse anything older from now on."""
        self._newest.learn(_record(name), facts[AT])

    def doubt(self, name: str, facts: Mapping[str, Any] | None, raw: Mapping[str, str]) -> Doubt | None:
        """Why the state isn't what a person said last. A record that an older version signed says nothing of it."""
        if facts is None or BY not in facts:
            return None
        if facts[AT] < self._newest.of(_record(name)):
            return _doubt(name, "was paused or let go on, and Redis has forgotten it, or somebody put it back")
        self.learn(name, facts)
        if bool(facts[BY]) == (raw.get("state") == "paused"):
            return None
        said = f"is {facts[BY]}, and was let go on" if facts[BY] else "was paused"
        return _doubt(name, f"{said} in Redis by somebody who has no key")


def _doubt(name: str, said: str) -> Doubt:
    return Doubt(
        code=PAUSE_CHANGED,
        message=f"Destination {name} {said}.",
        advice=f"Say what holds: `afterword destination pause {name}` or `afterword destination resume {name}`.",
    )


def _record(name: str) -> str:
    return f"pause:{name}"
