"""Writes nested elements that always close and always stand where they may, whatever a document's raw HTML asks for.

Each open element has a kind that says what may stand in it. What Markdown opened is firm: raw HTML can't close it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from tasks.markup.clean import escape
from tasks.markup.confluence import storage


class Kind(IntEnum):
    """What may stand inside an element; up to CELL, words may."""

    PHRASE = 0  # words and marks
    CELL = 1  # words, marks and blocks
    FLOW = 2  # blocks; words get a paragraph
    TABLE = 3
    SECTION = 4  # of a table
    ROW = 5
    LIST = 6
    TASKS = 7


KINDS = {
    "table": Kind.TABLE,
    "thead": Kind.SECTION,
    "tbody": Kind.SECTION,
    "tfoot": Kind.SECTION,
    "tr": Kind.ROW,
    "td": Kind.CELL,
    "th": Kind.CELL,
    "ul": Kind.LIST,
    "ol": Kind.LIST,
    "li": Kind.CELL,
    "blockquote": Kind.FLOW,
}
# What an element must stand in; a paragraph or anything else can stand in a flow or a cell.
PARENTS = {
    "thead": (Kind.TABLE,),
    "tbody": (Kind.TABLE,),
    "tfoot": (Kind.TABLE,),
    "tr": (Kind.SECTION,),
    "td": (Kind.ROW,),
    "th": (Kind.ROW,),
    "li": (Kind.LIST,),
}
# What opens by itself when words stand where none may.
IMPLIED = {
    Kind.FLOW: ("p",),
    Kind.TABLE: ("tbody", "tr", "td"),
    Kind.SECTION: ("tr", "td"),
    Kind.ROW: ("td",),
    Kind.LIST: ("li",),
}
SUMMARY = "summary"
_BEYOND_WORDS = re.compile(r"<(?:ac:|a |table|li)")
# XML parsers refuse documents more than 256 elements deep; raw HTML stops at half of that (`tags.DEEPEST_RAW`).
DEEPEST = 225


class Frame(NamedTuple):
    """An open element: its name, what closes it, what may stand in it, whether Markdown opened it, where it began; and
    what may stand around it, how deep that is, and in how many links.
    """

    name: str
    end: str
    kind: Kind
    firm: bool
    start: int
    around: Kind
    depth: int
    links: int


@dataclass
class Writer:
    """Output parts and the stack of what is open."""

    parts: list[str] = field(default_factory=list)
    stack: list[Frame] = field(default_factory=list)
    kind: Kind = Kind.FLOW
    depth: int = 0
    links: int = 0

    def raw(self, markup: str) -> None:
        """Markup of our own, as it is."""
        self.parts.append(markup)

    def text(self, text: str) -> None:
        """A reader's words, escaped; where none may stand, what they need opens around them."""
        if self.kind >= Kind.FLOW:
            if not text or text.isspace():
                return
            self.place_words()
        self.parts.append(escape(text))

    def place_words(self) -> None:
        """Open what words need around them here."""
        for name in IMPLIED.get(self.kind, ()):
            self.open(name, f"<{name}>", f"</{name}>", KINDS.get(name, Kind.PHRASE))

    def place_block(self) -> bool:
        """Close what a block can't stand in; False where Markdown's own words are around it."""
        if self.kind is Kind.PHRASE:
            for frame in reversed(self.stack):
                if frame.kind is not Kind.PHRASE:
                    break
                if frame.firm:
                    return False
            while self.kind is Kind.PHRASE:
                self._pop()
        if self.kind > Kind.FLOW:
            self.place_words()
        return True

    def open(self, name: str, start: str, end: str, kind: Kind, *, firm: bool = False) -> None:
        """Open an element."""
        self.parts.append(start)
        self.stack.append(Frame(name, end, kind, firm, len(self.parts), self.kind, self.depth, self.links))
        self.kind = kind
        self.depth += end.count("</")
        self.links += end.endswith(("</a>", "</ac:link>"))

    def close(self, name: str) -> bool:
        """Close the innermost loose element of that name and all inside it; False where there is none."""
        for index in range(len(self.stack) - 1, -1, -1):
            frame = self.stack[index]
            if frame.firm:
                return False
            if frame.name == name:
                self.end(index)
                return True
        return False

    def end(self, index: int) -> None:
        """Close all but the outermost `index` elements."""
        while len(self.stack) > index:
            self._pop()

    def _pop(self) -> None:
        frame = self.stack.pop()
        if frame.kind >= Kind.TABLE and len(self.parts) == frame.start:
            self.parts.pop()  # a table or list without content
        else:
            self.parts.append(frame.end)
        if frame.name == SUMMARY:
            self._entitle(frame.start)
        self.kind, self.depth, self.links = frame.around, frame.depth, frame.links

    def _entitle(self, start: int) -> None:
        """Put a summary's words into the title of its expand macro; what words can't say stays in the macro's body.

        The macro left an empty part for its title before the start of its body, where the summary stands.
        """
        inside = "".join(self.parts[start:])
        title = storage.words_of(inside)
        slot = self.stack[-1].start - 2
        if title and not self.parts[slot]:
            self.parts[slot] = storage.parameter("title", title)
            if not _BEYOND_WORDS.search(inside):
                del self.parts[start:]

    def result(self) -> str:
        """Everything written, with all elements closed."""
        self.end(0)
        return "".join(self.parts)
