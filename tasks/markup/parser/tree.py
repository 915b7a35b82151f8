"""comrak's tree as our tokens. Nothing outside of the parser knows the binding's nodes, and no node outlives this."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import comrak

from tasks.markup.addresses import encoded
from tasks.markup.clean import xml_text
from tasks.markup.parser import dialects
from tasks.markup.parser.admonitions import read_info
from tasks.markup.parser.emoji_and_math import emoji, math
from tasks.markup.parser.footnotes import Notes
from tasks.markup.parser.losses import END_OF_LIST, let_go, loses_cells, parted
from tasks.markup.parser.placeholders import Names, is_prefixed
from tasks.markup.parser.raw_blocks import linked_below, linked_inside, mended, stand_round_blocks
from tasks.markup.parser.token import BREAKS, NOTHING, Token, block, code, link_open, pair, paragraph, plain, text
from tasks.markup.tags import PIECE
from tasks.markup.words import PANELS

_TOC = re.compile(r"\[(?:\[(?:_TOC_|TOC)\]|TOC)\]\s*\Z", re.IGNORECASE)
_MAY_BE_TOC = re.compile(r"\[_?[Tt][Oo][Cc]_?\]")
_MAY_BE_ID = re.compile(r"\{:?[ \t]*#")
_QUOTE_SIGNS = re.compile(r"\A(?:[ \t]{0,3}>[ \t]?)+")
_DECLARED = re.compile(r"<(?:\?|!(?!--))")  # what is no tag, and no comment
_DIAGRAMS = frozenset({"mermaid", "plantuml"})  # between colons in the wiki of Azure DevOps
_HEADING_ID = re.compile(r"\{:?[ \t]*#([A-Za-z][\w:.-]*)[ \t]*\}\s*\Z")
_FOLD_SIGN = re.compile(r"\[![A-Za-z]+\]([+-])(?:[ \t]|\Z)")
# Raw HTML that no target has, by the number that the specification gives its kind.
_SHOWN_BLOCKS = {1: "a program, style or text area in HTML", 3: "a processing instruction", 4: "a declaration", 5: "a CDATA section"}  # fmt: skip
_TEXT, _CODE = comrak.Text, comrak.Code
# Tokens that say nothing but what they are: most of a document's, made once.
_BREAKS = {comrak.SoftBreak: Token("softbreak"), comrak.LineBreak: Token("hardbreak")}
_OPENS = {comrak.Emph: pair("em", "em"), comrak.Strong: pair("strong", "strong"), comrak.Strikethrough: pair("s", "s")}  # fmt: skip
_LINK_END = Token("link_close", "a", -1)
_HEADINGS = {level: f"h{level}" for level in range(1, 7)}
_QUOTE = pair("blockquote", "blockquote")
_BULLETS = pair("bullet_list", "ul")
_ITEM = pair("list_item", "li")
_TASKS = {done: pair("list_item", "li", meta={"checked": done}) for done in (True, False)}
_TABLE, _HEAD, _BODY, _ROW = (pair(tag, tag) for tag in ("table", "thead", "tbody", "tr"))
# The binding's names can't be keys of a mapping; what they are printed as can.
_ALIGNED = {
    f"TableAlignment.{side.capitalize()}": {"style": f"text-align:{side}"} for side in ("left", "center", "right")
}


class Tree:
    """One document on its way from nodes to tokens."""

    def __init__(self, source: str, names: Names, origin: Callable[[int], int]) -> None:
        self.lines = source.split("\n")
        self.names = names
        self.notes = Notes()
        self._has_math = "$$" in source
        self._has_ids = _MAY_BE_ID.search(source) is not None
        self._has_toc = _MAY_BE_TOC.search(source) is not None
        self._signs = dialects.Signs(source)
        # An entity by number alone stands for a character that a document may not hold.
        self._has_numbers = "&#" in source
        self._may_change: Callable[[str], bool] = bool if self._has_numbers else self._signs.may_be_in
        self.warnings: dict[tuple[int, str], None] = {}
        self.may_lead_within = self.loses_cells = self._has_tags = False
        self._origin = origin
        self._out: list[Token] = []
        self._stack: list[tuple[Any, bool]] = []
        self._links: dict[int, tuple[bool, str]] = {}

    def tokens(self, document: Any) -> list[Token]:
        """The document's tokens, footnotes where they were written."""
        self._push(document)
        out, stack, blocks, unknown = self._out, self._stack, self._BLOCKS, Tree._unknown
        while stack:
            node, tight = stack.pop()
            if type(node) is Token:
                out.append(node)
            else:
                value = node.node_value
                blocks.get(type(value), unknown)(self, node, value, tight)
        return linked_below(out, self._links) if self._links else out

    def _push(self, node: Any, *, tight: bool = False) -> None:
        """The node's children come next."""
        stack = self._stack
        for child in reversed(parted(node)):
            stack.append((child, tight))

    def _around(self, node: Any, around: tuple[Token, Token], *, tight: bool = False) -> None:
        start, end = around
        self._out.append(start)
        self._stack.append((end, False))
        self._push(node, tight=tight)

    def _unknown(self, node: Any, value: Any, _tight: bool) -> None:
        self._push(node)
        said = getattr(value, "value", None)
        if isinstance(said, str):
            self._out.append(paragraph(xml_text(said)))

    # -- blocks

    def _paragraph(self, node: Any, _value: Any, tight: bool) -> None:
        if self._has_toc:
            place = node.sourcepos
            first = place.start.line
            if first == place.end.line and _is_toc(self.lines[first - 1], place.start.column):
                let_go(node)
                self._out.append(Token("toc"))
                return
        children = parted(node)
        if self._has_math and len(children) == 1 and type(children[0].node_value) is comrak.Math:
            formula = children[0].node_value.value
            if formula.display_math and formula.dollar_math:
                self._out.append(Token("math_block", content=xml_text(formula.literal).strip("\n")))
                return
        self._out.append(self._block("paragraph", "p", node, children, hidden=tight))

    def _heading(self, node: Any, value: Any, _tight: bool) -> None:
        heading = self._block("heading", _HEADINGS[value.value.level], node, parted(node))
        if self._has_ids and (named := _named(heading)) is not heading:
            self.warnings.pop((self._origin(node.sourcepos.start.line), dialects.ATTRIBUTES), None)
            heading = named
        self._out.append(heading)

    def _quote(self, node: Any, _value: Any, _tight: bool) -> None:
        self._around(node, _QUOTE)

    def _list(self, node: Any, value: Any, _tight: bool) -> None:
        facts = value.value
        around = _BULLETS
        if facts.list_type == comrak.ListType.Ordered:
            around = pair("ordered_list", "ol", attrs={"start": facts.start} if facts.start != 1 else NOTHING)
        self._around(node, around, tight=facts.tight)

    def _item(self, node: Any, value: Any, tight: bool) -> None:
        is_task = type(value) is comrak.TaskItem
        around = start, end = _TASKS[value.value.symbol is not None] if is_task else _ITEM
        children = node.children
        if len(children) != 1 or type(children[0].node_value) is not comrak.Paragraph:
            self._around(node, around, tight=tight)
            return
        children[0].parent = None
        self._out.append(start)
        self._paragraph(children[0], None, tight)
        self._out.append(end)

    def _alert(self, node: Any, value: Any, _tight: bool) -> None:
        kind = repr(value.value.alert_type).partition(".")[2]
        title = (value.value.title or "").strip()
        sign = _FOLD_SIGN.search(self.lines[node.sourcepos.start.line - 1])
        if sign and title.startswith(sign[1]):
            title = title[1:].lstrip()
        folds = sign is not None and sign[1] == "-"
        self._panel(node, "admonition" if folds else "alert", kind.lower(), title or kind, folds=folds)

    def _directive(self, node: Any, value: Any, _tight: bool) -> None:
        """A container between colons: a panel where its kind has one, else its words with what it said about itself."""
        info = xml_text(value.value.info).strip()
        kind, title, folds = read_info(info)
        if kind in PANELS or kind == "details":
            self._panel(node, "admonition", kind, title, folds=folds or kind == "details")
            return
        if kind in _DIAGRAMS:
            self._diagram(node, kind)
            return
        if info:
            self._warn(node.sourcepos.start.line, f"a container of the unknown kind {info[:60]} is shown as text")
            self._out.append(paragraph(f"::: {info}"))
        self._push(node)

    def _diagram(self, node: Any, kind: str) -> None:
        """The lines of a diagram as code of that language."""
        place = node.sourcepos
        let_go(node)
        opening, *lines = self.lines[place.start.line - 1 : place.end.line]
        if lines and lines[-1].strip("> \t").startswith(":::"):
            lines.pop()
        if ">" in opening.partition(":::")[0]:
            lines = [_QUOTE_SIGNS.sub("", line) for line in lines]
        source = textwrap.dedent("\n".join(lines)).rstrip("\n") + "\n"
        self._out.append(Token("fence", "code", content=source, info=kind, line=self._origin(place.start.line)))

    def _panel(self, node: Any, name: str, kind: str, title: str, *, folds: bool = False) -> None:
        meta = {"kind": kind, "folds": folds, "title": xml_text(title)}
        self._around(node, pair(name, "blockquote", meta=meta))

    def _table(self, node: Any, value: Any, _tight: bool) -> None:
        out = self._out
        aligned = [_ALIGNED.get(repr(alignment), NOTHING) for alignment in value.value.alignments]
        header, *rows = parted(node)
        out += (_TABLE[0], _HEAD[0])
        line = node.sourcepos.start.line
        lines, count = self.lines, len(aligned)
        loses = loses_cells(lines[line - 1], header, count)
        self._row(header, "th", aligned, line)
        out.append(_HEAD[1])
        if rows:
            out.append(_BODY[0])
            line += 1  # each row has a line, and so have the signs between
            for row in rows:
                line += 1
                loses = loses or loses_cells(lines[line - 1], row, count)
                self._row(row, "td", aligned, line)
            out.append(_BODY[1])
        self.loses_cells = self.loses_cells or loses
        out.append(_TABLE[1])

    def _row(self, row: Any, tag: str, aligned: Sequence[Mapping[str, str]], line: int) -> None:
        out = self._out
        out.append(_ROW[0])
        for node, side in zip(parted(row), aligned, strict=False):
            children = node.children
            if (
                len(children) == 1
                and type(value := children[0].node_value) is _TEXT
                and not self._may_change(said := value.value)
            ):
                children[0].parent = None  # most cells, in two calls less
                out.append(plain(tag, tag, said, side))
            else:
                out.append(self._block(tag, tag, node, parted(node), line, side))
        out.append(_ROW[1])

    def _code(self, node: Any, value: Any, _tight: bool) -> None:
        code = value.value
        if code.fenced and code.info.strip() == "math":
            self._out.append(Token("math_block", content=code.literal.strip("\n")))
            return
        name = "fence" if code.fenced else "code_block"
        self._out.append(
            Token(
                name,
                "code",
                content=code.literal,
                info=xml_text(code.info),
                line=self._origin(node.sourcepos.start.line),
            )
        )

    def _html(self, node: Any, value: Any, _tight: bool) -> None:
        """Raw HTML between blocks. What of it is shown as typed is told, with its line."""
        line, source = node.sourcepos.start.line, value.value.literal
        if source.strip() == END_OF_LIST:
            return
        self.may_lead_within = True
        called = _SHOWN_BLOCKS.get(value.value.block_type)
        if called and not source.lstrip().lower().startswith("<pre"):
            self._warn(line, f"{called} is shown as typed")
        else:
            below = counted = 0
            for tag in PIECE.finditer(source):
                if not tag["close"] and not self.names.is_tag(tag) and (name := self.names.meant(tag[0])):
                    below += source.count("\n", counted, tag.start())
                    counted = tag.start()
                    self._warn(line + below, f"the tag <{name[:40]}> has no place here and is shown as typed")
        shown, link = mended(source, self.names)
        if link or "</a" in source:
            self._links[len(self._out)] = "</a" in source, link
        if shown.strip():
            self._out.append(Token("html_block", content=shown, line=self._origin(line)))

    def _rule(self, _node: Any, _value: Any, _tight: bool) -> None:
        self._out.append(Token("hr", "hr"))

    def _note(self, node: Any, value: Any, _tight: bool) -> None:
        self.notes.written = True
        label = xml_text(value.value.name)
        meta = {"label": label, "stray": not value.value.total_references}
        self._around(node, pair("footnote_reference", "", meta=meta))

    def _block(self, kind: str, tag: str, node: Any, children: list[Any], line: int = 0, attrs: Mapping[str, str] = NOTHING, *, hidden: bool = False) -> Token:  # fmt: skip
        """A block of words, which begins in that line or where the node does."""
        if len(children) == 1 and type(value := children[0].node_value) is _TEXT:
            said = value.value
            if self._may_change(said):
                said = self._said(said, line or node.sourcepos.start.line, starts_line=True)
            return plain(kind, tag, said, attrs, hidden=hidden)
        if not children:
            return block(kind, tag, (), 0, attrs)
        line = line or node.sourcepos.start.line
        pieces = self._pieces(children, line)
        if self._has_tags and (shown := self.names.as_words(pieces)) is not pieces:
            self._warn_of_tags(pieces, shown, line)
            pieces = shown
        if self._has_tags and stand_round_blocks(pieces):
            pieces = linked_inside(pieces)
        return block(kind, tag, pieces, self._origin(line), attrs, hidden=hidden)

    def _warn_of_tags(self, pieces: Sequence[Token], shown: Sequence[Token], line: int) -> None:
        """Warn of tags that became words although they were meant as tags: they have an end or attributes."""
        for piece, word in zip(pieces, shown, strict=True):
            line += piece.type in BREAKS
            if piece.type != word.type and (name := self.names.meant(piece.content)):
                self._warn(line, f"the tag <{name[:40]}> has no place here and is shown as typed")

    def _pieces(self, nodes: list[Any], line: int) -> list[Token]:
        out: list[Token] = []
        may_change = self._may_change
        stack: list[Any] = nodes[::-1]
        while stack:
            node = stack.pop()
            if type(node) is Token:
                out.append(node)
                continue
            value = node.node_value
            kind = type(value)
            if kind is _TEXT:
                said = value.value
                if may_change(said):
                    said = self._said(said, line, starts_line=not out or out[-1].type in BREAKS)
                out.append(text(said))
            elif mark := _OPENS.get(kind):
                start, end = mark
                out.append(start)
                stack.append(end)
                stack += parted(node)[::-1]
            elif kind is _CODE:
                out.append(code(value.value.literal))
            elif sign := _BREAKS.get(kind):
                out.append(sign)
                line += 1
            elif kind is comrak.HtmlInline:
                out.append(Token("html_inline", content=value.value))
                self._has_tags = self.may_lead_within = True
            elif kind is comrak.Link:
                children = parted(node)
                start = _link(children, value.value)
                if start.info and is_prefixed(value.value.url, self.lines[node.sourcepos.start.line - 1]):
                    out.append(text(f"<{value.value.url}>"))
                    continue
                self.may_lead_within = self.may_lead_within or start.attrs["href"].startswith("#")
                out.append(start)
                stack.append(_LINK_END)
                stack += children[::-1]
            elif kind is comrak.Image:
                out.append(self._image(node, value.value, line))
            elif kind is comrak.ShortCode:
                out.append(emoji(value.value, out, stack))
            elif kind is comrak.Math:
                out.append(math(value.value, out, stack))
            elif kind is comrak.FootnoteReference:
                out.append(self._reference(value.value))
            else:
                stack += parted(node)[::-1]
        return out

    def _said(self, run: str, line: int, *, starts_line: bool) -> str:
        """A run of words that may hold more than words, as they are shown."""
        if self._has_numbers:
            run = xml_text(run)
        run, found = dialects.read(run, self._signs, starts_line=starts_line)
        for construct in found:
            self._warn(line, construct)
        return run

    def _image(self, node: Any, image: Any, line: int) -> Token:
        children = self.names.as_words(self._pieces(parted(node), line))
        attrs = {"src": encoded(xml_text(image.url))} | ({"title": xml_text(image.title)} if image.title else {})
        shown = (c for c in children if c.type != "html_inline" or _DECLARED.match(c.content))
        said = "".join(c.content or (" " if c.type in BREAKS else "") for c in shown)
        return Token("image", "img", attrs=attrs, children=children, content=said if said.strip() else "")

    def _reference(self, reference: Any) -> Token:
        label = xml_text(reference.name).casefold()
        self.notes.numbers[label] = reference.ix - 1
        self.notes.counts[label] = max(reference.ref_num, self.notes.counts.get(label, 0))
        return Token("footnote_ref", meta={"id": reference.ix - 1, "subId": reference.ref_num - 1})

    def _warn(self, line: int, text: str) -> None:
        self.warnings[self._origin(line), text] = None

    _BLOCKS: ClassVar[Mapping[type, Callable[[Tree, Any, Any, bool], None]]] = {
        comrak.Paragraph: _paragraph,
        comrak.Heading: _heading,
        comrak.BlockQuote: _quote,
        comrak.List: _list,
        comrak.Item: _item,
        comrak.TaskItem: _item,
        comrak.Alert: _alert,
        comrak.BlockDirective: _directive,
        comrak.Table: _table,
        comrak.CodeBlock: _code,
        comrak.HtmlBlock: _html,
        comrak.ThematicBreak: _rule,
        comrak.FootnoteDefinition: _note,
    }


def _is_toc(line: str, column: int) -> bool:
    """Whether a line says where the table of contents belongs, from the column (in bytes) on."""
    return "toc" in line.lower() and bool(_TOC.match(line.encode()[column - 1 :].decode("utf-8", "replace")))


def _named(heading: Token) -> Token:
    """A heading with the name that is written behind its words."""
    *before, last = heading.children or (heading,)
    named = _HEADING_ID.search(last.content) if last.type == "text" else None
    if named is None:
        return heading
    kept = last.content[: named.start()].rstrip()
    return heading._replace(children=[*before, *([text(kept)] if kept else [])], meta={"id": named.group(1)})


def _link(children: Sequence[Any], link: Any) -> Token:
    url, title = link.url, link.title
    attrs = {"href": encoded(xml_text(url))}
    if title:
        attrs["title"] = xml_text(title)
    only = children[0].node_value if len(children) == 1 else None
    said = only.value if type(only) is _TEXT else ""
    auto = bool(said) and url.removeprefix("mailto:").removeprefix("http://") == said.removeprefix("http://").removeprefix("mailto:")  # fmt: skip
    return link_open(attrs, "auto" if auto else "")
