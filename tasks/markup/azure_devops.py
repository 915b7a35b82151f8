"""Markdown to the HTML that a work item's form shows: sanitised, tables with borders, tasks as check boxes."""

from __future__ import annotations

import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from tasks.markup.parse import parse
from tasks.markup.raw_html import PIECE, TAGS, without_comments

ATTRIBUTES = {
    "a": {"href"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "td": {"style"},
    "th": {"style"},
    "table": {"border", "cellpadding", "cellspacing"},
}
_TABLE = '<table border="1" cellpadding="4" cellspacing="0">'


@lru_cache(maxsize=1)
def _renderer() -> tuple[RendererHTML, MarkdownIt]:
    parser = MarkdownIt("commonmark")
    return RendererHTML(parser), parser


def render(markdown: str) -> str:
    """The document as HTML that Azure DevOps keeps as it is; no script, style or event attribute passes."""
    tokens = [token for token in parse(markdown) if token.type != "front_matter"]
    for token in tokens:
        _adapt(token)
    renderer, parser = _renderer()
    html = renderer.render(tokens, parser.options, {}).replace("<table>", _TABLE)
    return nh3.clean(
        html, tags=set(TAGS), attributes=ATTRIBUTES, url_schemes={"http", "https", "mailto"}, link_rel=None
    ).strip()


def _adapt(token: Token) -> None:
    if token.type == "list_item_open" and "checked" in token.meta:
        token.attrs.pop("class", None)
    if token.type == "html_block":
        token.content = PIECE.sub(_shown, without_comments(token.content))
    if token.type.startswith(("math_block", "math_inline")):
        token.type, token.tag = "code_block", "code"
    for child in token.children or []:
        if child.type == "html_inline":
            child.content = PIECE.sub(_shown, without_comments(child.content))
        elif child.type.startswith("math_inline"):
            child.type, child.tag = "code_inline", "code"
        elif child.type == "footnote_ref":
            child.type, child.content = "text", f"[{int(child.meta['id']) + 1}]"
    if token.type in (
        "footnote_block_open",
        "footnote_block_close",
        "footnote_open",
        "footnote_close",
        "footnote_anchor",
    ):
        token.type, token.tag, token.hidden = "text", "", True
        token.content = ""


def _shown(found: re.Match[str]) -> str:
    """A tag of the allow-list as it is, any other as the text it is."""
    return (
        found.group()
        if found.group("name").lower() in TAGS
        else found.group().replace("<", "&lt;").replace(">", "&gt;")
    )
