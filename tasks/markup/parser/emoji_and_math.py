"""Short names and math where they are meant; elsewhere the words that they look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comrak

from tasks.markup.clean import xml_text
from tasks.markup.parser.token import Token, text


def _letter_beside(out: Sequence[Token], stack: Sequence[Any], signs: str) -> bool:
    """Whether a letter, digit or one of the signs touches what stands between the two."""
    before = out[-1].content[-1:] if out and out[-1].type == "text" else ""
    following = stack[-1].node_value if stack and type(stack[-1]) is not Token else None
    after = following.value[:1] if type(following) is comrak.Text else ""
    return any(sign and (sign.isalnum() or sign in signs) for sign in (before, after))


def emoji(code: Any, out: Sequence[Token], stack: Sequence[Any]) -> Token:
    """A short name as its character; none that stands inside a word or path, such as `std::x::y`."""
    written = f":{code.code}:"
    if _letter_beside(out, stack, "_:"):
        return text(written)
    return Token("emoji", content=code.emoji, info=written)


def math(found: Any, out: Sequence[Token], stack: Sequence[Any]) -> Token:
    """Math; prices and paths such as `$HOME/$USER` are words."""
    literal = xml_text(found.literal)
    if not found.dollar_math or found.display_math:
        return Token("math_inline", content=literal.strip("\n"))
    if literal[:1].isdigit() or "\n" in literal or _letter_beside(out, stack, "_$"):
        return text(f"${literal}$")
    return Token("math_inline", content=literal)
