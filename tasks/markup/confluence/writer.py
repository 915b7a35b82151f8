"""Writes nested elements that always close and always stand where they may, whatever a document's raw HTML asks for.

Each open element has a kind that says what may stand in it. What Markdown opened is firm: raw HTML can't close it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tasks.markup.clean import cut, escape
from tasks.markup.confluence import storage


class Kind:
    """What may stand inside an element; up to CELL, words may.

    Plain numbers: each look at a member of an `IntEnum` takes 60 ns, and an element takes ten.
    """

    PHRASE: Final = 0  # words and marks
    CELL: Final = 1  # words, marks and blocks
    FLOW: Final = 2  # blocks; words get a paragraph
    TABLE: Final = 3
    SECTION: Final = 4  # of a table
    ROW: Final = 5
    LIST: Final = 6
    TASKS: Final = 7


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
IMPLIED: Mapping[int, tuple[str, ...]] = {
    Kind.FLOW: ("p",),
    Kind.TABLE: ("tbody", "tr", "td"),
    Kind.SECTION: ("tr", "td"),
    Kind.ROW: ("td",),
    Kind.LIST: ("li",),
}
LINK, SUMMARY = "a", "summary"
_new = tuple.__new__  # as for tokens
LONGEST_TITLE = 255
_TITLE = re.compile(r'<ac:parameter ac:name="title">[^<]*</ac:parameter>')
_BEYOND_WORDS = re.compile(r"<(?:ac:|a |table|li)")
# XML parsers refuse documents more than 256 elements deep; raw HTML stops at half of that (`tags.DEEPEST_RAW`).
DEEPEST = 225


class Frame(NamedTuple):
    """An open element: its name, what closes it, what may stand in it, whether Markdown opened it, where it began; and
    what may stand around it, how deep that is, and in how many links.
    """

    name: str
    end: str
    kind: int
    firm: bool
    start: int
    around: int
    depth: int
    links: int


@dataclass
class Writer:
    """Output parts and the stack of what is open."""

    parts: list[str] = field(default_factory=list)
    stack: list[Frame] = field(default_factory=list)
    kind: int = Kind.FLOW
    depth: int = 0
    links: int = 0
    raw: Callable[[str], None] = field(init=False)

    def __post_init__(self) -> None:
        # Writes markup of our own, as it is; a method that only does this takes three times as long.
        self.raw = self.parts.append

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
        if self.kind == Kind.PHRASE:
            for frame in reversed(self.stack):
                if frame.kind != Kind.PHRASE:
                    break
                if frame.firm:
                    return False
            while self.kind == Kind.PHRASE:
                self.end(len(self.stack) - 1)
        if self.kind > Kind.FLOW:
            self.place_words()
        return True

    def open(self, name: str, start: str, end: str, kind: int, *, firm: bool = False) -> None:
        """Open an element."""
        self.parts.append(start)
        frame = (name, end, kind, firm, len(self.parts), self.kind, self.depth, self.links)
        self.stack.append(_new(Frame, frame))
        self.kind = kind
        self.depth += end.count("</")
        if name == LINK:
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
        stack, parts = self.stack, self.parts
        while len(stack) > index:
            name, end, kind, _, start, self.kind, self.depth, self.links = stack.pop()
            if kind >= Kind.TABLE and len(parts) == start:
                parts.pop()  # a table or list without content
            else:
                parts.append(end)
            if name == SUMMARY:
                self._entitle(start)

    def _entitle(self, start: int) -> None:
        """Put a summary's words into the title of its expand macro; what words can't say stays in the macro's body.

        The macro left an empty part for its title before the start of its body, where the summary stands. Of a summary that
        stays, the title has the beginning without the titles inside: those of macros in each other would double at each level.
        """
        inside = "".join(self.parts[start:])
        stays = _BEYOND_WORDS.search(inside) is not None
        title = storage.words_of(_TITLE.sub("", inside) if stays else inside)
        slot = self.stack[-1].start - 2
        if title and not self.parts[slot]:
            self.parts[slot] = storage.parameter("title", cut(title, LONGEST_TITLE) if stays else title)
            if not stays:
                del self.parts[start:]

    def result(self) -> str:
        """Everything written, with all elements closed."""
        self.end(0)
        return "".join(self.parts)
