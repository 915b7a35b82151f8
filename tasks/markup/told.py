"""What the reader of a ticket doesn't see as its author wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.markup.addresses import SCHEME, normal
from tasks.markup.parser.parse import Parsed
from tasks.markup.parser.token import Token
from tasks.markup.relative import absolute
from tasks.markup.tags import PIECE, attributes_of

MOST = 20  # warnings that a receipt holds


def warnings_of(document: Parsed, link_base: str | None) -> tuple[str, ...]:
    """The document's warnings, and those of links and images that lead nowhere from a ticket."""
    return (*document.warnings, *dict.fromkeys(_lost(absolute(document.tokens, link_base))))


def first(warnings: Sequence[str], target: str) -> tuple[str, ...]:
    """As many as a receipt holds, and where to find the others."""
    more = len(warnings) - MOST
    rest = (f"and {more} more: `afterword render FILE --for {target} --warnings` lists them",) if more > 0 else ()
    return (*warnings[:MOST], *rest)


def _lost(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        for tag, address in _addresses(token):
            if tag == "a" and _is_relative(address):
                yield f"line {token.line}: the link to {address[:80]} is relative; set `link_base`"
            elif tag == "img" and (_is_relative(address) or address[:5].lower() == "data:"):
                yield f"line {token.line}: image {address[:80]} isn't on the web; its words stand in its place"
            elif tag == "img" and not address:
                yield f"line {token.line}: an image has no address; its words stand in its place"


def _addresses(token: Token) -> Iterator[tuple[str, str]]:
    """Where the links and images of a block lead, each with its element's name."""
    if token.type == "html_block":
        yield from _in_tags(token.content)
    for child in token.children:
        if child.type == "link_open":
            yield "a", str(child.attrs["href"])
        elif child.type == "image":
            yield "img", str(child.attrs["src"])
        elif child.type == "html_inline":
            yield from _in_tags(child.content)


def _in_tags(markup: str) -> Iterator[tuple[str, str]]:
    for tag in PIECE.finditer(markup):
        name, attributes = tag["name"].lower(), attributes_of(tag["rest"])
        address = attributes.get("href" if name == "a" else "src")
        if name in ("a", "img") and address is not None:
            yield name, address


def _is_relative(address: str) -> bool:
    address = normal(address)
    return bool(address) and not address.startswith("#") and SCHEME.match(address) is None
