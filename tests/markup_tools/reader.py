"""What a reader of GFM would see: the words of markdown-it's own HTML, which the renderers have no part in."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from html.parser import HTMLParser

from lxml import etree
from markdown_it import MarkdownIt
from mdit_py_plugins.gfm import gfm_plugin

WORD = re.compile(r"[^\W_]{2,}")
# What a browser hides, to its end or the document's: comments, and what it takes for one.
HIDDEN = re.compile(r"<!--(?:-?>|.*?(?:-->|\Z))|<[!?][^>]*(?:>|\Z)", re.DOTALL)


@lru_cache(maxsize=1)
def gfm() -> MarkdownIt:
    """GFM as markdown-it reads it, nested as deep as a document may be."""
    return MarkdownIt("commonmark", {"maxNesting": 100}).use(gfm_plugin)


# GFM's filter of tags (section 6.11) shows these as text.
FILTERED = re.compile(r"<(?=/?(?:title|textarea|style|xmp|iframe|noembed|noframes|script|plaintext)\b)", re.IGNORECASE)
# What GFM shows as text and we as what it means: short names of emoji, a table of contents, an admonition's mark.
OURS = re.compile(r":[A-Za-z0-9_+-]+:|\[\[?\s*_?TOC_?\s*\]\]?|(?:!!!|\?\?\?\+?)\s*\w+", re.IGNORECASE)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def seen_words(markdown: str) -> Counter[str]:
    """The words that GFM shows, and how often."""
    reader = _Words()
    reader.feed(HIDDEN.sub(" ", FILTERED.sub("&lt;", gfm().render(markdown))))
    reader.close()
    shown = OURS.sub(" ", "\n".join(reader.found))
    return Counter(WORD.findall(shown.casefold()))


def words_of(root: etree._Element) -> str:
    """Everything a reader of the page sees or is told of it, in one string."""
    described = [
        value for element in root.iter() for name, value in element.attrib.items() if name.endswith(("alt", "href"))
    ]
    return "".join(root.itertext()) + "\n" + "\n".join(described)


def missing(words: Counter[str], text: str) -> list[str]:
    """The words that the text holds less often than they were seen."""
    folded = text.casefold()
    return sorted(word for word, count in words.items() if folded.count(word) < count)
