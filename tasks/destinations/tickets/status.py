"""An issue's stage, and when a ticket follows it. Pure.

A ticket follows a change of the issue. Where the issue stays as it was, the ticket's state is the business of those who work
on it; and it is never moved back, but for an issue that was opened again.
"""

from __future__ import annotations

from typing import Literal

Stage = Literal["open", "working", "resolved", "closed"]
Follow = Literal["off", "resolve", "close"]
STATUS = "@status"  # by which the newest stage is remembered among a ticket's fields
_ORDER: tuple[Stage, ...] = ("open", "working", "resolved", "closed")
_WORDS: dict[Stage, frozenset[str]] = {
    "open": frozenset({"open", "new", "reopened", "to do", "todo", "created"}),
    "working": frozenset(
        {"triaging", "triaged", "investigating", "identified", "mitigating", "in progress", "active", "acknowledged"}
    ),
    "resolved": frozenset({"resolved", "fixed", "mitigated", "solved", "done"}),
    "closed": frozenset({"closed", "completed"}),
}


def stage_of(status: str, follow: Follow) -> Stage | None:
    """The stage that an issue's status means; None for words of its own and where tickets don't follow."""
    words = " ".join(status.casefold().replace("_", " ").replace("-", " ").split())
    found = next((stage for stage, known in _WORDS.items() if words in known), None)
    if follow == "off":
        return None
    return "resolved" if found == "closed" and follow == "resolve" else found


def move(before: str | None, wanted: Stage | None, present: Stage | None) -> Stage | None:
    """The stage to bring a ticket to; None where it stays. `before` is the issue's stage at the last delivery, `present` the
    ticket's own; None where that is one of its process' own.
    """
    last = before if before in _ORDER else "open"
    if wanted is None or present is None or wanted == last:
        return None
    if _ORDER.index(wanted) > _ORDER.index(last):
        return wanted if _ORDER.index(present) < _ORDER.index(wanted) else None
    again = last in ("resolved", "closed") and wanted in ("open", "working") and present in ("resolved", "closed")
    return "working" if again else None
