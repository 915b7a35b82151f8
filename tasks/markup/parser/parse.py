"""The parse that every renderer shares: GFM as GitHub's own parser reads it, with admonitions, and front matter set apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import comrak

from tasks.markup import collector
from tasks.markup.clean import xml_text
from tasks.markup.parser import admonitions, density, depth, footnotes, front_matter, losses, references
from tasks.markup.parser.placeholders import Names
from tasks.markup.parser.token import Token, as_code
from tasks.markup.parser.tree import Tree

MOST_ROUNDS = 4  # of mending a source in which the grammar would lose words


@dataclass(frozen=True)
class Parsed:
    """A document: its tokens, its front matter's fields, and what could not be read as it was meant.

    `may_lead_within`: it has a link to a place in itself, or raw HTML. `as_typed`: nothing of it was read; it is code.
    """

    tokens: list[Token]
    fields: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    may_lead_within: bool = True
    as_typed: bool = False


def parse(markdown: str | Parsed) -> list[Token]:
    """The document's tokens, its front matter left out; of one that was parsed already, these."""
    return (markdown if isinstance(markdown, Parsed) else parse_document(markdown)).tokens


@collector.put_off()
def parse_document(markdown: str) -> Parsed:
    """The document. Nesting beyond any reader's patience is shown as text rather than followed."""
    lines = markdown.replace("\r\n", "\n").replace("\r", "\n") if "\r" in markdown else markdown
    text = xml_text(lines).removeprefix("\ufeff")
    front = front_matter.split(text)
    above = text.count("\n", 0, len(text) - len(front.rest))
    if density.is_too_dense(front.rest):
        told = (*front.warnings, "the document is made of too many marks to be read; it is shown as it was typed")
        return Parsed([as_code(front.rest, above + 1)], front.fields or {}, told, may_lead_within=False, as_typed=True)
    roomy = references.with_room(front.rest)
    above -= references.LINES if roomy is not front.rest else 0
    text, origins = admonitions.with_origins(roomy)
    source = _Source(depth.limited(text, _xml), origins, above)
    looked = losses.may_be_beside_tables(source.text)
    document = source.mended() if looked else _tree(source.text)
    tree = Tree(source.text, Names(source.text), source.origin)
    tokens = tree.tokens(document)
    if tree.loses_cells and not looked:
        document = source.mended()
        tree = Tree(source.text, Names(source.text), source.origin)
        tokens = tree.tokens(document)
    tokens = footnotes.with_notes_last(tokens, tree.notes)
    found_at = sorted(source.warnings.keys() | tree.warnings.keys())
    told = tuple(f"line {line}: {words}" for line, words in found_at)
    return Parsed(tokens, front.fields or {}, (*front.warnings, *told), tree.may_lead_within)


@dataclass
class _Source:
    """A text with the number of the line that each of its lines was, where these differ, and of the lines above it."""

    text: str
    origins: Sequence[int]
    above: int
    warnings: dict[tuple[int, str], None] = field(default_factory=dict)

    def origin(self, line: int) -> int:
        """The document's line that a line of the text was."""
        return self.above + (self.origins[min(line, len(self.origins)) - 1] if self.origins else line)

    def mended(self) -> Any:
        """The tree of the text, changed so that the grammar loses no words."""
        for _ in range(MOST_ROUNDS):
            document = _tree(self.text)
            lines = self.text.split("\n")
            found = losses.mended(document, lines)
            if found is None:
                return document
            self.warnings |= {(self.origin(line), words): None for line, words in found}
            losses.let_go(document)
            self.text = depth.limited("\n".join(lines), _xml)
            if any("\n" in line for line in lines):
                known = self.origins or range(1, len(lines) + 1)
                self.origins = [number for line, number in zip(lines, known, strict=False) for _ in line.split("\n")]
        return _tree(self.text)


@lru_cache(maxsize=1)
def options() -> tuple[comrak.ExtensionOptions, comrak.ParseOptions]:
    """What the parser reads beside CommonMark."""
    extensions = comrak.ExtensionOptions(
        strikethrough=True,
        table=True,
        autolink=True,
        tasklist=True,
        footnotes=True,
        alerts=True,
        math_dollars=True,
        math_code=True,
        shortcodes=True,
        block_directive=True,
    )
    return extensions, comrak.ParseOptions(leave_footnote_definitions=True)


def _tree(text: str) -> Any:
    """The parser's tree; where the parser gives up, one of the words alone."""
    try:
        return comrak.parse_document(text, *options())
    except BaseException as panic:
        # What Rust gives up with is no `Exception`, and its class has no name that could be imported.
        if type(panic).__name__ != "PanicException":
            raise
        if "MemoryError" in str(panic):  # nothing is wrong with the text
            raise MemoryError from None
        return comrak.parse_document(depth.as_words(text), *options())


def _xml(text: str) -> str:
    return comrak.markdown_to_xml(text, *options())
