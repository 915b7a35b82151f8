"""Readers' comments in a new body, the reading of storage format, and what counts as a person's change."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.destinations.confluence.links import links_panel, shows_links, with_links
from tasks.destinations.confluence.mark import anchor
from tasks.markup.compare import compare
from tasks.markup.confluence import render
from tasks.markup.confluence.inline_comments import carry_over
from tasks.markup.confluence.stored import fingerprint, joined, lines_of, pieces, split_links, without_markers
from tasks.model import Link


def marker(ref, text):
    return f'<ac:inline-comment-marker ac:ref="{ref}">{text}</ac:inline-comment-marker>'


def marked(body, ref):
    """The words that stand in markers of that reference."""
    return "".join(re.findall(rf'<ac:inline-comment-marker ac:ref="{ref}">(.*?)</ac:inline-comment-marker>', body))


def well_formed(body):
    ET.fromstring(f"<r xmlns:ac='ac' xmlns:ri='ri'>{body}</r>")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (f"<p>a {marker('1', 'pool')} b</p>", "<p>new</p><p>a pool b</p>", "pool"),
        (f"<p>The {marker('1', 'big <strong>pool')}</strong></p>".replace("</strong></p>", "</p>"), "<p>x</p>", ""),
        (f"<p>{marker('1', 'one <em>two</em> three')}</p>", "<p>one <em>two</em> three</p>", "one two three"),
        (f"<p>{marker('1', 'one two')} three</p>", "<p>one <strong>two</strong> three</p>", "one two"),
        (f"<p>a &amp; {marker('1', '&lt;b&gt; c')}</p>", "<h1>T</h1><p>a &amp; &lt;b&gt; c</p>", "&lt;b&gt; c"),
        (f"<td>{marker('1', 'cell')}</td><td>cell</td>", "<td>cell</td><td>cell</td>", "cell"),
        (f"<p>{marker('1', 'gone for good')}</p>", "<p>something else</p>", ""),
        (f"<p>{marker('1', '   ')}</p>", "<p>   </p>", ""),
    ],
)
def test_a_marker_is_put_round_the_same_words(old, new, words):
    carried = carry_over(old, new)
    well_formed(carried.body)
    assert marked(carried.body, "1") == words
    assert (carried.kept, carried.lost) == ((1, 0) if words else (0, 1))
    assert without_markers(carried.body) == new


def test_of_several_places_the_one_with_the_same_surroundings_is_taken():
    old = f"<p>first error here</p><p>second {marker('1', 'error')} there</p>"
    new = "<p>an error before</p><p>first error here</p><p>second error there</p>"
    assert "second " + marker("1", "error") in carry_over(old, new).body


def test_of_equal_places_the_one_of_the_same_rank_is_taken():
    row = "<tr><td>db</td><td>down</td></tr>"
    old = f"<table>{row}<tr><td>db</td><td>{marker('1', 'down')}</td></tr>{row}</table>"
    body = carry_over(old, f"<table>{row * 3}</table>").body
    assert body.index("ac:inline-comment-marker") > body.index("</tr>")
    assert body.index("ac:inline-comment-marker") < body.rindex("<tr>")


def test_a_short_word_elsewhere_is_no_home_for_a_comment_whose_sentence_is_gone():
    old = f"<p>whether {marker('1', 'it')} failed</p>"
    assert carry_over(old, "<p>Leave it alone, said nobody.</p>").lost == 1


def test_overlapping_comments_both_survive():
    old = f"<p>{marker('1', 'one ' + marker('2', 'two three'))} four</p>"
    carried = carry_over(old, "<p>one two <em>three</em> four</p>")
    well_formed(carried.body)
    assert carried.kept == 2
    assert "two" in marked(carried.body, "2")
    assert marked(carried.body, "2").endswith("three")


def test_no_marker_is_put_into_code_or_parameters():
    code = '<ac:structured-macro ac:name="code"><ac:parameter ac:name="title">alpha beta gamma</ac:parameter><ac:plain-text-body><![CDATA[alpha beta gamma]]></ac:plain-text-body></ac:structured-macro>'
    carried = carry_over(f"<p>{marker('1', 'alpha beta gamma')}</p>", code)
    assert carried.body == code
    assert carried.lost == 1


WORDS = st.lists(
    st.sampled_from(["pool", "was", "**full**", "`code`", "*at*", "noon", "a & b", "<x>", "\n\n", "- item\n"])
)


@settings(max_examples=150, deadline=None)
@given(WORDS, WORDS, st.integers(0, 300), st.integers(1, 40))
def test_any_new_body_stays_well_formed_and_keeps_its_text(before, after, start, length):
    old, new = render(" ".join(before)), render(" ".join(after))
    runs = [i for i, part in enumerate(pieces(old)) if part.kind == "text" and part.text.strip()]
    if runs:
        parts = pieces(old)
        place = runs[start % len(runs)]
        text = parts[place].raw
        if "&" not in text:
            at = start % len(text)
            old = (
                joined(parts[:place])
                + text[:at]
                + marker("1", text[at : at + length])
                + text[at + length :]
                + joined(parts[place + 1 :])
            )
    carried = carry_over(old, new)
    well_formed(carried.body)
    assert without_markers(carried.body) == new
    same = carry_over(old, without_markers(old))
    assert same.lost == 0 or not marked(old, "1").strip() or len(marked(old, "1").strip()) < 12


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_pieces_joined_are_the_input(text):
    assert joined(pieces(text)) == text


def test_a_page_of_a_thousand_comments_is_no_trouble():
    old = "".join(f"<p>sentence number {n} is {marker(f'r{n}', f'word{n}')} here</p>" for n in range(1000))
    carried = carry_over(old, "<p>new</p>" + without_markers(old))
    assert (carried.kept, carried.lost) == (1000, 0)


# -- what counts as a change -----------------------------------------------------------------------------------------

PANEL = links_panel((Link(key="k", kind="servicenow", title="Incident INC1", url="https://x.example/?a=1&b=2"),))


@pytest.mark.parametrize(
    "other",
    [
        f"<p>The {marker('1', 'pool')} was full</p><h2>Next</h2>",
        '<p local-id="1">The pool was  full</p>\n<h2>Next</h2>',
        "<p>The pool was full</p><h2>Next</h2>" + PANEL,
    ],
)
def test_comments_ids_spaces_and_our_links_are_no_edit(other):
    assert fingerprint(other) == fingerprint("<p>The pool was full</p><h2>Next</h2>")


@pytest.mark.parametrize(
    "other",
    [
        "<p>The pool was empty</p><h2>Next</h2>",
        "<p>The pool was full</p><h3>Next</h3>",
        "<p>The <strong>pool</strong> was full</p><h2>Next</h2>",
        '<p>The <a href="https://x.example">pool</a> was full</p><h2>Next</h2>',
        "<p>The pool was full</p><h2>Next</h2><p>More</p>",
        "<h2>Next</h2><p>The pool was full</p>",
    ],
)
def test_words_structure_and_links_are(other):
    assert fingerprint(other) != fingerprint("<p>The pool was full</p><h2>Next</h2>")


def test_a_ticked_task_is_an_edit():
    task = "<ac:task-list><ac:task><ac:task-id>1</ac:task-id><ac:task-status>incomplete</ac:task-status><ac:task-body>do</ac:task-body></ac:task></ac:task-list>"
    assert fingerprint(task) != fingerprint(task.replace("incomplete", "complete"))


def test_the_panel_of_links_stands_before_our_anchor_once_and_can_be_taken_out():
    body = "<p>words</p>" + anchor("ab" * 16, "cd" * 32)
    linked = with_links(body, PANEL, "ab" * 16)
    assert linked.startswith('<p>words</p><ac:structured-macro ac:name="panel"')
    assert with_links(linked, PANEL, "ab" * 16) == linked
    assert split_links(linked) == (body, PANEL)
    assert with_links(linked, "", "ab" * 16) == body
    assert shows_links(linked.replace("<li>", '<li local-id="7">'), PANEL)
    well_formed(linked)


def test_a_panel_of_the_authors_is_not_taken_for_ours():
    theirs = '<ac:structured-macro ac:name="panel"><ac:rich-text-body><p>about afterword-links</p></ac:rich-text-body></ac:structured-macro>'
    assert split_links(theirs) == (theirs, "")


# -- for people ------------------------------------------------------------------------------------------------------


def test_a_body_reads_as_lines_of_text():
    body = render("# Head\n\none *two*\n\n- a\n  - b\n\n| x | y |\n|-|-|\n| 1 | 2 |\n\n```\ncode <x>\n```\n")
    assert lines_of(body) == ["# Head", "one two", "- a", "- b", "| x | y", "| 1 | 2", "    code <x>"]


def test_a_difference_shows_words_that_go_and_come():
    (same, changed, added) = compare(["one", "the pool was full"], ["one", "the pool was empty", "more"])
    assert (same.kind, added.kind, added.text) == ("same", "added", "more")
    assert changed.parts == (("same", "the pool was "), ("removed", "full"), ("added", "empty"))
    assert compare(["a"], ["a"]) == ()


def test_what_has_nothing_in_common_is_removed_and_added():
    assert [change.kind for change in compare(["alpha beta gamma"], ["totally different words"])] == [
        "removed",
        "added",
    ]


def test_a_long_document_shows_only_what_changed():
    old = [f"line {n}" for n in range(100)]
    found = compare(old, [*old[:50], "new line", *old[50:]])
    assert [change.kind for change in found] == ["gap", "same", "same", "added", "same", "same", "gap"]
