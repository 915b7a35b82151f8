"""Inline content in storage format: marks, links, images, footnote references."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from tasks.markup import clean
from tasks.markup.addresses import SCHEME, is_program, may_be_linked, normal
from tasks.markup.clean import escape, quoted
from tasks.markup.confluence import raw_html, storage
from tasks.markup.confluence.files import Files
from tasks.markup.confluence.writer import DEEPEST, LINK, Kind, Writer
from tasks.markup.options import PageOptions
from tasks.markup.parser.parse import Parsed
from tasks.markup.parser.token import Token
from tasks.markup.relative import joined
from tasks.markup.slugs import slugs_of, wanted_slugs
from tasks.markup.tags import PIECE, attributes_of

_MARKS = {"strong_open": "strong", "em_open": "em", "s_open": "del"}
_CLOSING = frozenset({"link_close", "strong_close", "em_close", "s_close"})


_WRITTEN_ALIKE = {
    "softbreak": " ",
    "hardbreak": "<br/>",
    **{name: f"<{tag}>" for name, tag in _MARKS.items()},
    **{name.replace("open", "close"): f"</{tag}>" for name, tag in _MARKS.items()},
}


def words_and_marks(children: Sequence[Token]) -> str | None:
    """What most blocks hold, as it is written wherever words may stand; None where it is more than words and marks."""
    if len(children) == 1 and children[0].type == "text":
        return quoted(children[0].content)
    parts: list[str] = []
    for child in children:
        kind = child.type
        if kind == "text":
            parts.append(quoted(child.content))
        elif kind == "code_inline":
            parts.append(f"<code>{quoted(child.content)}</code>")
        elif (written := _WRITTEN_ALIKE.get(kind)) is not None:
            parts.append(written)
        else:
            return None
    return "".join(parts)


class Inlines:
    """The inline half of a rendering, and what raw HTML asks of a page."""

    def __init__(self, document: Parsed, options: PageOptions, files: Files) -> None:
        tokens = self.tokens = document.tokens
        self.options = options
        self.files = files
        self.out = Writer()
        self.warnings: dict[str, int] = {}
        self.line = 0
        self.wanted = wanted_slugs(tokens) if document.may_lead_within else frozenset()
        self.slugs = slugs_of(tokens) if self.wanted else {}
        self._places = self.wanted & frozenset(self.slugs.values()) | _places(tokens, self.wanted)

    def warn(self, text: str) -> None:
        """Keep a warning, once, with the line where it is first met."""
        self.warnings.setdefault(text, self.line)

    def told(self) -> list[str]:
        """The warnings, each with its line where that is known."""
        return [f"line {line}: {text}" if line else text for text, line in self.warnings.items()]

    def heading(self, tag: str) -> str:
        """A heading's tag on this page."""
        return f"h{min(max(int(tag[1]) + self.options.heading_shift, 1), 6)}" if self.options.heading_shift else tag

    def place(self, name: str) -> None:
        """Write an anchor where something links to it."""
        if name.lower() in self.wanted:
            self.out.raw(storage.anchor(name.lower()))

    def write_inline(self, children: Sequence[Token]) -> None:
        """Write inline tokens; what raw HTML left open closes with the block."""
        out = self.out
        marks: list[int] = []
        for token in children:
            kind = token.type
            if kind == "text":
                out.text(token.content)
            elif kind == "softbreak":
                out.text(" ")
            elif kind == "code_inline":
                self._piece(f"<code>{escape(token.content)}</code>")
            elif kind in _MARKS:
                self._mark(marks, _MARKS[kind])
            elif kind == "link_open":
                self._place_words()
                marks.append(len(out.stack))
                self.open_link(str(token.attrs.get("href", "")), auto=token.info == "auto", firm=True)
            elif kind in _CLOSING:
                if marks:
                    out.end(marks.pop())
            else:
                self._other_inline(token)

    def _other_inline(self, token: Token) -> None:
        match token.type:
            case "hardbreak":
                self._piece("<br/>")
            case "html_inline":
                raw_html.write_html(self, token.content)
            case "image":
                self._place_words()
                alt = token.content
                self.show_image(str(token.attrs.get("src", "")), alt, str(token.attrs.get("title", "")))
            case "math_inline":
                self._math_inline(token.content)
            case "footnote_ref":
                self._footnote(token)
            case "footnote_anchor":
                self.footnote_back(token)
            case _:
                self.out.text(token.content)

    def _place_words(self) -> None:
        if self.out.kind >= Kind.FLOW:
            self.out.place_words()

    def _piece(self, markup: str) -> None:
        self._place_words()
        self.out.raw(markup)

    def _mark(self, marks: list[int], element: str) -> None:
        self._place_words()
        marks.append(len(self.out.stack))
        if self.out.depth <= DEEPEST:
            self.out.open("#", f"<{element}>", f"</{element}>", Kind.PHRASE, firm=True)

    def open_link(self, href: str, *, auto: bool = False, firm: bool = False) -> None:
        """Open a link, or what stands for one: its words, with the target beside them where it can't be linked."""
        start, end = "", ""
        href = normal(href)
        if not href or is_program(href):
            pass
        elif self.out.links or self.out.depth > DEEPEST:
            end = "" if auto else f" ({escape(href)})"
        elif href.startswith("#"):
            place = unquote(href[1:]).lower()
            if place in self._places:
                start, end = storage.anchor_link(place)
            elif place not in ("", "top"):
                self.warn(f"nothing on the page is named #{place[:80]}; the words stay without a link")
        else:
            start, end = self._target(href, auto=auto)
        self.out.open(LINK, start, end, Kind.PHRASE, firm=firm)

    def _target(self, href: str, *, auto: bool) -> tuple[str, str]:
        if SCHEME.match(href):
            if may_be_linked(href):
                return f'<a href="{escape(href)}">', "</a>"
            return "", "" if auto else f" ({escape(href)})"
        file = self.files.named(href)
        if file:
            return storage.file_link(file)
        if self.options.link_base:
            href = joined(self.options.link_base, href)
            if not may_be_linked(href):  # nobody can join it
                return "", f" ({escape(href)})"
        elif not href.startswith("//"):
            self.warn(f"the link to {href[:80]} is relative; set a base for links, or hand the file over")
        return f'<a href="{escape(href)}">', "</a>"

    def show_image(self, source: str, alt: str, title: str = "", width: str = "") -> None:
        """Write an image: from the web, of the page's own files, or its words and a warning."""
        name = None
        source = normal(source)
        if source[:5].lower() == "data:":
            name = self.files.embedded(source)
        elif not SCHEME.match(source):
            name = self.files.named(source)
            source = joined(self.options.link_base, source) if self.options.link_base else source
        if name:
            self.out.raw(storage.image(f'<ri:attachment ri:filename="{escape(name)}"/>', alt, title, width))
        elif may_be_linked(source) and source[:7].lower() != "mailto:":
            self.out.raw(storage.image(f'<ri:url ri:value="{escape(source)}"/>', alt, title, width))
        else:
            shown = source if len(source) <= 80 else source[:79] + "…"
            lacks = f"image {clean.plain_title(shown)} was not handed over" if source else "an image has no address"
            self.warn(f"{lacks}; its text stands in its place")
            self.out.text(alt or ("" if is_program(source) else shown))

    def _math_inline(self, text: str) -> None:
        if self.options.math == "macro":
            self._piece(storage.macro(self.options.math_macros[0], {"body": text}))
        else:
            self._piece(f"<code>{escape(text)}</code>")

    # -- footnotes, both ways

    def _footnote(self, token: Token) -> None:
        number = int(token.meta["id"]) + 1
        start, end = ("", "") if self.out.links else storage.anchor_link(f"footnote-{number}")
        self._piece(f"{storage.anchor(_reference(token))}<sup>{start}{number}{end}</sup>")

    def footnote_back(self, token: Token) -> None:
        """The way back from a footnote."""
        start, end = storage.anchor_link(_reference(token))
        self._piece(f" {start}↩{end}")


def _reference(token: Token) -> str:
    number = int(token.meta["id"]) + 1
    return f"footnote-ref-{number}" + (f"-{token.meta['subId']}" if token.meta.get("subId") else "")


def _places(tokens: list[Token], wanted: frozenset[str]) -> frozenset[str]:
    """The wanted names that raw HTML gives to places."""
    if not wanted:
        return frozenset()
    pieces = [t.content for t in tokens if t.type == "html_block"]
    pieces += [c.content for t in tokens for c in t.children if c.type == "html_inline"]
    found = {t.meta["id"].lower() for t in tokens if "id" in t.meta and t.type == "heading"}
    for piece in pieces:
        for tag in PIECE.finditer(piece):
            attributes = attributes_of(tag.group("rest"))
            found.add((attributes.get("id") or attributes.get("name") or "").lower())
    return frozenset(found & wanted)
