"""Relative links and images, made to lead to where the document comes from."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import urljoin

from tasks.markup.addresses import SCHEME, normal
from tasks.markup.clean import escape
from tasks.markup.parser.token import Token
from tasks.markup.tags import ADDRESSES, PIECE

_HOLDERS = frozenset({"link_open", "image"})


def joined(base: str, address: str) -> str:
    """The address as seen from the base; one that is whole, or leads into the page, as it is."""
    address = normal(address)
    if not address or address.startswith("#") or SCHEME.match(address):
        return address
    try:
        return urljoin(base, address)
    except ValueError:  # such as a bracket where a host would be
        return address


def absolute(tokens: Sequence[Token], base: str | None) -> list[Token]:
    """The tokens with every relative address joined to the base; as they are without one."""
    return [_joined(token, base) for token in tokens] if base else list(tokens)


def _joined(token: Token, base: str) -> Token:
    if token.children:
        token = token._replace(children=[_joined(child, base) for child in token.children])
    if token.type in _HOLDERS:
        name = "href" if token.type == "link_open" else "src"
        return token._replace(attrs={**token.attrs, name: joined(base, str(token.attrs[name]))})
    if token.type in ("html_inline", "html_block") and "=" in token.content:
        return token._replace(content=PIECE.sub(lambda tag: _tag(tag.group(), base), token.content))
    return token


def _tag(tag: str, base: str) -> str:
    """A raw tag whose addresses lead out of the page."""
    return ADDRESSES.sub(
        lambda found: f'{found[1]}="{escape(joined(base, html.unescape(found[2] or found[3] or found[4] or "")))}"', tag
    )
