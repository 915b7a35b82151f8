"""Heading anchors as GitHub makes them: small letters, spaces to hyphens, punctuation dropped, repeats numbered."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

from tasks.markup.clean import plain_title
from tasks.markup.parser.token import BREAKS, Token
from tasks.markup.tags import PIECE, attributes_of, without_comments

_NOT_IN_SLUG = re.compile(r"[^a-z0-9\-_ ]+")


def heading_text(token: Token) -> str:
    """The words of a block, without its images and tags."""
    shown = (c for c in token.children if c.type not in ("image", "html_inline"))
    return "".join(c.content or (" " if c.type in BREAKS else "") for c in shown)


def _named(token: Token) -> str:
    """The words that name a heading: an emoji's are those of its short name."""
    return heading_text(
        token._replace(children=[c._replace(content=c.info) if c.type == "emoji" else c for c in token.children])
    )


def slug(text: str) -> str:
    """One heading's anchor, before repeats are numbered."""
    if text.isascii():
        return _NOT_IN_SLUG.sub("", text.strip().lower()).replace(" ", "-")
    kept = (c for c in text.strip().lower() if c.isalnum() or c in "-_ " or unicodedata.category(c)[0] == "M")
    return "".join(kept).replace(" ", "-")


def slugs_of(tokens: Iterable[Token]) -> dict[int, str]:
    """The anchor of each heading, by the index of its token."""
    found: dict[int, str] = {}
    used: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token.type != "heading":
            continue
        base = name = slug(_named(token))
        while name in used:
            used[base] += 1
            name = f"{base}-{used[base]}"
        used[name] = 0
        found[index] = name
    return found


def wanted_slugs(tokens: Iterable[Token]) -> frozenset[str]:
    """The anchors that the document links to."""
    wanted: set[str] = set()
    for token in tokens:
        if token.type == "html_block":
            wanted.update(_targets_of(token.content))
        for child in token.children:
            if child.type == "link_open":
                href = str(child.attrs.get("href", ""))
                if href.startswith("#"):
                    wanted.add(href[1:])
            elif child.type == "html_inline":
                wanted.update(_targets_of(child.content))
    return frozenset(unquote(name).lower() for name in wanted if name)  # `#` alone is the page


def _targets_of(markup: str) -> Iterator[str]:
    """The places on the page that raw HTML links to."""
    for tag in PIECE.finditer(markup):
        href = attributes_of(tag["rest"]).get("href", "")
        if href.startswith("#"):
            yield href[1:]


def without_title(tokens: list[Token], title: str) -> list[Token]:
    """The tokens without a first heading that says the same as the title."""
    place = title_heading(tokens, title)
    return tokens if place is None else tokens[:place] + tokens[place + 1 :]


def title_heading(tokens: Sequence[Token], title: str) -> int | None:
    """Where a heading says the same as the title and nothing is said above it; None where none does."""
    said = (place for place, token in enumerate(tokens) if token.type != "toc" and not _is_comment(token))
    place = next(said, None)
    if not title or place is None or tokens[place].type != "heading":
        return None
    shown, wanted = (plain_title(text, 4000).casefold() for text in (heading_text(tokens[place]), title))
    return place if shown == wanted else None


def _is_comment(token: Token) -> bool:
    return token.type == "html_block" and not without_comments(token.content).strip()
