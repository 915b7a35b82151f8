"""Rendering takes work that grows with the document, and not with its square, whatever the document repeats."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import comrak
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.markup import azure_devops, confluence, jira, servicenow
from tasks.markup.parser import density
from tasks.markup.parser.parse import options, parse_document

ROOT = Path(__file__).parents[2]
SMALL, LARGE = 4_000, 16_000
RENDERERS = [
    pytest.param(confluence.render, id="page"),
    pytest.param(azure_devops.render, id="html"),
    pytest.param(servicenow.render, id="text"),
    pytest.param(azure_devops.render_markdown, id="markdown"),
    pytest.param(jira.render, id="jira"),
]


def repeated(piece: str, size: int) -> str:
    return piece * (size // len(piece))


def calls_of(render, text: str) -> int:
    """How many functions are called, Python's and C's, while a text is rendered."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        render(text)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("render", RENDERERS)
@pytest.mark.parametrize(
    "piece",
    [
        # Quotes that end where a line without a marker continues no paragraph.
        "> # \na\n",
        "> [!NOTE]\nx\n",
        "> - a\nb\n    c\n",
        "[^1]: > #\na\n",
        ">" * 20 + " #\na\n",
        "> > #\n> a\nb\n",
        "[^1]: > #\na\n> #\na\n",
        "> [!NOTE]\n[^a]:1. > > \n",
        # Brackets that nothing closes, and labels in labels.
        "**<x\na![\n[]",
        "*![a~]*![**<",
        "[[[](",
        # Lists, tables and references, each of many parts.
        "- a\n  - b\n    - c\n",
        "- - - a\n",
        "* - +\n",
        "|a|\n|-|\n",
        "[a]: b 'c\n",
        "a[^1]\n\n[^1]: b\n\n",
        # Math that never ends, and tags that were never opened.
        "> $$\na\n",
        "$$ a\n",
        "</details><ul>",
    ],
)
def test_four_times_the_text_takes_four_times_the_calls(render, piece):
    render(piece)
    small, large = (calls_of(render, repeated(piece, size)) for size in (SMALL, LARGE))
    assert large < small * LARGE / SMALL * 1.25


@pytest.mark.parametrize("render", RENDERERS)
@pytest.mark.parametrize(
    "text",
    [
        "[^1]: > " * 123 + "word\n",
        "[^1]: " * 260 + "word\n",
        "    ```\n\n" + ">" * 247 + "word\nb\n",
        "- > " * 100 + "word",
    ],
    ids=["quotes in footnotes", "footnotes", "quotes", "quotes in lists"],
)
def test_containers_nest_deeper_than_python_calls_may(render, text):
    assert "word" in str(render(text))


DEEP = {
    "quotes": '">" * 60_000 + " word"',
    "quotes in a fence that another parser would see": '"- ```\\n\\n" + ">" * 60_000 + " word"',
    "alerts": '"> " * 60_000 + "[!NOTE]\\n" + "> " * 60_000 + "word"',
    "emphasis": '"*" * 100_000 + "word" + "*" * 100_000',
    "emphasis in emphasis": '"*a _b " * 60_000 + "word" + "_ * " * 60_000',
    "strong": '"**a " * 60_000 + "word" + " b**" * 60_000',
    "strikethrough": '"~a " * 60_000 + "word" + " b~" * 60_000',
    "images": '"![" * 60_000 + "word" + "](b)" * 60_000',
    "brackets": '"[" * 100_000 + "word" + "](b)" * 100_000',
    "footnotes": '"[^1]: " * 60_000 + "word"',
    "lists": '"- " * 60_000 + "word"',
    "indented lists": '"\\n".join("  " * i + "- word" for i in range(1_500))',
    "containers": '"".join(":" * (1_000 - i) + "note\\n" for i in range(900)) + "word"',
    "tags": '"<b><ul><li>" * 10_000 + "word"',
    "summaries": '"<details><summary>" * 3_000 + "word"',
    "zeros": '"word" + chr(0) * 100_000',
    "cells": '"|a" * 20_000 + "\\n" + "|-" * 20_000 + "\\n" + "|word" * 20_000',
}


@pytest.mark.parametrize("text", DEEP.values(), ids=list(DEEP))
def test_no_nesting_ends_the_process(text):
    """In a thread of little stack, as some systems give them."""
    program = (
        "import sys, threading\n"
        "from tasks.markup import azure_devops, confluence, servicenow\n"
        f"text = {text}\n"
        "done = []\n"
        "def work():\n"
        "    done.extend('word' in one.render(text) for one in (confluence, azure_devops, servicenow))\n"
        "threading.stack_size(512 * 1024)\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start(); thread.join()\n"
        "sys.exit(0 if done == [True] * 3 else 1)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, timeout=150).returncode == 0


def test_a_document_at_which_the_parser_gives_up_is_shown_as_words(monkeypatch):
    class PanicException(BaseException):
        pass

    plain = comrak.parse_document

    def gives_up(text, *options):
        if "**" in text and "\\*" not in text:
            raise PanicException
        return plain(text, *options)

    monkeypatch.setattr(comrak, "parse_document", gives_up)
    assert confluence.render("# a **b**") == "<p># a **b**</p>"
    assert confluence.render("[w] **b**\n\n[w]: /u") == "<p>[w] **b**</p><p>[w]: /u</p>"


def test_a_rendered_document_leaves_nothing_behind():
    """The binding's nodes hold each other, and Python's collector doesn't know them."""
    program = (
        "import resource\n"
        "from tasks.markup import confluence\n"
        "text = '|a|b|\\n|-|-|\\n' + '*a* [b](c) `d` <b>e</b>\\n\\n- f\\n\\n> g\\n\\n|a|b|\\n|-|-|\\n|c|d|e|\\n\\n' * 500\n"
        "def used():\n"
        "    for _ in range(6): confluence.render(text)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used()\n"
        "raise SystemExit(used() > before * 1.15)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, timeout=150).returncode == 0


@pytest.mark.parametrize(
    ("render", "text", "shown"),
    [
        (confluence.render, "<div>\n" + "<a " * 300_000, "&lt;a &lt;a "),
        (azure_devops.render, ("http://a.b/" + "(" * 20) * 30_000, "http://a.b/((("),
        (confluence.render, "|a|\n|-|\n" + ("|b" + "| " * 15_000 + "\n") * 15, "<td>b</td>"),
        (servicenow.render, "a[" + "\u200b" * 300_000 + "b", "\u200b\u200bb"),
    ],
    ids=["tags", "addresses", "cells", "invisible"],
)
def test_a_million_characters_that_a_pattern_may_begin_with_are_rendered(render, text, shown):
    """Read on from each of them, they would take hours, and the test its time limit."""
    assert shown in render(text)


def test_tags_nest_no_deeper_than_a_form_takes_whatever_is_closed():
    """The sanitiser's time grows with the square of the depth."""
    root = ET.fromstring(f"<body>{azure_devops.render('</details><ul>' * 1_000)}</body>")
    depth, level = 0, [root]
    while level:
        depth, level = depth + 1, [child for element in level for child in element]
    assert depth < 130


@pytest.mark.parametrize("piece", ["*a* ", "[^1] ", "a\n", "- x\n", "|c|d|\n", "[a](b) "])
def test_a_long_text_of_nothing_but_marks_is_shown_as_it_was_typed(piece):
    """Read, it would take the process more memory than it may have; nobody writes so."""
    source = piece * (1_000_000 // len(piece))
    page = confluence.render_page(source)
    assert page.body.startswith('<ac:structured-macro ac:name="code">')
    assert f"{piece * 100}".strip() in page.body
    assert "too many marks" in " ".join(page.warnings)
    assert azure_devops.render_markdown(source).startswith(f"```\n{piece.strip()}")
    short = source[:50_000]
    assert not parse_document(short).as_typed


def test_a_long_document_that_people_could_write_is_read():
    rows = "".join(f"| {number} | {number % 9} | `a_b` | [x](https://e.com/{number}) |\n" for number in range(18_000))
    items = "".join(f"- [ ] {number}\n" for number in range(50_000))
    logs = "```\n" + "*_[^1]: a | b <c>\n" * 60_000 + "```\n"
    in_items = "1. Run\n\n   ```\n   x\n   ```\n\n<!-- a -->\n<!-- b\nc -->\n\n" + logs
    assert not any(
        parse_document(text).as_typed for text in (rows, "| a | b | c | d |\n|-|-|-|-|\n" + rows, items, logs, in_items)
    )


@pytest.mark.parametrize(
    "above",
    [
        "```\n    ```\n```\n",
        "a\n    ```\n",
        "- a\n  ```\n",
        "- ```\n  x\n  ```\n",
        "> ```\n> x\n> ```\n~~~\n~~~\n- a\n  ~~~\n",
        "[^1]: ```\n      x\n    ```\n",
        "<center>\n```\n\n",
        "<!--\n\n```\n-->\n",
        "<pre>\n\n```\n</pre>\n",
        "- a\n  <div>\n",
        "- <div>\n<!X\n\n<div>\n",
        ":::note\n```\n:::\n",
        "```\n```\u00a0\n```\n",
        "<div>\n\x0c\n```\n\n",
    ],
)
def test_marks_are_counted_below_what_is_no_fence_there(above):
    """A megabyte of them took 414 MB."""
    assert density.is_too_dense(above + "*a* *a* *a*\n" * 84_000)


LINES = st.lists(
    st.sampled_from(
        [
            *("```", "~~~", "  ```", "   ```", "    ```", "```py", "- ```", "> ```", "\t```", "````", "``` a`b", "```\u00a0", "\x0c"),
            *("", "", "a", "*a*", "  *a*", "    *a*", "- a", "  - a", "1. a", "10. a", "* * *", "| a |", "|-|", "# h", "[a]: /u", "$$"),
            *("<div>", "  <div>", "<div", "</div>", "<b>", "<center>", "<p", "- <div>", "<!--", "-->", "<!-- x -->", "<pre>", "> <pre>"),
            *("</pre>", "<?x", "?>", "<script>", "</script>", "<![CDATA[", "]]>", "<!X", ">", "[^1]: a", "[^1]: ```"),
        ]
    ),
    max_size=9,
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(LINES)
def test_lines_that_are_not_counted_are_code_or_raw_html(lines):
    """As the parser reads them, which would take the memory that the count is there to save."""
    document = comrak.parse_document("\n".join(lines), *options())
    hidden = set(range(len(lines))) - {place for place, _ in density.seen(lines)}
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if type(node.node_value) in (comrak.CodeBlock, comrak.HtmlBlock):
            hidden -= set(range(node.sourcepos.start.line - 1, node.sourcepos.end.line))
        waiting += node.children
    assert not any(lines[place].strip() for place in hidden)


@pytest.mark.parametrize("piece", ["- a\n\nb\n\n", "- a\n+ b\n", "> - a\n\n", "<?a\n[x\n"])
def test_time_grows_with_the_text(piece):
    """Steps within one call of C's aren't counted above: this read all that stood before each list, or all for each label."""
    small, large = (seconds(piece * count) for count in (2_000, 16_000))
    assert large < 24 * small


@pytest.mark.parametrize("around", [("::: tip a", "b\n\nc\n:::"), ("# a", "b {#c}")], ids=["container", "heading"])
def test_time_grows_with_the_blanks_in_a_line(around):
    """As above: each blank was looked at again from each one before it."""
    small, large = (seconds((" " * count).join(around)) for count in (2_000, 16_000))
    assert large < 24 * small


def seconds(text: str) -> float:
    """The least of three runs' processor time."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        azure_devops.render_markdown(text)
        taken.append(time.process_time() - start)
    return min(taken)
