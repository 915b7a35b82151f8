"""Raw HTML as plain text: known tags go, lists and rows get lines, links keep their target, the rest stays as it reads."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from tasks.markup.tags import PIECE, TAGS, attributes_of, without_comments

DEEPEST_LINKS = 8
_BEFORE: Mapping[str, str] = {
    "br": "\n",
    "hr": "\n----\n",
    "li": "\n- ",
    "tr": "\n",
    "summary": "\n",
    "dt": "\n",
    "dd": "\n  ",
}
_AFTER: Mapping[str, str] = {"td": "  ", "th": "  ", "summary": "\n"}
_LINES = frozenset(
    ["p", "div", "table", "ul", "ol", "blockquote", "details", "pre", "h1", "h2", "h3", "h4", "h5", "h6"]
)


def text_of(source: str) -> str:
    """A piece of raw HTML as text."""
    parts: list[str] = []
    targets: list[tuple[int, str]] = []
    position = 0
    source = without_comments(source)
    for found in PIECE.finditer(source):
        parts.append(html.unescape(source[position : found.start()]))
        position = found.end()
        name = found.group("name").lower()
        if name == "a" and found.group("close"):
            if targets:
                start, target = targets.pop()
                parts.append(target_beside("".join(parts[start:]), target))
        elif name == "a" and len(targets) < DEEPEST_LINKS:
            targets.append((len(parts), attributes_of(found.group("rest")).get("href", "")))
        elif name == "img":
            attributes = attributes_of(found.group("rest"))
            words = attributes.get("alt", "")
            parts.append(words + target_beside(words, attributes.get("src", "")))
        else:
            parts.append(_tag(name, found))
    parts.append(html.unescape(source[position:]))
    return "".join(parts)


def _tag(name: str, found: re.Match[str]) -> str:
    if name not in TAGS:
        return found.group()
    if name in _LINES:
        return "\n"
    return _AFTER.get(name, "") if found.group("close") else _BEFORE.get(name, "")


def target_beside(words: str, target: str) -> str:
    """What follows a link's words: its target in parentheses, unless they say it or it leads into the document."""
    if not target or target.startswith("#") or target[:5].lower() == "data:":
        return ""
    return "" if target.removeprefix("mailto:") in (words, f"http://{words}") else f" ({target})"
