"""What a document says and how it is built, in one form for GitHub's HTML and for each of our targets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from lxml import etree, html

from tests.markup_tools.reader import FILTERED, html_of
from tests.markup_tools.storage_format import AC, DECLARED, RI

BLOCKS = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "table", "tr", "th", "td", "pre", "hr"])  # fmt: skip
# What has another name in another target.
_SAME = {"b": "strong", "i": "em", "s": "del", "strike": "del", "ins": "u", "samp": "code", "kbd": "code", "tt": "code"}
_ALONE = frozenset({"img", "br", "hr"})
# What shows nothing by itself.
_BARE = frozenset(["html", "body", "span", "font", "thead", "tbody", "div", "section", "wbr", "picture", "source"])
_BOXES = {True: "☑ ", False: "☐ "}
# Confluence's tasks, as the list that they are.
_TASKS = {f"{AC}task-list": "ul", f"{AC}task": "li"}


def of_github(markdown: str) -> list[str]:
    """The outline of the document as GitHub's parser writes it."""
    return of_html(FILTERED.sub("&lt;", html_of(markdown)))


def of_html(markup: str) -> list[str]:
    """The outline of HTML."""
    return _tidy(_events(html.fragment_fromstring(f"<section>{markup}</section>")))


def of_storage(body: str) -> list[str]:
    """The outline of a page in storage format."""
    return _tidy(_events(etree.fromstring(f"<section {DECLARED}>{body}</section>".encode())))


def _events(root: etree._Element) -> Iterator[str]:
    """Tags between `‹` and `›`, and the words between them."""
    for event, element in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        if event in ("comment", "pi"):
            yield element.tail or ""
            continue
        shown = _shown(element)
        name = shown.partition(" ")[0]
        if event == "start":
            yield f"‹{shown}›" if shown else ""
            yield element.text or ""
        else:
            yield f"‹/{name}›" if shown and name not in _ALONE else ""
            yield (element.tail or "") if element is not root else ""


def _shown(element: etree._Element) -> str:
    """The element as it counts: its name, and where it leads or what it shows; empty where it is only a wrapping."""
    name = _SAME.get(element.tag, element.tag)
    if name in _BARE:
        return ""
    match name:
        case "input":
            element.text = _BOXES["checked" in element.attrib]
            return ""
        case _ if name in _TASKS:
            return _TASKS[name]
        case _ if name == f"{AC}task-id":
            element.text = ""
            return ""
        case _ if name == f"{AC}task-status":
            element.text = _BOXES[element.text == "complete"]
            return ""
        case "a":
            href = element.get("href")
            return "" if href is None else f"a {plain(href)}"
        case "img":
            return f"img {plain(element.get('src', ''))} {element.get('alt', '')}"
        case "ol":
            return "ol" + (f" {element.get('start')}" if element.get("start", "1") != "1" else "")
        case "td" | "th":
            side = element.get("align") or element.get("style", "").partition("text-align:")[2].strip(" ;")
            return f"{name} {side}".strip()
        case "code" if element.getparent() is not None and element.getparent().tag == "pre":
            return ""
        case _ if name == f"{AC}structured-macro":
            return "pre" if element.get(f"{AC}name") == "code" else f"macro {element.get(f'{AC}name')}"
        case _ if name == f"{AC}parameter":
            element.text = ""
            return ""
        case _ if name == f"{AC}link":
            return f"a #{element.get(f'{AC}anchor')}"
        case _ if name == f"{AC}image":
            return f"img {plain(element[0].get(f'{RI}value') or '')} {element.get(f'{AC}alt', '')}"
        case _ if name.startswith(("{ac}", "{ri}")):
            return ""
    return name


def plain(address: str) -> str:
    """The address without percent signs, and with no blank in it: targets differ in what they escape."""
    return re.sub(r"[\s\xa0]", "_", unquote(address))


def _tidy(events: Iterator[str]) -> list[str]:
    """Runs of words in one piece, blanks as one and none at the edges of blocks, no paragraph without words."""
    return joined(events)


def joined(events: Iterable[str]) -> list[str]:
    """The outline whose pieces these are."""
    pieces = [
        piece
        for piece in re.split(r"(‹[^›]*›)", re.sub(r"(‹br›)?\s+", r"\1 ", "".join(events)).replace("‹br› ", "‹br›"))
        if piece
    ]
    out: list[str] = []
    for at, piece in enumerate(pieces):
        words = piece
        if not piece.startswith("‹"):
            words = words.lstrip() if at == 0 or _is_block(pieces[at - 1]) else words
            words = words.rstrip() if at + 1 == len(pieces) or _is_block(pieces[at + 1]) else words
        if words == "‹/p›" and out and out[-1] == "‹p›":
            out.pop()
        elif words:
            out.append(words)
    return out


def _is_block(piece: str) -> bool:
    return piece.strip("‹/›").partition(" ")[0] in BLOCKS
