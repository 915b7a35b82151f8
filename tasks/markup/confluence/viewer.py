"""Shows storage format as HTML that looks like the page: for previews and the sandbox.

The HTML is built from the parsed body, element by element from an allow-list, with every text escaped; nothing of the body
is copied. A body that no parser takes is shown as text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from html.entities import html5
from urllib.parse import quote
from xml.etree import ElementTree as ET

AC, RI = "{ac}", "{ri}"
SAME = frozenset(
    [
        *[
            "p",
            "ul",
            "ol",
            "li",
            "table",
            "thead",
            "tbody",
            "tfoot",
            "tr",
            "td",
            "th",
            "blockquote",
            "pre",
            "div",
            "span",
        ],
        *[
            "strong",
            "em",
            "b",
            "i",
            "u",
            "del",
            "s",
            "sub",
            "sup",
            "code",
            "small",
            "br",
            "hr",
            "kbd",
            "dl",
            "dt",
            "dd",
        ],
    ]
)
VOID = frozenset(["br", "hr"])
HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
PANELS = frozenset(["info", "note", "tip", "warning", "panel"])
_CDATA = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;|apos;)([A-Za-z][A-Za-z0-9]*;)")
_ADDRESS = re.compile(r"(?:https?://|mailto:)\S+", re.IGNORECASE)
_ALIGNED = re.compile(r"text-align:\s*(left|center|right)")

STYLE = """
.page{line-height:1.6}.page table{border-collapse:collapse;margin:1rem 0}.page td,.page th{border:1px solid #c1c7d0;padding:.35rem .7rem;vertical-align:top}
.page th{background:#f4f5f7;text-align:left}.page .center{text-align:center}.page .right{text-align:right}
.page pre{background:#f4f5f7;padding:.8rem 1rem;overflow:auto;border-radius:4px;font:13px/1.5 ui-monospace,monospace;margin:0;white-space:pre}
.page code{background:#f4f5f7;padding:.1em .3em;border-radius:3px;font-size:.9em}.page pre code{padding:0}
.page figure{margin:1rem 0}.page figcaption{font:600 12px/1 system-ui,sans-serif;color:#5e6c84;padding:.4rem 0}
.page blockquote{border-left:3px solid #c1c7d0;margin:1rem 0;padding:0 1rem;color:#5e6c84}
.page aside{border-radius:4px;padding:.6rem 1rem;margin:1rem 0;border-left:4px solid #6b778c;background:#f4f5f7}
.page aside.info{border-color:#0065ff;background:#deebff}.page aside.tip{border-color:#00875a;background:#e3fcef}
.page aside.note{border-color:#ff991f;background:#fffae6}.page aside.warning{border-color:#de350b;background:#ffebe6}
.page aside>.title,.page summary{font-weight:600;margin:.2rem 0}.page details{border:1px solid #dfe1e6;border-radius:4px;padding:.4rem 1rem;margin:1rem 0}
.page summary{cursor:pointer}.page ul.tasks{list-style:none;padding-left:1.2rem}.page nav ul{list-style:none;padding-left:1rem}
.page .level-2{margin-left:1rem}.page .level-3{margin-left:2rem}.page .level-4,.page .level-5,.page .level-6{margin-left:3rem}
.page img{max-width:100%}.page :target{outline:2px solid #0065ff}
@media(prefers-color-scheme:dark){.page th,.page pre,.page code,.page aside{background:#2c333a}.page td,.page th{border-color:#454f59}
.page blockquote,.page figcaption{color:#9fadbc}.page details{border-color:#454f59}.page aside.info{background:#09326c}
.page aside.tip{background:#164b35}.page aside.note{background:#533f04}.page aside.warning{background:#5d1f1a}}
"""


def to_html(storage: str, file_address: Callable[[str], str | None]) -> str:
    """The body as an HTML fragment. `file_address` gives an attachment's address by its name, None where there is none."""
    try:
        return f'<div class="page">{_Viewer(_tree(storage), file_address).page()}</div>'
    except (ET.ParseError, RecursionError, ValueError):
        return f'<div class="page"><pre>{html.escape(storage)}</pre></div>'


def _tree(storage: str) -> ET.Element:
    parts = _CDATA.split(storage)
    for index in range(0, len(parts), 2):
        if "<!" in parts[index] or "<?" in parts[index]:
            raise ValueError("no declaration belongs in a page")
        parts[index] = _ENTITY.sub(lambda m: html.escape(html5.get(m.group(1), m.group())), parts[index])
    return ET.fromstring(f'<root xmlns:ac="ac" xmlns:ri="ri">{"".join(parts)}</root>')  # noqa: S314 - no declarations


class _Viewer:
    def __init__(self, root: ET.Element, file_address: Callable[[str], str | None]) -> None:
        self._root = root
        self._file_address = file_address
        self._headings: list[tuple[int, str]] = []

    def page(self) -> str:
        self._headings = [(int(e.tag[1]), _words(e)) for e in self._root.iter() if e.tag in HEADINGS]
        self._seen = 0
        return self._inside(self._root)

    def _inside(self, element: ET.Element) -> str:
        parts = [html.escape(element.text or "")]
        for child in element:
            parts += [self._one(child), html.escape(child.tail or "")]
        return "".join(parts)

    def _one(self, element: ET.Element) -> str:
        tag = element.tag
        if tag in VOID:
            return f"<{tag}>"
        if tag in SAME:
            return f"<{tag}{_attributes(element)}>{self._inside(element)}</{tag}>"
        if tag in HEADINGS:
            self._seen += 1
            return f'<{tag} id="heading-{self._seen}">{self._inside(element)}</{tag}>'
        match tag.removeprefix(AC):
            case "a":
                return self._link(element.get("href", ""), self._inside(element))
            case "structured-macro" | "macro":
                return self._macro(element)
            case "link":
                return self._page_link(element)
            case "image":
                return self._image(element)
            case "task-list":
                return f'<ul class="tasks">{"".join(self._one(child) for child in element)}</ul>'
            case "task":
                return self._task(element)
            case "inline-comment-marker":
                return f"<mark>{self._inside(element)}</mark>"
            case "parameter" | "task-id" | "task-status":
                return ""
        return self._inside(element)

    def _link(self, address: str, inside: str) -> str:
        if not _ADDRESS.fullmatch(address):
            return inside
        return f'<a href="{html.escape(address)}" rel="noopener noreferrer">{inside}</a>'

    def _page_link(self, element: ET.Element) -> str:
        inside = "".join(self._inside(child) for child in element if child.tag.startswith(AC))
        file, page = element.find(f"{RI}attachment"), element.find(f"{RI}page")
        if file is not None:
            name = file.get(f"{RI}filename", "")
            address = self._file_address(name)
            inside = inside or html.escape(name)
            return f'<a href="{html.escape(address)}">{inside}</a>' if address else inside
        if page is not None:
            return f"<u>{inside or html.escape(page.get(f'{RI}content-title', ''))}</u>"
        return f'<a href="#at-{quote(element.get(f"{AC}anchor", ""))}">{inside}</a>'

    def _image(self, element: ET.Element) -> str:
        """A picture of the page's own files; one from elsewhere is named and linked instead of loaded."""
        alt = element.get(f"{AC}alt", "")
        file, remote = element.find(f"{RI}attachment"), element.find(f"{RI}url")
        if file is not None:
            name = file.get(f"{RI}filename", "")
            address = self._file_address(name)
            if address:
                return f'<img src="{html.escape(address)}" alt="{html.escape(alt)}">'
            return html.escape(alt or name)
        words = html.escape(f"picture: {alt}" if alt else "picture")
        return words if remote is None else self._link(remote.get(f"{RI}value", ""), words)

    def _task(self, element: ET.Element) -> str:
        done = (element.findtext(f"{AC}task-status") or "") == "complete"
        body = element.find(f"{AC}task-body")
        return f"<li>{'☑' if done else '☐'} {'' if body is None else self._inside(body)}</li>"

    def _macro(self, element: ET.Element) -> str:
        name = element.get(f"{AC}name", "")
        given = {p.get(f"{AC}name", ""): "".join(p.itertext()) for p in element.findall(f"{AC}parameter")}
        rich, plain = element.find(f"{AC}rich-text-body"), element.findtext(f"{AC}plain-text-body")
        inside = "" if rich is None else self._inside(rich)
        title = html.escape(given.get("title", ""))
        if name == "anchor":
            return f'<a id="at-{quote(given.get("", ""))}"></a>'
        if name == "toc":
            return self._contents()
        if name == "expand":
            return f"<details><summary>{title or 'Show'}</summary>{inside}</details>"
        if name in PANELS:
            head = f'<p class="title">{title}</p>' if title else ""
            return f'<aside class="{name}">{head}{inside}</aside>'
        if name == "code":
            head = " · ".join(html.escape(given[key]) for key in ("title", "language") if given.get(key))
            caption = f"<figcaption>{head}</figcaption>" if head else ""
            return f"<figure>{caption}<pre>{html.escape(plain or '')}</pre></figure>"
        shown = f"<pre>{html.escape(plain)}</pre>" if plain is not None else inside
        return f'<aside><p class="title">{html.escape(name)}</p>{shown}</aside>'

    def _contents(self) -> str:
        rows = "".join(
            f'<li class="level-{level}"><a href="#heading-{number}">{html.escape(words)}</a></li>'
            for number, (level, words) in enumerate(self._headings, start=1)
        )
        return f"<nav><ul>{rows}</ul></nav>"


def _words(element: ET.Element) -> str:
    """A heading's words, without the names of its anchors."""
    if element.tag == f"{AC}parameter":
        return element.tail or ""
    parts = [element.text or ""]
    parts += [_words(child) + (child.tail or "" if child.tag != f"{AC}parameter" else "") for child in element]
    return "".join(parts)


def _attributes(element: ET.Element) -> str:
    found = ""
    for name in ("colspan", "rowspan", "start"):
        if element.get(name, "").isdigit():
            found += f' {name}="{int(element.get(name, "0"))}"'
    aligned = _ALIGNED.search(element.get("style", ""))
    return found + (f' class="{aligned.group(1)}"' if aligned and aligned.group(1) != "left" else "")


def document(title: str, fragment: str, style: str = "") -> str:
    """A whole HTML page for a fragment, with this module's style; nothing on it is loaded from elsewhere."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{html.escape(title)}</title>'
        f"<style>{BASE}{STYLE}{style}</style></head><body><h1>{html.escape(title)}</h1>{fragment}</body></html>"
    )


WRAPPED = ".page pre{white-space:pre-wrap;overflow-wrap:anywhere}"
BASE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#172b4d;background:#fff}
a{color:#0052cc}@media(prefers-color-scheme:dark){body{color:#dfe1e6;background:#1d2125}a{color:#85b8ff}}
"""
