"""What a reader of GFM would see: the words and blocks of GitHub's own parser's HTML, which ours has no part in."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options
from lxml import etree

WORD = re.compile(r"[^\W_]{2,}")
# What a browser hides, to its end or the document's: comments, and what it takes for one.
HIDDEN = re.compile(r"<!--(?:-?>|.*?(?:-->|\Z))|<[!?][^>]*(?:>|\Z)", re.DOTALL)


def html_of(markdown: str) -> str:
    """The document as GitHub's parser writes it, raw HTML included."""
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
    return cmarkgfm.github_flavored_markdown_to_html(markdown, options)


# GFM's filter of tags (section 6.11) shows these as text.
FILTERED = re.compile(r"<(?=/?(?:title|textarea|style|xmp|iframe|noembed|noframes|script|plaintext)\b)", re.IGNORECASE)
# What GFM shows as text and we as what it means: short names of emoji, a table of contents, the marks of admonitions and
# containers, a heading's name.
OURS = re.compile(
    r":[A-Za-z0-9_+-]+:|\[\[?\s*_?TOC_?\s*\]\]?|(?:!!!|\?\?\?\+?|:{3,})\s*\w+|\{#[\w-]+\}|\[!(?:note|tip|important|warning|caution)\]",
    re.IGNORECASE,
)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def seen_words(markdown: str) -> Counter[str]:
    """The words that GFM shows, and how often."""
    reader = _Words()
    reader.feed(HIDDEN.sub(" ", FILTERED.sub("&lt;", html_of(markdown))))
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
