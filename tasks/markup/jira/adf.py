"""Markdown to the Atlassian Document Format (version 1), as Jira Cloud takes it for a description.

Its schema lets fewer things stand in each other than Markdown does. What has no place inside another block keeps its words: a
heading in a quote becomes a bold paragraph, a quote in a list its paragraphs, a table in a list or quote its text as code.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tasks.markup import collector
from tasks.markup.addresses import may_be_linked, normal
from tasks.markup.jira.wiki import KEPT
from tasks.markup.parser.parse import Parsed, parse
from tasks.markup.parser.token import Token
from tasks.markup.plain_html import image_text, target_beside, text_of
from tasks.markup.relative import absolute
from tasks.markup.slugs import without_title
from tasks.markup.tags import MARKS, PIECE, PROGRAM, attributes_of
from tasks.markup.text_tables import laid_out
from tasks.markup.words import language_of

Node = dict[str, Any]

PANELS = {
    "note": "info",
    "info": "info",
    "abstract": "info",
    "tip": "success",
    "success": "success",
    "important": "note",
    "question": "note",
    "example": "note",
    "warning": "warning",
    "caution": "error",
    "danger": "error",
    "failure": "error",
    "bug": "error",
}
_ADDRESS = re.compile(r"https?://[^\s<>\"()]+(?:\([^\s<>\"()]*\)[^\s<>\"()]*)*(?<![.,:;!?'*_])")
_MARKS: dict[str, Node] = {
    "em": {"type": "em"},
    "strong": {"type": "strong"},
    "s": {"type": "strike"},
    "del": {"type": "strike"},
    "u": {"type": "underline"},
    "code": {"type": "code"},
    "sub": {"type": "subsup", "attrs": {"type": "sub"}},
    "sup": {"type": "subsup", "attrs": {"type": "sup"}},
}
_BESIDE_CODE = {"code", "link"}  # marks
_LISTS = {"bulletList", "orderedList"}
_IN_ITEM = {"paragraph", "codeBlock", *_LISTS}
_IN_QUOTE = {"paragraph", "codeBlock", *_LISTS}
_IN_PANEL = {"paragraph", "heading", "codeBlock", "rule", *_LISTS}
_IN_EXPAND = {"paragraph", "heading", "codeBlock", "rule", "panel", "blockquote", "table", *_LISTS}
DEEPEST_LISTS = 6  # what Jira's editor shows; deeper items stand in the last of these lists
DONE, OPEN = "\u2611 ", "\u2610 "


# The ends of what is a container here as well.
_CLOSES = frozenset((
    "blockquote_close", "alert_close", "admonition_close", "bullet_list_close", "ordered_list_close", "list_item_close",
    "footnote_close", "stray_note_close", "table_close", "tr_close",
))  # fmt: skip


@collector.put_off()
def render(markdown: str | Parsed, *, title: str = "", link_base: str | None = None) -> Node:
    """The document, valid by Atlassian's JSON schema. Every word of the source can be read in it.

    A first heading that says the same as `title` is left out. Relative links lead to `link_base`.
    """
    page = _Page()
    for token in absolute(without_title(parse(markdown), title), link_base):
        page.one(token)
    content = page.blocks[0].content or [{"type": "paragraph", "content": []}]
    return {"version": 1, "type": "doc", "content": content}


def plain(text: str) -> Node:
    """A document of lines as they are."""
    lines = [_paragraph([_text(line)] if line else []) for line in text.split("\n")]
    return {"version": 1, "type": "doc", "content": lines}


def words(document: Node) -> str:
    """Every text in a document that a reader or a program gets to see: words, titles and where links lead."""
    return "\n".join(line for node in document.get("content", ()) for line in _lines(node))


def _lines(node: Node) -> Iterable[str]:
    attrs = node.get("attrs", {})
    yield from (str(attrs[name]) for name in ("title", "language") if attrs.get(name))
    content = node.get("content", ())
    if any(child["type"] in ("text", "hardBreak") for child in content):
        yield "".join("\n" if child["type"] == "hardBreak" else child["text"] for child in content)
        yield from (
            mark["attrs"]["href"] for child in content for mark in child.get("marks", ()) if mark["type"] == "link"
        )
        return
    for child in content:
        yield from _lines(child)


@dataclass
class _Block:
    """A container that is open: what it becomes, and its blocks so far."""

    kind: str
    content: list[Node] = field(default_factory=list)
    attrs: Node = field(default_factory=dict)
    prefix: str = ""


@dataclass
class _Page:
    """The containers that are open, the outermost first, and the row of the table that is written."""

    blocks: list[_Block] = field(default_factory=lambda: [_Block("doc")])

    def put(self, *nodes: Node) -> None:
        """Add blocks to the innermost container."""
        self.blocks[-1].content += nodes

    def one(self, token: Token) -> None:
        """Write one token."""
        match token.type:
            case "paragraph":
                self.put(_paragraph(inline(token.children)))
            case "heading":
                self.put({"type": "heading", "attrs": {"level": int(token.tag[1])}, "content": inline(token.children)})
            case "th" | "td":
                kind = "tableHeader" if token.type == "th" else "tableCell"
                self.put({"type": kind, "attrs": {}, "content": [_paragraph(inline(token.children))]})
            case "fence" | "code_block" | "math_block":
                self.put(_code(token.content, token.info))
            case "hr":
                self.put({"type": "rule"})
            case "html_block" if PROGRAM.match(token.content):
                self.put(_code(token.content, ""))
            case "html_block":
                self.put(*_raw(token.content))
            case _ if token.nesting == 1:
                self.open(token)
            case _ if token.nesting == -1:
                self.close(token)

    def open(self, token: Token) -> None:
        """Begin a container."""
        match token.type:
            case "blockquote_open":
                self.blocks.append(_Block("blockquote"))
            case "alert_open" | "admonition_open":
                title = str(token.meta["title"])
                if token.meta["folds"]:
                    self.blocks.append(_Block("expand", attrs={"title": title}))
                    return
                self.blocks.append(_Block("panel", attrs={"panelType": PANELS.get(str(token.meta["kind"]), "info")}))
                if title:
                    self.put(_paragraph([_text(title, [{"type": "strong"}])]))
            case "bullet_list_open":
                self.blocks.append(_Block("bulletList"))
            case "ordered_list_open":
                self.blocks.append(_Block("orderedList", attrs={"order": int(token.attrs.get("start", 1))}))
            case "list_item_open":
                checked = token.meta.get("checked")
                self.blocks.append(_Block("listItem", prefix="" if checked is None else DONE if checked else OPEN))
            case "footnote_open":
                self.blocks.append(_Block("doc", prefix=f"[{int(token.meta['id']) + 1}] "))
            case "stray_note_open":
                self.blocks.append(_Block("doc", prefix=f"[{token.meta['label']}] "))
            case "footnote_block_open":
                self.put({"type": "rule"})
            case "table_open":
                self.blocks.append(_Block("table"))
            case "tr_open":
                self.blocks.append(_Block("tableRow"))

    def close(self, token: Token) -> None:
        """End a container, and put what it became into the one around it."""
        if token.type in _CLOSES and len(self.blocks) > 1:
            block = self.blocks.pop()
            if block.prefix:
                _prefixed(block.content, block.prefix)
            self.put(*_built(block, depth=sum(outer.kind in _LISTS for outer in self.blocks)))


def _built(block: _Block, depth: int) -> Iterable[Node]:
    """The nodes that a container becomes, with what it may not hold put in another form."""
    content, attrs = block.content, block.attrs
    match block.kind:
        case "doc":
            return content
        case "bulletList" | "orderedList" if depth >= DEEPEST_LISTS:
            return [each for item in content for each in item["content"]]
        case "bulletList":
            return [{"type": "bulletList", "content": content}] if content else []
        case "orderedList":
            return [{"type": "orderedList", "attrs": attrs, "content": content}] if content else []
        case "listItem":
            held = _fitting(content, _IN_ITEM)
            if not held or held[0]["type"] in _LISTS:
                held.insert(0, _paragraph([]))
            return [{"type": "listItem", "content": held}]
        case "blockquote":
            return [{"type": "blockquote", "content": _fitting(content, _IN_QUOTE) or [_paragraph([])]}]
        case "panel":
            return [{"type": "panel", "attrs": attrs, "content": _fitting(content, _IN_PANEL) or [_paragraph([])]}]
        case "expand":
            return [{"type": "expand", "attrs": attrs, "content": _fitting(content, _IN_EXPAND) or [_paragraph([])]}]
        case "tableRow":
            return [{"type": "tableRow", "content": content}]
        case _:
            return [
                {"type": "table", "attrs": {"isNumberColumnEnabled": False, "layout": "default"}, "content": content}
            ]


def _fitting(nodes: Sequence[Node], allowed: set[str]) -> list[Node]:
    """The blocks with those that may not stand there in another form."""
    found: list[Node] = []
    for node in nodes:
        kind = node["type"]
        if kind in allowed:
            found.append(node)
        elif kind == "heading":
            found.append(_paragraph(_marked(node["content"], {"type": "strong"})))
        elif kind == "rule":
            found.append(_line("\u2014"))
        elif kind == "table":
            found.append(_code(laid_out([[_said(cell) for cell in row["content"]] for row in node["content"]]), ""))
        else:
            title = node.get("attrs", {}).get("title")
            found += [_paragraph([_text(title, [{"type": "strong"}])])] if title else []
            found += _fitting(node["content"], allowed)
    return found


def _prefixed(content: list[Node], prefix: str) -> None:
    """Put a mark before the first words of the blocks."""
    if not content or content[0]["type"] not in ("paragraph", "heading"):
        content.insert(0, _paragraph([]))
    content[0]["content"] = _joined([_text(prefix), *content[0]["content"]])


def _said(node: Node) -> str:
    """The words of a node, in one line."""
    return " ".join("".join(_texts(node)).split())


def _texts(node: Node) -> Iterable[str]:
    if node["type"] == "text":
        yield node["text"]
    elif node["type"] == "hardBreak":
        yield " "
    for child in node.get("content", ()):
        yield from _texts(child)


# -- what stands in a line


def inline(children: Sequence[Token]) -> list[Node]:
    """Words with their marks. A link inside another is words, and one that can't be linked words with its target beside."""
    found: list[Node] = []
    marks: list[Node] = []
    links: list[tuple[int, str]] = []
    for child in map(_meant, children):
        match child.type:
            case "em_open" | "strong_open" | "s_open" | "mark_open":
                marks.append(_MARKS[child.tag])
            case "em_close" | "strong_close" | "s_close" | "mark_close":
                _drop(marks, _MARKS[child.tag]["type"])
            case "link_open":
                href = normal(str(child.attrs.get("href", "")))
                linked = not links and may_be_linked(href)
                links.append((len(found), "" if linked else href))
                if linked:
                    marks.append(_link(href))
            case "link_close" if links:
                start, target = links.pop()
                words = "".join(text for node in found[start:] for text in _texts(node))
                found.append(_text(target_beside(words, target), marks))
                if not links:
                    _drop(marks, "link")
            case "code_inline" | "math_inline":
                found.append(_text(child.content, [*marks, _MARKS["code"]]))
            case "softbreak":
                found.append(_text(" ", marks))
            case "hardbreak":
                found.append({"type": "hardBreak"})
            case "image":
                found.append(_image(child.content, str(child.attrs["src"]), marks))
            case "footnote_ref":
                found.append(_text(f"[{int(child.meta['id']) + 1}]", marks))
            case "footnote_anchor":
                continue
            case "html_inline":
                found += (
                    [{"type": "hardBreak"}]
                    if re.match(r"<br\b", child.content, re.IGNORECASE)
                    else [_text(text_of(child.content), marks)]
                )
            case _:
                found.append(_text(child.content, marks))
    return _joined(found)


def _image(words: str, source: str, marks: Sequence[Node]) -> Node:
    """An image as a link to it; in another link, its words with its address beside."""
    address = normal(source)
    if may_be_linked(address) and not any(mark["type"] == "link" for mark in marks):
        return _text(words if words.strip() else address, [*marks, _link(address)])
    return _text(image_text(words, source), marks)


def _meant(token: Token) -> Token:
    """A raw tag that the format has a mark for, as the token of that mark; a raw image as an image."""
    found = PIECE.fullmatch(token.content) if token.type == "html_inline" else None
    if found is None:
        return token
    name, ends, attributes = found["name"].lower(), bool(found["close"]), attributes_of(found["rest"])
    if name == "a" and (ends or "href" in attributes):
        return Token("link_close") if ends else Token("link_open", attrs={"href": attributes["href"]})
    if name == "img":
        return Token("image", content=attributes.get("alt", ""), attrs={"src": attributes.get("src", "")})
    if (tag := MARKS.get(name, "")) in _MARKS:
        return Token("mark_close" if ends else "mark_open", tag)
    return token


def _drop(marks: list[Node], kind: str) -> None:
    """Take the newest mark of that kind away."""
    for place in range(len(marks) - 1, -1, -1):
        if marks[place]["type"] == kind:
            del marks[place]
            return


def _joined(nodes: Iterable[Node]) -> list[Node]:
    """The nodes without empty texts, neighbours of the same marks as one; the schema lets no mark stand twice."""
    found: list[Node] = []
    for marks, alike in groupby(filter(_says_something, nodes), _marks_of):
        first, *others = alike
        if marks is None:
            found += [first, *others]
        else:
            found.append(first | {"text": "".join([first["text"], *(other["text"] for other in others)])})
    return found


def _says_something(node: Node) -> bool:
    return node["type"] != "text" or bool(node["text"])


def _marks_of(node: Node) -> list[Node] | None:
    """The marks of words; None of what is no words."""
    return node.get("marks", []) if node["type"] == "text" else None


def _marked(nodes: Iterable[Node], mark: Node) -> list[Node]:
    """The words with one more mark, where they may have it."""
    return [_text(node["text"], [*node.get("marks", ()), mark]) if node["type"] == "text" else node for node in nodes]


def _text(text: str, marks: Sequence[Node] = ()) -> Node:
    unique = [mark for place, mark in enumerate(marks) if mark["type"] not in {m["type"] for m in marks[:place]}]
    if any(mark["type"] == "code" for mark in unique):
        unique = [mark for mark in unique if mark["type"] in _BESIDE_CODE]
    return {"type": "text", "text": text} | ({"marks": unique} if unique else {})


def _paragraph(content: list[Node]) -> Node:
    return {"type": "paragraph", "content": content}


def _line(text: str) -> Node:
    """Words as a paragraph, in which addresses are links."""
    found: list[Node] = []
    position = 0
    text = text.strip()
    for address in _ADDRESS.finditer(text):
        found += [_text(text[position : address.start()]), _text(address[0], [_link(address[0])])]
        position = address.end()
    return _paragraph(_joined([*found, _text(text[position:])]))


def _raw(markup: str) -> Iterable[Node]:
    """Raw HTML as paragraphs; code in it and tables as code, which keeps their columns."""
    for kept, lines in groupby(text_of(markup, KEPT).split("\n"), lambda line: line.startswith(KEPT)):
        if kept:
            yield _code(textwrap.dedent("\n".join(lines).replace(KEPT, "")), "")
        else:
            yield from map(_line, filter(str.strip, lines))


def _link(href: str) -> Node:
    return {"type": "link", "attrs": {"href": href}}


def _code(text: str, info: str) -> Node:
    language, _ = language_of(info)
    attrs = {"attrs": {"language": language}} if language else {}
    return {"type": "codeBlock", **attrs, "content": _joined([_text(text.rstrip("\n"))])}
