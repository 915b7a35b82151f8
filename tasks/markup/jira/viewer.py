"""Shows a document in Atlassian's format as HTML, for previews: element by element, with every text escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping

from tasks.markup.addresses import may_be_linked
from tasks.markup.jira.adf import Node

_SAME = {
    "paragraph": "p",
    "bulletList": "ul",
    "listItem": "li",
    "blockquote": "blockquote",
    "tableRow": "tr",
    "tableHeader": "th",
    "tableCell": "td",
    "table": "table",
}
_MARKS: Mapping[str, str] = {"strong": "strong", "em": "em", "strike": "del", "code": "code", "underline": "u"}
_RAISED: Mapping[str, str] = {"sub": "sub", "sup": "sup"}
# Panels by the class that they have in a page's style.
_PANELS: Mapping[str, str] = {"info": "info", "note": "info", "success": "tip", "warning": "note", "error": "warning"}


def to_html(document: Node) -> str:
    """The document as an HTML fragment."""
    return f'<div class="page">{_inside(document)}</div>'


def _inside(node: Node) -> str:
    return "".join(map(_one, node.get("content", ())))


def _one(node: Node) -> str:
    kind, attrs = node["type"], node.get("attrs", {})
    match kind:
        case "text":
            return _text(node)
        case "hardBreak":
            return "<br>"
        case "rule":
            return "<hr>"
        case "heading":
            return f"<h{int(attrs['level'])}>{_inside(node)}</h{int(attrs['level'])}>"
        case "orderedList":
            return f'<ol start="{int(attrs.get("order", 1))}">{_inside(node)}</ol>'
        case "codeBlock":
            return f"<pre><code>{_inside(node)}</code></pre>"
        case "panel":
            return f'<aside class="{_PANELS.get(attrs.get("panelType", ""), "info")}">{_inside(node)}</aside>'
        case "expand":
            title = html.escape(attrs.get("title") or "…")
            return f"<details open><summary>{title}</summary>{_inside(node)}</details>"
    tag = _SAME.get(kind)
    return f"<{tag}>{_inside(node)}</{tag}>" if tag else _inside(node)


def _text(node: Node) -> str:
    shown = html.escape(node["text"])
    for mark in node.get("marks", ()):
        href = mark.get("attrs", {}).get("href", "")
        if mark["type"] == "link" and may_be_linked(href):
            shown = f'<a href="{html.escape(href)}" rel="noopener noreferrer">{shown}</a>'
        elif tag := _MARKS.get(mark["type"]) or _RAISED.get(mark.get("attrs", {}).get("type", "")):
            shown = f"<{tag}>{shown}</{tag}>"
    return shown
