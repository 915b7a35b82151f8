"""Raw HTML in Markdown: an allow-list becomes elements, everything else is shown as the text it is."""

from __future__ import annotations

import html
import re
from typing import Protocol

from tasks.markup.confluence.writer import KINDS, PARENTS, SUMMARY, Kind, Writer
from tasks.markup.tags import BARE, BLOCKS, BOXES, DEEPEST_RAW, MARKS, PIECE, TAGS, attributes_of, without_comments

ALIGNMENTS = frozenset({"left", "center", "right"})


class Page(Protocol):
    """What raw HTML asks of the page that it stands on."""

    out: Writer

    def open_link(self, href: str) -> None:
        """Open a link, or what stands for one that can't be."""

    def show_image(self, source: str, alt: str, title: str = "", width: str = "") -> None:
        """Write an image or its words."""

    def place(self, name: str) -> None:
        """Write an anchor where something links to it."""

    def heading(self, tag: str) -> str:
        """A heading's tag on this page."""


def write_html(page: Page, source: str) -> None:
    """Write a piece of raw HTML."""
    position = 0
    source = without_comments(source)
    for found in PIECE.finditer(source):
        if found.start() > position:
            page.out.text(html.unescape(source[position : found.start()]))
        position = found.end()
        if not _write_tag(page, found):
            page.out.text(found.group())
    if position < len(source):
        page.out.text(html.unescape(source[position:]))


def _write_tag(page: Page, found: re.Match[str]) -> bool:
    """Write one tag; False where it has to be shown as it is."""
    name = found.group("name").lower()
    out = page.out
    if name not in TAGS:
        return False
    if found.group("close"):
        _close(page, name)
        return True
    attributes = attributes_of(found.group("rest"))
    place = attributes.get("id") or (attributes.get("name") if name == "a" else None)
    if place and out.kind <= Kind.FLOW and name not in PARENTS:
        page.place(place)
    if name in BARE:
        return True
    if name in BOXES:
        _end_paragraph(out)
        return True
    if out.depth > DEEPEST_RAW:
        return False
    if name in MARKS:
        _words(out)
        out.open(name, f"<{MARKS[name]}>", f"</{MARKS[name]}>", Kind.PHRASE)
        return True
    if name in BLOCKS:
        return _open_block(page, name, attributes)
    return _open_other(page, name, attributes)


def _open_other(page: Page, name: str, attributes: dict[str, str]) -> bool:
    out = page.out
    if name == "hr":
        if not out.place_block():
            return False
        out.raw("<hr/>")
    elif name == "br":
        _words(out)
        out.raw("<br/>")
    elif name == "img":
        width = attributes.get("width", "").removesuffix("px")
        source = attributes.get("src", "")
        if source or attributes.get("alt"):
            _words(out)
            page.show_image(
                source, attributes.get("alt", ""), attributes.get("title", ""), width if width.isdigit() else ""
            )
    elif "href" in attributes:
        out.close("a")
        _words(out)
        page.open_link(attributes["href"])
    return True


def _words(out: Writer) -> None:
    if out.kind >= Kind.FLOW:
        out.place_words()


def _end_paragraph(out: Writer) -> None:
    """End the paragraph that words stand in, or keep them apart by a space where Markdown's own are around them."""
    if out.kind == Kind.PHRASE:
        if not out.place_block():
            out.raw(" ")
    elif out.kind == Kind.CELL and out.parts[-1] and not out.parts[-1].endswith(">"):
        out.raw("<br/>")


def _close(page: Page, name: str) -> None:
    """Close what the tag names. A closing tag without an opening one shows nothing in any browser."""
    out = page.out
    if name in BOXES:
        _end_paragraph(out)
    else:
        out.close(name)


def _open_block(page: Page, name: str, attributes: dict[str, str]) -> bool:
    out = page.out
    if name in PARENTS:
        return _open_part(out, name, attributes)
    if name == "summary":
        if not out.stack or out.stack[-1].name != "details":
            _end_paragraph(out)
            return True
        out.open(SUMMARY, "", "", Kind.FLOW)
        return True
    if not out.place_block():
        return False
    if name == "details":
        out.raw('<ac:structured-macro ac:name="expand">')
        out.raw("")
        out.open(name, "<ac:rich-text-body>", "</ac:rich-text-body></ac:structured-macro>", Kind.FLOW)
        return True
    tag = page.heading(name) if name[0] == "h" else name
    extra = ""
    if name == "ol" and attributes.get("start", "").isdigit():
        extra = f' start="{int(attributes["start"][:9])}"'
    elif name in ("p", "h1", "h2", "h3", "h4", "h5", "h6"):
        extra = _alignment(attributes)
    out.open(name, f"<{tag}{extra}>", f"</{tag}>", KINDS.get(name, Kind.PHRASE))
    return True


def _open_part(out: Writer, name: str, attributes: dict[str, str]) -> bool:
    """Open a part of a table or list, where its whole is open; elsewhere its content stands by itself."""
    within = next(
        (f for f in reversed(out.stack) if f.firm or f.kind == (Kind.LIST if name == "li" else Kind.TABLE)), None
    )
    if within is None or within.firm:
        _end_paragraph(out)
        return True
    parents = PARENTS[name]
    while out.kind not in parents and out.stack[-1] is not within:
        out.end(len(out.stack) - 1)
    if out.kind == Kind.TABLE and name not in ("thead", "tbody", "tfoot"):
        out.open("tbody", "<tbody>", "</tbody>", Kind.SECTION)
    if out.kind == Kind.SECTION and name in ("td", "th"):
        out.open("tr", "<tr>", "</tr>", Kind.ROW)
    extra = ""
    if name in ("td", "th"):
        for span in ("colspan", "rowspan"):
            if attributes.get(span, "").isdigit():
                extra += f' {span}="{min(int(attributes[span][:6]), 1000)}"'
        extra += _alignment(attributes)
    out.open(name, f"<{name}{extra}>", f"</{name}>", KINDS[name])
    return True


def _alignment(attributes: dict[str, str]) -> str:
    align = attributes.get("align", "").lower()
    found = re.search(r"text-align\s*:\s*(left|center|right)", attributes.get("style", ""), re.IGNORECASE)
    align = found.group(1).lower() if found else align
    return f' style="text-align: {align};"' if align in ALIGNMENTS else ""
