"""Lists as markdown-it makes them; an item that is one line of plain words, as most are, is written without a parser of its own.

The tokens are the same (a test compares them). What the general way costs for each line of a long list: markdown-it sets up
a nested parser and asks every rule, twice, whether a paragraph ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from markdown_it.common.utils import mdTrim
from markdown_it.rules_block import list_block as markdown_it_list
from markdown_it.token import Token

from tasks.markup.parser.states import DEEPEST, BlockState, QuickToken

_MARKER = re.compile(r"(?:[-+*]|([0-9]{1,9})[.)])(?=[ \t\n]|\Z)")
_TASK = re.compile(r"\[([ xX])\][ \t]")
# A marker right behind another one, with more to follow.
_INNER = re.compile(r" (?:[-+*]|([0-9]{1,9})[.)])(?= )")
# Words that no block but a paragraph can begin with, with or without a box before them.
_PLAIN = re.compile(
    r" (\[[ xX]\] )?(?!\[[ xX]\][ \t])"
    r"(?=[^\s!?$`~>*\-_+0-9\[<#]|\*\*[^\s*]|`(?!``)|\[(?!\^)(?!.*\]:)|[0-9](?![0-9]{0,8}[.)]))"
)


class Marker(NamedTuple):
    """What begins an item: where its first character stands and where it ends, that which all items share, the number."""

    start: int
    end: int
    kind: str
    number: str | None


@dataclass(slots=True)
class _List:
    """A list that is being written: its tokens' level, the token that ends its items (one object stands for all of them), the
    tokens of its short items' paragraphs (one ends all of them), and where the other items' tokens stand.
    """

    level: int
    item_end: Token
    paragraph_end: Token | None = None
    short: list[Token] = field(default_factory=list)
    long: list[tuple[int, int]] = field(default_factory=list)
    tight: bool = True
    with_tasks: bool = False


def list_block(state: BlockState, first: int, last: int, silent: bool) -> bool:
    """A list that begins on line `first`."""
    if silent:
        return markdown_it_list(state, first, last, True)
    column = state.sCount[first]
    outdented = state.listIndent >= 0 and column - state.listIndent >= 4 and column < state.blkIndent
    if outdented or column - state.blkIndent >= 4:
        return False
    marker = _marker(state, first)
    if marker is None:
        return False
    opening = _open_list(state, marker.kind, marker.number, state.level)
    state.level += 1
    listed = _List(state.level, state.ending("list_item_close", "li", state.level, marker.kind))
    end = _items(state, first, last, marker, listed, opening)
    state.level -= 1
    state.tokens.append(_list_end(state, opening))
    opening.map = [first, end]
    state.line = end
    return True


def _open_list(state: BlockState, kind: str, number: str | None, level: int) -> Token:
    name, tag = ("bullet_list", "ul") if number is None else ("ordered_list", "ol")
    opening = QuickToken(f"{name}_open", tag, 1, level=level, markup=kind, block=True)
    if number is not None and int(number) != 1:
        opening.attrs = {"start": int(number)}
    state.tokens.append(opening)
    return opening


def _list_end(state: BlockState, opening: Token) -> Token:
    return state.ending(opening.type.replace("_open", "_close"), opening.tag, opening.level, opening.markup)


def _items(state: BlockState, line: int, last: int, first: Marker, listed: _List, opening: Token) -> int:
    """Write the items from a line on; returns the line after them."""
    parent, state.parentType = state.parentType, "list"
    marker: Marker | None = first
    after_gap = False
    while marker is not None:
        start = line
        if _short_item(state, line, last, marker, listed) or _nested_item(state, line, last, marker, listed):
            inside_tight = True
        else:
            inside_tight = _long_item(state, line, last, marker, listed)
        listed.tight &= inside_tight and not after_gap
        line = state.line
        after_gap = line - start > 1 and state.isEmpty(line - 1)
        marker = _next(state, line, last, first)
    state.parentType = parent
    if listed.with_tasks:
        opening.attrJoin("class", "contains-task-list")
    if listed.tight:
        _hide_paragraphs(state, listed)
    return line


def _marker(state: BlockState, line: int) -> Marker | None:
    start = state.bMarks[line] + state.tShift[line]
    found = _MARKER.match(state.src, start)
    return None if found is None else Marker(start, found.end(), state.src[found.end() - 1], found.group(1))


def _next(state: BlockState, line: int, last: int, first: Marker) -> Marker | None:
    """The marker of the list's next item; None where the list has ended."""
    if line >= last or not 0 <= state.sCount[line] - state.blkIndent < 4:
        return None
    for rule in state.md.block.ruler.getRules("list"):
        if rule(state, line, last, True):
            return None
    marker = _marker(state, line)
    same = marker is not None and marker.kind == first.kind and (marker.number is None) == (first.number is None)
    return marker if same else None


def _short_item(state: BlockState, line: int, last: int, marker: Marker, listed: _List) -> bool:
    """Write an item that is one line of words, and step over the empty lines below; False where it isn't one."""
    found = _PLAIN.match(state.src, marker.end, state.eMarks[line])
    if found is None or not _has_room(state, line, 3):
        return False
    end = _end_of_short(state, line, last, state.sCount[line] + marker.end - marker.start + 1)
    if end == 0:
        return False
    item = _open_item(state, marker.kind, marker.number, listed.level, [line, end])
    if found.group(1):
        item.meta = {"checked": found.group(1) != "[ ] "}
        _be_task(item, listed)
    if listed.paragraph_end is None:
        listed.paragraph_end = QuickToken("paragraph_close", "p", -1, level=listed.level + 1, block=True)
    listed.short.append(_open_words(state, found.end(), listed.level + 1, line))
    state.tokens += (listed.paragraph_end, listed.item_end)
    state.line = end
    return True


def _nested_item(state: BlockState, line: int, last: int, marker: Marker, listed: _List) -> bool:
    """Write an item of one line that holds a list of one item, which may hold another, and at last words: `- - 1. words`."""
    inner: list[re.Match[str]] = []
    position = marker.end
    while found := _INNER.match(state.src, position, state.eMarks[line]):
        inner.append(found)
        position = found.end()
    words = _PLAIN.match(state.src, position, state.eMarks[line]) if inner else None
    if words is None or words.group(1) or not _has_room(state, line, 3 + 2 * len(inner)):
        return False
    end = _end_of_short(state, line, last, state.sCount[line] + marker.end - marker.start + 1)
    if end == 0:
        return False
    level, lines = listed.level, [line, end]  # one object for all of them: nobody changes it
    _open_item(state, marker.kind, marker.number, level, lines)
    endings = [listed.item_end]
    for found in inner:
        level += 2
        number, kind = found.group(1), found.group()[-1]
        opening = _open_list(state, kind, number, level - 1)
        opening.map = lines
        _open_item(state, kind, number, level, lines)
        endings.append(_list_end(state, opening))
        endings.append(state.ending("list_item_close", "li", level, kind))
    _open_words(state, words.end(), level + 1, line).hidden = True
    state.tokens.append(QuickToken("paragraph_close", "p", -1, level=level + 1, block=True, hidden=True))
    state.tokens += reversed(endings)
    state.line = end
    return True


def _has_room(state: BlockState, line: int, levels: int) -> bool:
    """Whether so many levels may be nested here, and no quote or tab stands before the words of the line."""
    return state.sCount[line] == state.tShift[line] and state.level + levels < DEEPEST


def _open_item(state: BlockState, kind: str, number: str | None, level: int, lines: list[int]) -> Token:
    item = QuickToken("list_item_open", "li", 1, map=lines, level=level, markup=kind, info=number or "", block=True)
    state.tokens.append(item)
    return item


def _open_words(state: BlockState, position: int, level: int, line: int) -> Token:
    """Begin the paragraph of the words from a position to the end of a line; returns its opening token."""
    content = mdTrim(state.src[position : state.eMarks[line]])
    lines = [line, line + 1]
    begin = QuickToken("paragraph_open", "p", 1, map=lines, level=level, block=True)
    words = QuickToken("inline", "", 0, map=lines, level=level + 1, children=[], content=content, block=True)
    state.tokens += (begin, words)
    return begin


def _end_of_short(state: BlockState, line: int, last: int, indent: int) -> int:
    """The line after an item whose words end on its first line; 0 where they may go on, or something else follows in it."""
    following = line + 1
    if following >= state.lineMax:
        return following
    if last != state.lineMax:
        return 0
    if state.isEmpty(following):
        following = state.skipEmptyLines(following)
        return following if following >= last or state.sCount[following] < indent else 0
    begins = 0 <= state.sCount[following] < min(indent, state.blkIndent + 4)
    found = begins and _MARKER.match(state.src, state.bMarks[following] + state.tShift[following])
    return following if found else 0


def _long_item(state: BlockState, line: int, last: int, marker: Marker, listed: _List) -> bool:
    """Write an item by parsing what stands in it; returns whether it is tight."""
    src, end = state.src, state.eMarks[line]
    initial = offset = state.sCount[line] + marker.end - marker.start
    content = marker.end
    while content < end and src[content] in " \t":
        offset += 4 - (offset + state.bsCount[line]) % 4 if src[content] == "\t" else 1
        content += 1
    # Beyond four columns the item holds code, which is indented by what is left of them.
    indent = offset - initial if content < end and offset - initial <= 4 else 1
    before = (
        state.tight,
        state.bMarks[line],
        state.tShift[line],
        state.sCount[line],
        state.listIndent,
        state.blkIndent,
    )
    item = state.push("list_item_open", "li", 1)
    item.markup, item.info = marker.kind, marker.number or ""
    first_token = len(state.tokens)
    state.listIndent, state.blkIndent = state.blkIndent, initial + indent
    state.tight, state.sCount[line], state.tShift[line] = True, offset, content - state.bMarks[line]
    task = None if state.is_code_block(line) else _TASK.match(src, content, end)
    if task:
        item.meta = {"checked": task.group(1) != " "}
        _be_task(item, listed)
        state.bMarks[line], state.tShift[line] = task.end(), 0
    if content >= end and state.isEmpty(line + 1):
        state.line = min(state.line + 2, last)
    else:
        state.md.block.tokenize(state, line, last)
    tight = state.tight
    state.tight, state.bMarks[line], state.tShift[line], state.sCount[line], state.listIndent, state.blkIndent = before
    listed.long.append((first_token, len(state.tokens)))
    state.level -= 1
    state.tokens.append(listed.item_end)
    item.map = [line, state.line]
    return tight


def _be_task(item: Token, listed: _List) -> None:
    item.attrs = {"class": "task-list-item"}
    listed.with_tasks = True


def _hide_paragraphs(state: BlockState, listed: _List) -> None:
    """Paragraphs of a list without gaps have no element."""
    for token in listed.short:
        token.hidden = True
    if listed.paragraph_end is not None:
        listed.paragraph_end.hidden = True
    for start, end in listed.long:
        for index in range(start, end):
            token = state.tokens[index]
            if token.level == listed.level + 1 and token.type == "paragraph_open":
                token.hidden = state.tokens[index + 2].hidden = True
