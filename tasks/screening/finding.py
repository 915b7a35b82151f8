"""What screening found: a type and a place, never the value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Category = Literal["secret", "personal", "infrastructure"]
Severity = Literal["low", "medium", "high", "critical"]
_RANK = {"low": 0, "medium": 1, "high": 2, "critical": 3}


class ScreeningFailed(Exception):
    """The text could not be screened, and therefore may not leave. Never quotes the text."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `start` and `end` are character offsets in the text that was scanned."""

    type: str
    start: int
    end: int
    severity: Severity = "critical"
    category: Category = "secret"


def merged(findings: list[Finding]) -> list[Finding]:
    """Findings in order and without overlap: those that overlap become one, of the gravest one's type."""
    result: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, -f.end)):
        last = result[-1] if result else None
        if last is None or finding.start >= last.end:
            result.append(finding)
        elif finding.end > last.end or _RANK[finding.severity] > _RANK[last.severity]:
            gravest = finding if _RANK[finding.severity] > _RANK[last.severity] else last
            result[-1] = replace(gravest, start=last.start, end=max(last.end, finding.end))
    return result
