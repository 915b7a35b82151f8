"""Raw HTML that isn't as it should be: openings without an end, links that stand round blocks."""

from __future__ import annotations

import re

import pytest

from tasks.markup import azure_devops, confluence, servicenow
from tests.unit.test_markup_words import TARGETS, read


@pytest.mark.parametrize("render", TARGETS)
@pytest.mark.parametrize("opening", ["<?php", "<!-- oops", "<![CDATA["])
def test_definitions_below_an_opening_without_an_end_are_words_unless_they_are_used(render, opening):
    """What GitHub shows or hides as a whole is no place for definitions."""
    shown = read(
        render,
        f"{opening}\n> [o]:first\n> {opening} more\n\n[p]: https://e.com/second\n\n[q]: https://e.com/third\n\n[q]",
    )
    assert "[o]:first" in shown
    assert f"{opening} more" in shown
    assert "[p]: https://e.com/second" in shown
    assert "[q]:" not in shown
    code = f"{opening}\n\n```\n[o]: f\n{opening}\n```\n"
    assert f"[o]: f {opening}" in read(render, code)


@pytest.mark.parametrize("render", TARGETS)
@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<?*>\n\n[o\np]: /u\n\nc", "[o p]: /u"),
        ("> <?x\n>\n> [o\n> p]: /u\n>\n> c", "[o p]: /u"),
        ("- <!--\n\n  [o\n  p\n  q]:\n  /u\n", "[o p q]: /u"),
        ("<?[foo]()>\n\n[foo]:r", "[foo]:r"),
    ],
)
def test_so_are_those_whose_label_stands_over_lines_or_only_beside_an_address(render, source, shown):
    assert shown in " ".join(read(render, source).replace(">", " ").split())


def test_a_label_over_lines_that_something_refers_to_stays_a_definition():
    body = confluence.render("<?x\n\n[a\nb]: https://e.com\n\n[A  b]")
    assert '<a href="https://e.com">A  b</a>' in body


@pytest.mark.parametrize("render", [azure_devops.render, azure_devops.render_markdown])
@pytest.mark.parametrize("number", ["&#x1f;", "&#31;", "&#xffff;"])
def test_numbers_of_characters_that_none_may_hold_leave_nothing_in_a_work_item(render, number):
    for source in (f"<div>a{number} b</div>", f"<b>a{number} b</b>"):
        shown = re.sub(r"<[^>]*>", "", render(source))
        assert shown == "a b"


@pytest.mark.parametrize(
    ("source", "linked"),
    [
        ("<a href='https://e.com'><h2>T</h2></a>", 1),
        ("<a href='https://e.com'><ul><li>T</li></ul></a> z", 1),
        ("<a href='https://e.com'><div>T</div><div>U</div></a>", 2),
        ("<a href='https://e.com'>\n\nT\n\n</a>\n\nz", 1),
        ("<a href='https://e.com'>\n\nT **x**\n\n- y\n\n</a>\n\nz", 2),
        ("<a href='https://e.com'>\n\n[T](https://f.com)\n\n</a>", 1),
        ("<a href='https://e.com'>\n\nT\n\nz", 0),
    ],
)
@pytest.mark.parametrize("render", [confluence.render, azure_devops.render])
def test_a_link_round_blocks_that_stand_elsewhere_stands_round_their_words(render, source, linked):
    """In a line that isn't a block of HTML, and round blocks of Markdown; nothing below its end is linked."""
    links = re.findall(r'<a href="https://[ef].com">(.*?)</a>', render(source))
    assert len(links) == linked
    assert all(links)
    assert "z" not in "".join(links)


def test_a_link_round_blocks_stands_round_their_words():
    source = '<a href="https://e.com">\n<p>T</p>\n</a>'
    assert confluence.render(source) == '<p><a href="https://e.com">T</a></p>'
    assert '<a href="https://e.com">T</a>' in azure_devops.render(source)
    assert servicenow.render(source) == "T (https://e.com)"
