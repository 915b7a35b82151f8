"""Whatever is written comes out: valid storage format, with every word that a reader of GFM would see."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.markup import azure_devops, confluence, servicenow
from tasks.markup.clean import xml_text
from tasks.markup.parser.parse import parse, parse_document
from tests.markup_tools import fuzz
from tests.markup_tools.reader import html_of, missing, seen_words, words_of
from tests.markup_tools.storage_format import Invalid, validated

WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"]
# The hard corners of CommonMark and GFM, of raw HTML, and of what we add.
CORNERS = (
    ["# ", "## ", "===\n", "---\n", "\n", "\n\n", "  \n", "\\\n", "\t", "  ", "    ", "> ", "[TOC]", "[[_TOC_]]"]
    + ["- ", "* ", "1. ", "3) ", "- [ ] ", "- [x] ", "1. [ ] ", "> [!NOTE]\n> ", "> [!ODD]\n> "]
    + ['!!! note "title"\n    ', "!!! odd\n    ", "??? tip\n    ", "```", '```py title="q"\n', "~~~", "`", "``"]
    + ["**", "*", "_", "__", "~~", "~", "[", "]", "](", "](http://e.com)", "](#alpha)", "](rel.md)", "](javascript:x)"]
    + ["![", "![alt](gone.png)", "![alt](http://e.com/i.png)", "![d](data:image/png;base64,aGk=)"]
    + ["<http://e.com>", "http://e.com/x_y", "www.e.com", "a@b.co", "[^1]", "\n\n[^1]: ", "[^2]: ", "[ref]"]
    + ["\n\n[ref]: http://e.com\n\n", "$x$", "$$", "\n$$\n", "$5", ":rocket:", ":nope:", "|", " | ", "\n|-|-|\n"]
    + ["| a | b |\n|-|-|\n| ", "|:-|-:|\n", "&nbsp;", "&#1;", "&lt;", "&amp;", "&", "<", "\\", "é", "🚀", "\u202e"]
    + [
        f"<{close}{tag}>"
        for tag in ("b", "i", "u", "sub", "kbd", "p", "div", "span", "pre", "code")
        for close in ("", "/")
    ]
    + [f"<{close}{tag}>" for tag in ("table", "thead", "tbody", "tr", "td", "th", "caption") for close in ("", "/")]
    + [
        f"<{close}{tag}>"
        for tag in ("ul", "li", "details", "summary", "h2", "blockquote", "dl", "dt")
        for close in ("", "/")
    ]
    + ["<ol start=3>", "<a href='http://x.y'>", "<a href='#alpha'>", "<a name='alpha'>", "</a>", "<br>", "<hr>"]
    + ["<img src='http://x.y/z'>", "<img alt='q' src=z.png>", "<script>", "</script>", "<style>", "<textarea>"]
    + [
        ":::note\n",
        ":::\n",
        ":::odd thing\n",
        "{#alpha}\n",
        "[[golf|hotel]]",
        "> [!tip] india\n> ",
        "<time>",
        "<b and c>",
        "<?php x\n",
    ]
    + ["<none>", "<@U123>", "<->", "List<String>", "<!--", "-->", "<!-- c -->", "<?php", "?>", "<![CDATA[", "]]>"]
    + ["<!DOCTYPE x>", '<ac:structured-macro ac:name="code">', "</ac:structured-macro>", "<ri:url>"]
)
TEXTS = st.lists(st.one_of(st.sampled_from(CORNERS), st.sampled_from(WORDS), st.text(max_size=6)), max_size=40).map(
    "".join
)


# Instructions without an end, and code in admonitions, whose language no page shows.
HIDES = re.compile(r"<\?|<!\[|(?:!!!|\?\?\?).*\n(?:.*\n)*?\s+.*(?:~~~|```)")
# GitHub's library and its site differ in tasks without words.
EMPTY_TASK = re.compile(r"\[[ x]\]\s*$", re.MULTILINE)


def must_be_faithful(markdown):
    """Raises where the page is not valid, or lacks a word. HIDES has what GitHub shows as it is, and we read."""
    root = validated(confluence.render(markdown))
    if not parse_document(markdown).fields and not re.search(HIDES, markdown):
        assert missing(seen_words(xml_text(markdown)), words_of(root)) == []


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_any_text_is_valid_storage_format_with_every_word(text):
    must_be_faithful(text)


@pytest.mark.parametrize("seed", range(5))
def test_any_mix_of_hard_corners_is_valid_with_every_word(seed):
    chance = random.Random(seed)
    for _ in range(100):
        pieces = [chance.choice(CORNERS) if chance.random() < 0.6 else chance.choice(WORDS) + " " for _ in range(30)]
        must_be_faithful("".join(pieces))


# What lines of a document begin with, so that lists, quotes, tables and paragraphs meet in every way.
LINE_STARTS = [
    "- ",
    "* ",
    "+ ",
    "-",
    "1. ",
    "2) ",
    "10. ",
    "- [ ] ",
    "- [x] ",
    "- [ ]",
    "> ",
    ">",
    "# ",
    "    ",
    "\t",
    " ",
]
LINE_STARTS += ["  ", "   ", "\n", "---", "===", "- - -", "***", "```", "| a | b |", "|-|-|", "[r]: /u"]
LINE_STARTS += ["\u00a0", ""]
LINE_WORDS = [
    "a",
    "b c",
    "**d**",
    "`e`",
    "[f](g)",
    "[h]",
    "[i]: j",
    "![k](l)",
    "1 m",
    "3. n",
    "_o_",
    "|p|",
    "-",
    "",
    " ",
]
LINES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(LINE_STARTS), max_size=3).map("".join),
        st.sampled_from(LINE_WORDS),
        st.sampled_from(["\n", "\n", "\n", "\n\n", " \n"]),
    ).map("".join),
    max_size=12,
).map("".join)


BLOCKS = {
    "ul": "bullet_list_open",
    "ol": "ordered_list_open",
    "li": "list_item_open",
    "blockquote": "blockquote_open",
    "table": "table_open",
    "th": "th",
    "td": "td",
    "hr": "hr",
}


@settings(max_examples=600, deadline=None)
@given(LINES)
def test_lines_of_every_kind_make_the_blocks_that_github_makes_of_them(text):
    assume(not EMPTY_TASK.search(text))
    theirs = html_of(text)
    ours = Counter(token.type for token in parse(text))
    for element, token in BLOCKS.items():
        # Cells beyond a table's columns are joined to its last one, and rows have as many as the table has columns.
        assert len(re.findall(rf"<{element}[ >]", theirs.partition('<section class="footnotes"')[0])) == ours[token], (
            element
        )
    assert len(re.findall(r"<pre[ >]", theirs)) == ours["fence"] + ours["code_block"]
    assert len(re.findall(r"<h[1-6]>", theirs)) == ours["heading"]


def test_random_documents_differ_from_github_for_known_reasons_only():
    """The start of what `make fuzz` goes on with."""
    texts = itertools.islice(fuzz.documents(random.Random(3), ()), 300)
    assert [(text, found) for text in texts if (found := fuzz.fault(text))] == []


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_any_text_comes_out_for_the_other_targets(text):
    html = azure_devops.render(text)
    assert "<script" not in html.lower()
    assert len(servicenow.render(text, limit=80, pointer="See page.")) <= 80
    plain = servicenow.render(text)
    assert "[code]" not in plain.lower().replace("\n", "")


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_rendering_is_the_same_each_time(text):
    assert confluence.render_page(text) == confluence.render_page(text)


@pytest.mark.parametrize(
    "body",
    [
        "words",
        "<p>a<p>b</p></p>",
        "<p><ul><li>x</li></ul></p>",
        "<ul><p>x</p></ul>",
        "<ul></ul>",
        "<table><tr><td>x</td></tr></table>",
        "<p><a href='http://x'>a<a href='http://y'>b</a></a></p>",
        "<p><a href='javascript:x'>a</a></p>",
        "<p onclick='x'>a</p>",
        "<p><![CDATA[x]]></p>",
        "<!-- x --><p>a</p>",
        "<p>&nbsp;</p>",
        "<script>x</script>",
        "<ac:task-list><li>x</li></ac:task-list>",
        "<ac:task-list><ac:task><ac:task-id>1</ac:task-id><ac:task-body>x</ac:task-body></ac:task></ac:task-list>",
        "<ac:structured-macro ac:name='html'><ac:plain-text-body>x</ac:plain-text-body></ac:structured-macro>",
        "<ac:structured-macro ac:name='info'><ac:rich-text-body>x</ac:rich-text-body></ac:structured-macro>",
        "<p><ac:image></ac:image></p>",
        "<blockquote>x</blockquote>",
        "<p><ac:layout><ac:layout-section ac:type='single'><ac:layout-cell/></ac:layout-section></ac:layout></p>",
    ],
)
def test_the_validator_refuses_what_confluence_would(body):
    with pytest.raises(Invalid):
        validated(body)
