"""Raw HTML in Markdown: an allow-list becomes elements, everything else is shown as the text it is."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tasks.markup.clean import escape
from tasks.markup.writer import PARENTS, Writer

PIECE = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9]{0,20})(?P<rest>(?:\s[^<>]*|/)?)>")
_ATTRIBUTE = re.compile(r"([A-Za-z][A-Za-z-]{0,40})\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+))")
SAFE_LINK = re.compile(r"^(?:https?://|mailto:)[^\s\"<>]+$", re.IGNORECASE)
INLINE = {
    "b": "strong",
    "strong": "strong",
    "i": "em",
    "em": "em",
    "u": "u",
    "ins": "u",
    "s": "del",
    "strike": "del",
    "del": "del",
    "sub": "sub",
    "sup": "sup",
    "code": "code",
    "kbd": "code",
    "samp": "code",
    "tt": "code",
    "small": "small",
    "cite": "em",
    "var": "em",
}
BLOCK = frozenset(
    {
        "table",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "td",
        "th",
        "ul",
        "ol",
        "li",
        "blockquote",
        "p",
        "pre",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "details",
        "summary",
    }
)
INVISIBLE = frozenset(
    {
        "div",
        "span",
        "center",
        "font",
        "picture",
        "section",
        "article",
        "main",
        "header",
        "footer",
        "nav",
        "figure",
        "figcaption",
        "wbr",
        "mark",
        "abbr",
        "dl",
        "dt",
        "dd",
        "colgroup",
        "caption",
    }
)
TAGS = frozenset({*BLOCK, *INLINE, *INVISIBLE, "a", "br", "hr", "img"})


DEEPEST = 150


@dataclass(frozen=True)
class Dialect:
    """How a target writes the three elements that differ: details, its summary, images."""

    details: tuple[str, str]
    summary: tuple[str, str]
    image: Callable[[str, str], str]


def write_html(writer: Writer, source: str, dialect: Dialect, *, block: bool) -> None:
    """Write a piece of raw HTML. `block` says that it stands between blocks, where block elements may open."""
    position = 0
    source = without_comments(source)
    for found in PIECE.finditer(source):
        _write_text(writer, source[position : found.start()], block=block)
        position = found.end()
        if found.group("name") and not _write_tag(writer, found, dialect, block=block):
            _write_text(writer, found.group(), block=block, literal=True)
    _write_text(writer, source[position:], block=block)


def without_comments(source: str) -> str:
    """The source without its HTML comments; one that never ends stays, as text."""
    kept: list[str] = []
    position = 0
    while (start := source.find("<!--", position)) >= 0 and (end := source.find("-->", start + 4)) >= 0:
        kept.append(source[position:start])
        position = end + 3
    return "".join(kept) + source[position:]


def _write_text(writer: Writer, text: str, *, block: bool, literal: bool = False) -> None:
    if not text.strip():
        if not block:
            writer.text(text)
        return
    writer.imply()
    if block and writer.top in ("", "details", "blockquote", "#details-body"):
        writer.open("p", "<p>", "</p>")
    writer.text(text if literal else html.unescape(text))


def _write_tag(writer: Writer, found: re.Match[str], dialect: Dialect, *, block: bool) -> bool:
    name = found.group("name").lower()
    closing = bool(found.group("close"))
    if name in INVISIBLE:
        return True
    if not closing and len(writer.stack) > DEEPEST:
        return False
    if name in INLINE:
        element = INLINE[name]
        if closing:
            return writer.close(name)
        writer.imply()
        _paragraph_if_bare(writer, block=block)
        writer.open(name, f"<{element}>", f"</{element}>")
        return True
    if closing and name == "a":
        return writer.close("a")
    if not closing and name in ("br", "hr", "img", "a"):
        return _write_void_or_link(writer, name, _attributes(found.group("rest")), dialect, block=block)
    if block and name in BLOCK:
        return writer.close(name) if closing else _open_block(writer, name, dialect)
    return False


def _write_void_or_link(
    writer: Writer, name: str, attributes: Mapping[str, str], dialect: Dialect, *, block: bool
) -> bool:
    if name == "hr":
        if not block or writer.top not in ("", "td", "th", "li", "blockquote", "#details-body"):
            return False
        writer.raw("<hr/>")
        return True
    target = attributes.get("href" if name == "a" else "src", "")
    if name == "a" and not SAFE_LINK.match(target):
        return False
    if name == "img" and not attributes.get("src"):
        return False
    writer.imply()
    _paragraph_if_bare(writer, block=block)
    if name == "br":
        writer.raw("<br/>")
    elif name == "img":
        writer.raw(dialect.image(target, attributes.get("alt", "")))
    elif writer.top == "a":
        return False
    else:
        writer.open("a", f'<a href="{escape(target)}">', "</a>")
    return True


def _paragraph_if_bare(writer: Writer, *, block: bool) -> None:
    if block and writer.top in ("", "#details-body", "blockquote"):
        writer.open("p", "<p>", "</p>")


def _open_block(writer: Writer, name: str, dialect: Dialect) -> bool:
    writer.close("p")
    if writer.top in INLINE:
        return False
    if name == "tr" and writer.top == "table":
        writer.open("tbody", "<tbody>", "</tbody>")
    if name in ("td", "th", "li", "tr") and writer.top in (name, "td" if name == "th" else "th"):
        writer.close(writer.top)
    parents = PARENTS.get(name)
    if parents is not None and writer.top not in parents:
        return False
    if parents is None:
        writer.imply()
    if name == "details":
        writer.open("details", *dialect.details)
    elif name == "summary":
        writer.open("summary", *dialect.summary)
    else:
        writer.open(name, f"<{name}>", f"</{name}>")
    return True


def _attributes(rest: str) -> dict[str, str]:
    return {
        name.lower(): html.unescape(double or single or bare) for name, double, single, bare in _ATTRIBUTE.findall(rest)
    }
