"""Reading storage format as a server gave it: pieces, visible text, what a person would call a change.

A piece is a tag, a CDATA section or a run of text, kept as it was written, so that whatever isn't touched goes back byte
for byte. Servers add attributes of their own and split or join nothing that a reader sees; comparisons look past those.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

MARKER = "ac:inline-comment-marker"
LINKS_ANCHOR = "afterword-links"
BLOCKS = frozenset(
    "p h1 h2 h3 h4 h5 h6 li ul ol dl dt dd td th tr table tbody thead blockquote pre div hr br ac:task ac:task-list "  # noqa: SIM905
    "ac:task-body ac:structured-macro ac:rich-text-body ac:plain-text-body ac:layout ac:layout-section ac:layout-cell "
    "ac:image".split()
)
# Text in these is no reader's: a comment can't stand on it, and a change of it is one of the element around it.
HIDDEN = frozenset({"ac:parameter", "ac:task-id", "ac:task-uuid", "ac:task-status", "ac:placeholder"})
_PIECE = re.compile(
    r"<!\[CDATA\[(?P<cdata>.*?)\]\]>|<!--.*?-->"
    r"|<(?P<end>/?)(?P<name>[A-Za-z][\w:.-]*)(?P<attributes>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?)(?P<empty>/?)>"
    r"|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_UNCOUNTED_EARLIER = frozenset({"ac:task-id", "ac:task-uuid", "tbody", "span", "br"})
_UNCOUNTED = _UNCOUNTED_EARLIER | {"thead", "tfoot", "colgroup", "col"}
# In which an editor puts words into paragraphs, or takes them out.
_CELLS = frozenset({"td", "th", "li", "ac:task-body"})
# Widths that an editor adds to macros.
_WIDTHS = frozenset({"breakoutMode", "breakoutWidth"})
_LINK_BODIES = ("ac:plain-text-link-body", "ac:link-body")
_TELLING = frozenset({"href", "ac:name", "ac:anchor", "colspan", "rowspan", "start"})


class Piece(NamedTuple):
    """One piece. `name` is the element's for a tag; `text` is what a text or CDATA piece says, decoded."""

    kind: Literal["open", "close", "empty", "text", "cdata", "comment"]
    raw: str
    name: str = ""
    text: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """A tag's attributes, decoded."""
        if "=" not in self.raw:
            return {}
        return {name: html.unescape(a or b) for name, a, b in _ATTRIBUTE.findall(self.raw)}


_SPACE = Piece("text", " ", text=" ")


def pieces(storage: str) -> list[Piece]:
    """The storage format, piece by piece; their `raw` joined is the input again."""
    return list(_pieces(storage))


def _pieces(storage: str) -> Iterator[Piece]:
    for match in _PIECE.finditer(storage):
        raw = match.group()
        if match["name"]:
            kind: Literal["open", "close", "empty"] = "close" if match["end"] else "empty" if match["empty"] else "open"
            yield Piece(kind, raw, match["name"])
        elif match["text"] is not None:
            yield Piece("text", raw, text=html.unescape(raw))
        elif match["cdata"] is not None:
            yield Piece("cdata", raw, text=match["cdata"])
        else:
            yield Piece("comment", raw)


def joined(parts: Sequence[Piece]) -> str:
    """Pieces as storage format."""
    return "".join(part.raw for part in parts)


def end_of(parts: Sequence[Piece], start: int) -> int:
    """The place behind the element that opens at `start`."""
    depth = 0
    for place in range(start, len(parts)):
        depth += {"open": 1, "close": -1}.get(parts[place].kind, 0)
        if depth == 0:
            return place + 1
    return len(parts)


def without_markers(storage: str) -> str:
    """The body without inline comment markers; the text in them stays."""
    return joined([part for part in pieces(storage) if part.name != MARKER]) if MARKER in storage else storage


# -- the block of links ----------------------------------------------------------------------------------------------


def split_links(storage: str) -> tuple[str, str]:
    """The body without our block of links, and that block (empty where there is none).

    The block is the outermost panel that holds the anchor `afterword-links`, whatever the server added to it.
    """
    if LINKS_ANCHOR not in storage:
        return storage, ""
    parts = pieces(storage)
    place = 0
    while place < len(parts):
        part = parts[place]
        if part.kind == "open" and part.name == "ac:structured-macro" and part.attributes.get("ac:name") == "panel":
            end = end_of(parts, place)
            if any(inner.text.strip() == LINKS_ANCHOR for inner in parts[place:end]):
                return joined(parts[:place]) + joined(parts[end:]), joined(parts[place:end])
        place += 1
    return storage, ""


# -- what a person would call a change -------------------------------------------------------------------------------


def fingerprint(storage: str, *, earlier: bool = False) -> str:
    """A hash of what a reader sees: comment markers, our block of links, ids, spaces and what an editor's save adds don't
    count. `earlier` gives the hash of the versions up to 0.2.0, to which what an editor adds was a change.
    """
    seen = hashlib.sha256()
    hidden: list[str] = []
    words: list[str] = []
    parts = pieces(split_links(storage)[0])
    uncounted = _UNCOUNTED_EARLIER
    if not earlier:
        parts, uncounted = _without_editors_paragraphs(_without_widths(parts)), _UNCOUNTED

    def flush() -> None:
        text = " ".join("".join(words).split())
        words.clear()
        if text:
            seen.update(b"\x00" + text.encode("utf-8", "replace"))

    for part in parts:
        if part.kind in ("text", "cdata"):
            if not hidden or hidden[-1] in ("ac:parameter", "ac:task-status"):
                words.append(part.text)
            continue
        if part.name in ("", MARKER):
            continue
        if part.name in HIDDEN and part.kind != "empty":
            hidden.append(part.name) if part.kind == "open" else hidden and hidden.pop()
        if part.name in uncounted:
            if part.name == "br":
                words.append(" ")
            continue
        flush()
        name = part.name if earlier or part.name not in _LINK_BODIES else _LINK_BODIES[1]
        seen.update(f"\x01{'/' * (part.kind == 'close')}{name}".encode())
        if part.kind == "empty":
            seen.update(f"\x01/{part.name}".encode())
        if part.kind != "close":
            facts = [(k, v) for k, v in part.attributes.items() if k in _TELLING or k.startswith("ri:")]
            if not earlier and part.name == "ol":
                facts = [fact for fact in facts if fact != ("start", "1")]
            seen.update(repr(sorted((k, v) for k, v in facts if k != "ri:version-at-save")).encode("utf-8", "replace"))
    flush()
    return seen.hexdigest()[:32]


def _without_widths(parts: Sequence[Piece]) -> list[Piece]:
    """The pieces without the parameters that give a macro's width on the page."""
    kept: list[Piece] = []
    place = 0
    while place < len(parts):
        part = parts[place]
        if part.name == "ac:parameter" and part.kind == "open" and part.attributes.get("ac:name") in _WIDTHS:
            place = end_of(parts, place)
        else:
            kept.append(part)
            place += 1
    return kept


def _without_editors_paragraphs(parts: Sequence[Piece]) -> list[Piece]:
    """The pieces without paragraphs in cells and items, and without empty ones."""
    kept: list[Piece] = []
    cells = 0
    for part in parts:
        if part.name in _CELLS:
            cells += {"open": 1, "close": -1}.get(part.kind, 0)
        if part.name != "p":
            kept.append(part)
        elif cells > 0:
            kept.append(_SPACE)
        elif part.kind == "close" and kept:
            last = len(kept) - 1
            while last > 0 and (kept[last].name == "br" or (kept[last].kind == "text" and not kept[last].text.strip())):
                last -= 1
            if kept[last].name == "p" and kept[last].kind == "open":
                del kept[last:]
            else:
                kept.append(part)
        elif part.kind == "open":
            kept.append(part)
    return kept


# -- text by lines, for people ---------------------------------------------------------------------------------------

_PREFIX = {f"h{level}": "#" * level + " " for level in range(1, 7)} | {"li": "- ", "blockquote": "> ", "hr": "---"}


def lines_of(storage: str) -> list[str]:
    """The body as lines of plain text, one a block: headings with `#`, items with `-`, cells with `|`."""
    found: list[str] = []
    words: list[str] = []
    prefix, hidden, row = "", 0, 0

    def flush() -> None:
        nonlocal prefix
        text = " ".join("".join(words).split())
        words.clear()
        if text:
            found.append(prefix + text)
            prefix = " " * len(prefix) if prefix.startswith("-") else ""

    for part in pieces(split_links(without_markers(storage))[0]):
        if part.kind == "cdata":
            flush()
            found.extend("    " + line for line in part.text.split("\n"))
        elif part.kind == "text":
            words.append("" if hidden else part.text)
            prefix = "- [x] " if hidden and prefix == "- [ ] " and part.text.strip() == "complete" else prefix
        elif part.name in HIDDEN:
            hidden = max(hidden + {"open": 1, "close": -1}.get(part.kind, 0), 0)
        elif part.name == "tr":
            flush()
            row += 1 if part.kind == "open" else -1
            prefix = ""
        elif part.name in ("td", "th"):
            if part.kind == "open":
                words.append("| ")
            elif part.kind == "close":
                words.append(" ")
        elif part.name == "ac:task" and part.kind == "open":
            flush()
            prefix = "- [ ] "
        elif part.name in BLOCKS and row == 0:
            flush()
            if part.kind != "close":
                prefix = _PREFIX.get(part.name, prefix if part.name in ("p", "ac:task-body") else "")
                if part.name == "hr":
                    words.append(" ")
                    found.append("---")
                    prefix = ""
        elif part.name in ("p", "br", "li") and row:
            words.append(" ")
        elif part.name in ("ri:attachment", "ri:url") and not hidden:
            name = part.attributes.get("ri:filename") or part.attributes.get("ri:value") or ""
            words.append(f" [image {name}] ")
    flush()
    return found
