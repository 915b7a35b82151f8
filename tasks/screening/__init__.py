"""Screening: personal data and secrets are found, and policy says what becomes of the text. Pure: no Redis, no network.

A secret stops the job, personal data is replaced by its type in brackets, host names and private addresses pass with a
note. A scanner that fails stops the job as well: nothing leaves unscreened.
"""

from __future__ import annotations

from tasks.screening.finding import Category, Finding, ScreeningFailed
from tasks.screening.policy import (
    DEFAULTS,
    STRICTNESS,
    Action,
    Policy,
    Verdict,
    policy_in,
    screen,
    screen_all,
)

__all__ = [
    "DEFAULTS",
    "STRICTNESS",
    "Action",
    "Category",
    "Finding",
    "Policy",
    "ScreeningFailed",
    "Verdict",
    "policy_in",
    "scan",
    "screen",
    "screen_all",
]


def scan(text: str) -> list[Finding]:
    """All findings, in order and without overlap, as character offsets in `text`."""
    # The finders bring patterns, tables of countries and an engine: who only reads a policy loads none of them.
    from tasks.screening.scanner import scan as found_in

    return found_in(text)
