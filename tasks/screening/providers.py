"""Secrets of known providers, by kingfisher's rules: in process and offline. Its validation, which would send what it
found to the provider, is never called.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from kingfisher_sdk import Scanner

from tasks.screening.finding import Finding
from tasks.screening.validators import not_placeholder

_ONE_AT_A_TIME = threading.Lock()


@lru_cache(maxsize=1)
def _scanner() -> Any:
    return Scanner()


def by_providers(text: str) -> list[Finding]:
    """Findings of kingfisher's rules in a text without lone surrogates."""
    raw = text.encode()
    with _ONE_AT_A_TIME:
        scanner = _scanner()
        scanner.reset_dedup()
        found = [finding.to_dict() for finding in scanner.scan(raw) if finding.visible]
    findings = []
    for row in found:
        begin, end = int(row["location"]["start_offset"]), int(row["location"]["end_offset"])
        if row["confidence"] == "low" or not not_placeholder(raw[begin:end].decode("utf-8", "replace")):
            continue
        start = len(raw[:begin].decode("utf-8", "ignore"))
        stop = start + len(raw[begin:end].decode("utf-8", "ignore"))
        if stop > start:
            findings.append(Finding(type="ApiKey", start=start, end=stop, severity="critical", category="secret"))
    return findings
