"""What a document is made of, in the order in which it is read: the one form that renderers and tests know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

NOTHING: Mapping[str, Any] = MappingProxyType({})
BREAKS = frozenset({"softbreak", "hardbreak"})  # the ends of lines within a block


class Token(NamedTuple):
    """The start (`nesting` 1) or end (-1) of a container, or a piece by itself (0).

    `type` says which: `list_item_open`, `paragraph`, `fence` and so on. A block of words (`paragraph`, `heading`, `th`, `td`) is
    one token, with the words and marks in its `children`. `attrs` are what HTML would have (`href`, `src`, `style`, `start`); `meta` what it has no place for. `line` is the line of the
    document where a block of code, or of words with more than words in it, begins; 0 where that isn't told. XML can hold every
    character of words and code.
    """

    type: str
    tag: str = ""
    nesting: int = 0
    content: str = ""
    children: Sequence[Token] = ()
    attrs: Mapping[str, Any] = NOTHING
    info: str = ""
    meta: Mapping[str, Any] = NOTHING
    hidden: bool = False
    line: int = 0


def pair(name: str, tag: str, **facts: Any) -> tuple[Token, Token]:
    """The start and end of a container."""
    return Token(f"{name}_open", tag, 1, **facts), Token(f"{name}_close", tag, -1)


_new = tuple.__new__  # takes a third of the time that a token takes by the names of its fields


def text(content: str) -> Token:
    """A run of words."""
    return _new(Token, ("text", "", 0, content, (), NOTHING, "", NOTHING, False, 0))


def code(content: str) -> Token:
    """A run of code."""
    return _new(Token, ("code_inline", "code", 0, content, (), NOTHING, "", NOTHING, False, 0))


def link_open(attrs: Mapping[str, Any], info: str) -> Token:
    """The start of a link."""
    return _new(Token, ("link_open", "a", 1, "", (), attrs, info, NOTHING, False, 0))


def block(kind: str, tag: str, children: Sequence[Token], line: int = 0, attrs: Mapping[str, Any] = NOTHING, *, hidden: bool = False) -> Token:  # fmt: skip
    """A block of words; a paragraph that is hidden, in a tight list, has no element."""
    return _new(Token, (kind, tag, 0, "", children, attrs, "", NOTHING, hidden, line))


def plain(kind: str, tag: str, content: str, attrs: Mapping[str, Any] = NOTHING, *, hidden: bool = False) -> Token:
    """A block of nothing but a run of words."""
    said = _new(Token, ("text", "", 0, content, (), NOTHING, "", NOTHING, False, 0))
    return _new(Token, (kind, tag, 0, "", (said,), attrs, "", NOTHING, hidden, 0))


def paragraph(content: str, line: int = 0) -> Token:
    """A paragraph of nothing but a run of words."""
    return block("paragraph", "p", [text(content)], line)


def as_code(content: str, line: int) -> Token:
    """A block of code of no language."""
    return Token("fence", "code", content=content.rstrip("\n") + "\n", line=line)
