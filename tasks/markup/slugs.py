"""Heading anchors as GitHub makes them: lower case, spaces to hyphens, punctuation dropped, repeats numbered."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markdown_it.token import Token


def heading_text(token: Token) -> str:
    """The words of an inline token."""
    return "".join(child.content or "" for child in token.children or []) or ""


def slugs_of(tokens: Iterable[Token]) -> dict[int, str]:
    """The anchor of each heading, by the index of its opening token."""
    found: dict[int, str] = {}
    used: dict[str, int] = {}
    listed = list(tokens)
    for index, token in enumerate(listed):
        if token.type != "heading_open":
            continue
        base = re.sub(r"[^\w\- ]", "", heading_text(listed[index + 1]).strip().lower()).replace(" ", "-")
        count = used.get(base, 0)
        used[base] = count + 1
        found[index] = f"{base}-{count}" if count else base
    return found


def wanted_slugs(tokens: Iterable[Token]) -> frozenset[str]:
    """The anchors that the document links to."""
    return frozenset(
        str(child.attrs.get("href", ""))[1:].lower()
        for token in tokens
        for child in token.children or []
        if child.type == "link_open" and str(child.attrs.get("href", "")).startswith("#")
    )
