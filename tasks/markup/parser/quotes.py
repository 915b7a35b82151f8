"""Quotes and GitHub's alerts as markdown-it makes them, in time that grows with the document alone.

markdown-it finds the last line that could belong to a quote before it reads what stands in it. Where the quote ends sooner,
because a line without a marker continues no paragraph, it does that again for the quote after it, and so on down the document.
Here, how lines look inside a quote is kept beside how they look outside, and the quotes further down take it from there. The
tokens are the same (a test compares them).
"""

from __future__ import annotations

import re

from markdown_it.rules_block import blockquote as markdown_it_quote
from markdown_it.token import Token

from tasks.markup.parser.states import DEEPEST, BlockState, Lines

_INSIDE = re.compile(r">( ?+)( *+)(?!\t)")
_ALERTS = frozenset({"NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION"})
# The indentation that stands for "goes on with the paragraph above, if there is one".
_LAZY = -1


class View:
    """How lines look inside the quotes of one depth and indentation, once they have been looked at: up to line `end`."""

    def __init__(self, state: BlockState) -> None:
        marks, shifts, indents, spaces = state.lines()
        self.lines = marks[:], shifts[:], indents[:], spaces[:]
        self.depth = state.quote_depth() + 1
        self.number = 0
        self.first = self.end = 0
        self.hard = False
        self.context: tuple[int, ...] = ()
        # Runs of lines without a marker that no block begins on for any reason but their words: it doesn't for quotes inside, too.
        self.quiet: dict[int, int] = {}

    def look(self, state: BlockState, first: int, last: int) -> tuple[int, bool]:
        """The line that a quote from line `first` can't reach, and whether another block begins there, so that no paragraph
        inside goes on past it.
        """
        # What the end of a quote depends on beside the lines' text: who shows them, their containers, how far they go.
        shown_by = 0 if state.view is None else state.view.number
        context = shown_by, state.listIndent, last, state.lineMax
        empty = _show_inside(state, first, self.lines)
        if context == self.context and self.first < first < self.end:
            following = first + 1
            # A line that continued the quote above ends this one, if a footnote's mark stood before that quote's marker here.
            if empty and following < self.end and self.lines[2][following] == _LAZY:
                self._outside(state, following, following + 1)
                return following, False
            return self.end, self.hard
        state.looks += 1
        self.context, self.number, self.first = context, state.looks, first
        self.end, self.hard = self._look_on(state, first + 1, last, empty)
        if self.hard:
            self._outside(state, self.end, self.end + 1)
            self.lines[2][self.end] -= state.blkIndent
        else:
            self._outside(state, self.end, state.skipEmptyLines(self.end) + 1)
        return self.end, self.hard

    def _look_on(self, state: BlockState, line: int, last: int, empty: bool) -> tuple[int, bool]:
        """Look at lines from one on; `empty` says whether nothing stands in the line above it but its marker."""
        self.quiet = {}
        marks, shifts, ends = state.bMarks, state.tShift, state.eMarks
        while line < last and (position := marks[line] + shifts[line]) < ends[line]:
            if state.src[position] == ">" and state.sCount[line] >= state.blkIndent:
                empty = _show_inside(state, line, self.lines)
                line += 1
            elif empty:
                break
            else:
                start = line
                line, hard = self._look_on_without_marker(state, line, last)
                self._outside(state, start, line)
                self.lines[2][start:line] = [_LAZY] * (line - start)
                if hard:
                    return line, True
        return line, False

    def _look_on_without_marker(self, state: BlockState, line: int, last: int) -> tuple[int, bool]:
        """The first line from one on that isn't a paragraph's next, and whether another block begins there."""
        [begins] = state.md.block.ruler.getRules("blockquote")
        marks, shifts, ends = state.bMarks, state.tShift, state.eMarks
        known = {} if state.view is None else state.view.quiet
        start, hard = line, False
        while line < last and not hard:
            if line in known:
                line = min(known[line], last)
                continue
            position, column = marks[line] + shifts[line], state.sCount[line]
            if position >= ends[line] or (state.src[position] == ">" and column >= state.blkIndent):
                break
            hard = begins(state, line, last, True)
            if hard or column - state.blkIndent >= 4 or 0 <= state.listIndent <= column - 4:
                self._be_quiet(start, line)
                start = line + 1
            line += not hard
        self._be_quiet(start, line)
        return line, hard

    def _be_quiet(self, start: int, end: int) -> None:
        if start < end:
            self.quiet[start] = end

    def _outside(self, state: BlockState, start: int, end: int) -> None:
        """Show lines as they are outside."""
        marks, shifts, indents, spaces = self.lines
        marks[start:end] = state.bMarks[start:end]
        shifts[start:end] = state.tShift[start:end]
        indents[start:end] = state.sCount[start:end]
        spaces[start:end] = state.bsCount[start:end]


def _show_inside(state: BlockState, line: int, lines: Lines) -> bool:
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
    end, lines, around = first + 1, state.lines(), state.view
    several = end < last and not state.isEmpty(end)
    view = _view(state) if several else None
    if several and view is None:
        _read_in_place(state, first, last)
        return True
    parent, state.parentType = state.parentType, "blockquote"
    indent, line_max, first_line = (
        state.blkIndent,
        state.lineMax,
        [kept[first] for kept in lines] if view is None else [],
    )
    if view is None:
        # A quote that ends with its first line needs no view: the line is changed, and changed back.
        _show_inside(state, first, lines)
    else:
        end, hard = view.look(state, first, last)
        if hard:
            state.lineMax = end
        state.view = view
        state.bMarks, state.tShift, state.sCount, state.bsCount = view.lines
    state.blkIndent = 0
    openings, begin = _open(state, first, nested=view is None)
    if begin < end:
        state.md.block.tokenize(state, begin, end)
    else:
        state.line = end
    _close(state, openings, first)
    state.bMarks, state.tShift, state.sCount, state.bsCount = lines
    for kept, value in zip(lines, first_line, strict=False):
        kept[first] = value
    state.view, state.parentType, state.blkIndent, state.lineMax = around, parent, indent, line_max
    return True


def _view(state: BlockState) -> View | None:
    """The view for a quote of several lines here; None where there is no room for it."""
    key = state.quote_depth(), state.blkIndent
    view = state.views.get(key)
    if view is None and len(state.bMarks) <= state.room:
        state.room -= len(state.bMarks)
        view = state.views[key] = View(state)
    return view


def _read_in_place(state: BlockState, first: int, last: int) -> None:
    """Read a quote as markdown-it does, which changes lines in place: no view holds while it does."""
    room, views, state.room, state.views = state.room, state.views, 0, {}
    markdown_it_quote(state, first, last, False)
    state.room, state.views = room, views


def _open(state: BlockState, line: int, *, nested: bool) -> tuple[list[Token], int]:
    """Write the tokens that begin a quote, those of an alert where its first line says so, and of quotes `nested` in its only
    line; returns what opens each, and the line where what stands in it begins.
    """
    openings = []
    while nested and _begins_another(state, line):
        openings.append(_opening(state, "blockquote", "blockquote"))
        _show_inside(state, line, state.lines())
    kind = _alert(state, line)
    if kind is None:
        openings.append(_opening(state, "blockquote", "blockquote"))
        return openings, line
    alert = _opening(state, "alert", "div")
    alert.attrs = {"class": f"markdown-alert markdown-alert-{kind.lower()}"}
    alert.info, alert.meta = kind, {"kind": kind}
    state.push("alert_title_open", "p", 1).attrs = {"class": "markdown-alert-title"}
    title = state.push("inline", "", 0)
    title.content, title.children = kind.capitalize(), []
    state.push("alert_title_close", "p", -1)
    return [*openings, alert], line + 1


def _opening(state: BlockState, name: str, tag: str) -> Token:
    token = state.push(f"{name}_open", tag, 1)
    token.markup = ">"
    return token


def _begins_another(state: BlockState, line: int) -> bool:
    """Whether a quote begins where a quote's line begins, and may."""
    begins = state.src.startswith(">", state.bMarks[line] + state.tShift[line]) and not state.is_code_block(line)
    return begins and state.level + 1 < DEEPEST


def _close(state: BlockState, openings: list[Token], first: int) -> None:
    """Write the tokens that end quotes and alerts."""
    for opening in reversed(openings):
        opening.map = [first, state.line]
        state.level -= 1
        name = opening.type.replace("_open", "_close")
        state.tokens.append(state.ending(name, opening.tag, state.level, ">"))


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
