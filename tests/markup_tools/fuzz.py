"""Random documents through GitHub's parser and through ours: what differs without a reason of docs/markdown.md is printed, made small.

`python -m tests.markup_tools.fuzz --minutes 60 --seed 1`. The examples of `make specification` are taken apart, too, where they are.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence

import comrak

from tasks.markup import confluence
from tests.markup_tools.differences import TARGETS, TEXTS, holds, holds_letters, reason_of, words_of
from tests.markup_tools.outline import of_github
from tests.markup_tools.reader import FILTERED
from tests.markup_tools.specification import Example, examples
from tests.markup_tools.storage_format import validated

PIECES = (
    *("a", "b ", "c\n", "d\n\n", "\n", "\n\n", "  \n", "\\\n", "\t", " ", "    ", "1", ".", "-", "=", "é", "见：", "🚀", "\u00a0"),
    *("# ", "## h\n", "===\n", "---\n", "***\n", "> ", ">", "> > ", "- ", "* ", "+ ", "1. ", "3) ", "10. ", "- [ ] ", "- [x] a\n"),
    *("```", "``` py\n", "~~~\n", "`", "``", "*", "**", "_", "__", "~", "~~", "***a** b*", "[", "]", "](", "![", ")", "(", '"'),
    *("](http://e.com)", "](</u v>)", "](/u 't')", "](r.md)", "](#a)", "](javascript:x)", "[r]", "[r][]", "[a][r]", "\n\n[r]: /u 't'\n\n"),
    *("<http://e.com>", "http://e.com/x_y", "https://e.com/a?b=c&d", "www.e.com", "a@b.co", "<a@b.co>", "mailto:a@b.co"),
    *("|", " | ", "\n|-|-|\n", "| a | b |\n|-|-|\n| ", "|:-|-:|\n", "a|b\n-|-\nc|d\n", "\\|", "\\", "&", "&amp;", "&nbsp;", "&#35;", "&lt;"),
    *("<b>", "</b>", "<br>", "<div>\n", "</div>\n\n", "<p>", "</p>", "<table><tr><td>", "</table>\n\n", "<a href='/u'>", "</a>", "<i", "<", ">"),
    *("<!-- c -->", "<!--", "-->", "<?php x ?>", "<![CDATA[x]]>", "<!X y>", "<script>x</script>", "<pre>\n", "</pre>\n", "<time>", "<kbd>k</kbd>"),
)  # fmt: skip
# What we read and GitHub's library doesn't: compared elsewhere.
_OUR_OWN = re.compile(
    r"\A\s*(?:---|\+\+\+)|\[\^|\$|:[\w+-]+:|!!!|\?\?\?|:::|\{#|\[\[|\[_?toc|\[!|\{[{%<]|==|&#[x0]|\x00", re.IGNORECASE
)
# A tag that isn't seen parts no words.
_MARKUP = re.compile(r"<[A-Za-z/!?]")
# GitHub's library and its site differ in tasks without words or a blank, and in those that begin an item or quote.
_ODD_TASK = re.compile(
    r"\[[ x]\](?:[ \t]*$|[^\s\]])|(?:[-+*>]|\d[.)])\s*(?:[-+*]|\d+[.)])\s+\[[ x]\]", re.MULTILINE | re.IGNORECASE
)
# Links of other schemes are words, and an image that isn't on the web is its name.
_OTHER_SCHEME = re.compile(
    r"(?:\]\(|\]:\s*|<)<?(?!https?:|mailto:|javascript:)[\w+.-]+:|!\[[^\]]*\]\(\s*<?(?:#|javascript:)", re.IGNORECASE
)


def documents(chance: random.Random, given: Sequence[Example]) -> Iterator[str]:
    """Pieces in any order, and examples of the specification with pieces and lines of others put into them."""
    while True:
        if given and chance.random() < 0.5:
            lines = [line for one in chance.choices(given, k=chance.randint(1, 3)) for line in one.markdown.split("\n")]
            for _ in range(chance.randint(0, 4)):
                at = chance.randrange(len(lines))
                place = chance.randint(0, len(lines[at]))
                lines[at] = lines[at][:place] + chance.choice(PIECES) + lines[at][place:]
            text = "\n".join(lines)
        else:
            text = "".join(chance.choices(PIECES, k=chance.randint(1, 24)))
        if is_shared(text):
            yield text


def is_shared(markdown: str) -> bool:
    """Whether GitHub's library reads all that is in the document."""
    return not any(kind.search(markdown) for kind in (_OUR_OWN, _ODD_TASK, _OTHER_SCHEME))


def parsers_own(markdown: str) -> str:
    """HTML as the parser that we read with writes it by itself."""
    extensions = comrak.ExtensionOptions(strikethrough=True, table=True, autolink=True, tasklist=True)
    written = comrak.markdown_to_html(markdown, extensions, None, comrak.RenderOptions(unsafe_=True))
    return FILTERED.sub("&lt;", written)


def fault(markdown: str) -> str:
    """What is wrong with how we render the document; empty where nothing is."""
    try:
        validated(confluence.render(markdown))
        words = [part for word in words_of(of_github(markdown)) for part in word.split("_")]
        held = holds_letters if _MARKUP.search(markdown) else holds
        for name, render in TEXTS.items():
            if not held(render(markdown), words):
                return f"{name} lacks words"
        example = Example("", markdown, parsers_own(markdown))
        for name in TARGETS:
            if reason_of(example, name) is None:
                return f"{name} differs"
    except Exception as error:  # whatever it is, it is a find
        return f"{type(error).__name__}: {str(error)[:60]}"
    return ""


def smaller(markdown: str, is_like_it: Callable[[str], bool]) -> str:
    """The document with everything left out that it can lack and still be like it."""
    size = len(markdown) // 2
    while size:
        at = 0
        while at < len(markdown):
            shorter = markdown[:at] + markdown[at + size :]
            if is_like_it(shorter):
                markdown = shorter
            else:
                at += size
        size //= 2
    return markdown


def main() -> None:
    """Print each find once, and at the end how many documents there were."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    count, found = 0, set[str]()
    for markdown in documents(random.Random(options.seed), examples()):
        if time.monotonic() > end:
            break
        count += 1
        if wrong := fault(markdown):
            small = smaller(markdown, lambda text: is_shared(text) and fault(text) == wrong)
            if small not in found:
                found.add(small)
                print(f"{wrong}: {small!r}", flush=True)
    print(f"{count} documents, {len(found)} finds")


if __name__ == "__main__":
    main()
