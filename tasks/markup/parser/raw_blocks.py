"""Blocks of raw HTML, mended: tags that are none are words, a summary ends with its line, links stand round words."""

from __future__ import annotations

import re

from tasks.markup.parser.placeholders import Names
from tasks.markup.tags import BLOCKS, BOXES, PIECE

_PROGRAM = re.compile(r"\s*<(?:script|style|textarea|xmp|pre|\?|!)", re.IGNORECASE)
_DIVIDING = BLOCKS | BOXES


def mended(source: str, names: Names) -> str:
    """The block as every renderer can take it."""
    if _PROGRAM.match(source) and not source.lstrip().startswith("<!--"):
        return source
    source = PIECE.sub(lambda tag: tag[0] if tag["close"] or names.is_tag(tag) else "&lt;" + tag[0][1:], source)
    lowered = source.lower()
    if "<summary" in lowered:
        source = _summaries_ended(source)
    if "<a" in lowered:
        source = _links_inside(source)
    return source


def _summaries_ended(source: str) -> str:
    """A summary that has no end ends with its line."""
    opened = 0
    lines = source.split("\n")
    last_end = max((number for number, line in enumerate(lines) if "</summary" in line.lower()), default=-1)
    for number, line in enumerate(lines):
        lowered = line.lower()
        opened = lowered.count("<summary") - lowered.count("</summary")
        if opened > 0 and number >= last_end:
            lines[number] = line + "</summary>" * opened
    return "\n".join(lines)


def _links_inside(source: str) -> str:
    """Links that stand round blocks, round the words in these instead."""
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
    return "".join(out) + words
