"""Pages that show what was delivered. Bodies pass an allow-list; storage-format macros become boxes."""

from __future__ import annotations

import html
import re
from typing import Any

import nh3

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#172b4d;background:#fff}
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #c1c7d0;padding:.3rem .6rem;vertical-align:top}
th{background:#f4f5f7;text-align:left}pre{background:#f4f5f7;padding:.8rem;overflow:auto;white-space:pre-wrap}
blockquote{border-left:4px solid #c1c7d0;margin:.5rem 0;padding:.2rem 1rem}.panel{background:#e9f2ff;padding:.2rem 1rem}
code{background:#f4f5f7}a{color:#0052cc}
"""
_CODE = re.compile(
    r'<ac:structured-macro ac:name="code">(?:<ac:parameter[^>]*>[^<]*</ac:parameter>)*<ac:plain-text-body>((?:<!\[CDATA\[(?:(?!\]\]>)[\s\S])*\]\]>)+)'
    r"</ac:plain-text-body></ac:structured-macro>"
)

_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")


def show(objects: list[dict[str, Any]], wanted: str) -> str:
    """The list of all objects, or the one of the wanted id."""
    chosen = next((o for o in objects if o["id"] == wanted), None) if wanted else None
    if wanted and chosen is None:
        return _document("Not here", "<p>There is nothing of that id. <a href='/'>All objects</a></p>")
    if chosen is not None:
        heading = f"<p><a href='/'>All objects</a> · {html.escape(chosen['vendor'])} · version {chosen['version']}</p>"
        return _document(str(chosen["title"]), heading + _body(chosen))
    rows = "".join(
        f"<tr><td>{html.escape(o['vendor'])}</td><td><a href='{_path(o)}'>{html.escape(o['title'])}</a></td>"
        f"<td>{html.escape(str(o.get('number') or o['id']))}</td><td>{o['version']}</td></tr>"
        for o in objects
    )
    empty = "" if rows else "<p>Nothing was delivered yet.</p>"
    return _document(
        "Afterword sandbox", f"<table><tr><th>System<th>Title<th>Number<th>Version</tr>{rows}</table>{empty}"
    )


def _path(item: dict[str, Any]) -> str:
    return {
        "confluence": f"/wiki/spaces/{item.get('space')}/pages/{item['id']}",
        "servicenow": f"/nav_to.do?uri=incident.do?sys_id={item['id']}",
    }.get(item["vendor"], f"/org/project/_workitems/edit/{item['id']}")


def _body(item: dict[str, Any]) -> str:
    body = str(item["body"])
    if item["vendor"] == "servicenow":
        return f"<pre>{html.escape(body)}</pre>"
    return nh3.clean(_plain(body)) if item["vendor"] == "confluence" else nh3.clean(body)


def _plain(storage: str) -> str:
    """Storage format as HTML that a browser knows."""
    text = _CODE.sub(lambda m: "<pre>" + html.escape(_CDATA.sub("", m.group(1))) + "</pre>", storage)
    text = re.sub(r'<ac:structured-macro ac:name="anchor">.*?</ac:structured-macro>', "", text)
    text = re.sub(r"<ac:task-id>\d+</ac:task-id>", "", text)
    text = text.replace("<ac:task-status>complete</ac:task-status>", "☑ ").replace(
        "<ac:task-status>incomplete</ac:task-status>", "☐ "
    )
    text = text.replace("<ac:task-list>", "<ul>").replace("</ac:task-list>", "</ul>")
    text = text.replace("<ac:task>", "<li>").replace("</ac:task>", "</li>")
    text = re.sub(r'<ac:structured-macro ac:name="\w+">', "<blockquote>", text).replace(
        "</ac:structured-macro>", "</blockquote>"
    )
    return re.sub(r'<ac:image[^>]*><ri:url ri:value="([^"]*)"/></ac:image>', r'<img src="\1">', text)


def _document(title: str, body: str) -> str:
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )
