"""Values in tables below a heading that says that they are secret: with pipes, tabs, commas or blanks between them, or of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from tasks.screening.assignments import MOST_JUDGED, TYPE_NAME, WORDS
from tasks.screening.finding import Finding
from tasks.screening.names import Kind, kind_of
from tasks.screening.values import is_mixed, is_password, is_token
from tasks.screening.view import compiled

Cell = tuple[int, int]
_SECRET_HEADING = re.compile(r"^[\s*_`\"']*([\w .-]{2,40}?)[\s*_`\"']*$")
_SHORT_HEADING = re.compile(r"^[\s*_`\"']*[\w.-]{1,24}(?: [\w.-]{1,24}){0,2}[\s*_`\"']*$")
_DELIMITER_ROW = r"(?m)^ {0,3}[|+]?[ \t]*:?-+:?[ \t]*(?:[|+][ \t]*:?-*:?[ \t]*)+\r?$"
_PIPED = re.compile(r"(?:\\.|[^|\\\n])+")
_AROUND = " \t\r*_`\"'"
# A line of short cells, one of which may say so; what parts them is tried in this order.
_APART = r"(?:[\t,;]|  )"
_SAYS = r"[ \"'`*]*[\w .-]{0,24}(?:" + WORDS + r")[\w .-]{0,16}[\"'`*]*"
_HEADING = rf"(?im)^(?:[^\n]*{_APART}{_SAYS}(?:[ \r]*|{_APART}[^\n]*)|{_SAYS}{_APART}[^\n]*)$"
_PARTED = tuple(re.compile(cell) for cell in (r"[^\t\n]+", r"[^;\n]+", r"[^,\n]+", r"\S+(?: \S+)*"))
_LONGEST_HEADING = 400
_HTML_HEADING = r"(?i)<t[hd]\b[^>]*>\s*(?:<[a-z]+>\s*)*[\w .-]{0,24}(?:" + WORDS + r")[\w .-]{0,16}\s*<"
_HTML_ROW = re.compile(r"<tr\b[^>]*>\s*(?=<t[hd]\b)|</table\b", re.IGNORECASE)
_HTML_CELL = re.compile(r"<t[hd]\b[^>]*>((?:[^<]|<(?!/?t[hdr]\b))*)", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,100}>")


def in_tables(raw: bytes, text: str) -> Iterator[Finding]:
    """The values, in a view of the text."""
    judge = _Judge()
    if b"|" in raw:
        yield from _in_pipes(raw, text, judge)
    if b"<tr" in raw or b"<TR" in raw:
        yield from _in_html(raw, text, judge)
    if b"  " in raw or b"\t" in raw or b"," in raw or b";" in raw:
        yield from _in_columns(raw, text, judge)


class _Judge:
    """Says of the first thousands of values whether they are secret; the rest is one long list of them."""

    def __init__(self) -> None:
        self._left = MOST_JUDGED

    def __call__(self, kind: Kind, value: str) -> bool:
        if " " in value or len(value) < 4:
            return False
        self._left -= 1
        return self._left < 0 or (
            not TYPE_NAME.fullmatch(value)
            and is_password(value)
            and (is_token(value) or (kind == "password" and is_mixed(value)))
        )


def _in_pipes(raw: bytes, text: str, judge: _Judge) -> Iterator[Finding]:
    rules = list(compiled(_DELIMITER_ROW).finditer(raw))
    kinds, end = dict[int, Kind](), 0
    for rule, following in zip(rules, [*rules[1:], None], strict=False):
        begin = text.rfind("\n", 0, max(rule.start() - 1, 0)) + 1
        if end < rule.start():  # else it only parts the rows of one table
            kinds = {}
        kinds.update(_headings(text, _piped(text, begin, max(rule.start() - 1, 0))))
        end, stop = rule.end() + 1, following.start() if following else len(text)
        while kinds and end < stop:
            line = _line_end(text, end)
            if text.find("|", end, line) < 0:
                break
            yield from _of_row(text, _piped(text, end, line), kinds, judge)
            end = line + 1


def _in_columns(raw: bytes, text: str, judge: _Judge) -> Iterator[Finding]:
    """Rows that were pasted from a sheet, a file of values or a terminal."""
    read = 0
    for found in compiled(_HEADING).finditer(raw):
        begin, end = found.span()
        if begin < read or end - begin > _LONGEST_HEADING:
            continue
        for parted in _PARTED:
            heading = _cells(text, parted, begin, end)
            if len(heading) < 2:
                continue
            kinds = {n: kind for n, kind in _headings(text, heading).items() if kind != "key"}
            if kinds and all(_SHORT_HEADING.match(text[slice(*cell)]) for cell in heading):
                at = end + 1
                while at < len(text):
                    line = _line_end(text, at)
                    cells = _cells(text, parted, at, line)
                    if len(cells) != len(heading):
                        break
                    yield from _of_row(text, cells, kinds, judge)
                    at = line + 1
                read = at
            break


def _in_html(raw: bytes, text: str, judge: _Judge) -> Iterator[Finding]:
    """Rows below one that has such a heading; the first cell of a row of two is a heading as well."""
    read = 0
    for found in compiled(_HTML_HEADING).finditer(raw):
        if found.start() < read:
            continue
        kinds: Mapping[int, Kind] = {}
        begin = max(text.rfind("<tr", read, found.start()), text.rfind("<TR", read, found.start()), read)
        if (row := _HTML_ROW.search(text, begin)) is None:
            return
        while row and row.group()[1] != "/":
            following = _HTML_ROW.search(text, row.end())
            read = following.start() if following else len(text)
            cells = [_inside(text, *cell.span(1)) for cell in _HTML_CELL.finditer(text, row.end(), read)]
            if headings := _headings(text, cells):
                kinds = headings
                cells = cells if 0 in kinds and len(cells) == 2 else []
                yield from _of_row(text, cells, {1: kinds.get(0, "password")}, judge)
            else:
                yield from _of_row(text, cells, kinds, judge)
            row = following
        read = max(read, found.end())


def _inside(text: str, start: int, end: int) -> Cell:
    """A cell's words, without the tags around them."""
    while tag := _TAG.match(text, start, end):
        start = tag.end()
    closing = text.find("<", start, end)
    return start, closing if closing >= 0 else end


def _headings(text: str, cells: Sequence[Cell]) -> dict[int, Kind]:
    """Which cells say that what stands below them is secret."""
    kinds = ((number, _heading_kind(text[start:end])) for number, (start, end) in enumerate(cells) if end - start <= 60)
    return {number: kind for number, kind in kinds if kind}


@lru_cache(maxsize=4096)
def _heading_kind(cell: str) -> Kind | None:
    found = _SECRET_HEADING.match(cell)
    return kind_of(found[1].replace(" ", "_")) if found else None


def _of_row(text: str, cells: Sequence[Cell], kinds: Mapping[int, Kind], judge: _Judge) -> Iterator[Finding]:
    for number, kind in kinds.items():
        if number < len(cells):
            start, end = cells[number]
            value = text[start:end].strip(_AROUND)
            if judge(kind, value):
                begin = text.index(value, start, end)
                yield Finding("Password" if kind == "password" else "ApiKey", begin, begin + len(value))


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return end if end >= 0 else len(text)


def _piped(text: str, begin: int, end: int) -> list[Cell]:
    bare = begin + len(text[begin:end].rstrip("\r\n \t").removesuffix("|"))
    return [cell.span() for cell in _PIPED.finditer(text, begin, bare) if cell.group().strip() or cell.start() > begin]


def _cells(text: str, parted: re.Pattern[str], begin: int, end: int) -> list[Cell]:
    return [cell.span() for cell in parted.finditer(text, begin, end) if not cell.group().isspace()]
