"""Jira's document format: what the schema lets stand in what, and every word of the source."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings

from tasks.markup import jira
from tasks.markup.clean import xml_text
from tasks.markup.parser.parse import parse_document
from tests.markup_tools.reader import missing, seen_words
from tests.unit.test_markup_any_text import CORNERS, HIDES, TEXTS, WORDS

# What Atlassian's JSON schema (version 1, full) allows, as far as we write it.
LISTS = {"bulletList", "orderedList"}
BLOCKS = {"paragraph", "heading", "codeBlock", "rule", "panel", "blockquote", "table", "expand", *LISTS}
MAY_HOLD = {
    "doc": BLOCKS,
    "paragraph": {"text", "hardBreak"},
    "heading": {"text", "hardBreak"},
    "codeBlock": {"text"},
    "bulletList": {"listItem"},
    "orderedList": {"listItem"},
    "listItem": {"paragraph", "codeBlock", *LISTS},
    "blockquote": {"paragraph", "codeBlock", *LISTS},
    "panel": {"paragraph", "heading", "codeBlock", "rule", *LISTS},
    "expand": BLOCKS - {"expand"},
    "table": {"tableRow"},
    "tableRow": {"tableHeader", "tableCell"},
    "tableHeader": BLOCKS - {"table", "expand"},
    "tableCell": BLOCKS - {"table", "expand"},
}
NEVER_EMPTY = {*LISTS, "listItem", "blockquote", "panel", "expand", "table", "tableRow", "tableHeader", "tableCell"}


def check(node):
    """Raises where the schema would refuse."""
    kind = node["type"]
    if kind == "text":
        assert node["text"]
        marks = [mark["type"] for mark in node.get("marks", ())]
        assert len(marks) == len(set(marks))
        assert "code" not in marks or set(marks) <= {"code", "link"}
        return
    children = node.get("content", [])
    assert {child["type"] for child in children} <= MAY_HOLD.get(kind, set()), node
    assert children or kind not in NEVER_EMPTY, node
    if kind == "listItem":
        assert children[0]["type"] in ("paragraph", "codeBlock")
    if kind == "codeBlock":
        assert not any("marks" in child for child in children)
    for child in children:
        check(child)


def words(node):
    if node["type"] == "text":
        return node["text"]
    title = node.get("attrs", {}).get("title", "")
    between = "" if node["type"] in ("paragraph", "heading") else "\n"
    return f"{title}\n" + between.join(words(child) for child in node.get("content", ())) + "\n"


def targets(node):
    """Where its links lead."""
    own = [mark["attrs"]["href"] for mark in node.get("marks", ()) if mark["type"] == "link"]
    return own + [target for child in node.get("content", ()) for target in targets(child)]


def must_be_faithful(markdown):
    document = jira.render(markdown)
    check(document)
    if not parse_document(markdown).fields and not HIDES.search(markdown):
        assert missing(seen_words(xml_text(markdown)), "\n".join([words(document), *targets(document)])) == []


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_is_valid_with_every_word(text):
    """Whatever is written."""
    must_be_faithful(text)


@pytest.mark.parametrize("seed", range(4))
def test_any_mix_of_hard_corners_is_valid(seed):
    """Lists, quotes, tables and raw HTML in each other in every way."""
    chance = random.Random(seed)
    for _ in range(100):
        pieces = [chance.choice(CORNERS) if chance.random() < 0.6 else chance.choice(WORDS) + " " for _ in range(30)]
        check(jira.render("".join(pieces)))


def content(markdown):
    return jira.render(markdown)["content"]


def test_marks_links_and_code_are_what_they_are_on_github():
    (paragraph,) = content("**b *i*** ~~s~~ `c` [l](https://e.com) [j](javascript:x)")
    found = [(node["text"], [mark["type"] for mark in node.get("marks", ())]) for node in paragraph["content"]]
    assert found == [
        ("b ", ["strong"]),
        ("i", ["strong", "em"]),
        (" ", []),
        ("s", ["strike"]),
        (" ", []),
        ("c", ["code"]),
        (" ", []),
        ("l", ["link"]),
        (" j", []),
    ]


def test_lists_tasks_tables_panels_and_folds_have_their_own_blocks():
    kinds = [
        node["type"]
        for node in content(
            '- [x] a\n  1. b\n\n| h |\n|-|\n| c |\n\n> [!WARNING]\n> w\n\n??? note "T"\n    in\n\n> q\n\n```py\nx\n```\n\n---\n'
        )
    ]
    assert kinds == ["bulletList", "table", "panel", "expand", "blockquote", "codeBlock", "rule"]
    tasks = content("- [x] done\n- [ ] open")[0]["content"]
    assert [item["content"][0]["content"][0]["text"] for item in tasks] == ["\u2611 done", "\u2610 open"]
    assert content("3. c")[0]["attrs"] == {"order": 3}


def test_what_has_no_place_in_another_block_keeps_its_words():
    quoted = content("> # Head\n>\n> | a | b |\n> |-|-|\n> | c | d |\n")[0]
    assert [node["type"] for node in quoted["content"]] == ["paragraph", "codeBlock"]
    assert quoted["content"][0]["content"] == [{"type": "text", "text": "Head", "marks": [{"type": "strong"}]}]
    item = content("- x\n\n  > q\n")[0]["content"][0]
    assert [node["type"] for node in item["content"]] == ["paragraph", "paragraph"]
    assert "deepest" in words(jira.render("".join("  " * n + "- deep\n" for n in range(9)) + "  " * 9 + "- deepest"))


def test_an_empty_document_is_a_document():
    assert jira.render("") == {"version": 1, "type": "doc", "content": [{"type": "paragraph", "content": []}]}
