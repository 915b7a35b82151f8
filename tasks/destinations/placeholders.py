"""Texts of the operator's with `{placeholders}`: checked when they are set, filled in for a job. Nothing is run. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

from tasks.model import Issue

ISSUE = (
    "id",
    "title",
    "description",
    "severity",
    "status",
    "category",
    "source",
    "assigned_to",
    "tags",
    "created_at",
    "updated_at",
    "resolved_at",
)
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check(text: str, known: Collection[str]) -> None:
    """Raise `ValueError` with what is wrong with the text's placeholders."""
    for match in _BRACES.finditer(text):
        if match.group() in ("{{", "}}"):
            continue
        if match.group(1) is None:
            raise ValueError("holds a lone brace; write {{ or }} for one")
        if match.group(1).strip() not in known:
            names = ", ".join(sorted(known))
            raise ValueError(f"names {match.group()!r:.60}, which is nothing to fill in; known are: {names}")


def is_plain(text: str) -> bool:
    """Whether nothing is to be filled in."""
    return all(match.group(1) is None for match in _BRACES.finditer(text))


def filled(text: str, facts: Mapping[str, str], quote: Callable[[str], str] | None = None) -> str:
    """The text with its placeholders replaced; `quote` says how a value is written there."""

    def one(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return match.group()[0]
        fact = facts[match.group(1).strip()]
        return quote(fact) if quote else fact

    return _BRACES.sub(one, text).strip()


def facts_of(issue: Issue) -> dict[str, str]:
    """What the placeholders of an issue's fields stand for."""
    facts = {f"issue.{name}": said(getattr(issue, name)) for name in ISSUE}
    return facts | {"issue.severity": f"P{issue.severity}" if issue.severity else ""}


def said(value: object) -> str:
    """A value as a text: times in UTC, lists with commas, nothing as an empty text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
