"""Markdown to plain text that reads well in a ServiceNow form: tables in columns, links kept, tasks as `[ ]`."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

from markdown_it.token import Token

from tasks.markup.clean import cut
from tasks.markup.parse import parse
from tasks.markup.raw_html import PIECE, TAGS, without_comments

WIDEST_CELL = 60
_CODE_TAG = re.compile(r"\[(/?)(code)\]", re.IGNORECASE)


def render(markdown: str, limit: int | None = None, pointer: str = "") -> str:
    """The document as plain text, cut at a word within `limit` characters, `pointer` included.

    `[code]`, which ServiceNow would render as HTML, is broken up wherever the document says it.
    """
    page = _Text()
    page.write(parse(markdown))
    text = _CODE_TAG.sub(r"[\1 \2]", re.sub(r"\n{3,}", "\n\n", "\n".join(page.lines))).strip()
    if limit is None or len(text) <= limit:
        return text
    tail = f"\n\n{pointer}" if pointer else ""
    return cut(text, max(limit - len(tail), 1)) + tail


@dataclass
class _Text:
    """Lines so far, and the prefix of the container that the next line stands in."""

    lines: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    numbers: list[int | None] = field(default_factory=list)
    row: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    in_cell: bool = False

    def write(self, tokens: list[Token]) -> None:
        """Write a document's tokens."""
        for token in tokens:
            self.one(token)

    def put(self, text: str) -> None:
        """Write lines below the current prefix; an item's marker stands before its first line only."""
        for line in text.split("\n"):
            self.lines.append(("".join(self.prefixes) + line).rstrip())
            self.prefixes = [re.sub(r"[^> ]", " ", prefix) for prefix in self.prefixes]

    def gap(self) -> None:
        """An empty line between blocks."""
        if self.lines and self.lines[-1].strip("> "):
            self.lines.append("")

    def one(self, token: Token) -> None:
        """Write one block token."""
        match token.type:
            case "inline":
                text = inline_text(token.children or [])
                if self.in_cell:
                    self.row.append(re.sub(r"\s+", " ", text))
                else:
                    self.put(text)
            case "heading_open":
                self.gap()
                self.prefixes.append("#" * int(token.tag[1]) + " ")
            case "heading_close":
                self.prefixes.pop()
            case "paragraph_close" if not token.hidden:
                self.gap()
            case "bullet_list_open" | "ordered_list_open":
                start = token.attrs.get("start", 1)
                self.numbers.append(int(start) if token.type == "ordered_list_open" else None)
            case "bullet_list_close" | "ordered_list_close":
                self.numbers.pop()
                self.gap()
            case "list_item_open":
                self.item(token)
            case "list_item_close" | "blockquote_close" | "alert_close" | "admonition_close" | "footnote_close":
                self.prefixes.pop()
                if token.type != "list_item_close":
                    self.gap()
            case "blockquote_open" | "alert_open" | "admonition_open":
                self.gap()
                self.prefixes.append("> ")
            case "footnote_open":
                self.prefixes.append(f"[{int(token.meta['id']) + 1}] ")
            case "fence" | "code_block" | "math_block":
                self.gap()
                self.prefixes.append("    ")
                self.put(token.content.rstrip("\n"))
                self.prefixes.pop()
                self.gap()
            case "hr":
                self.put("-" * 40)
            case "html_block":
                self.put(plain_html(token.content).strip("\n"))
            case _:
                self.table(token)

    def item(self, token: Token) -> None:
        """An item's marker: a number, a hyphen, a box."""
        number = self.numbers[-1] if self.numbers else None
        marker = "- " if number is None else f"{number}. "
        if number is not None:
            self.numbers[-1] = number + 1
        if "checked" in token.meta:
            marker += "[x] " if token.meta["checked"] else "[ ] "
        self.prefixes.append(marker)

    def table(self, token: Token) -> None:
        """Tables are kept until their end, when the columns' widths are known."""
        match token.type:
            case "th_open" | "td_open":
                self.in_cell = True
            case "th_close" | "td_close":
                self.in_cell = False
            case "tr_close":
                self.rows.append(self.row)
                self.row = []
            case "table_close":
                self.gap()
                self.put(laid_out(self.rows))
                self.gap()
                self.rows = []


def laid_out(rows: list[list[str]]) -> str:
    """Rows in columns, the first one underlined."""
    columns = max((len(row) for row in rows), default=0)
    padded = [row + [""] * (columns - len(row)) for row in rows]
    widths = [min(WIDEST_CELL, max(len(row[i]) for row in padded)) for i in range(columns)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in padded]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def inline_text(children: list[Token]) -> str:
    """Inline content as text; a link's target follows its words unless they are the same."""
    parts: list[str] = []
    targets: list[tuple[int, str]] = []
    for child in children:
        match child.type:
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "html_inline":
                parts.append("\n" if child.content.lower().startswith("<br") else plain_html(child.content))
            case "link_open":
                targets.append((len(parts), str(child.attrs.get("href", ""))))
            case "link_close" if targets:
                start, target = targets.pop()
                words = "".join(parts[start:])
                if target.removeprefix("mailto:") not in (words, f"http://{words}") and not target.startswith("#"):
                    parts.append(f" ({target})")
            case "image":
                words = inline_text(child.children or []) or child.content
                parts.append(f"{words} ({child.attrs.get('src', '')})")
            case "footnote_ref":
                parts.append(f"[{int(child.meta['id']) + 1}]")
            case "footnote_anchor":
                continue
            case _:
                parts.append(child.content)
    return "".join(parts)


def plain_html(source: str) -> str:
    """Raw HTML as text: known tags go, unknown ones stay as they read."""

    def shown(found: re.Match[str]) -> str:
        return "" if found.group("name").lower() in TAGS else found.group()

    return html.unescape(PIECE.sub(shown, without_comments(source)))
