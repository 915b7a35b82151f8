"""A document's tokens as HTML that a form can show: borders, boxes and anchors without a style sheet."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import nh3

from tasks.markup.addresses import is_program, may_be_linked, named, normal
from tasks.markup.clean import escape, quoted, xml_text
from tasks.markup.parser.token import Token
from tasks.markup.slugs import slugs_of
from tasks.markup.tags import DEEPEST_RAW, PIECE, PROGRAM, TAGS, attributes_of, without_comments

TABLE = '<table border="1" cellpadding="4" cellspacing="0" style="border-collapse:collapse">'
CODE = '<pre style="background:#f4f5f7;padding:8px;white-space:pre-wrap"><code>'
QUOTE = '<blockquote style="border-left:3px solid #c1c7d0;padding:0 8px;margin:8px 0">'
_STARTS = {"table_open": TABLE, "blockquote_open": QUOTE, "alert_open": QUOTE, "admonition_open": QUOTE}
_WRITTEN_OTHERWISE = frozenset((
    "fence", "code_block", "math_block", "html_block", "hr", "toc", "footnote_block_open", "footnote_block_close",
    "footnote_open", "footnote_close", "stray_note_open", "stray_note_close", "footnote_anchor",
))  # fmt: skip
_NUMBER = re.compile(r"&#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});?")
# Hosts of which the sanitiser need not be asked.
_USUAL = re.compile(r"mailto:|https?://(?!\S*xn--)[a-z0-9.-]*[a-z](?::\d{1,4})?(?:[/?#]|\Z)", re.IGNORECASE)
_WORDS = frozenset({"paragraph", "heading", "th", "td"})
_SHOWN = {"details": "div", "summary": "p"}
# Tags that have no end, or whose end nobody has to write.
_CLOSED_BY_OTHERS = frozenset((
    "br", "hr", "img", "wbr", "col", "source", "p", "summary", "li", "tr", "td", "th", "thead", "tbody", "tfoot", "dt", "dd", "caption",
    "colgroup", "rb", "rt", "rp",
))  # fmt: skip


class Elements:
    """One document on its way to HTML."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.slugs = slugs_of(tokens)
        self.tags = RawTags()

    def pieces(self, start: int = 0) -> Iterator[tuple[str, bool]]:
        """The document piece by piece, and whether a block ends with each."""
        box = ""  # of a task, before the words of its item
        for index in range(start, len(self.tokens)):
            token = self.tokens[index]
            if token.type in _WORDS:
                yield self._words(token, index, box), not token.hidden
                box = ""
                continue
            if token.type == "list_item_open":
                box = "" if "checked" not in token.meta else "☑ " if token.meta["checked"] else "☐ "
            written = self._block(token, index)
            if token.type == "list_item_close" and box:
                written, box = box.strip() + written, ""
            yield written, token.nesting <= 0

    def _words(self, token: Token, index: int, box: str) -> str:
        """A block of words; one that is hidden has no element."""
        words = box + self.inline(token.children)
        if token.hidden:
            return words if self.tokens[index + 1].nesting < 0 else f"{words}\n"
        if token.type == "heading":
            name = self.slugs[index]
            if token.meta:  # a name of its own, beside the one that GitHub gives it
                words, name = f"{_place(name)}{words}", token.meta["id"]
            return f'<{token.tag} id="{escape(name)}">{words}</{token.tag}>\n'
        return f"<{token.tag}{_attributes(token)}>{words}</{token.tag}>\n"

    def _block(self, token: Token, index: int) -> str:
        kind = token.type
        if kind not in _WRITTEN_OTHERWISE:
            if token.nesting < 0:
                return f"</{token.tag}>\n"
            start = _STARTS.get(kind) or f"<{token.tag}{_attributes(token)}>"
            if title := token.meta.get("title"):
                return f"{start}\n<p><strong>{escape(title)}</strong></p>\n"
            return start if self.tokens[index + 1].hidden else f"{start}\n"
        match kind:
            case "fence" | "code_block" | "math_block":
                return f"{CODE}{escape(token.content)}</code></pre>\n"
            case "html_block":
                is_code = PROGRAM.match(token.content)
                return f"{CODE}{escape(token.content)}</code></pre>\n" if is_code else self.tags.shown(token.content)
            case "hr":
                return "<hr>\n"
            case "toc":
                return ""
            case "footnote_block_open":
                return "<hr>\n<ol>\n"
            case "footnote_block_close":
                return "</ol>\n"
            case "footnote_open":
                return f'<li id="footnote-{token.meta["id"] + 1}">'
            case "footnote_close":
                return "</li>\n"
            case "stray_note_open":
                return f"<p>[{escape(token.meta['label'])}]</p>\n"
            case "stray_note_close":
                return ""
            case _:
                return _back(token)

    def inline(self, children: Sequence[Token]) -> str:
        """The words of a block."""
        parts: list[str] = []
        ends: list[str] = []
        for child in children:
            match child.type:
                case "text":
                    parts.append(quoted(child.content))
                case "softbreak":
                    parts.append("\n")
                case "hardbreak":
                    parts.append("<br>\n")
                case "code_inline" | "math_inline":
                    parts.append(f"<code>{quoted(child.content)}</code>")
                case "html_inline":
                    parts.append(self.tags.shown(child.content))
                case "link_open":
                    within = "</a>" in ends  # of links in each other the outer one leads
                    start, end = ("", "") if within else _link(child)
                    parts.append(start)
                    ends.append(end)
                case "link_close":
                    parts.append(ends.pop() if ends else "")
                case "image":
                    parts.append(_image(child))
                case "footnote_ref":
                    number = child.meta["id"] + 1
                    parts.append(f'<sup id="{_reference(child)}"><a href="#footnote-{number}">{number}</a></sup>')
                case "footnote_anchor":
                    parts.append(_back(child))
                case _ if child.nesting:
                    parts.append(f"<{child.tag}>" if child.nesting > 0 else f"</{child.tag}>")
                case _:
                    parts.append(escape(child.content))
        return "".join(parts)


def _place(name: str) -> str:
    """A place that links lead to."""
    return f'<a id="{escape(name)}"></a>'


def _attributes(token: Token) -> str:
    return "".join(f' {name}="{escape(str(value))}"' for name, value in token.attrs.items())


def _link(token: Token) -> tuple[str, str]:
    """The start and end of a link; where a form can't link, nothing and the address behind the words."""
    return linked(normal(str(token.attrs["href"])), reads_so=token.info == "auto")


def linked(href: str, *, reads_so: bool = False) -> tuple[str, str]:
    """The start and end of a link there, or of its words where a form can't link; `reads_so`: they are the address."""
    if _stays(href) or href.startswith("#"):
        return f'<a href="{escape(href)}">', "</a>"
    return "", "" if not href or reads_so or is_program(href) else f" ({escape(href)})"


def _stays(address: str) -> bool:
    """Whether the sanitiser leaves a normal address where it is: not one whose host can't be one, as in `http://host:PORT/`."""
    if not may_be_linked(address):
        return False
    return bool(_USUAL.match(address)) or "href" in _links().clean(f'<a href="{escape(address)}">')


@lru_cache(maxsize=1)
def _links() -> nh3.Cleaner:
    return nh3.Cleaner(tags={"a"}, attributes={"a": {"href"}}, url_schemes={"http", "https", "mailto"}, link_rel=None)


def _image(token: Token) -> str:
    """An image from the web; of any other its words, else its name."""
    source = normal(str(token.attrs["src"]))
    alt = token.content
    if _stays(source):
        return f'<img src="{escape(source)}" alt="{escape(alt)}">'
    return escape(alt or named(source))


def _reference(token: Token) -> str:
    return f"footnote-ref-{token.meta['id'] + 1}" + (f"-{token.meta['subId']}" if token.meta.get("subId") else "")


def _back(token: Token) -> str:
    return f' <a href="#{_reference(token)}">↩</a>'


def _words(source: str) -> str:
    """What stands between raw tags, without the numbers of characters that none may hold.

    A browser hides what follows a sign that could begin another tag.
    """
    if "&#" in source:
        source = _NUMBER.sub(lambda found: found[0] if xml_text(html.unescape(found[0])) else "", source)
    return source.replace("<", "&lt;")


class RawTags:
    """Raw tags as a form shows them: one of the allow-list as it is, any other as the text it is, and so what is nested
    deeper than anybody reads. The sanitiser's time grows with the square of the depth.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._links: list[str] = []

    def shown(self, source: str) -> str:
        """A piece of raw HTML without its comments; what a browser would hide is shown."""
        source = without_comments(source)
        parts: list[str] = []
        position = 0
        for tag in PIECE.finditer(source):
            parts.append(_words(source[position : tag.start()]))
            parts.append(self._one(tag))
            position = tag.end()
        parts.append(_words(source[position:]))
        return "".join(parts)

    def _one(self, found: re.Match[str]) -> str:
        name = found.group("name").lower()
        if name not in TAGS:
            return html.escape(found.group(), quote=False)
        if name == "img":
            attributes = attributes_of(found.group("rest"))
            source = normal(attributes.get("src", ""))
            if not _stays(source):
                return escape(attributes.get("alt") or named(source))
        if name not in _CLOSED_BY_OTHERS:
            if not found.group("close"):
                if self._open.total() >= DEEPEST_RAW:
                    return html.escape(found.group(), quote=False)
                self._open[name] += 1
            elif self._open[name]:
                self._open[name] -= 1
        if name == "a":
            if found.group("close"):
                return self._links.pop() if self._links else ""
            start, end = self.link(found)
            self._links.append(end)
            return start
        return self.kept(found)

    def link(self, found: re.Match[str]) -> tuple[str, str]:
        """The start and end of what a raw link becomes."""
        attributes = attributes_of(found["rest"])
        if "href" not in attributes and (name := attributes.get("id") or attributes.get("name")):
            return _place(name), ""
        return linked(normal(attributes.get("href", "")))

    def kept(self, found: re.Match[str]) -> str:
        """A tag of the allow-list as it is written."""
        tag = _SHOWN.get(found["name"].lower())
        return f"<{found['close']}{tag}>" if tag else found[0]
