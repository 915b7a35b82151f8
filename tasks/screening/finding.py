"""What screening found: a type and a place, never the value."""

from __future__ import annotations

from typing import Literal

from tasks.model import Frozen

Category = Literal["secret", "personal", "infrastructure"]


class Finding(Frozen):
    """One finding. `start` and `end` are character offsets in the text that was scanned."""

    type: str
    start: int
    end: int
    severity: Literal["low", "medium", "high", "critical"]
    category: Category


def merged(findings: list[Finding]) -> list[Finding]:
    """Findings in order and without overlap: those that overlap become one, of the gravest one's type."""
    rank = {"low": 0, "medium": 1, "high": 2, "critical": 3}
    result: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, -f.end)):
        last = result[-1] if result else None
        if last is None or finding.start >= last.end:
            result.append(finding)
            continue
        gravest = finding if rank[finding.severity] > rank[last.severity] else last
        result[-1] = gravest.model_copy(update={"start": last.start, "end": max(last.end, finding.end)})
    return result
