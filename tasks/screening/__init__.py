"""Screening: personal data and secrets are found, and policy says what becomes of the text. Pure: no Redis, no network.

A secret stops the job, personal data is replaced by its type in brackets, host names and private addresses pass with a
note. A scanner that fails stops the job as well: nothing leaves unscreened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from pydantic import Field

from tasks.model import Frozen
from tasks.screening.assignments import assignments, in_tables
from tasks.screening.finding import Category, Finding, merged
from tasks.screening.normalise import as_written, readings
from tasks.screening.providers import by_providers
from tasks.screening.rules import by_rules

Action = Literal["allow", "redact", "hold", "block"]
DEFAULTS: Mapping[Category, Action] = {"secret": "block", "personal": "redact", "infrastructure": "allow"}
STRICTNESS: Mapping[str, int] = {"allow": 0, "redact": 1, "hold": 2, "block": 3}
FINDERS: tuple[Callable[[str], Iterable[Finding]], ...] = (by_rules, assignments, in_tables, by_providers)
_SURROGATES = re.compile("[\ud800-\udfff]")

__all__ = ["Action", "Finding", "Policy", "ScreeningFailed", "Verdict", "scan", "screen"]


class ScreeningFailed(Exception):
    """The text could not be screened, and therefore may not leave. Never quotes the text."""


class Policy(Frozen):
    """What is done with each finding: by its type, else by its category. `allow` and `names` are literal values."""

    categories: Mapping[Category, Action] = Field(default_factory=lambda: dict(DEFAULTS))
    types: Mapping[str, Action] = Field(default_factory=dict)
    allow: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    max_chars: int = 6_000_000

    def action(self, finding: Finding) -> Action:
        """What policy says about this finding."""
        return self.types.get(finding.type) or self.categories[finding.category]


class Verdict(Frozen):
    """What may leave: the strictest action that applies, the text with redactions, and every finding."""

    action: Literal["pass", "redact", "hold", "block"]
    text: str
    findings: tuple[Finding, ...] = ()


def scan(text: str) -> list[Finding]:
    """All findings, in order and without overlap, as character offsets in `text`."""
    source = _SURROGATES.sub("\ufffd", text)
    found = []
    for reading in (as_written(source), *readings(source)):
        for finder in FINDERS:
            for finding in finder(reading.text):
                start, end = reading.span(finding.start, finding.end)
                found.append(finding.model_copy(update={"start": start, "end": end}))
    return merged(found)


def screen(text: str, policy: Policy, *, released: bool = False) -> Verdict:
    """The verdict on one text.

    After a release what was held stays as written, and what is blocked goes out redacted. Raises `ScreeningFailed` for
    a text that is too long to screen, and when the scanner itself fails.
    """
    if len(text) > policy.max_chars:
        raise ScreeningFailed(f"The text has {len(text)} characters; {policy.max_chars} is the most that is screened.")
    try:
        findings = [
            finding for finding in merged([*scan(text), *_names(text, policy)]) if not _allowed(text, finding, policy)
        ]
    except Exception as error:
        raise ScreeningFailed(f"The scanner failed ({type(error).__name__}).") from None
    actions = [(finding, policy.action(finding)) for finding in findings]
    if released:
        eased: dict[str, Action] = {"hold": "allow", "block": "redact"}
        actions = [(finding, eased.get(action, action)) for finding, action in actions]
    strictest = max((action for _, action in actions), key=STRICTNESS.__getitem__, default="allow")
    parts, position = [], 0
    for finding, action in actions:
        if action == "redact":
            start, end = _with_brackets(text, finding)
            parts += [text[position:start], f"[{finding.type}]"]
            position = end
    clean = "".join(parts) + text[position:]
    return Verdict(action="pass" if strictest == "allow" else strictest, text=clean, findings=tuple(findings))


def _with_brackets(text: str, finding: Finding) -> tuple[int, int]:
    """Where a finding begins and ends, with the angle brackets around it that would have made it a link."""
    if text[finding.end : finding.end + 1] == ">":
        for opening in ("<", "<mailto:"):
            if text.endswith(opening, 0, finding.start):
                return finding.start - len(opening), finding.end + 1
    return finding.start, finding.end


def _allowed(text: str, finding: Finding, policy: Policy) -> bool:
    return text[finding.start : finding.end] in policy.allow


def _names(text: str, policy: Policy) -> list[Finding]:
    """People whom the operator listed, as whole words in any case."""
    if not policy.names:
        return []
    pattern = re.compile(r"\b(?:" + "|".join(re.escape(name) for name in policy.names) + r")\b", re.IGNORECASE)
    return [
        Finding(type="Name", start=m.start(), end=m.end(), severity="medium", category="personal")
        for m in pattern.finditer(text)
    ]
