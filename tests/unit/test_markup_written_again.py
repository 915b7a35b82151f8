"""Markdown for a work item's field is one form of what the author wrote, and reads the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.markup.azure_devops import render_markdown
from tasks.markup.azure_devops.allowed import allowed
from tasks.markup.azure_devops.markdown import plainly, same, written
from tasks.markup.parser.parse import parse, parse_document
from tests.markup_tools.specification import examples
from tests.unit.test_markup_any_text import TEXTS

PAGES = sorted((Path(__file__).parents[2] / "docs").rglob("*.md"))
WORD = st.text("abcdef", min_size=1, max_size=6)
INLINE = st.lists(
    st.one_of(
        WORD,
        WORD.map("**{}**".format),
        WORD.map("*{}*".format),
        WORD.map("`{}`".format),
        WORD.map("[{}](https://e.com/a)".format),
        WORD.map("~~{}~~".format),
        st.sampled_from(
            [
                "2*3*4",
                "snake_case",
                "https://e.com",
                "a@b.co",
                "[x]",
                "1. a",
                "# b",
                "- c",
                "<none>",
                ":rocket:",
                "&amp;",
                "a|b",
                "\\*",
                "$5",
            ]
        ),
    ),
    min_size=1,
    max_size=5,
).map(" ".join)


def _indented(marker: str, text: str) -> str:
    return marker + text.replace("\n", "\n" + " " * len(marker))


BLOCKS = st.recursive(
    st.one_of(
        INLINE,
        INLINE.map("## {}".format),
        WORD.map("```py\n{}\n```".format),
        st.tuples(INLINE, INLINE).map(
            lambda cells: f"| a | b |\n|:-|-:|\n| {cells[0].replace('|', '')} | {cells[1].replace('|', '')} |"
        ),
        st.just("---"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("\n\n".join),
        inner.map(lambda text: "> " + text.replace("\n", "\n> ")),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: "\n".join(_indented("- ", item) for item in items)),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda items: "\n\n".join(_indented("1. ", item) for item in items)
        ),
        inner.map(lambda text: "> [!NOTE]\n> " + text.replace("\n", "\n> ")),
    ),
    max_leaves=8,
)


def plain_words(tokens) -> list[str]:
    return re.findall(r"\w+", plainly(tokens))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_any_text_reads_the_same_when_it_is_written_again(text):
    """An empty item at the very end is one only with its line feed. What a field may not hold is words."""
    text += "\n"
    assume(not parse_document(text).fields)
    again = render_markdown(text)
    assume(not parse_document(again).fields)
    read, tokens = parse(again + "\n"), parse(text)
    kept = allowed(tokens)
    assert same(allowed(read), read)
    assert same(read, tokens) if kept is tokens else plain_words(read) == plain_words(kept)


@settings(max_examples=200, deadline=None)
@given(BLOCKS)
def test_usual_blocks_in_each_other_are_written_again_in_one_form(text):
    """What was written again once is written so again."""
    tokens = parse(text)
    again = written(tokens)
    assert again is not None
    assert written(parse(again + "\n")) == again


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_real_pages_are_written_again(page):
    assert written(parse(page.read_text("utf-8"))) is not None


@pytest.mark.skipif(not examples(), reason="the examples aren't there: `make specification` fetches them")
def test_nearly_all_examples_of_commonmark_are_written_again():
    assert sum(written(parse(example.markdown)) is None for example in examples()) <= 30


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("T\n=\n\n* a\n* b", "# T\n\n- a\n- b"),
        ("__b__ *i* ~s~", "**b** *i* ~~s~~"),
        ("- a\n\n- b\n\n* c", "- a\n\n- b\n\n* c"),
        ("[a][r] ![i](x.png)\n\n[r]: y.md", "[a](https://e.com/y.md) ![i](https://e.com/x.png)"),
        ("---\ntitle: T\n---\n# T\n\nx", "x"),
        ("~~~\nx\n~~~", "```\nx\n```"),
        ("a|b\n-|:-:\n1|2", "| a | b |\n| --- | :-: |\n| 1 | 2 |"),
        (":::caution\nx\n:::", "> [!CAUTION]\n> x"),
        ('!!! danger "Stop"\n    - a\n      - b', "> [!CAUTION] Stop\n> - a\n>   - b"),
        (":::hint Read\n```\nx\n```\n:::", "> [!TIP] Read\n> ```\n> x\n> ```"),
        ('!!! note ""\n    a', "> a"),
        ('??? note "A & b"\n    a\n\nb', "<details><summary>A &amp; b</summary>\n\na\n\n</details>\n\nb"),
        (
            "- :::details More\n  !!! bug\n      *x*\n  :::",
            "- <details><summary>More</summary>\n\n  > [!CAUTION] Bug\n  > *x*\n\n  </details>",
        ),
        ("```math\nx^2\n```", "$$\nx^2\n$$"),
        ("```math\n- x\n\ny\n```", "```math\n- x\n\ny\n```"),
        ("```math\nx\n___\n```\n\n[l](r.md)", "```math\nx\n___\n```\n\n[l](https://e.com/r.md)"),
        ("```math\nx\n!!! note\n```\n\n[l](r.md)", "```math\nx\n!!! note\n```\n\n[l](https://e.com/r.md)"),
        ("$$\nx\n$$", "$$\nx\n$$"),
        ("| a | b |\n|-|-|\n| 1 | 2 | $x|y$ |", "| a | b |\n| --- | --- |\n| 1 | 2 \\| $x\\|y$ |"),
        (
            "| a | b |\n|-|-|\n| 1 | https://e.com/a\\|b <!-- \\| --> |",
            "| a | b |\n| --- | --- |\n| 1 | <https://e.com/a\\|b> <!-- \\| --> |",
        ),
        ("!!! note\n    a\n\n[^x]: *n*\n\n    m\n\nb", "> [!NOTE]\n> a\n\nb\n\n[^x]: *n*\n\n    m"),
    ],
)
def test_the_form(source, form):
    assert render_markdown(source, title="T" if "title" in source else "", link_base="https://e.com/") == form


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("[w](javascript:x)", "w"),
        ("[w](java&Tab;script:x) [v](vbscript:x) [u](data:text/html,x)", "w v u"),
        ("[w](<java\tscript:x>)", "w"),
        ("[w][r]\n\n[r]: JavaScript:x", "w"),
        ("<javascript:x>", "javascript:x"),
        ("![w](javascript:x) ![](data:image/png;base64,aGk=)", "w data"),
        ("![a [w](javascript:x)](https://e.com/i.png)", "![a w](https://e.com/i.png)"),
        ("![](a.png)", "![a.png](a.png)"),
        ('<a href="javascript:x">w</a> <a href="https://e.com" onclick="x">v</a>', 'w <a href="https://e.com">v</a>'),
        ("[w](slack://x) <irc://x>", "w (slack://x) irc://x"),
        ("a <script>x</script> <b onclick='x'>w</b>", "a \\<script\\>x\\</script\\> <b>w</b>"),
        ("<script>\nx\n</script>", "```\n<script>\nx\n</script>\n```"),
        (
            "<div>\n<a href='javascript:x'>w</a> <time> <iframe src=x>\n</div>",
            "<div>\nw &lt;time> &lt;iframe src=x>\n</div>",
        ),
        ("<iframe src=x>\nw</iframe>", "\\<iframe src=x\\>\n\nw\\</iframe\\>"),
        ("<img src='data:x' alt='w'> <img src='https://e.com/i.png' onerror='x'>", 'w <img src="https://e.com/i.png">'),
        (
            "<details open><summary>s</summary>\n\nw\n\n</details>",
            "<details open><summary>s</summary>\n\nw\n\n</details>",
        ),
        ("a <!-- c --> b\n\n<!-- d -->", "a <!-- c --> b\n\n<!-- d -->"),
        ("<!-- a --> w <!-- oops\n\n# Rest", "w \\<!-- oops\n\n# Rest"),
    ],
)
def test_a_markdown_field_holds_nothing_that_runs_and_every_word(source, form):
    """What may not stay is words; what its reader would hide is shown."""
    assert render_markdown(source) == form


def test_what_may_not_stay_and_cant_be_written_again_is_words(monkeypatch):
    """No form of it is sure to read the same: then every word by itself, and code."""
    monkeypatch.setattr("tasks.markup.azure_devops.fields.written", lambda *_, **__: None)
    source = (
        "# T\n\n[w](javascript:x) [v](https://e.com) `c`\n\n- *i* <b onclick=x>b</b>[^1]\n\n```py\nx\n```\n\n[^1]: n"
    )
    shown = render_markdown(source)
    assert shown == "T\n\nw v (https://e.com) c\n\ni b\\[1\\]\n\n```py\nx\n```\n\n\\[1\\]\n\nn"
    assert render_markdown("# T\n\n[w](https://e.com)") == "# T\n\n[w](https://e.com)"
