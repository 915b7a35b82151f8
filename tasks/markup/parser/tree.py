"""comrak's tree as our tokens. Nothing else knows the binding's nodes, and no node outlives this."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote

import comrak

from tasks.markup.addresses import normal
from tasks.markup.clean import xml_text
from tasks.markup.parser.losses import let_go
from tasks.markup.parser.placeholders import Names
from tasks.markup.parser.raw_blocks import mended
from tasks.markup.parser.token import NOTHING, Token
from tasks.markup.tags import PIECE
from tasks.markup.words import PANELS

_TOC = re.compile(r"\[(?:\[_TOC_\]|TOC)\]\s*\Z", re.IGNORECASE)
_HEADING_ID = re.compile(r"\s*\{#([A-Za-z][\w:.-]*)\}\s*\Z")
_WIKI_LINK = re.compile(r"\[\[(?![\s\[])([^\[\]|\n]{1,300}?)(?:\|([^\[\]|\n]{1,300}))?(?<!\s)\]\]")
# What other dialects have and this one shows as it was typed: by name, how it is called and what it looks like.
_CONSTRUCTS = {
    "shortcode": ("a shortcode of Hugo", r"\{\{[<%].{1,200}?[>%]\}\}"),
    "template": ("a tag of Liquid or Jinja", r"\{%.{1,200}?%\}"),
    "admonition": ("an admonition of an unknown kind", r"\A(?:!!!|\?\?\?\+?)[ \t]*[A-Za-z]"),
    "highlight": ("a highlight between equals signs", r"(?<![=\w])==[^\s=](?:[^=]{0,200}[^\s=])?==(?![=\w])"),
    "note": ("a reference to a footnote that is missing", r"\[\^[^\]\s]{1,60}\]"),
    "abbreviation": ("an abbreviation", r"\A\*\[[^\]]{1,60}\]:"),
    "definition": ("a definition list", r"\A:[ \t]+\S"),
    "attributes": ("a list of attributes", r"\{:[^}]{1,200}\}\s*\Z"),
}
_DIALECTS = {name: called for name, (called, _) in _CONSTRUCTS.items()}
_AS_TYPED = re.compile("|".join(f"(?P<{name}>{shape})" for name, (_, shape) in _CONSTRUCTS.items()))
_STARTS = ("!!!", "???", "*[", ":")
_DIRECTIVE = re.compile(r"\s*\{?\s*\.?([A-Za-z]+)\b\s*([^}]*?)\s*\}?\s*\Z")
_QUOTED = re.compile(r"""(?:title\s*=\s*)?(["'])(.*)\1\Z""")
_UNSAFE_IN_ADDRESS = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_HOST = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]*", re.IGNORECASE)
# The binding's names can't be keys of a mapping; what they are printed as can.
_ALIGNED = {
    f"TableAlignment.{side.capitalize()}": {"style": f"text-align:{side}"} for side in ("left", "center", "right")
}
# Raw HTML that no target has, by the number that the specification gives its kind.
_SHOWN_BLOCKS = {1: "a program, style or text area in HTML", 3: "a processing instruction", 4: "a declaration", 5: "a CDATA section"}  # fmt: skip
FOLDING = "fold-"  # before the kind of an admonition that folds

SOFT, HARD = Token("softbreak"), Token("hardbreak")
_OPENS = {
    comrak.Emph: (Token("em_open", "em", 1), Token("em_close", "em", -1)),
    comrak.Strong: (Token("strong_open", "strong", 1), Token("strong_close", "strong", -1)),
    comrak.Strikethrough: (Token("s_open", "s", 1), Token("s_close", "s", -1)),
}
_LINK_END = Token("link_close", "a", -1)
_PARAGRAPH = {hidden: (Token("paragraph_open", "p", 1, hidden=hidden), Token("paragraph_close", "p", -1, hidden=hidden)) for hidden in (True, False)}  # fmt: skip


@dataclass
class Notes:
    """What is known of footnotes: the number and count of references of each label, and whether any is written."""

    numbers: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    written: bool = False


class Tree:
    """One document on its way from nodes to tokens."""

    def __init__(self, lines: Sequence[str], names: Names, origin: Callable[[int], int]) -> None:
        self.lines = lines
        self.names = names
        self.notes = Notes()
        self.warnings: dict[tuple[int, str], None] = {}
        self._origin = origin
        self._out: list[Token] = []
        self._stack: list[tuple[Any, bool]] = []

    def tokens(self, document: Any) -> list[Token]:
        """The document's tokens, footnotes where they were written."""
        self._push(document)
        while self._stack:
            node, tight = self._stack.pop()
            if type(node) is Token:
                self._out.append(node)
            else:
                value = node.node_value
                self._BLOCKS.get(type(value), Tree._unknown)(self, node, value, tight)
        return self._out

    def _push(self, node: Any, *, tight: bool = False) -> None:
        """The node's children come next. The binding's nodes hold each other: parted, they go when nobody needs them."""
        children = node.children
        for child in reversed(children):
            child.parent = None
            self._stack.append((child, tight))

    def _around(self, node: Any, start: Token, end: Token, *, tight: bool = False) -> None:
        self._out.append(start)
        self._stack.append((end, False))
        self._push(node, tight=tight)

    def _unknown(self, node: Any, value: Any, _tight: bool) -> None:
        self._push(node)
        text = getattr(value, "value", None)
        if isinstance(text, str):
            self._out.append(Token("inline", children=[Token("text", content=xml_text(text))]))

    # -- blocks

    def _paragraph(self, node: Any, _value: Any, tight: bool) -> None:
        children = node.children
        if len(children) == 1 and type(children[0].node_value) is comrak.Math:
            math = children[0].node_value.value
            children[0].parent = None
            if math.display_math and math.dollar_math:
                self._out.append(Token("math_block", content=xml_text(math.literal).strip("\n")))
                return
        place = node.sourcepos.start
        line = self.lines[place.line - 1] if place.line == node.sourcepos.end.line else ""
        if "toc" in line.lower() and _TOC.match(line.encode()[place.column - 1 :].decode("utf-8", "replace")):
            let_go(node)
            self._out.append(Token("toc"))
            return
        start, end = _PARAGRAPH[tight]
        self._out += (start, self._inline(node, place.line), end)

    def _heading(self, node: Any, value: Any, _tight: bool) -> None:
        tag = f"h{value.value.level}"
        inline = self._inline(node, node.sourcepos.start.line)
        meta: dict[str, str] = {}
        last = inline.children[-1] if inline.children else None
        if last is not None and last.type == "text" and (named := _HEADING_ID.search(last.content)):
            meta["id"] = named.group(1)
            kept = last.content[: named.start()]
            rest = [last._replace(content=kept)] if kept else []
            inline = inline._replace(children=[*inline.children[:-1], *rest])
        self._out += (Token("heading_open", tag, 1, meta=meta), inline, Token("heading_close", tag, -1))

    def _quote(self, node: Any, _value: Any, _tight: bool) -> None:
        self._around(node, Token("blockquote_open", "blockquote", 1), Token("blockquote_close", "blockquote", -1))

    def _list(self, node: Any, value: Any, _tight: bool) -> None:
        facts = value.value
        ordered = facts.list_type == comrak.ListType.Ordered
        name, tag = ("ordered_list", "ol") if ordered else ("bullet_list", "ul")
        attrs = {"start": facts.start} if ordered and facts.start != 1 else NOTHING
        start, end = Token(f"{name}_open", tag, 1, attrs=attrs), Token(f"{name}_close", tag, -1)
        self._around(node, start, end, tight=facts.tight)

    def _item(self, node: Any, value: Any, tight: bool) -> None:
        meta = {"checked": value.value.symbol is not None} if type(value) is comrak.TaskItem else {}
        start, end = Token("list_item_open", "li", 1, meta=meta), Token("list_item_close", "li", -1)
        self._around(node, start, end, tight=tight)

    def _alert(self, node: Any, value: Any, _tight: bool) -> None:
        kind = repr(value.value.alert_type).partition(".")[2]
        self._panel(node, "alert", kind.lower(), (value.value.title or kind).strip())

    def _directive(self, node: Any, value: Any, _tight: bool) -> None:
        """A container between colons: a panel where its kind has one, else its words with what it said about itself."""
        info = xml_text(value.value.info).strip()
        folds = info.startswith(FOLDING)
        found = _DIRECTIVE.match(info.removeprefix(FOLDING))
        kind = found.group(1).lower() if found else ""
        title = found.group(2) if found else ""
        if kind in PANELS or kind == "details":
            quoted = _QUOTED.match(title)
            shown = quoted.group(2) if quoted else title or kind.capitalize()
            self._panel(node, "admonition", kind, shown, folds=folds or kind == "details")
            return
        if info:
            self._warn(node.sourcepos.start.line, f"a container of the unknown kind {info[:60]} is shown as text")
            start, end = _PARAGRAPH[False]
            self._out += (start, Token("inline", children=[Token("text", content=f"::: {info}")]), end)
        self._push(node)

    def _panel(self, node: Any, name: str, kind: str, title: str, *, folds: bool = False) -> None:
        self._out.append(Token(f"{name}_open", "blockquote", 1, meta={"kind": kind, "folds": folds}))
        if title:
            words = Token("inline", children=[Token("text", content=xml_text(title))])
            self._out += (Token(f"{name}_title_open", "p", 1), words, Token(f"{name}_title_close", "p", -1))
        self._stack.append((Token(f"{name}_close", "blockquote", -1), False))
        self._push(node)

    def _table(self, node: Any, value: Any, _tight: bool) -> None:
        out = self._out
        number = 0
        aligned = [_ALIGNED.get(repr(alignment), NOTHING) for alignment in value.value.alignments]
        out.append(Token("table_open", "table", 1))
        for number, row in enumerate(node.children):
            tag = "td" if number else "th"
            row.parent = None
            if number <= 1:
                part = "tbody" if number else "thead"
                out.append(Token(f"{part}_open", part, 1))
            out.append(Token("tr_open", "tr", 1))
            end = Token(f"{tag}_close", tag, -1)
            for cell, attrs in zip(row.children, aligned, strict=False):
                cell.parent = None
                out += (Token(f"{tag}_open", tag, 1, attrs=attrs), self._inline(cell, row.sourcepos.start.line), end)
            out.append(Token("tr_close", "tr", -1))
            if number == 0:
                out.append(Token("thead_close", "thead", -1))
        if number:
            out.append(Token("tbody_close", "tbody", -1))
        out.append(Token("table_close", "table", -1))

    def _code(self, node: Any, value: Any, _tight: bool) -> None:
        code = value.value
        name = "fence" if code.fenced else "code_block"
        self._out.append(
            Token(
                name,
                "code",
                content=xml_text(code.literal),
                info=xml_text(code.info),
                line=self._origin(node.sourcepos.start.line),
            )
        )

    def _html(self, node: Any, value: Any, _tight: bool) -> None:
        """Raw HTML between blocks. What of it is shown as typed is told, with its line."""
        line, source = node.sourcepos.start.line, xml_text(value.value.literal)
        called = _SHOWN_BLOCKS.get(value.value.block_type)
        if called and not source.lstrip().lower().startswith("<pre"):
            self._warn(line, f"{called} is shown as typed")
        else:
            for tag in PIECE.finditer(source):
                if not tag["close"] and not self.names.is_tag(tag) and (name := self.names.meant(tag[0])):
                    below = source.count("\n", 0, tag.start())
                    self._warn(line + below, f"the tag <{name[:40]}> has no place here and is shown as typed")
        self._out.append(Token("html_block", content=mended(source, self.names), line=self._origin(line)))

    def _rule(self, _node: Any, _value: Any, _tight: bool) -> None:
        self._out.append(Token("hr", "hr"))

    def _note(self, node: Any, value: Any, _tight: bool) -> None:
        self.notes.written = True
        label = xml_text(value.value.name)
        meta = {"label": label, "stray": not value.value.total_references}
        self._around(node, Token("footnote_reference_open", nesting=1, meta=meta), Token("footnote_reference_close", nesting=-1))  # fmt: skip

    # -- what stands in a line

    def _inline(self, node: Any, line: int) -> Token:
        """The words of a block."""
        children = node.children
        if len(children) == 1 and type(value := children[0].node_value) is comrak.Text:
            children[0].parent = None
            return Token("inline", children=self._words(value.value, line), line=self._origin(line))
        pieces = self._pieces(children, line)
        shown = self.names.as_words(pieces)
        if shown is not pieces:
            self._warn_of_tags(pieces, shown, line)
        return Token("inline", children=shown, line=self._origin(line))

    def _warn_of_tags(self, pieces: Sequence[Token], shown: Sequence[Token], line: int) -> None:
        """Warn of tags that became words although they were meant as tags: they have an end or attributes."""
        for piece, word in zip(pieces, shown, strict=True):
            line += piece.type in ("softbreak", "hardbreak")
            if piece.type != word.type and (name := self.names.meant(piece.content)):
                self._warn(line, f"the tag <{name[:40]}> has no place here and is shown as typed")

    def _pieces(self, nodes: Sequence[Any], line: int) -> list[Token]:
        out: list[Token] = []
        stack: list[Any] = list(reversed(nodes))
        while stack:
            node = stack.pop()
            if type(node) is Token:
                out.append(node)
                continue
            node.parent = None
            value = node.node_value
            kind = type(value)
            if kind is comrak.Text:
                out += self._words(value.value, line)
            elif kind is comrak.SoftBreak:
                out.append(SOFT)
                line += 1
            elif kind is comrak.LineBreak:
                out.append(HARD)
                line += 1
            elif kind is comrak.Code:
                out.append(Token("code_inline", "code", content=xml_text(value.value.literal)))
            elif kind is comrak.HtmlInline:
                out.append(Token("html_inline", content=xml_text(value.value)))
            elif kind in _OPENS:
                start, end = _OPENS[kind]
                out.append(start)
                stack.append(end)
                stack += reversed(node.children)
            elif kind is comrak.Link:
                out.append(_link(node, value.value))
                stack.append(_LINK_END)
                stack += reversed(node.children)
            elif kind is comrak.Image:
                out.append(self._image(node, value.value, line))
            elif kind is comrak.ShortCode:
                out.append(_emoji(value.value, out, stack))
            elif kind is comrak.Math:
                out.append(_math(value.value, out, stack))
            elif kind is comrak.FootnoteReference:
                out.append(self._reference(value.value))
            else:
                stack += reversed(node.children)
        return out

    def _words(self, text: str, line: int) -> list[Token]:
        """A run of text; links of a wiki lead nowhere from here, and are named by what they show."""
        text = xml_text(text)
        if "[[" in text and _WIKI_LINK.search(text):
            self._warn(line, "a link of a wiki has no place here; its words are shown")
            text = _WIKI_LINK.sub(lambda m: f"{m[2]} ({m[1]})" if m[2] else m[0], text)
        signed = "{" in text or "==" in text or "[^" in text or text.startswith(_STARTS)
        if signed and (found := _AS_TYPED.search(text)):
            self._warn(line, f"{_DIALECTS[found.lastgroup or '']} is shown as typed")
        return [Token("text", content=text)]

    def _image(self, node: Any, image: Any, line: int) -> Token:
        children = self.names.as_words(self._pieces(node.children, line))
        attrs = {"src": address(image.url)} | ({"title": xml_text(image.title)} if image.title else {})
        words = "".join(c.content or (" " if c.type in ("softbreak", "hardbreak") else "") for c in children if c.type != "html_inline")  # fmt: skip
        return Token("image", "img", attrs=attrs, children=children, content=words)

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


def address(url: str) -> str:
    """An address with what no address may hold in percent signs; a host in other letters stays as it is written."""
    url = normal(xml_text(url))
    if not _UNSAFE_IN_ADDRESS.search(url):
        return url
    host = _HOST.match(url)
    start = host.end() if host else 0
    return url[:start] + _UNSAFE_IN_ADDRESS.sub(lambda m: quote(m.group().encode("utf-8", "replace")), url[start:])


def _link(node: Any, link: Any) -> Token:
    attrs = {"href": address(link.url)} | ({"title": xml_text(link.title)} if link.title else {})
    children = node.children
    words = children[0].node_value if len(children) == 1 else None
    said = words.value if type(words) is comrak.Text else ""
    auto = bool(said) and link.url.removeprefix("mailto:").removeprefix("http://") == said.removeprefix("http://").removeprefix("mailto:")  # fmt: skip
    return Token("link_open", "a", 1, attrs=attrs, info="auto" if auto else "")


def _letter_beside(out: Sequence[Token], stack: Sequence[Any], signs: str) -> bool:
    """Whether a letter, digit or one of the signs touches what stands between the two."""
    before = out[-1].content[-1:] if out and out[-1].type == "text" else ""
    following = stack[-1].node_value if stack and type(stack[-1]) is not Token else None
    after = following.value[:1] if type(following) is comrak.Text else ""
    return any(sign and (sign.isalnum() or sign in signs) for sign in (before, after))


def _emoji(code: Any, out: Sequence[Token], stack: Sequence[Any]) -> Token:
    """A short name as its character; none that stands inside a word or path, such as `std::x::y`."""
    written = f":{code.code}:"
    if _letter_beside(out, stack, "_:"):
        return Token("text", content=written)
    return Token("emoji", content=code.emoji, info=written)


def _math(math: Any, out: Sequence[Token], stack: Sequence[Any]) -> Token:
    """Math; prices and paths such as `$HOME/$USER` are words."""
    literal = xml_text(math.literal)
    if not math.dollar_math or math.display_math:
        return Token("math_inline", content=literal.strip("\n"))
    if literal[:1].isdigit() or "\n" in literal or _letter_beside(out, stack, "_$"):
        return Token("text", content=f"${literal}$")
    return Token("math_inline", content=literal)
