"""Markdown to Confluence storage format: an XML fragment that Confluence takes as it is, with every word of the source.

No macro ever comes from a document's words: what isn't a known construct is text. Output is deterministic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from markdown_it.token import Token

from tasks.markup import clean
from tasks.markup.clean import escape
from tasks.markup.parse import parse
from tasks.markup.raw_html import SAFE_LINK, Dialect, write_html
from tasks.markup.slugs import heading_text, slugs_of, wanted_slugs
from tasks.markup.words import EMOJI, LANGUAGES
from tasks.markup.writer import Writer
from tasks.model import Frozen

PANELS = {
    "note": "info",
    "info": "info",
    "abstract": "info",
    "tip": "tip",
    "hint": "tip",
    "success": "tip",
    "important": "note",
    "attention": "note",
    "warning": "note",
    "caution": "warning",
    "danger": "warning",
    "error": "warning",
    "bug": "warning",
}
_TOC = re.compile(r"^\[(?:\[_TOC_\]|TOC)\]$", re.IGNORECASE)
_TITLE = re.compile(r"""title\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))""")
_EMOJI = re.compile(r":([a-z0-9_+-]{1,40}):")


class PageOptions(Frozen):
    """What a destination can ask for. `drop_title_heading`: leave a first h1 out that repeats this title."""

    drop_title_heading: str | None = None
    bmp_only: bool = False
    toc: bool = False


class RenderedPage(Frozen):
    """A rendered document: its body, its first h1, and what could not be carried over."""

    body: str
    title: str | None = None
    warnings: tuple[str, ...] = ()


def render(markdown: str) -> str:
    """The document in storage format."""
    return render_page(markdown).body


def render_page(markdown: str, options: PageOptions = PageOptions()) -> RenderedPage:  # noqa: B008 - frozen
    """The document in storage format, with what a page needs beside it."""
    tokens = parse(markdown)
    title = next(
        (heading_text(tokens[i + 1]) for i, t in enumerate(tokens) if t.type == "heading_open" and t.tag == "h1"), None
    )
    drop = options.drop_title_heading
    if drop is not None and _begins_with(tokens, drop):
        tokens = tokens[3:]
    page = _Page(slugs_of(tokens), wanted_slugs(tokens))
    if options.toc:
        page.out.raw(_macro("toc"))
    page.blocks(tokens)
    body = page.out.result()
    return RenderedPage(
        body=clean.bmp_only(body) if options.bmp_only else body,
        title=title,
        warnings=tuple(dict.fromkeys(page.warnings)),
    )


def _begins_with(tokens: list[Token], title: str) -> bool:
    if len(tokens) < 3 or tokens[0].type != "heading_open" or tokens[0].tag != "h1":
        return False
    return clean.plain_title(heading_text(tokens[1]), 4000).casefold() == clean.plain_title(title, 4000).casefold()


def _macro(name: str, parameters: Mapping[str, str] | None = None, body: str = "") -> str:
    inner = "".join(
        f'<ac:parameter ac:name="{key}">{escape(value)}</ac:parameter>' for key, value in (parameters or {}).items()
    )
    return f'<ac:structured-macro ac:name="{name}">{inner}{body}</ac:structured-macro>'


def cdata(text: str) -> str:
    """Text in CDATA; an end marker inside is split over two sections."""
    return "<![CDATA[" + clean.xml_text(text).replace("]]>", "]]]]><![CDATA[>") + "]]>"


def code_macro(text: str, language: str = "", title: str = "") -> str:
    """A code block."""
    parameters = {}
    if language in LANGUAGES:
        parameters["language"] = LANGUAGES[language]
    if title:
        parameters["title"] = title
    return _macro("code", parameters, f"<ac:plain-text-body>{cdata(text)}</ac:plain-text-body>")


def _anchor(name: str) -> str:
    return _macro("anchor", {"": name})


def _image(url: str, alt: str) -> str:
    if not re.match(r"https?://[^\s\"<>]+$", url, re.IGNORECASE):
        return escape(alt or url)
    described = f' ac:alt="{escape(alt)}"' if alt else ""
    return f'<ac:image{described}><ri:url ri:value="{escape(url)}"/></ac:image>'


HTML = Dialect(
    details=('<ac:structured-macro ac:name="expand"><ac:rich-text-body>', "</ac:rich-text-body></ac:structured-macro>"),
    summary=("<p><strong>", "</strong></p>"),
    image=_image,
)


@dataclass
class _Page:
    """One rendering: the writer, the anchors, and the counters that make it deterministic."""

    slugs: Mapping[int, str]
    wanted: frozenset[str]
    out: Writer = field(default_factory=Writer)
    warnings: list[str] = field(default_factory=list)
    barriers: list[int] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    tasks: int = 0

    def blocks(self, tokens: list[Token]) -> None:
        """Write a document's tokens."""
        for index, token in enumerate(tokens):
            if token.type == "paragraph_open" and token.hidden:
                continue
            if token.type == "paragraph_open" and _is_toc(tokens, index):
                continue
            if token.type == "inline" and _is_toc(tokens, index - 1):
                self.out.raw(_macro("toc"))
                continue
            if token.type == "paragraph_close" and (token.hidden or _is_toc(tokens, index - 2)):
                continue
            if token.type != "inline" and token.nesting >= 0:
                self.out.close("p")
                self.out.imply()
            self.block(token, tokens, index)

    def block(self, token: Token, tokens: list[Token], index: int) -> None:
        """Write one block token."""
        writer = _BLOCKS.get(token.type)
        if writer is not None:
            writer(self, token)
        elif token.type == "heading_open":
            self.begin(f"<{token.tag}>", f"</{token.tag}>")
            slug = self.slugs.get(index)
            if slug in self.wanted:
                self.out.raw(_anchor(str(slug)))
        elif token.type == "list_item_open":
            self.item(token, tokens, index)
        elif token.type.endswith("_close"):
            self.finish()
        elif token.type.endswith("_open"):
            self.begin(f"<{token.tag}>", f"</{token.tag}>") if token.tag else self.begin("", "")
        elif token.content:
            self.out.raw(f"<p>{escape(token.content)}</p>")

    def begin(self, start: str, end: str) -> None:
        """Open a Markdown container: raw HTML inside it can't close it, nor outlive it."""
        self.barriers.append(self.out.barrier())
        self.out.open("#" + start, start, end)

    def finish(self) -> None:
        """Close the innermost Markdown container."""
        if self.barriers:
            self.out.end(self.barriers.pop())

    def inline(self, token: Token) -> None:
        """Write inline content; what raw HTML left open inside it closes with it."""
        barrier = self.out.barrier()
        _Inline(self, self.out).write(token.children or [])
        self.out.end(barrier)

    # -- lists: a run of task items is a task list, a run of plain items a plain one

    def list_open(self, token: Token) -> None:
        """Begin a list; the elements open with its first item."""
        start = token.attrs.get("start")
        tag = f'<ol start="{int(start)}">' if start not in (None, 1) else f"<{token.tag}>"
        self.barriers.append(self.out.barrier())
        self.lists.append(f"{tag}|")

    def list_close(self, _: Token) -> None:
        """End a list."""
        self.lists.pop()
        self.finish()

    def item(self, token: Token, tokens: list[Token], index: int) -> None:
        """Begin an item, in a list of its kind."""
        checked = token.meta.get("checked") if "checked" in token.meta else None
        kind = "plain" if checked is None else "task"
        tag, _, opened = self.lists[-1].partition("|")
        if opened != kind:
            self.out.end(self.barriers[-1] + 1)
            if kind == "task":
                self.out.open("#tasks", "<ac:task-list>", "</ac:task-list>")
            else:
                self.out.open("#list", tag, "</ol>" if tag.startswith("<ol") else "</ul>")
            plain_tag = "<ol>" if tag.startswith("<ol") and opened else tag
            self.lists[-1] = f"{plain_tag}|{kind}"
        if kind == "plain":
            self.begin("<li>", "</li>")
            return
        self.tasks += 1
        status = "complete" if checked else "incomplete"
        self.begin(
            f"<ac:task><ac:task-id>{self.tasks}</ac:task-id><ac:task-status>{status}</ac:task-status><ac:task-body>",
            "</ac:task-body></ac:task>",
        )

    # -- blocks

    def fence(self, token: Token) -> None:
        """A code block with its language and title."""
        info = token.info.strip()
        word = re.split(r"[\s{,:]", info, maxsplit=1)[0].lower() if info else ""
        found = _TITLE.search(info)
        title = next((part for part in found.groups() if part), "") if found else ""
        self.out.raw(code_macro(token.content.removesuffix("\n"), word, title))

    def panel_open(self, token: Token) -> None:
        """A GitHub alert or an admonition, as a panel."""
        kind = str(token.meta.get("kind") or token.meta.get("tag") or "").lower()
        name = PANELS.get(kind, "info")
        self.begin(
            f'<ac:structured-macro ac:name="{name}"><ac:rich-text-body>', "</ac:rich-text-body></ac:structured-macro>"
        )

    def cell_open(self, token: Token) -> None:
        """A table cell with its alignment."""
        style = str(token.attrs.get("style", ""))
        aligned = f' style="{escape(style.replace(":", ": ") + ";")}"' if style.startswith("text-align:") else ""
        self.begin(f"<{token.tag}{aligned}>", f"</{token.tag}>")

    def footnote_open(self, token: Token) -> None:
        """One footnote's text, where its references lead."""
        self.begin("<li>", "</li>")
        self.out.raw(_anchor(f"footnote-{int(token.meta['id']) + 1}"))

    def html_block(self, token: Token) -> None:
        """Raw HTML between blocks."""
        write_html(self.out, token.content, HTML, block=True)

    def hr(self, _: Token) -> None:
        """A thematic break."""
        self.out.raw("<hr/>")

    def math(self, token: Token) -> None:
        """A block of math, as code."""
        self.out.raw(code_macro(token.content.strip("\n")))

    def nothing(self, _: Token) -> None:
        """What a page doesn't show."""


def _is_toc(tokens: list[Token], index: int) -> bool:
    return (
        0 <= index < len(tokens) - 1
        and tokens[index].type == "paragraph_open"
        and bool(_TOC.match(tokens[index + 1].content.strip()))
    )


_BLOCKS: Mapping[str, Callable[[_Page, Token], None]] = {
    "inline": _Page.inline,
    "bullet_list_open": _Page.list_open,
    "ordered_list_open": _Page.list_open,
    "bullet_list_close": _Page.list_close,
    "ordered_list_close": _Page.list_close,
    "fence": _Page.fence,
    "code_block": _Page.fence,
    "alert_open": _Page.panel_open,
    "admonition_open": _Page.panel_open,
    "th_open": _Page.cell_open,
    "td_open": _Page.cell_open,
    "html_block": _Page.html_block,
    "hr": _Page.hr,
    "math_block": _Page.math,
    "math_block_label": _Page.math,
    "front_matter": _Page.nothing,
    "footnote_block_open": lambda page, _: page.begin("<hr/><ol>", "</ol>"),
    "footnote_open": _Page.footnote_open,
    "footnote_anchor": lambda page, token: _Inline(page, page.out).back(token),
}


@dataclass
class _Inline:
    """Inline content of one block."""

    page: _Page
    out: Writer
    marks: list[int] = field(default_factory=list)

    def write(self, children: list[Token]) -> None:
        """Write the children."""
        for child in children:
            self.one(child)

    def one(self, token: Token) -> None:
        """Write one inline token."""
        match token.type:
            case "text" | "text_special":
                self.out.text(_EMOJI.sub(lambda m: EMOJI.get(m.group(1), m.group()), token.content))
            case "softbreak":
                self.out.text("\n")
            case "hardbreak":
                self.out.raw("<br/>")
            case "code_inline":
                self.out.imply()
                self.out.raw(f"<code>{escape(token.content)}</code>")
            case "math_inline" | "math_inline_double":
                self.out.imply()
                self.out.raw(f"<code>{escape(token.content)}</code>")
            case "html_inline":
                write_html(self.out, token.content, HTML, block=False)
            case "image":
                self.image(token)
            case "footnote_ref":
                self.footnote(token)
            case "footnote_anchor":
                self.back(token)
            case "link_open":
                self.link(token)
            case "strong_open" | "em_open" | "s_open":
                element = "del" if token.type == "s_open" else token.tag
                self.mark(f"<{element}>", f"</{element}>")
            case "link_close" | "strong_close" | "em_close" | "s_close":
                if self.marks:
                    self.out.end(self.marks.pop())
            case _:
                self.out.text(token.content)

    def mark(self, start: str, end: str) -> None:
        """Open an inline element."""
        self.out.imply()
        self.marks.append(self.out.barrier())
        self.out.open("#mark", start, end)

    def link(self, token: Token) -> None:
        """A link, an in-page link, or its text with the target beside it where the target can't be linked."""
        href = str(token.attrs.get("href", ""))
        if href.startswith("#") and href[1:].lower() in self.page.slugs.values():
            self.mark(f'<ac:link ac:anchor="{escape(href[1:].lower())}"><ac:link-body>', "</ac:link-body></ac:link>")
        elif SAFE_LINK.match(href) or not re.match(r"^[a-z][a-z0-9+.-]*:", href, re.IGNORECASE):
            self.mark(f'<a href="{escape(href)}">', "</a>")
        else:
            self.mark("", f" ({escape(href)})")

    def image(self, token: Token) -> None:
        """A remote image; any other becomes its alternative text, with a warning."""
        url, alt = str(token.attrs.get("src", "")), heading_text(token) or token.content
        if not re.match(r"https?://", url, re.IGNORECASE):
            self.page.warnings.append(f"image {url[:80]} was not handed over; its text stands in its place")
        self.out.imply()
        self.out.raw(_image(url, alt))

    def footnote(self, token: Token) -> None:
        """A reference to a footnote, and the place that the footnote leads back to."""
        number = int(token.meta["id"]) + 1
        place = f"footnote-ref-{number}" + (f"-{token.meta['subId']}" if token.meta.get("subId") else "")
        self.out.imply()
        self.out.raw(
            f'{_anchor(place)}<sup><ac:link ac:anchor="footnote-{number}"><ac:link-body>{number}</ac:link-body></ac:link></sup>'
        )

    def back(self, token: Token) -> None:
        """The way back from a footnote."""
        number = int(token.meta["id"]) + 1
        place = f"footnote-ref-{number}" + (f"-{token.meta['subId']}" if token.meta.get("subId") else "")
        self.out.raw(f' <ac:link ac:anchor="{place}"><ac:link-body>↩</ac:link-body></ac:link>')
