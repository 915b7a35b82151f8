"""Quotes and GitHub's alerts as markdown-it makes them, in time that grows with the document alone.

markdown-it finds the last line that could belong to a quote before it reads what stands in it. Where the quote ends sooner,
because a line without a marker continues no paragraph, it does that again for the quote after it, and so on down the document.
Here, how lines look inside a quote is kept beside how they look outside, and the quotes further down take it from there. The
tokens are the same (a test compares them).
"""

from __future__ import annotations

import re

from markdown_it.token import Token

from tasks.markup.states import BlockState

_INSIDE = re.compile(r">( ?+)( *+)(?!\t)")
_ALERTS = frozenset({"NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION"})
_Lines = tuple[list[int], list[int], list[int], list[int]]
# The indentation that stands for "goes on with the paragraph above, if there is one".
_LAZY = -1


class _View:
    """How lines look inside the quotes of one depth, once they have been looked at: up to line `end`."""

    def __init__(self, state: BlockState) -> None:
        marks, shifts, indents, spaces = _lines(state)
        self.lines = marks[:], shifts[:], indents[:], spaces[:]
        self.number = 0
        self.first = self.end = 0
        self.hard = False
        self.context: tuple[int, ...] = ()

    def look(self, state: BlockState, first: int, last: int) -> tuple[int, bool]:
        """The line that a quote from line `first` can't reach, and whether that is so for paragraphs in it, too."""
        # What the end of a quote depends on beside the lines' text: who shows them, their containers, how far they go.
        context = state.shown_by, state.blkIndent, state.listIndent, last, state.lineMax
        empty = _show_inside(state, first, self.lines)
        if context == self.context and self.first < first < self.end:
            following = first + 1
            if empty and following < self.end and self.lines[2][following] == _LAZY:
                self._outside(state, following, following + 1)
                return following, False
            return self.end, self.hard
        state.views_made += 1
        self.context, self.number, self.first = context, state.views_made, first
        self.end, self.hard = self._look_on(state, first + 1, last, empty)
        if self.hard:
            self._outside(state, self.end, self.end + 1)
            self.lines[2][self.end] -= state.blkIndent
        else:
            self._outside(state, self.end, state.skipEmptyLines(self.end) + 1)
        return self.end, self.hard

    def _look_on(self, state: BlockState, line: int, last: int, empty: bool) -> tuple[int, bool]:
        """Look at lines from one on; `empty` says whether nothing stands in the line above it but its marker."""
        src, marks, shifts, indents, ends = state.src, state.bMarks, state.tShift, state.sCount, state.eMarks
        ending = state.md.block.ruler.getRules("blockquote")
        while line < last:
            position = marks[line] + shifts[line]
            if position >= ends[line]:
                break
            if src[position] == ">" and indents[line] >= state.blkIndent:
                empty = _show_inside(state, line, self.lines)
            elif empty:
                break
            elif any(rule(state, line, last, True) for rule in ending):
                return line, True
            else:
                self._outside(state, line, line + 1)
                self.lines[2][line] = _LAZY
            line += 1
        return line, False

    def _outside(self, state: BlockState, start: int, end: int) -> None:
        """Lines as they are outside."""
        for inside, outside in zip(self.lines, _lines(state), strict=True):
            inside[start:end] = outside[start:end]


def _show_inside(state: BlockState, line: int, lines: _Lines) -> bool:
    """Write how a line looks without its marker and one space behind it; returns whether nothing else stands there."""
    outside, indent, end = state.bMarks[line] + state.tShift[line], state.sCount[line], state.eMarks[line]
    found = _INSIDE.match(state.src, outside, end)
    if found is not None:
        start, words = found.span(1)[1], found.end()
        width, space = words - start, start - outside - 1
    else:
        start, words, width = _with_tabs(state.src, outside + 1, end, indent + 1 + state.bsCount[line])
        space = 1
    marks, shifts, indents, spaces = lines
    marks[line], shifts[line], indents[line], spaces[line] = start, words - start, width, indent + 1 + space
    return words >= end


def _with_tabs(src: str, start: int, end: int, column: int) -> tuple[int, int, int]:
    """Where a line begins that has tabs behind its marker, where its words do, and the width of the space between.

    One column of space belongs to the marker; a tab that is wider leaves the rest to what follows.
    """
    start += src[start] == " " or column % 4 == 3
    column = first = column + 1
    position = start
    while position < end and src[position] in " \t":
        column += 4 - column % 4 if src[position] == "\t" else 1
        position += 1
    return start, position, column - first


def blockquote(state: BlockState, first: int, last: int, silent: bool) -> bool:
    """A quote, or an alert, that begins on line `first`."""
    position = state.bMarks[first] + state.tShift[first]
    if not state.src.startswith(">", position) or state.is_code_block(first):
        return False
    if silent:
        return True
    parent, indent, line_max = state.parentType, state.blkIndent, state.lineMax
    state.parentType = "blockquote"
    following = first + 1
    if following >= last or state.isEmpty(following):
        _one_line(state, first)
    else:
        _many_lines(state, first, last)
    state.parentType, state.blkIndent, state.lineMax = parent, indent, line_max
    return True


def _one_line(state: BlockState, line: int) -> None:
    """A quote that ends with its first line, and those right inside it: they need no view, the line is changed and changed back."""
    lines = _lines(state)
    outside = [kept[line] for kept in lines]
    around: list[Token] = []
    _show_inside(state, line, lines)
    state.blkIndent = 0
    while _begins_another(state, line):
        around.append(state.push("blockquote_open", "blockquote", 1))
        around[-1].markup = ">"
        _show_inside(state, line, lines)
    _write(state, line, line + 1)
    for opening in around:
        opening.map = [line, state.line]
        _close(state, "blockquote", "blockquote")
    for kept, value in zip(lines, outside, strict=True):
        kept[line] = value


def _begins_another(state: BlockState, line: int) -> bool:
    """Whether a quote begins where a quote's line begins, and may."""
    begins = state.src.startswith(">", state.bMarks[line] + state.tShift[line]) and not state.is_code_block(line)
    return begins and state.level + 1 < state.md.options.maxNesting


def _many_lines(state: BlockState, first: int, last: int) -> None:
    """A quote whose next line may belong to it."""
    if len(state.views) == state.quotes:
        state.views.append(_View(state))
    view = state.views[state.quotes]
    end, hard = view.look(state, first, last)
    if hard:
        state.lineMax = end
    lines, shown_by = _lines(state), state.shown_by
    state.bMarks, state.tShift, state.sCount, state.bsCount = view.lines
    state.quotes, state.shown_by, state.blkIndent = state.quotes + 1, view.number, 0
    _write(state, first, end)
    state.bMarks, state.tShift, state.sCount, state.bsCount = lines
    state.quotes, state.shown_by = state.quotes - 1, shown_by


def _write(state: BlockState, first: int, end: int) -> None:
    """Write a quote's tokens, those of an alert where its first line says so."""
    kind = _alert(state, first)
    name, tag = ("blockquote", "blockquote") if kind is None else ("alert", "div")
    opening = state.push(f"{name}_open", tag, 1)
    opening.markup = ">"
    if kind is not None:
        opening.attrs = {"class": f"markdown-alert markdown-alert-{kind.lower()}"}
        opening.info, opening.meta = kind, {"kind": kind}
        state.push("alert_title_open", "p", 1).attrs = {"class": "markdown-alert-title"}
        title = state.push("inline", "", 0)
        title.content, title.children = kind.capitalize(), []
        state.push("alert_title_close", "p", -1)
    begin = first if kind is None else first + 1
    if begin < end:
        state.md.block.tokenize(state, begin, end)
    else:
        state.line = end
    _close(state, name, tag)
    opening.map = [first, state.line]


def _close(state: BlockState, name: str, tag: str) -> None:
    state.level -= 1
    state.tokens.append(state.ending(f"{name}_close", tag, state.level, ">"))


def _alert(state: BlockState, line: int) -> str | None:
    """The kind of alert that a quote's first line names, in capitals."""
    position = state.bMarks[line] + state.tShift[line]
    if not state.src.startswith("[!", position):
        return None
    words = state.src[position : state.eMarks[line]].rstrip(" \t")
    if not words.endswith("]"):
        return None
    kind = words[2:-1].upper()
    return kind if kind in _ALERTS else None


def _lines(state: BlockState) -> _Lines:
    """Where every line begins, how far its words are from there, how wide that is, and what stands before it in columns."""
    return state.bMarks, state.tShift, state.sCount, state.bsCount
