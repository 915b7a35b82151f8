"""Raw HTML as plain text: known tags go, lists and rows get lines, links keep their target, the rest stays as it reads."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.markup.addresses import encoded, is_program, may_be_linked, named, normal
from tasks.markup.tags import PIECE, TAGS, attributes_of, without_comments
from tasks.markup.text_tables import laid_out

DEEPEST_LINKS = 8
DEEPEST_TABLES = 4
DEEPEST_LISTS = 8
MOST_SPANNED = 50
_TABLE = frozenset({"table", "thead", "tbody", "tfoot", "tr", "td", "th"})
_BEFORE: Mapping[str, str] = {
    "br": "\n",
    "hr": "\n----\n",
    "tr": "\n",
    "summary": "\n",
    "dt": "\n",
    "dd": "\n  ",
}
_AFTER: Mapping[str, str] = {"td": "  ", "th": "  ", "summary": "\n"}
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_RAISED = re.compile(r"<sup\b[^<>]*>\s*(?:[-+\u2212]?\d|[-+]?\w\s*<)", re.IGNORECASE)
_LINES = frozenset(["p", "div", "table", "blockquote", "details", "pre", "h1", "h2", "h3", "h4", "h5", "h6"])


def text_of(source: str, kept: str = "") -> str:
    """A piece of raw HTML as text; `kept` begins the lines of a table in columns, and of code."""
    parts: list[str] = []
    targets: list[tuple[int, str]] = []
    tables: list[_Table] = []
    lists: list[int] = []
    code: int | None = None  # where it begins
    position = 0
    source = without_comments(source)
    for found in PIECE.finditer(source):
        parts.append(_words(source[position : found.start()], parts, as_typed=code is not None))
        position = found.end()
        name = found.group("name").lower()
        if name in _TABLE and (tables or (name == "table" and not found["close"])):
            _table_part(tables, parts, found, kept)
        elif name == "pre" and not tables:
            _end_code(parts, code, kept)
            code = None if found["close"] else len(parts)
        elif name == "a" and found.group("close"):
            if targets:
                start, target = targets.pop()
                parts.append(target_beside("".join(parts[start:]), target))
        elif name == "a" and len(targets) < DEEPEST_LINKS:
            targets.append((len(parts), attributes_of(found.group("rest")).get("href", "")))
        elif name == "img":
            attributes = attributes_of(found.group("rest"))
            parts.append(image_text(attributes.get("alt", ""), attributes.get("src", "")))
        elif name in ("ul", "ol", "li"):
            parts.append(_list_part(lists, name, found))
        else:
            parts.append("^" if is_raised(source[found.start() : found.end() + 8]) else _tag(name, found))
    parts.append(_words(source[position:], parts, as_typed=code is not None))
    _end_code(parts, code, kept)
    while tables:
        _end(tables, parts, kept)
    return "".join(parts)


def is_raised(source: str) -> bool:
    """Whether it begins with a number or letter that is raised, as in `10<sup>6</sup>`: without a sign for that, it would read 106."""
    return _RAISED.match(source) is not None


def _words(source: str, before: Sequence[str], *, as_typed: bool) -> str:
    """Words between tags: on one line, as browsers have them, or as they are typed."""
    if as_typed:
        return html.unescape(source)
    begins_line = not before or before[-1].endswith("\n")
    return html.unescape(_BLANKS.sub(" ", source.lstrip() if begins_line else source))


def _end_code(parts: list[str], start: int | None, kept: str) -> None:
    """Put the lines of code in place of its pieces, indented."""
    if start is not None:
        lines = "".join(parts[start:]).strip("\n").split("\n")
        parts[start:] = ["\n", *(f"{kept}    {line}".rstrip() + "\n" for line in lines)]


@dataclass
class _Table:
    """An open table: where its cell began, its rows, words outside of cells such as a caption, and how many rows a cell above still takes of each column."""

    start: int
    rows: list[list[str]] = field(default_factory=list)
    spans: dict[int, int] = field(default_factory=dict)
    above: list[str] = field(default_factory=list)
    cell: tuple[int, int] | None = None

    def end_cell(self, parts: list[str]) -> None:
        """Put the words of the open cell into its row."""
        text = " ".join("".join(parts[self.start :]).split())
        del parts[self.start :]
        if self.cell is not None:
            row = self.rows[-1]
            self.skip_taken()
            across, down = self.cell
            for column in range(len(row), len(row) + across):
                if down > 1:
                    self.spans[column] = down - 1
            row += [text, *[""] * (across - 1)]
            self.cell = None
        elif text:
            self.above.append(text)

    def skip_taken(self) -> None:
        """Leave the columns empty that a cell above takes."""
        row = self.rows[-1]
        while self.spans.get(len(row), 0) > 0:
            self.spans[len(row)] -= 1
            row.append("")

    def end(self, parts: list[str], kept: str, *, in_cell: bool) -> None:
        """Put the table in place of its pieces; one in a cell has no columns to be laid out in."""
        self.end_cell(parts)
        said = [row for row in self.rows if any(row)]
        rows = (
            "; ".join(", ".join(filter(None, row)) for row in said)
            if in_cell
            else laid_out(self.rows, kept)
            if said
            else ""
        )
        parts.append("\n".join(["", *self.above, rows, ""]))


def _end(tables: list[_Table], parts: list[str], kept: str) -> None:
    """End the innermost table."""
    table = tables.pop()
    table.end(parts, kept, in_cell=bool(tables))


def _table_part(tables: list[_Table], parts: list[str], found: re.Match[str], kept: str) -> None:
    """A tag of a table; one in a cell of another is words of that."""
    name, closes = found["name"].lower(), bool(found["close"])
    if name == "table":
        if not closes:
            if len(tables) < DEEPEST_TABLES:
                tables.append(_Table(len(parts)))
        else:
            _end(tables, parts, kept)
        return
    table = tables[-1]
    table.end_cell(parts)
    if closes:
        if name == "tr" and table.rows:
            table.skip_taken()
    elif name == "tr":
        table.rows.append([])
    elif name in ("td", "th"):
        attributes = attributes_of(found["rest"])
        across, down = (_span(attributes.get(side, "")) for side in ("colspan", "rowspan"))
        if not table.rows:
            table.rows.append([])
        table.cell = across, down


def _span(value: str) -> int:
    return min(max(int(value[:4]), 1), MOST_SPANNED) if value.isdecimal() else 1


def _list_part(lists: list[int], name: str, found: re.Match[str]) -> str:
    """A tag of a list: items are numbered in an `ol`, and further indented in a list within another."""
    if name == "li":
        if found["close"]:
            return ""
        number = lists[-1] if lists else 0
        if number:
            lists[-1] += 1
        return "\n" + "  " * min(len(lists) - 1, DEEPEST_LISTS) + (f"{number}. " if number else "- ")
    if found["close"]:
        if lists:
            lists.pop()
        return "" if lists else "\n"
    start = attributes_of(found["rest"]).get("start", "1")[:6]
    lists.append(0 if name == "ul" else int(start) if start.isdecimal() and start.strip("0") else 1)
    return "" if len(lists) > 1 else "\n"


def _tag(name: str, found: re.Match[str]) -> str:
    if name not in TAGS:
        return found.group()
    if name in _LINES:
        return "\n"
    return _AFTER.get(name, "") if found.group("close") else _BEFORE.get(name, "")


def image_text(words: str, source: str) -> str:
    """What is read of an image: its words, and its address where that leads somewhere."""
    source = normal(source)
    if may_be_linked(source):
        return words + target_beside(words, source) if words.strip() else source
    return words or named(source)


def target_beside(words: str, target: str) -> str:
    """What follows a link's words: its target in parentheses, unless they say it or it leads into the document."""
    target = normal(target)
    if not target or target.startswith("#") or is_program(target):
        return ""
    said = encoded(words)
    return "" if encoded(target) in (said, f"http://{said}", f"mailto:{said}") else f" ({target})"
