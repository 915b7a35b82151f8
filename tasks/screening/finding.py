"""What screening found: a type and a place, never the value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Category = Literal["secret", "personal", "infrastructure"]
Severity = Literal["low", "medium", "high", "critical"]
# What a finding can be, beside what the operator's own patterns find.
TYPES: Mapping[str, Category] = {
    **dict.fromkeys(
        (
            "ApiKey",
            "AwsAccessKey",
            "BasicAuth",
            "Bearer",
            "Cookie",
            "JWT",
            "KubernetesSecret",
            "Password",
            "PrivateKey",
            "UrlCredentials",
            "Webhook",
        ),
        "secret",
    ),
    **dict.fromkeys(
        ("CreditCard", "Email", "IBAN", "IPv4", "IPv6", "MAC", "Name", "NationalId", "Phone", "SSN"), "personal"
    ),
    **dict.fromkeys(("Hostname", "PrivateIPv4", "PrivateIPv6", "ServerIPv4", "ServerIPv6"), "infrastructure"),
}
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
