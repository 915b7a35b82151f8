"""The parse that every renderer shares: GFM with footnotes, alerts, admonitions, math, and front matter set apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from markdown_it.token import Token

from tasks.markup.clean import xml_text
from tasks.markup.parser import front_matter
from tasks.markup.parser.dialect import parser

DEEPEST_MARKERS = 30
DEEPEST_INDENT = 100
_MARKER = re.compile(r"[ \t]{0,8}(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t])|\[\^[^\]\s]{1,100}\]:)")
_FENCE = re.compile(r"[ >\t]{0,200}(`{3,}|~{3,})")
_DEEP = re.compile(
    rf"^(?:[ \t]{{{DEEPEST_INDENT}}}|(?:[ \t]{{0,8}}(?:[>*+-]|\d{{1,9}}[.)]|\[\^[^\]\s]{{1,100}}\]:)){{{DEEPEST_MARKERS}}})",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Parsed:
    """A document: its tokens, and its front matter's fields."""

    tokens: list[Token]
    fields: Mapping[str, Any] = field(default_factory=dict)


def parse(markdown: str) -> list[Token]:
    """The document's tokens, its front matter left out."""
    return parse_document(markdown).tokens


def parse_document(markdown: str) -> Parsed:
    """The document. Nesting beyond any reader's patience is shown as text rather than followed."""
    text = xml_text(markdown.replace("\r\n", "\n").replace("\r", "\n")).removeprefix("\ufeff")
    fields, text = front_matter.split(text)
    if _DEEP.search(text):
        text = "\n".join(_shallow(text.split("\n")))
    environment: dict[str, Any] = {}
    tokens = parser().parse(text, environment)
    if "footnotes" in environment:
        tokens = _with_notes_last(tokens, environment["footnotes"])
    return Parsed(tokens, fields or {})


def _shallow(lines: list[str]) -> Iterator[str]:
    """Lines whose container markers and indentation stay within what can be nested."""
    fenced = ""
    for line in lines:
        found = _FENCE.match(line)
        if found:
            mark = found.group(1)
            fenced = "" if fenced and mark.startswith(fenced) else fenced or mark
        yield line if fenced or len(line) < DEEPEST_MARKERS else _without_depth(line)


def _without_depth(line: str) -> str:
    indent = len(line) - len(line.lstrip(" \t"))
    if indent > DEEPEST_INDENT:
        line = " " * DEEPEST_INDENT + line[indent:]
    position = 0
    for _ in range(DEEPEST_MARKERS):
        found = _MARKER.match(line, position)
        if not found:
            return line
        position = found.end()
    return line[:position] + re.sub(r"([>\-*+.)#`~]|\[(?=\^))", r"\\\1", line[position:])


def _with_notes_last(tokens: list[Token], notes: Mapping[str, Any]) -> list[Token]:
    """The tokens with footnotes in the order of their references, and those that nothing refers to below them."""
    body, written = _set_apart(tokens)
    numbers = {str(note["label"]): number for number, note in notes.get("list", {}).items()}
    referred: dict[int, list[Token]] = {}
    strays: list[tuple[str, list[Token]]] = []
    for label, content in written:
        number = numbers.get(label)
        if number is None or number in referred:
            strays.append((label, content))
        else:
            referred[number] = content
    if referred:
        body.append(Token("footnote_block_open", "", 1))
        for number in sorted(referred):
            count = max(int(notes["list"][number]["count"]), 1)
            body += _note(number, count, referred[number])
        body.append(Token("footnote_block_close", "", -1))
    for label, content in strays:
        body += [Token("stray_note_open", "", 1, meta={"label": label}), *content, Token("stray_note_close", "", -1)]
    return body


def _set_apart(tokens: list[Token]) -> tuple[list[Token], list[tuple[str, list[Token]]]]:
    """The tokens outside of footnotes, and each footnote's label and tokens."""
    body: list[Token] = []
    written: list[tuple[str, list[Token]]] = []
    open_notes: list[list[Token]] = []
    for token in tokens:
        if token.type == "footnote_reference_open":
            written.append((str(token.meta["label"]), []))
            open_notes.append(written[-1][1])
        elif token.type == "footnote_reference_close":
            open_notes.pop()
        else:
            (open_notes[-1] if open_notes else body).append(token)
    return body, written


def _note(number: int, count: int, content: list[Token]) -> list[Token]:
    """A footnote with the ways back at the end of its last paragraph."""
    back = [Token("footnote_anchor", "", 0, meta={"id": number, "subId": index}) for index in range(count)]
    ends_in_words = bool(content) and content[-1].type == "paragraph_close"
    inner = [*content[:-1], *back, content[-1]] if ends_in_words else [*content, *back]
    meta = {"id": number}
    return [Token("footnote_open", "", 1, meta=meta), *inner, Token("footnote_close", "", -1, meta=meta)]
