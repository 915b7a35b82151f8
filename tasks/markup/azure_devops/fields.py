"""Markdown to what a work item's form shows: sanitised HTML with borders, boxes and anchors, or cleaned Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import nh3

from tasks.markup import collector
from tasks.markup.azure_devops.allowed import allowed
from tasks.markup.azure_devops.elements import Elements
from tasks.markup.azure_devops.markdown import plainly, written
from tasks.markup.clean import xml_text
from tasks.markup.parser import front_matter
from tasks.markup.parser.parse import Parsed, parse, parse_document
from tasks.markup.parser.token import Token
from tasks.markup.relative import absolute
from tasks.markup.slugs import without_title
from tasks.markup.tags import TAGS

LONGEST = 1_000_000
MOST_WRITTEN_AGAIN = 200_000  # characters
PART = 500  # pieces, at least, that are written at once
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
ATTRIBUTES = {
    "*": {"id"},
    "a": {"href"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "pre": {"style"},
    "blockquote": {"style"},
    "td": {"style", "colspan", "rowspan"},
    "th": {"style", "colspan", "rowspan"},
    "table": {"border", "cellpadding", "cellspacing", "style"},
}
STYLES = {"text-align", "border", "border-collapse", "border-left", "padding", "background", "white-space", "margin"}
# After which a document may be cut; the sanitiser closes what is open there.
_BLOCK_ENDS = ("</p>", "</li>", "</tr>", "</pre>", *(f"</{name}>" for name in HEADINGS))
# The sanitiser's time grows with the square of the ampersands in one text: it gets a character that no text holds.
# From where a text begins, or a shorter one is tried from each of its letters.
_LONG_TEXT = re.compile(r"(?<![^<>])[^<>]{10000,}+")
_AMPERSAND = re.compile(r"&(?:amp;|(?![#A-Za-z]))")
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")
# A first heading, and what may stand above it: comments, and the place of the table of contents.
_HEADING = re.compile(
    r"((?:\s|<!--.*?-->|\[\[?_?TOC_?\]\]?)*+)"
    r"(?:#{1,6}(?:[ \t][^\n]*)?(?:\n|\Z)|(?:[^\n]+\n)+? {0,3}(?:=+|-+)[ \t]*(?:\n|\Z))",
    re.DOTALL | re.IGNORECASE,
)
_STAND_IN = "\x01"


@collector.put_off()
def render(
    markdown: str | Parsed, limit: int = LONGEST, pointer: str = "", *, title: str = "", link_base: str | None = None
) -> str:
    """The document as HTML that Azure DevOps keeps as it is; no script, style sheet or event attribute passes.

    Beyond `limit` characters it ends at a paragraph, item or row, with `pointer` (where the whole is) below. A first
    heading that says the same as `title` is left out. Relative links and images lead to `link_base`.
    """
    tail = f"<p>{html.escape(pointer)}</p>" if pointer else ""
    return _fitting(
        _enough(absolute(without_title(parse(markdown), title), link_base), limit), _sanitised, _BLOCK_ENDS, limit, tail
    )


@collector.put_off()
def render_markdown(
    markdown: str, limit: int = LONGEST, pointer: str = "", *, title: str = "", link_base: str | None = None
) -> str:
    """The document as Markdown, for fields that are set to it: without front matter and control characters.

    It is written again in one form, which reads as what the author wrote; a long document, or one of which that isn't sure,
    stays as it was written. Words stand for what a field may not hold; where these can't be written in that form, the
    document is its words alone. `title` and `link_base` are as for `render`.
    """
    document = parse_document(markdown)
    read = absolute(without_title(document.tokens, title), link_base)
    tokens = allowed(read)
    own = tokens is read and not document.as_typed
    text = written(tokens, exactly=own) if len(markdown) <= MOST_WRITTEN_AGAIN or not own else None
    if text is None:
        is_titled = len(read) < len(document.tokens)
        text = _clean_markdown(markdown, is_titled=is_titled) if own else plainly(tokens)
    return _fitting(text, lambda part: part.rstrip("\n"), ("\n\n",), limit, f"\n\n{pointer}" if pointer else "")


def _fitting(text: str, shown: Callable[[str], str], ends: Sequence[str], limit: int, tail: str) -> str:
    """What is shown of the text, or of as much as fits with the tail below, up to one of the ends or to a word's."""
    rendered = shown(text)
    while len(rendered) > limit and text:
        room = max(limit - len(tail), 0)
        keep = min(int(len(text) * room / len(rendered) * 0.98), len(text) - 1)
        text = text[: _last_end(text, ends, keep)]
        rendered = shown(text) + tail
    return rendered


def _last_end(text: str, ends: Sequence[str], keep: int) -> int:
    half = keep // 2
    found = [at + len(end) for end in ends if (at := text.rfind(end, half, keep)) >= 0]
    return max(found) if found else max(text.rfind(" ", half, keep), 0) or keep


def _clean_markdown(markdown: str, *, is_titled: bool) -> str:
    """The document as its author wrote it; without its first heading where that is its title's."""
    text = xml_text(markdown).replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    text = _BLANK_LINES.sub("", front_matter.split(text).rest).rstrip("\n")
    heading = _HEADING.match(text) if is_titled else None
    return _BLANK_LINES.sub("", f"{heading[1]}{text[heading.end() :]}") if heading else text


def _enough(tokens: Sequence[Token], limit: int) -> str:
    """The document as HTML that is yet to be sanitised; of one that is far too long, no more of it than will be kept."""
    written: list[str] = []
    length, wanted = 0, 2 * limit
    for part in _parts(tokens):
        written.append(part)
        length += len(part)
        if length > wanted:
            if len(_sanitised("".join(written))) > limit:
                break
            wanted = 2 * length
    return "".join(written)


def _parts(tokens: Sequence[Token]) -> Iterator[str]:
    """The document as HTML, some elements at a time."""
    written: list[str] = []
    for piece, ends in Elements(tokens).pieces():
        written.append(piece)
        if ends and len(written) >= PART:
            yield "".join(written)
            written = []
    yield "".join(written)


@lru_cache(maxsize=1)
def _cleaner() -> nh3.Cleaner:
    """The sanitiser; to make one takes as long as to clean 4 kB."""
    return nh3.Cleaner(
        tags={*TAGS} - {"details", "summary"},
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        filter_style_properties=STYLES,
        link_rel=None,
    )


def _sanitised(written: str) -> str:
    """The HTML with nothing but what a form may show; what it leaves open is closed."""
    quick = _LONG_TEXT.sub(lambda text: _AMPERSAND.sub(_STAND_IN, text.group()), written)
    kept = _cleaner().clean(quick)
    return xml_text(kept.replace(_STAND_IN, "" if quick == written else "&amp;")).strip()
