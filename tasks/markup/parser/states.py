"""markdown-it's states with the steps of every token made short: a document of 1 MB can be a million tokens.

What is pushed says the same as what markdown-it pushes (a test compares all of it); the way there takes less time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NoReturn

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter, Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

DEEPEST = 250  # levels of blocks
# Lines of 32 bytes that all views of a document may hold for each of its characters: thirty levels, two characters a line.
# Beyond, quotes are read as markdown-it does.
ROOM = 15
Lines = tuple[list[int], list[int], list[int], list[int]]
Nesting = Literal[-1, 0, 1]
_SPACE, _PUNCTUATION, _LETTER = range(3)


class _Nothing(dict[str, Any]):
    """What a token without attributes or data shares with all others: a document of 1 MB has millions of them."""

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("shared by all tokens that have none: set attributes by attrSet, and meta as a whole")

    __setitem__ = setdefault = update = __ior__ = _refuse  # type: ignore[assignment]


_NOTHING = _Nothing()


class QuickToken(Token):
    """A token that is made in two thirds of the time, and half the memory, of markdown-it's."""

    __slots__ = ()

    def __init__(
        self,
        type: str,  # noqa: A002 - the token's names
        tag: str,
        nesting: Nesting,
        attrs: dict[str, str | int | float] | None = None,
        map: list[int] | None = None,  # noqa: A002
        level: int = 0,
        children: list[Token] | None = None,
        content: str = "",
        markup: str = "",
        info: str = "",
        meta: dict[Any, Any] | None = None,
        block: bool = False,
        hidden: bool = False,
    ) -> None:
        self.type = type
        self.tag = tag
        self.nesting = nesting
        self.attrs = _NOTHING if attrs is None else attrs
        self.map = map
        self.level = level
        self.children = children
        self.content = content
        self.markup = markup
        self.info = info
        self.meta = _NOTHING if meta is None else meta
        self.block = block
        self.hidden = hidden

    def attrSet(self, name: str, value: str | float) -> None:  # noqa: N802 - the parser's name for it
        """Set an attribute; in a new dict, since the old one may be the shared one."""
        self.attrs = {**self.attrs, name: value}

    def attrJoin(self, name: str, value: str) -> None:  # noqa: N802 - the parser's name for it
        """Add a value to an attribute, or set it."""
        self.attrSet(name, f"{self.attrs[name]} {value}" if name in self.attrs else value)


class BlockState(StateBlock):
    """The state of a document's blocks, and how quotes show its lines (`tasks.markup.parser.quotes`)."""

    def __init__(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> None:
        super().__init__(src, md, env, tokens)
        # The view that shows the lines (none: they are the document's), all views by depth and indentation, how often lines
        # were looked at for one, and for how many lines more there is room.
        self.view: Any = None
        self.views: dict[tuple[int, int], Any] = {}
        self.looks = 0
        self.room = ROOM * len(src)
        self._endings: dict[tuple[str, int, str], Token] = {}

    def lines(self) -> Lines:
        """Where every line begins, how far its words are from there, how wide that is, and what stands before it in columns."""
        return self.bMarks, self.tShift, self.sCount, self.bsCount

    def quote_depth(self) -> int:
        """How many quotes of more than one line are open."""
        return 0 if self.view is None else self.view.depth

    def push(self, ttype: str, tag: str, nesting: Nesting) -> Token:
        """Push a token; its level is that of the element that it begins, ends or stands in."""
        level = self.level
        if nesting > 0:
            self.level = level + 1
        elif nesting < 0:
            self.level = level = level - 1
        token = QuickToken(ttype, tag, nesting, level=level, block=True)
        self.tokens.append(token)
        return token

    def ending(self, ttype: str, tag: str, level: int, markup: str) -> Token:
        """The token that ends an element; one object stands for all that say the same."""
        key = ttype, level, markup
        token = self._endings.get(key)
        if token is None:
            token = self._endings[key] = QuickToken(ttype, tag, -1, level=level, markup=markup, block=True)
        return token


class LineState(StateInline):
    """The state of a line or paragraph, and the brackets that nothing closes: where they stand, and up to where."""

    def __init__(self, src: str, md: MarkdownIt, env: EnvType, outTokens: list[Token]) -> None:  # noqa: N803 - the parser's name
        super().__init__(src, md, env, outTokens)
        self.unclosed: set[tuple[int, int]] = set()

    def pushPending(self) -> Token:  # noqa: N802 - the parser's name for it
        """Push what was read as text."""
        token = QuickToken("text", "", 0, content=self.pending, level=self.pendingLevel)
        self.tokens.append(token)
        self.pending = ""
        return token

    def push(self, ttype: str, tag: str, nesting: Nesting) -> Token:
        """Push a token after what was read as text before it."""
        if self._pending or self._pending_buffer:
            self.pushPending()
        if nesting:
            return super().push(ttype, tag, nesting)
        level = self.pendingLevel = self.level
        token = QuickToken(ttype, tag, 0, level=level)
        self.tokens.append(token)
        self.tokens_meta.append(None)
        return token

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803 - the parser's names
        """Whether a run of markers can open, can close, and its length, as CommonMark's flanking rules say."""
        src, end, marker = self.src, self.posMax, self.src[start]
        position = start + 1
        while position < end and src[position] == marker:
            position += 1
        before = _kind(src[start - 1]) if start else _SPACE
        after = _kind(src[position]) if position < end else _SPACE
        left = after == _LETTER or (after == _PUNCTUATION and before != _LETTER)
        right = before == _LETTER or (before == _PUNCTUATION and after != _LETTER)
        opens = left and (canSplitWord or not right or before == _PUNCTUATION)
        closes = right and (canSplitWord or not left or after == _PUNCTUATION)
        return Scanned(opens, closes, position - start)


@lru_cache(maxsize=2048)
def _kind(character: str) -> int:
    """What a character is beside a run of markers."""
    code = ord(character)
    if isMdAsciiPunct(code) or isPunctChar(character):
        return _PUNCTUATION
    return _SPACE if isWhiteSpace(code) else _LETTER


def emphasis(state: StateInline, silent: bool) -> bool:
    """A run of stars or underscores: each is text until its partner is found."""
    if silent:
        return False
    marker = state.src[state.pos]
    opens, closes, length = state.scanDelims(state.pos, marker == "*")
    for _ in range(length):
        state.push("text", "", 0).content = marker
        place = len(state.tokens) - 1
        state.delimiters.append(Delimiter(ord(marker), length, place, -1, opens, closes))
    state.pos += length
    return True
