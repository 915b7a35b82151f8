"""Pages that show what was delivered: Confluence's from their storage format, work items' through an allow-list.

Nothing on a page is taken on trust: text is escaped, bodies come from `worker.display`, and the policy allows one style
sheet, by its hash, pictures of our own, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Any
from urllib.parse import quote

from tasks.markup import azure_devops
from tasks.markup.confluence import viewer
from worker.display import as_html

BASE_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#172b4d;background:#fff}
table{border-collapse:collapse;margin:.5rem 0;max-width:100%}td,th{border:1px solid #c1c7d0;padding:.3rem .6rem;vertical-align:top;text-align:left}
th{background:#f4f5f7}pre{background:#f4f5f7;padding:.8rem;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}
blockquote{border-left:4px solid #c1c7d0;margin:.5rem 0;padding:.2rem 1rem}code{background:#f4f5f7}a{color:#0052cc}
dt{font-weight:600}dd{margin:0 0 .4rem;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#dfe1e6;background:#1d2125}th,pre,code{background:#2c333a}a{color:#85b8ff}}
"""
STYLE = BASE_STYLE + viewer.STYLE
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FILE_HEADERS = HEADERS | {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
PICTURES = frozenset(["image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"])
NAMES = {"confluence": "Confluence", "servicenow": "ServiceNow", "azure_devops": "Azure DevOps", "jira": "Jira"}
FACTS = ("kind", "number", "space", "project", "parent", "status", "priority", "key", "labels", "tags", "attachments")


def overview(objects: list[dict[str, Any]], faults: list[dict[str, Any]]) -> str:
    """All that was delivered, and the faults in force."""
    rows = "".join(
        f"<tr><td>{html.escape(NAMES[o['vendor']])}</td><td><a href='{html.escape(o['url'])}'>{html.escape(str(o['title']))}</a>"
        f"</td><td>{html.escape(str(o.get('number') or o['id']))}</td><td>{o['version']}</td></tr>"
        for o in objects
    )
    table = (
        f"<table><tr><th>System<th>Title<th>Number<th>Version</tr>{rows}</table>"
        if rows
        else "<p>Nothing was delivered yet.</p>"
    )
    broken = "".join(f"<li>{html.escape(str(f['fault']))}, {html.escape(str(f['vendor']))}</li>" for f in faults)
    return _document("Afterword sandbox", table + (f"<h2>Faults in force</h2><ul>{broken}</ul>" if broken else ""))


def detail(item: dict[str, Any]) -> str:
    """One object: its facts, its body and its journal."""
    facts = "".join(
        f"<dt>{name}</dt><dd>{html.escape(', '.join(value) if isinstance(value, list) else str(value))}</dd>"
        for name in FACTS
        if (value := item.get(name))
    )
    links = "".join(f"<dt>link</dt><dd>{_link(url)}</dd>" for url in item.get("links", []))
    journal = "".join(
        f"<h3>{html.escape(e['field'])}</h3><pre>{html.escape(e['text'])}</pre>" for e in item.get("journal", [])
    )
    where = f"<p><a href='/'>All objects</a> · {NAMES[item['vendor']]} · version {item['version']}</p>"
    return _document(str(item["title"]), f"{where}{_body(item)}{journal}<hr><dl>{facts}{links}</dl>")


def _link(url: str) -> str:
    shown = html.escape(url)
    return f'<a href="{shown}">{shown}</a>' if url.startswith(("http://", "https://")) else shown


def nothing() -> str:
    """The page of what isn't there."""
    return _document("Not here", "<p>There is nothing of that id. <a href='/'>All objects</a></p>")


def _body(item: dict[str, Any]) -> str:
    text = str(item["body"])
    if item.get("format") == "markdown":
        text = azure_devops.render(text)
    return as_html(item["vendor"], text, lambda name: _file_address(item, name))


def _file_address(item: dict[str, Any], name: str) -> str | None:
    if name not in item.get("attachments", ()):
        return None
    return f"/_sandbox/files/{quote(str(item['id']), safe='')}/{quote(name, safe='')}"


def _document(title: str, body: str) -> str:
    name = html.escape(title)
    return (
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{name}</title><style>{STYLE}</style></head><body><h1>{name}</h1>{body}</body></html>"
    )
