"""What the reader of a ticket doesn't see as its author wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.markup.addresses import SCHEME, normal
from tasks.markup.parser.parse import Parsed
from tasks.markup.parser.token import Token

MOST = 20  # warnings that a receipt holds


def warnings_of(document: Parsed, link_base: str | None) -> tuple[str, ...]:
    """The document's warnings, and those of links and images that lead nowhere from a ticket."""
    return (*document.warnings, *dict.fromkeys(_lost(document.tokens) if not link_base else ()))


def first(warnings: Sequence[str], target: str) -> tuple[str, ...]:
    """As many as a receipt holds, and where to find the others."""
    more = len(warnings) - MOST
    rest = (f"and {more} more: `afterword render FILE --for {target} --warnings` lists them",) if more > 0 else ()
    return (*warnings[:MOST], *rest)


def _lost(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        for child in token.children:
            if child.type == "link_open" and _is_relative(href := str(child.attrs["href"])):
                yield f"line {token.line}: the link to {href[:80]} is relative; set `link_base`"
            elif child.type == "image" and (_is_relative(src := str(child.attrs["src"])) or src[:5].lower() == "data:"):
                yield f"line {token.line}: image {src[:80]} isn't on the web; its words stand in its place"


def _is_relative(address: str) -> bool:
    address = normal(address)
    return bool(address) and not address.startswith("#") and SCHEME.match(address) is None
