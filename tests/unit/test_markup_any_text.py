"""Whatever is written comes out: valid storage format, with every word that a reader of GFM would see."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.markup import azure_devops, confluence, servicenow
from tasks.markup.clean import xml_text
from tasks.markup.parser.dialect import parser, with_dialect
from tasks.markup.parser.parse import parse_document
from tasks.markup.parser.states import ROOM
from tests.markup_tools.reader import missing, seen_words, words_of
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
    + ["<none>", "<@U123>", "<->", "List<String>", "<!--", "-->", "<!-- c -->", "<?php", "?>", "<![CDATA[", "]]>"]
    + ["<!DOCTYPE x>", '<ac:structured-macro ac:name="code">', "</ac:structured-macro>", "<ri:url>"]
)
TEXTS = st.lists(st.one_of(st.sampled_from(CORNERS), st.sampled_from(WORDS), st.text(max_size=6)), max_size=40).map(
    "".join
)


def faithful(markdown):
    """Raises where the page is not valid, or lacks a word."""
    root = validated(confluence.render(markdown))
    if not parse_document(markdown).fields:
        assert missing(seen_words(xml_text(markdown)), words_of(root)) == []


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_any_text_is_valid_storage_format_with_every_word(text):
    faithful(text)


@pytest.mark.parametrize("seed", range(5))
def test_any_mix_of_hard_corners_is_valid_with_every_word(seed):
    chance = random.Random(seed)
    for _ in range(100):
        pieces = [chance.choice(CORNERS) if chance.random() < 0.6 else chance.choice(WORDS) + " " for _ in range(30)]
        faithful("".join(pieces))


def shape(tokens):
    """What a token stream says, in plain values."""
    return [
        (
            t.type,
            t.tag,
            t.nesting,
            t.level,
            t.block,
            t.map,
            t.content,
            t.info,
            t.markup,
            t.hidden,
            t.attrs,
            t.meta,
            inner,
        )
        for t in tokens
        for inner in [None if t.children is None else shape(t.children)]
    ]


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_sorted_rules_give_the_tokens_that_the_parser_would(text):
    plain = with_dialect(MarkdownIt("commonmark"))
    assert shape(parser().parse(text, {})) == shape(plain.parse(text, {}))


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
LINE_STARTS += ["  ", "   ", "\n", "---", "===", "- - -", "***", "```", "| a | b |", "|-|-|", "[r]: /u", "[^1]: ", "$$"]
LINE_STARTS += ["!!! note", "<div>", "\u00a0", ""]
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


@settings(max_examples=600, deadline=None)
@given(LINES)
def test_lines_of_every_kind_give_the_tokens_that_the_parser_would(text):
    plain = with_dialect(MarkdownIt("commonmark"))
    assert shape(parser().parse(text, {})) == shape(plain.parse(text, {}))


# Containers in containers, with lines below that continue a paragraph in them, or end them all.
CONTAINERS = [
    "> ",
    ">",
    ">  ",
    "   > ",
    "    > ",
    "- ",
    "* ",
    "1. ",
    "2. ",
    "- [ ] ",
    "[^1]: ",
    "!!! note\n",
    "    ",
    "  ",
    "",
]
INSIDE = [
    "a",
    "b c",
    "",
    "#",
    "---",
    "===",
    "|a|\n|-|",
    "```",
    "[r]: /u 'x",
    "[r]",
    "<div>",
    "$$",
    "[!NOTE]",
    "1.",
    "> ",
]
LINE_ENDS = ["\n", "\n", "\n", "\n\n", "\n\n\n", "\n> \n"]


@pytest.mark.parametrize(("seed", "room"), [(0, ROOM), (1, ROOM), (2, ROOM), (3, 0), (4, 1)])
def test_containers_in_each_other_give_the_tokens_that_the_parser_would(seed, room, monkeypatch):
    """Also where there is no room for views, or not for all."""
    monkeypatch.setattr("tasks.markup.parser.states.ROOM", room)
    chance = random.Random(seed)
    plain = with_dialect(MarkdownIt("commonmark"))
    for _ in range(1_000):
        containers, inside = chance.sample(CONTAINERS, 4), chance.sample(INSIDE, 5)
        lines = [
            "".join(chance.choices(containers, k=chance.randrange(4)))
            + chance.choice(inside)
            + chance.choice(LINE_ENDS)
            for _ in range(chance.randrange(1, 13))
        ]
        text = "".join(lines)
        ours, theirs = {}, {}
        assert shape(parser().parse(text, ours)) == shape(plain.parse(text, theirs)), text
        assert ours.get("references") == theirs.get("references"), text


def test_math_that_ends_in_no_footnote_may_end_outside():
    tokens = parser().parse("[^1]:>1.\n    $$\n    >[^1]:\n$$\n>$$", {})
    assert [token.map for token in tokens if token.type == "math_block"] == [[3, 5]]


LINKS = [
    "http://",
    "https://",
    "mailto:",
    "ftp:",
    "a",
    "b.c",
    "xn--p1ai",
    "/",
    "//",
    "?",
    "#",
    "=",
    "&",
    ":80",
    ":",
    "@",
    ".",
]
LINKS += ["-", "_", "~", "A", "0", "..", "%", "%41", "\u00e9", "\u043f.\u0440", "+", ";", "[", "::1", "*", "'"]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(LINKS), max_size=8).map("".join))
def test_an_address_is_normalised_as_the_parser_would(url):
    plain = MarkdownIt("commonmark")
    assert (parser().normalizeLink(url), parser().normalizeLinkText(url)) == (
        plain.normalizeLink(url),
        plain.normalizeLinkText(url),
    )


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
