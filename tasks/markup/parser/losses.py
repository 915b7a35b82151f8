"""Where words would be lost: cells beyond a table's columns, comments that never end, code and HTML at a container's end."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import comrak

# A backslash before a bar is the table's, whatever stands before that.
_CELL_END = re.compile(r"(?<!\\)\|")
# The kinds of raw HTML that end with a sign of their own, by the number that the specification gives them.
_ENDS = {2: "-->", 3: "?>", 4: ">", 5: "]]>"}
_CALLED = {2: "a comment", 3: "a processing instruction", 4: "a declaration", 5: "a CDATA section"}
# Ends a list where it stands below one; it is left out again.
END_OF_LIST = "<!-- end of list -->"
# What may begin below an opening without an end, behind the markers of containers.
_AT_START = re.compile(
    r"(?P<markers>(?:(?! {4}|\t)[ >*+\-\d.)]){0,200})"
    r"(?P<rest>(?:(?P<fence>`{3,}|~{3,})|<[?!]|\[(?!\^)).*)"
)
# A label may stand over two lines, behind the markers of containers on each.
_DEFINITION = re.compile(r"\[([^\[\]]{1,999})\]:")
# A pattern finds two signs in a third of the time that `in` takes.
_MAY_LOSE = re.compile("<[!?]"), re.compile(":::")
_LABEL = re.compile(r"\[([^\[\]]{1,999})\](?!\()")
_BETWEEN_WORDS = re.compile(r"[\s>]+")
LONGEST_LABEL = 8  # lines
_CONTAINERS = (comrak.BlockQuote, comrak.List, comrak.Item, comrak.TaskItem, comrak.Alert, comrak.BlockDirective, comrak.FootnoteDefinition)  # fmt: skip


def may_be_beside_tables(text: str) -> bool:
    """Whether words may be lost elsewhere than in a table, where `loses_cells` tells of it."""
    return any(signs.search(text) for signs in _MAY_LOSE)


def loses_cells(line: str, row: Any, columns: int) -> bool:
    """Whether a row has cells beyond the table's columns."""
    # As many bars as a row has that begins and ends with one, in no container.
    if line.count("|") <= columns + 1 and line[:1] == line[-1:] == "|":
        return False
    return _joined(line, row.sourcepos.start.column, columns) is not None


def mended(document: Any, lines: list[str]) -> list[tuple[int, str]] | None:
    """Change the lines so that nothing is lost, and say in which line what was done; None where nothing has to be.

    A line may become two, with a line feed between them.
    """
    source = "\n".join(lines)
    warnings: list[tuple[int, str]] = []
    changed = False
    waiting = [document]
    while waiting:
        node = waiting.pop()
        value = node.node_value
        kind = type(value)
        if kind is comrak.Table:
            columns = value.value.num_columns
            first = node.sourcepos.start.line
            for below, row in enumerate(node.children):
                number = first + below + bool(below)  # the second line has the signs between head and body
                line = lines[number - 1]
                if loses_cells(line, row, columns):
                    lines[number - 1], changed = _joined(line, row.sourcepos.start.column, columns) or line, True
                    warnings.append((number, "cells beyond the table's columns are joined to the last one"))
        elif kind is comrak.HtmlBlock:
            end = _ENDS.get(value.value.block_type)
            place = node.sourcepos.start
            if end and end not in value.value.literal:
                line = lines[place.line - 1]
                at = line.find("<", len(line.encode()[: place.column - 1].decode("utf-8", "ignore")))
                if at >= 0:
                    lines[place.line - 1], changed = line[:at] + "\\" + line[at:], True
                    warnings.append((place.line, f"{_CALLED[value.value.block_type]} without an end is shown as typed"))
                    _words_below(lines, range(place.line, node.sourcepos.end.line), line[at : at + 2], source)
        elif kind in _CONTAINERS or node is document:
            if kind is comrak.BlockDirective and _list_ended(node, lines):
                changed = True
            waiting += node.children
    return warnings if changed else None


def _words_below(lines: list[str], numbers: range, opening: str, source: str) -> None:
    """Have what an opening without an end held read as words: further openings, and definitions that nothing refers to."""
    used: Counter[str] | None = None
    fence = ""
    for number in numbers:
        found = _AT_START.match(lines[number])
        if found is None:
            continue
        if sign := found["fence"]:
            fence = "" if fence and sign.startswith(fence) else fence or sign
        if sign or fence:
            continue
        rest = found["rest"]
        if rest[0] == "[":
            defined = _DEFINITION.match("\n".join([rest, *lines[number + 1 : number + LONGEST_LABEL]]))
            used = Counter(map(_as_read, _LABEL.findall(source))) if used is None else used
            is_lost = defined is not None and used[_as_read(defined[1])] == 1
        else:
            is_lost = rest.startswith(opening)
        if is_lost:
            lines[number] = f"{found['markers']}\\{rest}"


def _as_read(label: str) -> str:
    """A label as the grammar compares it with others."""
    return _BETWEEN_WORDS.sub(" ", label).strip().casefold()


def _joined(line: str, column: int, columns: int) -> str | None:
    """The row with the bars escaped that begin cells beyond the last column; None where there are none."""
    if line.count("|") < columns:
        return None
    start = len(line.encode()[: column - 1].decode("utf-8", "ignore")) if not line.isascii() else column - 1
    begin = start + 1 if line.startswith("|", start) else start
    end = len(line.rstrip(" \t|"))  # cells without words are none that could be lost
    excess = [found.end() - 1 for found in _CELL_END.finditer(line, begin, end)][columns - 1 :]
    if not excess:
        return None
    parts = [line[: excess[0]]]
    for bar, following in zip(excess, [*excess[1:], len(line)], strict=True):
        parts.append("\\" + line[bar:following])
    return "".join(parts)


def _list_ended(directive: Any, lines: list[str]) -> bool:
    """End the list that a container's last line follows, if the parser, which doesn't, has lost the code or HTML in it."""
    last, in_list = directive, False
    while last.children:
        last = last.children[-1]
        in_list = in_list or type(last.node_value) is comrak.List
    if (
        not in_list
        or type(last.node_value) not in (comrak.CodeBlock, comrak.HtmlBlock)
        or last.node_value.value.literal
    ):
        return False
    number = directive.sourcepos.end.line
    prefix, colons, behind = lines[number - 1].partition(":::")
    if not colons or prefix.strip("> \t") or behind.strip(": \t"):
        return False
    lines[number - 1] = f"{prefix}{END_OF_LIST}\n{lines[number - 1]}"
    return True


def parted(node: Any) -> list[Any]:
    """The node's children, parted from it: the binding's nodes hold each other, and would never go."""
    children: list[Any] = node.children
    if len(children) == 1:
        children[0].parent = None  # half of what the other way costs
    elif children:
        node.children = ()
    return children


def let_go(document: Any) -> None:
    """Part all nodes of a document, so that they go when nobody needs them."""
    waiting = [document]
    while waiting:
        waiting += parted(waiting.pop())
