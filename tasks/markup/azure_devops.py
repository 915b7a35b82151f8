"""Markdown to what a work item's form shows: sanitised HTML with borders, boxes and anchors, or cleaned Markdown."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from tasks.markup import collector
from tasks.markup.clean import xml_text
from tasks.markup.parser import front_matter
from tasks.markup.parser.emoji_names import with_emoji
from tasks.markup.parser.parse import parse
from tasks.markup.slugs import heading_text, slugs_of
from tasks.markup.tags import DEEPEST_RAW, PIECE, TAGS, without_comments

LONGEST = 1_000_000
PART = 500  # tokens, at least, that are rendered at once
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
ATTRIBUTES = {
    "a": {"href"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "pre": {"style"},
    "blockquote": {"style"},
    "td": {"style", "colspan", "rowspan"},
    "th": {"style", "colspan", "rowspan"},
    "table": {"border", "cellpadding", "cellspacing", "style"},
    **{name: {"id"} for name in (*HEADINGS, "li", "sup")},
}
STYLES = {"text-align", "border", "border-collapse", "border-left", "padding", "background", "white-space", "margin"}
_TABLE = '<table border="1" cellpadding="4" cellspacing="0" style="border-collapse:collapse">'
_CODE = '<pre style="background:#f4f5f7;padding:8px;white-space:pre-wrap"><code'
_QUOTE = '<blockquote style="border-left:3px solid #c1c7d0;padding:0 8px;margin:8px 0">'
# After which a document may be cut; the sanitiser closes what is open there.
_BLOCK_ENDS = ("</p>", "</li>", "</tr>", "</pre>", *(f"</{name}>" for name in HEADINGS))
# The sanitiser's time grows with the square of the ampersands in one text: it gets a character that no text holds.
# From where a text begins, or a shorter one is tried from each of its letters.
_LONG_TEXT = re.compile(r"(?<![^<>])[^<>]{10000,}+")
_AMPERSAND = re.compile(r"&(?:amp;|(?![#A-Za-z]))")
_STAND_IN = "\x01"
_SAFE = re.compile(r"(?:https?://|mailto:)\S+", re.IGNORECASE)
_SHOWN = {"details": "div", "summary": "p"}
# Tags that have no end, or whose end nobody has to write.
_CLOSED_BY_OTHERS = frozenset((
    "br", "hr", "img", "wbr", "col", "source", "p", "li", "tr", "td", "th", "thead", "tbody", "tfoot", "dt", "dd", "caption",
    "colgroup", "rb", "rt", "rp",
))  # fmt: skip


@lru_cache(maxsize=1)
def _renderer() -> tuple[RendererHTML, MarkdownIt]:
    parser = MarkdownIt("commonmark")
    return RendererHTML(parser), parser


@collector.put_off()
def render(markdown: str, limit: int = LONGEST, pointer: str = "") -> str:
    """The document as HTML that Azure DevOps keeps as it is; no script, style sheet or event attribute passes.

    Beyond `limit` characters it ends at a paragraph, item or row, with `pointer` (where the whole is) below.
    """
    tail = f"<p>{html.escape(pointer)}</p>" if pointer else ""
    return _fitting(_enough(markdown, limit), _sanitised, _BLOCK_ENDS, limit, tail)


def render_markdown(markdown: str, limit: int = LONGEST, pointer: str = "") -> str:
    """The document as Markdown, for fields that are set to it: without front matter, comments and control characters."""
    return _fitting(_clean_markdown(markdown), str.rstrip, ("\n\n",), limit, f"\n\n{pointer}" if pointer else "")


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


def _clean_markdown(markdown: str) -> str:
    _, text = front_matter.split(xml_text(markdown).replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"))
    return text.strip()


def _enough(markdown: str, limit: int) -> str:
    """The document as HTML that is yet to be sanitised; of one that is far too long, no more of it than will be kept."""
    written: list[str] = []
    length, wanted = 0, 2 * limit
    for part in _parts(markdown):
        written.append(part)
        length += len(part)
        if length > wanted:
            if len(_sanitised("".join(written))) > limit:
                break
            wanted = 2 * length
    return "".join(written)


def _parts(markdown: str) -> Iterator[str]:
    """The document as HTML, some elements at a time."""
    tokens = [token for token in parse(markdown) if token.type != "front_matter"]
    slugs = slugs_of(tokens)
    tags = _Tags()
    renderer, parser = _renderer()
    start = 0
    for index, token in enumerate(tokens):
        if index in slugs:
            token.attrSet("id", slugs[index])
        _adapt(token, tokens, index, tags)
        ends = token.nesting <= 0 and token.type != "inline" and not token.hidden and index - start >= PART
        if ends or index + 1 == len(tokens):
            written = renderer.render(tokens[start : index + 1], parser.options, {})
            for plain, styled in (("<table>", _TABLE), ("<pre><code", _CODE), ("<blockquote>", _QUOTE)):
                written = written.replace(plain, styled)
            yield written
            start = index + 1


def _sanitised(written: str) -> str:
    """The HTML with nothing but what a form may show; what it leaves open is closed."""
    quick = _LONG_TEXT.sub(lambda text: _AMPERSAND.sub(_STAND_IN, text.group()), written)
    kept = nh3.clean(
        quick,
        tags={*TAGS} - {"details", "summary"},
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        filter_style_properties=STYLES,
        link_rel=None,
    )
    return kept.replace(_STAND_IN, "" if quick == written else "&amp;").strip()


def _adapt(token: Token, tokens: list[Token], index: int, tags: _Tags) -> None:
    """Turn a token into one that HTML alone can say."""
    match token.type:
        case "list_item_open":
            if "checked" in token.meta:
                _before_words(
                    (tokens[later] for later in range(index, len(tokens))), "☑ " if token.meta["checked"] else "☐ "
                )
                token.meta = {}
            token.attrs = {}
        case "bullet_list_open" | "ordered_list_open":
            token.attrs.pop("class", None)
        case "alert_open" | "admonition_open":
            token.type, token.tag, token.attrs = "blockquote_open", "blockquote", {}
        case "alert_close" | "admonition_close":
            token.type, token.tag = "blockquote_close", "blockquote"
        case "alert_title_open" | "admonition_title_open":
            token.type, token.attrs = "paragraph_open", {}
            title = html.escape(heading_text(tokens[index + 1]))
            tokens[index + 1].children = [Token("html_inline", "", 0, content=f"<strong>{title}</strong>")]
        case "alert_title_close" | "admonition_title_close":
            token.type = "paragraph_close"
        case "html_block":
            token.content = tags.shown(token.content)
        case "math_block":
            token.type, token.tag = "code_block", "code"
        case "footnote_block_open":
            _become_html(token, "<hr>\n<ol>\n")
        case "footnote_block_close":
            _become_html(token, "</ol>\n")
        case "footnote_open":
            _become_html(token, f'<li id="footnote-{int(token.meta["id"]) + 1}">')
        case "footnote_close":
            _become_html(token, "</li>\n")
        case "stray_note_open":
            _become_html(token, f"<p>[{html.escape(str(token.meta['label']))}]</p>\n")
        case "stray_note_close":
            _become_html(token, "")
        case "footnote_anchor":
            _become_html(token, _back(token))
        case "inline":
            _adapt_inline(token.children or [], tags)


def _become_html(token: Token, markup: str) -> None:
    token.type, token.tag, token.nesting, token.content = "html_block", "", 0, markup


def _before_words(tokens: Iterable[Token], mark: str) -> None:
    for token in tokens:
        if token.type == "inline":
            token.children = [Token("text", "", 0, content=mark), *(token.children or [])]
            return
        if token.type == "list_item_close":
            return


def _adapt_inline(children: list[Token], tags: _Tags) -> None:
    unlinked: list[str | None] = []
    for child in children:
        match child.type:
            case "text":
                child.content = with_emoji(child.content)
            case "html_inline":
                child.content = tags.shown(child.content)
            case "math_inline" | "math_inline_double":
                child.type, child.tag = "code_inline", "code"
            case "footnote_ref":
                number = int(child.meta["id"]) + 1
                markup = f'<sup id="{_reference(child)}"><a href="#footnote-{number}">{number}</a></sup>'
                child.type, child.content = "html_inline", markup
            case "footnote_anchor":
                child.type, child.content = "html_inline", _back(child)
            case "link_open":
                href = str(child.attrs.get("href", ""))
                fine = bool(_SAFE.fullmatch(href)) or href.startswith("#")
                unlinked.append(None if fine or child.info == "auto" else href)
            case "link_close":
                target = unlinked.pop() if unlinked else None
                if target is not None:
                    child.type, child.nesting = "html_inline", 0
                    child.content = f"</a> ({html.escape(target)})"
            case "image" if not _SAFE.fullmatch(str(child.attrs.get("src", ""))):
                child.type, child.content = "text", heading_text(child) or child.content


def _reference(token: Token) -> str:
    return f"footnote-ref-{int(token.meta['id']) + 1}" + (f"-{token.meta['subId']}" if token.meta.get("subId") else "")


def _back(token: Token) -> str:
    return f' <a href="#{_reference(token)}">↩</a>'


class _Tags:
    """Raw tags as a form shows them: one of the allow-list as it is, any other as the text it is, and so what is nested deeper
    than anybody reads. The sanitiser's time grows with the square of the depth.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def shown(self, source: str) -> str:
        """A piece of raw HTML without its comments."""
        return PIECE.sub(self._one, without_comments(source))

    def _one(self, found: re.Match[str]) -> str:
        name = found.group("name").lower()
        if name not in TAGS:
            return html.escape(found.group(), quote=False)
        tag = _SHOWN.get(name, name)
        if tag not in _CLOSED_BY_OTHERS:
            if not found.group("close"):
                if self._open.total() >= DEEPEST_RAW:
                    return html.escape(found.group(), quote=False)
                self._open[tag] += 1
            elif self._open[tag]:
                self._open[tag] -= 1
        return found.group() if tag == name else f"<{found.group('close')}{tag}>"
