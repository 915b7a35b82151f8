"""The blocks of a document in storage format: lists, tables, panels, code, footnotes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from tasks.markup import clean
from tasks.markup.clean import escape
from tasks.markup.confluence import raw_html, storage
from tasks.markup.confluence.files import Files
from tasks.markup.confluence.inline import Inlines, words_and_marks
from tasks.markup.confluence.writer import DEEPEST, Kind
from tasks.markup.options import PageOptions
from tasks.markup.parser.parse import Parsed
from tasks.markup.parser.token import Token
from tasks.markup.tags import PROGRAM
from tasks.markup.words import PANELS, language_of

_TITLE = re.compile(r"""\b(?:title|filename|caption)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'},]+))""")


def _aligned(cell: Token) -> str:
    return f' style="{cell.attrs["style"].replace(":", ": ")};"'


@dataclass
class _List:
    """An open list: its element, the next number, whether its last items were tasks, where it stands; too deep: no element."""

    ordered: bool
    number: int
    index: int
    flat: bool
    kind: str = ""


class Blocks(Inlines):
    """One rendering of a document."""

    def __init__(self, document: Parsed, options: PageOptions, files: Files) -> None:
        super().__init__(document, options, files)
        self._open: list[int] = []
        self._lists: list[_List] = []
        self._tasks = 0

    def write(self, *, without: int | None = None) -> None:
        """Write the tokens, the one at `without` left out."""
        if without is not None:
            self._write(0, without)
        self._write(0 if without is None else without + 1, len(self.tokens))

    def _write(self, position: int, last: int) -> None:
        tokens, blocks = self.tokens, self._WRITERS
        while position < last:
            token = tokens[position]
            writer = blocks.get(token.type)
            if writer is None:
                self._other(token)
                position += 1
            else:
                position += writer(self, token, position)

    def _begin(self, start: str, end: str, kind: int, name: str = "#") -> None:
        """Open a Markdown container: raw HTML inside it can't close it, nor outlive it."""
        self.out.place_block()
        self._open.append(len(self.out.stack))
        if self.out.depth > DEEPEST:
            start, end = "", ""
        self.out.open(name, start, end, kind, firm=True)

    def _finish(self, _token: Token, _position: int) -> int:
        """Close the innermost Markdown container."""
        if self._open:
            self.out.end(self._open.pop())
        return 1

    def _block(self, markup: str) -> int:
        """Write a block that holds no other."""
        self.out.place_block()
        self.out.raw(markup)
        return 1

    def _other(self, token: Token) -> None:
        """A token that has no form of its own: its words."""
        if token.nesting > 0:
            self._begin("", "", self.out.kind)
        elif token.nesting < 0:
            self._finish(token, 0)
        elif token.content:
            self._block(f"<p>{escape(token.content)}</p>")

    def _words(self, token: Token) -> str | None:
        """The words and marks of most items, cells and paragraphs; None where more stands in them, or a mark may be too deep."""
        return None if self.out.depth + len(token.children) > DEEPEST - 10 else words_and_marks(token.children)

    def _write_words(self, token: Token, index: int) -> int:
        """Write a block's words, and close what is open above the outermost `index` elements."""
        self.line = token.line or self.line
        self.write_inline(token.children)
        self.out.end(index)
        return 1

    def _paragraph(self, token: Token, position: int) -> int:
        """A paragraph; in a tight item and at a task's start it has no element."""
        out = self.out
        before = self.tokens[position - 1] if position else token
        bare = token.hidden or (before.type == "list_item_open" and "checked" in before.meta)
        if not bare or out.kind != Kind.CELL:
            out.place_block()
        if not bare and (words := self._words(token)) is not None:
            out.raw(f"<p>{words}</p>")
            return 1
        index = len(out.stack)
        if not bare:
            out.open("p", "<p>", "</p>", Kind.PHRASE)
        return self._write_words(token, index)

    def _heading(self, token: Token, position: int) -> int:
        tag = self.heading(token.tag)
        slug = self.slugs.get(position)
        if slug not in self.wanted and not token.meta and (words := self._words(token)) is not None:
            return self._block(f"<{tag}>{words}</{tag}>")
        self._begin(f"<{tag}>", f"</{tag}>", Kind.PHRASE)
        if slug in self.wanted:
            self.out.raw(storage.anchor(str(slug)))
        if "id" in token.meta:
            self.place(token.meta["id"])
        return self._write_words(token, self._open.pop())

    def _quote(self, _token: Token, _position: int) -> int:
        self._begin("<blockquote>", "</blockquote>", Kind.FLOW)
        return 1

    # -- lists: a run of task items is a task list, a run of plain items a plain one

    def _list(self, token: Token, _position: int) -> int:
        """Begin a list; its element opens with its first item."""
        self.out.place_block()
        flat = self.out.depth > DEEPEST - 10
        start = int(token.attrs.get("start", 1))
        self._lists.append(_List(token.type == "ordered_list_open", start, len(self.out.stack), flat))
        return 1

    def _list_end(self, _token: Token, _position: int) -> int:
        self.out.end(self._lists.pop().index)
        return 1

    def _item(self, token: Token, position: int) -> int:
        """Begin an item, in a list of its kind."""
        lists = self._lists[-1]
        kind = "task" if "checked" in token.meta else "plain"
        if lists.flat:
            self._open.append(len(self.out.stack))
            self.out.raw("<br/>")
            self.out.text("• ")
            return 1
        if lists.kind != kind:
            lists.kind = kind
            self.out.end(lists.index)
            if kind == "task":
                self.out.open("#tasks", "<ac:task-list>", "</ac:task-list>", Kind.TASKS, firm=True)
            else:
                tag = "ol" if lists.ordered else "ul"
                start = f' start="{lists.number}"' if lists.ordered and lists.number != 1 else ""
                self.out.open("#list", f"<{tag}{start}>", f"</{tag}>", Kind.LIST, firm=True)
        lists.number += 1
        start, end = "<li>", "</li>"
        if kind == "task":
            self._tasks += 1
            start, end = storage.task(self._tasks, done=token.meta["checked"])
        if (words := self._short_item(position, task=kind == "task")) is not None:
            self.out.raw(f"{start}{words}{end}")
            return 3
        self._open.append(len(self.out.stack))
        self.out.open("#item", start, end, Kind.CELL, firm=True)
        return 1

    def _short_item(self, position: int, *, task: bool) -> str | None:
        """The words of an item that holds nothing but a paragraph without an element; None where there is more to it."""
        paragraph = self.tokens[position + 1]
        if paragraph.type != "paragraph" or self.tokens[position + 2].type != "list_item_close":
            return None
        return self._words(paragraph) if paragraph.hidden or task else None

    # -- panels

    def _alert(self, token: Token, _position: int) -> int:
        """A GitHub alert or an admonition, as a panel; one that folds, as an expand macro."""
        name = "expand" if token.meta["folds"] else PANELS.get(token.meta["kind"], "info")
        self._begin(*storage.rich_macro(name, token.meta["title"]), Kind.FLOW)
        return 1

    # -- tables

    def _table(self, _token: Token, _position: int) -> int:
        self._begin("<table>", "</table>", Kind.TABLE)
        return 1

    def _part(self, token: Token, _position: int) -> int:
        """A row, or rows. All that stands in them is cells, which nothing gets out of: they need no frame."""
        self.out.depth += 1
        self.out.raw(f"<{token.tag}>")
        return 1

    def _part_end(self, token: Token, _position: int) -> int:
        self.out.depth -= 1
        self.out.raw(f"</{token.tag}>")
        return 1

    def _row(self, token: Token, position: int) -> int:
        """A row; one of nothing but words and marks is written at once."""
        if self.out.depth > DEEPEST - 20:
            return self._part(token, position)
        written = ["<tr>"]
        while (cell := self.tokens[position + len(written)]).type != "tr_close":
            words = words_and_marks(cell.children) if len(cell.children) < 10 else None
            if words is None:
                return self._part(token, position)
            written.append(f"<{cell.tag}{_aligned(cell) if cell.attrs else ''}>{words}</{cell.tag}>")
        self.out.raw("".join(written) + "</tr>")
        return len(written) + 1

    def _cell(self, token: Token, _position: int) -> int:
        start, end = f"<{token.tag}{_aligned(token) if token.attrs else ''}>", f"</{token.tag}>"
        if (words := self._words(token)) is not None:
            self.out.raw(f"{start}{words}{end}")
            return 1
        index = len(self.out.stack)
        self.out.open("#", start, end, Kind.CELL, firm=True)
        return self._write_words(token, index)

    # -- code, math, rules, HTML

    def _fence(self, token: Token, _position: int) -> int:
        """A code block with its language and title; a diagram as the options say."""
        self.line = token.line or self.line
        info = token.info.strip()
        language, file = language_of(info)
        titled = _TITLE.search(info)
        title = next((part for part in titled.groups() if part), "") if titled else ""
        title = title or file
        text = token.content.removesuffix("\n")
        return self._block(self._diagram(language, text) or storage.code_macro(text, language, title))

    def _diagram(self, language: str, text: str) -> str:
        """A diagram as a macro or an image, or nothing where it stays code."""
        language = {"puml": "plantuml", "uml": "plantuml"}.get(language, language)
        if language not in ("mermaid", "plantuml") or self.options.diagrams == "code":
            return ""
        if self.options.diagrams == "macro":
            name = self.options.diagram_macros.get(language)
            return storage.plain_macro(name, text) if name else ""
        stem = f"{language}-{hashlib.sha256(clean.xml_text(text).encode()).hexdigest()[:12]}"
        for ending in ("svg", "png"):
            name = self.files.named(f"{stem}.{ending}")
            if name:
                image = storage.image(f'<ri:attachment ri:filename="{escape(name)}"/>', f"{language} diagram")
                return f"<p>{image}</p>"
        self.warn(f"no drawing {stem}.svg or .png was handed over for a {language} diagram; its source is shown")
        return ""

    def _math(self, token: Token, _position: int) -> int:
        text = token.content.strip("\n")
        if self.options.math == "macro":
            return self._block(storage.plain_macro(self.options.math_macros[1], text))
        return self._block(storage.code_macro(text))

    def _toc(self, _token: Token, _position: int) -> int:
        return self._block(storage.macro("toc"))

    def _rule(self, _token: Token, _position: int) -> int:
        return self._block("<hr/>")

    def _html(self, token: Token, _position: int) -> int:
        """Raw HTML between blocks; a program in it is shown as code."""
        self.line = token.line or self.line
        if PROGRAM.match(token.content):
            return self._block(storage.code_macro(token.content.rstrip("\n")))
        raw_html.write_html(self, token.content)
        return 1

    # -- footnotes

    def _notes(self, _token: Token, _position: int) -> int:
        self._begin("<hr/><ol>", "</ol>", Kind.LIST)
        return 1

    def _note(self, token: Token, _position: int) -> int:
        """One footnote's text, where its references lead."""
        self._open.append(len(self.out.stack))
        self.out.open("#", "<li>", "</li>", Kind.CELL, firm=True)
        self.out.raw(storage.anchor(f"footnote-{int(token.meta['id']) + 1}"))
        return 1

    def _stray_note(self, token: Token, _position: int) -> int:
        """A footnote that nothing refers to: its words are kept, under its name."""
        self._begin("", "", Kind.FLOW)
        self.out.raw(f"<p>[{escape(str(token.meta['label']))}]</p>")
        return 1

    def _back(self, token: Token, _position: int) -> int:
        self.footnote_back(token)
        return 1

    _WRITERS: ClassVar[Mapping[str, Callable[[Blocks, Token, int], int]]] = {
        "paragraph": _paragraph,
        "heading": _heading,
        "blockquote_open": _quote,
        "bullet_list_open": _list,
        "ordered_list_open": _list,
        "bullet_list_close": _list_end,
        "ordered_list_close": _list_end,
        "list_item_open": _item,
        "alert_open": _alert,
        "admonition_open": _alert,
        "table_open": _table,
        "thead_open": _part,
        "tbody_open": _part,
        "tr_open": _row,
        "th": _cell,
        "td": _cell,
        "fence": _fence,
        "code_block": _fence,
        "math_block": _math,
        "toc": _toc,
        "hr": _rule,
        "html_block": _html,
        "footnote_block_open": _notes,
        "footnote_open": _note,
        "stray_note_open": _stray_note,
        "footnote_anchor": _back,
        "blockquote_close": _finish,
        "list_item_close": _finish,
        "alert_close": _finish,
        "admonition_close": _finish,
        "table_close": _finish,
        "thead_close": _part_end,
        "tbody_close": _part_end,
        "tr_close": _part_end,
        "footnote_block_close": _finish,
        "footnote_close": _finish,
        "stray_note_close": _finish,
    }
