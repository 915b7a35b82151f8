"""Markdown to plain text that reads well in a ServiceNow form: tables in columns, links kept, tasks as `[ ]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.markup import clean, collector
from tasks.markup.clean import cut
from tasks.markup.options import Attachment
from tasks.markup.parser.parse import Parsed, parse
from tasks.markup.parser.token import Token
from tasks.markup.plain_html import DEEPEST_LINKS, image_text, is_raised, target_beside, text_of
from tasks.markup.relative import absolute
from tasks.markup.slugs import without_title
from tasks.markup.tags import PIECE, PROGRAM, attributes_of
from tasks.markup.text_tables import laid_out, width

# `[code]` makes ServiceNow render what follows as HTML. It is looked for in any case, with blanks or invisible characters
# anywhere inside, and with its bracket as an entity.
_BLANK = r"[\s\u00ad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u2064\u2066-\u206f\ufeff]*+"
_OPENING = r"(?:\[|&#0*91;?|&#[xX]0*5[bB];?|&lsqb;|&lbrack;|\uff3b)"
_CLOSING = r"(?:\]|&#0*93;?|&#[xX]0*5[dD];?|&rsqb;|&rbrack;|\uff3d)"
_CODE_TAG = re.compile(
    _OPENING + _BLANK + r"(/?)" + _BLANK.join(["", "c", "o", "d", "e", ""]) + _CLOSING, re.IGNORECASE
)


_UNDERLINES = {"h1": "=", "h2": "-"}
LONGEST_UNDERLINE = 60
_TABLE_TAGS = frozenset({"table", "thead", "tbody", "tr", "th", "td"})
_INDENTED = re.compile(r"\n[ \t]+")
_SIGNS = {"em": "*", "strong": "**", "s": "~~"}


@collector.put_off()
def render(
    markdown: str | Parsed,
    limit: int | None = None,
    pointer: str = "",
    *,
    title: str = "",
    link_base: str | None = None,
    kept: str = "",
) -> str:
    """The document as plain text, cut at a word within `limit` characters, `pointer` (where the whole is) included.

    A first heading that says the same as `title` is left out. Relative links lead to `link_base`. `kept` begins each line whose
    blanks say something: of code, and of a table in columns.
    """
    page = _Text(kept)
    page.write(absolute(without_title(parse(markdown), title), link_base))
    text = without_code_tags("\n".join(page.lines)).strip("\n").rstrip()
    if limit is None or len(text) <= limit:
        return text
    tail = f"\n\n{pointer}" if pointer and len(pointer) + 4 <= limit else ""
    return cut(text, limit - len(tail)) + tail


def without_code_tags(text: str) -> str:
    """The text with `(code)` wherever it says `[code]`."""
    if "[" not in text and "&" not in text and "\uff3b" not in text:
        return text
    return _CODE_TAG.sub(r"(\1code)", text)


def document_file(markdown: str, title: str) -> Attachment:
    """The whole document as a file beside the record."""
    name = re.sub(r"[^\w. -]+", "-", clean.plain_title(title, 100)).strip("-. ") or "document"
    return Attachment(
        name=f"{name}.md", media_type="text/markdown", content=clean.xml_text(markdown).encode("utf-8", "replace")
    )


@dataclass
class _Text:
    """Lines so far, and the prefix of the container that the next line stands in."""

    kept: str
    lines: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    numbers: list[int | None] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def write(self, tokens: list[Token]) -> None:
        """Write a document's tokens."""
        for token in tokens:
            self.one(token)

    def put(self, text: str) -> None:
        """Write lines below the current prefix; an item's marker stands before its first line only."""
        for line in text.split("\n"):
            words = line.removeprefix(self.kept)
            self.lines.append(line[: len(line) - len(words)] + ("".join(self.prefixes) + words).rstrip())
            if self.prefixes:
                self.prefixes = [prefix if prefix == "> " else " " * len(prefix) for prefix in self.prefixes]

    def gap(self) -> None:
        """An empty line between blocks."""
        if self.lines and self.lines[-1].strip("> "):
            inside = (prefix if prefix == "> " else " " * len(prefix) for prefix in self.prefixes)
            self.lines.append("".join(inside).rstrip())

    def one(self, token: Token) -> None:
        """Write one block token."""
        if token.tag in _TABLE_TAGS:
            self.table(token)
            return
        match token.type:
            case "paragraph":
                self.put(inline_text(token.children))
                if not token.hidden:
                    self.gap()
            case "heading":
                self.gap()
                self.put(inline_text(token.children))
                if underline := _UNDERLINES.get(token.tag):
                    self.put(underline * min(width(self.lines[-1].lstrip("> ")), LONGEST_UNDERLINE))
                self.gap()
            case "bullet_list_open" | "ordered_list_open":
                start = token.attrs.get("start", 1)
                self.numbers.append(int(start) if token.type == "ordered_list_open" else None)
            case "bullet_list_close" | "ordered_list_close":
                self.numbers.pop()
                if not self.numbers:
                    self.gap()
            case "list_item_open":
                self.item(token)
            case "blockquote_open" | "alert_open" | "admonition_open":
                self.gap()
                self.prefixes.append("> ")
                if title := token.meta.get("title"):
                    self.put(title)
            case "footnote_open":
                self.prefixes.append(f"[{int(token.meta['id']) + 1}] ")
            case "stray_note_open":
                self.prefixes.append(f"[{token.meta['label']}] ")
            case "list_item_close":
                self.item_end()
            case "blockquote_close" | "alert_close" | "admonition_close" | "footnote_close" | "stray_note_close":
                while self.lines and not self.lines[-1].strip("> "):
                    self.lines.pop()
                self.prefixes.pop()
                self.gap()
            case "fence" | "code_block" | "math_block":
                self.verbatim(token.content)
            case "hr" | "footnote_block_open":
                self.put("-" * 40)
            case "html_block" if PROGRAM.match(token.content):
                self.verbatim(token.content)
            case "html_block":
                if text := re.sub(r"\n{3,}", "\n\n", text_of(token.content, self.kept)).strip("\n"):
                    self.gap()
                    self.put(text)
                    self.gap()

    def verbatim(self, text: str) -> None:
        """Code, indented."""
        self.gap()
        self.prefixes.append("    ")
        self.put("\n".join(self.kept + line for line in text.rstrip("\n").split("\n")))
        self.prefixes.pop()
        self.gap()

    def item(self, token: Token) -> None:
        """An item's marker: a number, a hyphen, a box."""
        number = self.numbers[-1] if self.numbers else None
        marker = "- " if number is None else f"{number}. "
        if number is not None:
            self.numbers[-1] = number + 1
        if "checked" in token.meta:
            marker += "[x] " if token.meta["checked"] else "[ ] "
        self.prefixes.append(marker)

    def item_end(self) -> None:
        """The end of an item; one without words shows its marker."""
        marker = self.prefixes[-1]
        if marker.strip():
            self.put("")
        self.prefixes.pop()

    def table(self, token: Token) -> None:
        """Tables are kept until their end, when the columns' widths are known."""
        match token.type:
            case "tr_open":
                self.rows.append([])
            case "th" | "td":
                self.rows[-1].append(" ".join(inline_text(token.children).split()))
            case "table_close":
                self.gap()
                self.put(laid_out(self.rows, self.kept))
                self.gap()
                self.rows = []


def inline_text(children: Sequence[Token]) -> str:
    """Inline content as text; a link's target follows its words unless they are the same."""
    parts: list[str] = []
    targets: list[tuple[int, str]] = []
    marks: list[str] = []
    for place, child in enumerate(children):
        match child.type:
            case "text":
                parts.append(child.content)
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append("\n")
            case "em_open" | "strong_open" | "s_open":
                marks.append(_SIGNS[child.tag] if _within_a_word(children, place) else "")
                parts.append(marks[-1])
            case "em_close" | "strong_close" | "s_close":
                parts.append(marks.pop() if marks else "")
            case "link_open":
                targets.append((len(parts), str(child.attrs.get("href", ""))))
            case "html_inline":
                parts.append(_tag(child.content, parts, targets))
                if is_raised("".join(c.content for c in children[place : place + 3])):
                    parts.append("^")
            case "link_close" if targets:
                start, target = targets.pop()
                parts.append(target_beside("".join(parts[start:]), target))
            case "image":
                parts.append(image_text(child.content, str(child.attrs.get("src", ""))))
            case "footnote_ref":
                parts.append(f"[{int(child.meta['id']) + 1}]")
            case "footnote_anchor":
                continue
            case _:
                parts.append(child.content)
    return _INDENTED.sub("\n", "".join(parts))


def _within_a_word(children: Sequence[Token], place: int) -> bool:
    """Whether a mark opens between letters or digits, as in `2*3*4`: there, its signs say something."""
    before, after = (children[at].content if 0 <= at < len(children) else "" for at in (place - 1, place + 1))
    sides = before[-1:] + after[:1]
    return len(sides) == 2 and (sides.isalnum() if children[place].tag == "em" else sides.isdigit())


def _tag(tag: str, parts: list[str], targets: list[tuple[int, str]]) -> str:
    """A raw tag inside a line as text; a raw link's target follows its words as any other's."""
    found = PIECE.fullmatch(tag)
    if found is None or found.group("name").lower() != "a":
        return text_of(tag)
    if not found.group("close"):
        if len(targets) < DEEPEST_LINKS:
            targets.append((len(parts), attributes_of(found.group("rest")).get("href", "")))
    elif targets:
        start, target = targets.pop()
        return target_beside("".join(parts[start:]), target)
    return ""
