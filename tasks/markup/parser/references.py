"""Room for links by reference. The parser lets all of them together take as much as the document is long, GitHub's 100,000
characters where that is more: of a short document, most would be words.
"""

from __future__ import annotations

import re

ROOM = 100_000  # characters
LINES = 2  # that are put above a document
_DEFINITION = re.compile(r"\[[^\[\]^][^\[\]]{0,998}\]:")
_NOBODYS = "[\x01]: <"  # no document holds the sign


def with_room(text: str) -> str:
    """The text below a definition that nothing refers to, long enough for all links by reference; as it is where it needs none."""
    missing = ROOM - len(text)
    if missing <= 0 or "]:" not in text or _DEFINITION.search(text) is None:
        return text
    end = "" if text.endswith("\n") else "\n"  # without it, the parser takes a definition in angle brackets for words
    return f"{_NOBODYS}{'x' * missing}>\n\n{text}{end}"


def has_room(text: str) -> bool:
    """Whether such a definition stands above the text."""
    return text.startswith(_NOBODYS)
