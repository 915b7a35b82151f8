"""Raw HTML, mended: tags that are none are words, a summary ends with its line, links stand round words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tasks.markup.parser.placeholders import Names
from tasks.markup.parser.token import Token
from tasks.markup.tags import BLOCKS, BOXES, PIECE

_PROGRAM = re.compile(r"\s*<(?:script|style|textarea|xmp|pre|\?|!)", re.IGNORECASE)
_DIVIDING = BLOCKS | BOXES
_END = Token("html_inline", content="</a>")


def mended(source: str, names: Names) -> tuple[str, str]:
    """The block as every renderer can take it, and the link that it opens round blocks further down."""
    link = ""
    if _PROGRAM.match(source) and not source.lstrip().startswith("<!--"):
        return source, link
    source = PIECE.sub(lambda tag: tag[0] if tag["close"] or names.is_tag(tag) else "&lt;" + tag[0][1:], source)
    lowered = source.lower()
    if "<summary" in lowered:
        source = _summaries_ended(source)
    if "<a" in lowered:
        source, link = _links_inside(source)
    return source, link


def linked_below(tokens: list[Token], links: Mapping[int, tuple[bool, str]]) -> list[Token]:
    """The tokens with links that stand round blocks round the words of these.

    `links` says of places whether raw HTML there ends a link, and the link that it opens.
    """
    found, link, words = list(tokens), "", list[int]()
    for place, token in enumerate([*tokens, _END]):
        ends, opened = links.get(place, (False, ""))
        if link and ends:
            for at in words:
                start = Token("html_inline", content=link)
                found[at] = found[at]._replace(children=[start, *found[at].children, _END])
            link = ""
        if opened:
            link, words = opened, []
        if link and token.children and not any(map(_is_link, token.children)):
            words.append(place)
    return found


def linked_inside(children: Sequence[Token]) -> list[Token]:
    """The pieces of a block of words, with raw links that stand round blocks round the words in these."""
    out: list[Token] = []
    link: Token | None = None
    is_open = False
    for child in children:
        tag = PIECE.fullmatch(child.content) if child.type == "html_inline" else None
        name = tag["name"].lower() if tag else ""
        if tag and name == "a":
            if is_open:
                out.append(_END)
            link, is_open = None, False
            if not tag["close"] and "href" in tag["rest"].lower():
                link = child
            elif not tag["close"]:
                out.append(child)
            continue
        if link and is_open and name in _DIVIDING:
            out.append(_END)
            is_open = False
        elif link and not is_open and (name == "img" or (not tag and child.content.strip())):
            out.append(link)
            is_open = True
        out.append(child)
    return out


def stand_round_blocks(children: Sequence[Token]) -> bool:
    """Whether raw links and blocks stand in one block of words."""
    found = {
        tag["name"].lower()
        for child in children
        if child.type == "html_inline" and (tag := PIECE.fullmatch(child.content))
    }
    return "a" in found and not _DIVIDING.isdisjoint(found)


def _is_link(token: Token) -> bool:
    return token.type == "link_open" or (token.type == "html_inline" and token.content[:2].lower() == "<a")


def _summaries_ended(source: str) -> str:
    """A summary that has no end ends with its line."""
    opened = 0
    lines = source.split("\n")
    last_end = max((number for number, line in enumerate(lines) if "</summary" in line.lower()), default=-1)
    for number, line in enumerate(lines):
        lowered = line.lower()
        opened = lowered.count("<summary") - lowered.count("</summary")
        if opened > 0 and number >= last_end:
            end = lowered.find("</details", lowered.rfind("<summary"))
            end = len(line) if end < 0 else end
            lines[number] = line[:end] + "</summary>" * opened + line[end:]
    return "\n".join(lines)


def _links_inside(source: str) -> tuple[str, str]:
    """Links that stand round blocks, round the words in these instead; and the link that has found none by the end."""
    out: list[str] = []
    link, is_open = "", False
    position = 0
    for tag in PIECE.finditer(source):
        words = source[position : tag.start()]
        position = tag.end()
        name = tag["name"].lower()
        if link and not is_open and words.strip():
            out.append(link)
            is_open = True
        out.append(words)
        if name == "a":
            if is_open:
                out.append("</a>")
            link, is_open = "", False
            if not tag["close"] and "href" in tag["rest"].lower():
                link = tag[0]
                continue
            if not tag["close"]:
                out.append(tag[0])
            continue
        if link and not is_open and name == "img":
            out.append(link)
            is_open = True
        elif link and is_open and name in _DIVIDING:
            out.append("</a>")
            is_open = False
        out.append(tag[0])
    words = source[position:]
    if link and not is_open and words.strip():
        out.append(link)
        is_open = True
    return "".join(out) + words, "" if is_open else link
