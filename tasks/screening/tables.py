"""Values in tables below a heading that says that they are secret: with pipes, tabs, commas or blanks between them, or of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tasks.screening.assignments import TYPE_NAME, WORDS
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
_HEADING = (
    r"(?im)^(?:[^\n]*(?:[\t,;]|  ))?[ \"'`*]*[\w .-]{0,24}(?:"
    + WORDS
    + r")[\w .-]{0,16}[\"'`*]*(?:[ \r]*|(?:[\t,;]|  )[^\n]*)$"
)
_PARTED = tuple(re.compile(cell) for cell in (r"[^\t\n]+", r"[^;\n]+", r"[^,\n]+", r"\S+(?: \S+)*"))
_LONGEST_HEADING, _MOST_ROWS = 400, 1000
_HTML_ROW = r"(?is)<tr\b[^>]*>(.*?)(?:</tr\s*>|<tr\b|</table\s*>)"
_HTML_CELL = re.compile(r"<t[hd]\b[^>]*>((?:[^<]|<(?!/?t[hdr]\b))*)", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,100}>")


def in_tables(raw: bytes, text: str) -> Iterator[Finding]:
    """The values, in a view of the text."""
    if b"|" in raw:
        yield from _in_pipes(raw, text)
    if b"<tr" in raw or b"<TR" in raw:
        yield from _in_html(raw, text)
    yield from _in_columns(raw, text)


def _in_pipes(raw: bytes, text: str) -> Iterator[Finding]:
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
            yield from _of_row(text, _piped(text, end, line), kinds)
            end = line + 1


def _in_columns(raw: bytes, text: str) -> Iterator[Finding]:
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
                at, rows = end + 1, 0
                while at < len(text) and rows < _MOST_ROWS:
                    line = _line_end(text, at)
                    cells = _cells(text, parted, at, line)
                    if len(cells) != len(heading):
                        break
                    yield from _of_row(text, cells, kinds)
                    at, rows = line + 1, rows + 1
                read = at
            break


def _in_html(raw: bytes, text: str) -> Iterator[Finding]:
    """A table's first row is its heading, and so is the first cell of a row of two."""
    kinds: Mapping[int, Kind] = {}
    at = 0
    while found := compiled(_HTML_ROW).search(raw, at):
        begin, at = found.span(1)
        cells = []
        for cell in _HTML_CELL.finditer(text, begin, at):
            start, end = cell.span(1)
            while tag := _TAG.match(text, start, end):
                start = tag.end()
            closing = text.find("<", start, end)
            cells.append((start, closing if closing >= 0 else end))
        if headings := _headings(text, cells):
            kinds = headings
            if 0 in kinds and len(cells) == 2:
                yield from _of_row(text, cells, {1: kinds[0]})
        else:
            yield from _of_row(text, cells, kinds)


def _headings(text: str, cells: Sequence[Cell]) -> dict[int, Kind]:
    """Which cells say that what stands below them is secret."""
    kinds = dict[int, Kind]()
    for number, (start, end) in enumerate(cells):
        found = _SECRET_HEADING.match(text[start:end])
        if found and (kind := kind_of(found[1].replace(" ", "_"))):
            kinds[number] = kind
    return kinds


def _of_row(text: str, cells: Sequence[Cell], kinds: Mapping[int, Kind]) -> Iterator[Finding]:
    for number, (start, end) in enumerate(cells):
        value = text[start:end].strip(_AROUND)
        if (
            number in kinds
            and " " not in value
            and not TYPE_NAME.fullmatch(value)
            and is_password(value)
            and (is_token(value) or (kinds[number] == "password" and is_mixed(value)))
        ):
            begin = text.index(value, start, end)
            yield Finding("Password" if kinds[number] == "password" else "ApiKey", begin, begin + len(value))


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return end if end >= 0 else len(text)


def _piped(text: str, begin: int, end: int) -> list[Cell]:
    bare = begin + len(text[begin:end].rstrip("\r\n \t").removesuffix("|"))
    return [cell.span() for cell in _PIPED.finditer(text, begin, bare) if cell.group().strip() or cell.start() > begin]


def _cells(text: str, parted: re.Pattern[str], begin: int, end: int) -> list[Cell]:
    return [cell.span() for cell in parted.finditer(text, begin, end) if not cell.group().isspace()]
