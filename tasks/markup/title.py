"""The title that a document gives itself."""

from __future__ import annotations

from tasks.markup.clean import plain_title
from tasks.markup.parser.parse import parse_document
from tasks.markup.slugs import heading_text

LOOKED_AT = 20_000


def title_of(markdown: str, default: str = "") -> str:
    """The front matter's title, else the words of the first heading near the start, else the default."""
    document = parse_document(markdown[:LOOKED_AT])
    given = document.fields.get("title")
    if isinstance(given, str) and (title := plain_title(given)):
        return title
    for token in document.tokens:
        if token.type == "heading" and (title := plain_title(heading_text(token))):
            return title
    return default
