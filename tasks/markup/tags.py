"""HTML tags in Markdown: how they are found, which ones are known, and what their names stand for."""

from __future__ import annotations

import html
import re

PIECE = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9-]*)"
    r"(?P<rest>(?:\s+[^\s\"'<>/=]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+))?)*\s*/?)>"
)
_ATTRIBUTE = re.compile(r"([A-Za-z][A-Za-z-]{0,40})\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+))")
# A link's or image's address within a tag.
ADDRESSES = re.compile(r"(?<=\s)(href|src)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+))", re.IGNORECASE)

# A piece of raw HTML that is no prose, and is shown as code: a program, an instruction or a declaration, and nothing behind its end.
PROGRAM = re.compile(
    r"\s*<(?:(?:script|style|textarea|xmp)\b(?:(?!</(?:script|style|textarea|xmp)\b).)*(?:</\w+\s*>|\Z)|\?.*\?>|!(?!--).*>)\s*\Z",
    re.IGNORECASE | re.DOTALL,
)

DEEPEST_RAW = 120  # elements that raw HTML may open within each other: XML parsers refuse documents more than 256 deep


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MARKS = {
    "b": "strong",
    "strong": "strong",
    "i": "em",
    "em": "em",
    "cite": "em",
    "var": "em",
    "dfn": "em",
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
}
BLOCKS = _names("table thead tbody tfoot tr td th ul ol li blockquote p pre h1 h2 h3 h4 h5 h6 details summary")
# Their tags go, their content stays; the first end a paragraph.
BOXES = _names(
    "div center section article main header footer nav aside address figure figcaption caption dl dt dd hgroup"
)
BARE = _names("span font picture source wbr mark abbr colgroup col bdi bdo big q time data label ruby rb rt rp")
TAGS = frozenset({*BLOCKS, *MARKS, *BOXES, *BARE, "a", "br", "hr", "img"})


def without_comments(source: str) -> str:
    """The source without its HTML comments; one that never ends stays, as text."""
    if "<!--" not in source:
        return source
    kept: list[str] = []
    position = searched = 0
    while (start := source.find("<!--", searched)) >= 0:
        if source.startswith(("<!-->", "<!--->"), start):
            end = source.find(">", start)
        else:
            end = source.find("-->", start + 4)
            end = end + 2 if end >= 0 else -1
        if end < 0:
            break
        searched = end + 1
        if not _makes_a_tag(source, position, start, searched):
            kept.append(source[position:start])
            position = searched
    return "".join(kept) + source[position:]


_TAG_ENDS = re.compile(r"[^<>]*>")


def _makes_a_tag(source: str, position: int, start: int, end: int) -> bool:
    """Whether what stands around a comment would be a tag without it, as in `<ta<!-- -->ble>`; a browser sees no comment there."""
    opened = source.rfind("<", position, start)
    if opened < 0 or not source[opened + 1 : opened + 2].isalpha() or source.find(">", opened, start) >= 0:
        return False
    return _TAG_ENDS.match(source, end) is not None


# What any element may have in HTML, and what those that are shown may have beside it.
_ATTRIBUTES = _names(
    "id class style title name href src srcset sizes alt width height align valign colspan rowspan span start type value "
    "open reversed lang dir hidden datetime cite rel target download media color face size border cellpadding "
    "cellspacing bgcolor loading decoding scope headers abbr summary role tabindex for label noshade nowrap clear"
)
_NAME_ALONE = re.compile(r"\s([^\s\"'<>/=]+)(?=[\s/]|\Z)(?!\s*=)")


def may_have(rest: str) -> bool:
    """Whether what stands behind a tag's name is attributes: names alone are only those that HTML knows."""
    bare = _NAME_ALONE.findall(_ATTRIBUTE.sub(" ", rest))
    return all(name.lower() in _ATTRIBUTES or name.lower().startswith(("data-", "aria-", "on")) for name in bare)


def attributes_of(rest: str) -> dict[str, str]:
    """A tag's attributes, the first of each name."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(rest):
        found.setdefault(name.lower(), html.unescape(double or single or bare))
    return found
