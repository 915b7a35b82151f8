"""The parse that every renderer shares: GFM with footnotes, alerts, admonitions, math, and front matter set apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.gfm import gfm_plugin

from tasks.markup.clean import xml_text

DEEPEST_MARKERS = 20
DEEPEST_INDENT = 60
UNENDED_COMMENTS = 50
_MARKER = re.compile(r"[ \t]{0,8}(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))")
_FENCE = re.compile(r"[ >\t]{0,200}(`{3,}|~{3,})")


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": 120})
    parser.use(gfm_plugin).use(front_matter_plugin).use(admon_plugin)
    parser.use(dollarmath_plugin, allow_space=False, allow_digits=False, double_inline=True)
    return parser


def parse(markdown: str) -> list[Token]:
    """The document's tokens. Nesting beyond any reader's patience is shown as text rather than followed."""
    text = xml_text(markdown.replace("\r\n", "\n").replace("\r", "\n")).removeprefix("\ufeff")
    ended = text.rfind("-->") + 1
    if text.count("<!--", ended) > UNENDED_COMMENTS:  # each would be searched to the document's end
        text = text[:ended] + text[ended:].replace("<!--", "&lt;!--")
    return _parser().parse("\n".join(_shallow(text.split("\n"))), {})


def _shallow(lines: list[str]) -> Iterator[str]:
    """Lines whose container markers and indentation stay within what can be nested."""
    fenced = ""
    for line in lines:
        found = _FENCE.match(line)
        if found:
            mark = found.group(1)
            fenced = "" if fenced and mark.startswith(fenced) else fenced or mark
        if fenced or len(line) < DEEPEST_MARKERS:
            yield line
            continue
        yield _without_depth(line)


def _without_depth(line: str) -> str:
    indent = len(line) - len(line.lstrip(" \t"))
    if indent > DEEPEST_INDENT:
        line = " " * DEEPEST_INDENT + line[indent:]
    position = 0
    for _ in range(DEEPEST_MARKERS):
        found = _MARKER.match(line, position)
        if not found:
            return line
        position = found.end()
    return line[:position] + re.sub(r"([>\-*+.)#`~])", r"\\\1", line[position:])
