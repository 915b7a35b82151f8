"""Each construct has its form, and what is written comes out, whatever it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tasks.markup import azure_devops, clean, confluence, servicenow
from tasks.markup.confluence import PageOptions, render_page, viewer
from tasks.markup.parser import front_matter
from tasks.markup.parser.parse import parse
from tests.markup_tools.reader import missing, seen_words, words_of
from tests.markup_tools.storage_format import AC, RI, validated

DOCS = Path(__file__).parents[2] / "docs" / "markdown.md"


def documented() -> list[tuple[str, str, str]]:
    """The rows of the documentation's table: name, Markdown, storage format."""
    tokens = MarkdownIt("commonmark").enable("table").parse(DOCS.read_text("utf-8"))
    end = next(i for i, token in enumerate(tokens) if token.type == "table_close")
    cells = [token for token in tokens[:end] if token.type == "inline"][-(10**6) :]
    start = next(i for i, token in enumerate(cells) if token.content == "Storage format") + 1
    texts = [cells[i : i + 3] for i in range(start, len(cells), 3)]
    signs = str.maketrans({"↵": "\n", "⍽": "\u00a0", "␛": "\x1b"})
    return [
        (name.content, *(cell.children[0].content.translate(signs) for cell in (source, result)))
        for name, source, result in texts
    ]


@pytest.mark.parametrize(("name", "source", "result"), documented(), ids=lambda value: value[:30])
def test_each_construct_is_rendered_as_documented(name, source, result):
    assert confluence.render(source) == result
    validated(result)


def test_the_documentation_knows_every_construct():
    names = " ".join(name for name, _, _ in documented())
    for word in (
        "heading",
        "list",
        "task",
        "table",
        "code",
        "link",
        "footnote",
        "image",
        "alert",
        "quote",
        "details",
        "math",
    ):
        assert word in names


@pytest.mark.parametrize(
    ("source", "missing_names"),
    [
        ("# A-1\n# A\n# A\n[x](#a-2) [y](#a-1)", []),
        ("[x](#caf%C3%A9)\n\n# Café", []),
        ("# A\n[x](#b)", ["b"]),
        ("# A\n\n<a title='b < c' href=\"#a\">x</a>", []),
    ],
)
def test_links_into_the_page_find_what_github_would(source, missing_names):
    page = render_page(source)
    root = validated(page.body)
    anchors = {e.text for e in root.iter(f"{AC}parameter")}
    assert {e.get(f"{AC}anchor") for e in root.iter(f"{AC}link")} <= anchors
    assert [name for name in missing_names if not any(f"#{name}" in warning for warning in page.warnings)] == []
    assert bool(page.warnings) is bool(missing_names)


def test_a_link_to_the_title_heading_leads_to_the_top_where_the_title_stands_for_it():
    page = render_page("# An outage\n\n[up](#an-outage)", PageOptions(drop_title_heading="An outage"))
    root = validated(page.body)
    assert [e.text for e in root.iter(f"{AC}parameter")] == ["an-outage"]
    assert "<h1>" not in page.body
    unwanted = render_page("# An outage\n\nup", PageOptions(drop_title_heading="An outage"))
    assert unwanted.body == "<p>up</p>"


def test_footnotes_lead_both_ways_each_time_they_are_referred_to_and_strays_are_kept():
    root = validated(confluence.render("a[^n] b[^n] c[^m]\n\n[^m]: second\n\n[^n]: first\n\n    more\n\n[^x]: stray"))
    anchors = {e.text for e in root.iter(f"{AC}parameter")}
    links = [e.get(f"{AC}anchor") for e in root.iter(f"{AC}link")]
    assert set(links) == anchors
    assert "".join(root.find("ol")[0].itertext()).startswith("footnote-1first")
    assert "stray" in "".join(root.itertext())


def test_a_tight_task_and_a_loose_task_read_alike():
    for source in ("- [ ] a\n- [x] b", "- [ ] a\n\n- [x] b"):
        bodies = [body.text for body in validated(confluence.render(source)).iter(f"{AC}task-body")]
        assert bodies == ["a", "b"]


def test_pictures_and_files_handed_over_are_attached_and_referred_to():
    files = {"img/a.png": b"one", "other/a.png": b"two", "log files/x y.txt": b"log"}
    source = "![A](./img/a.png) ![B](other/a.png) [log](log%20files/x%20y.txt) ![D](data:image/gif;base64,aGk=)"
    page = render_page(source, PageOptions(files=files))
    names = [e.get(f"{RI}filename") for e in validated(page.body).iter(f"{RI}attachment")]
    held = {attachment.name: attachment.content for attachment in page.attachments}
    assert [held[name] for name in names] == [b"one", b"two", b"log", b"hi"]
    assert page.warnings == ()
    assert {a.media_type for a in page.attachments} == {"image/png", "text/plain", "image/gif"}


@pytest.mark.parametrize("source", ["![alt](gone.png)", "![alt](data:image/png;base64,!!)", "![alt](file:///x)"])
def test_a_picture_that_cannot_be_shown_is_its_words_and_a_warning(source):
    page = render_page(source)
    assert page.body == "<p>alt</p>"
    assert "was not handed over" in page.warnings[0]


def test_front_matter_gives_labels_properties_and_title():
    page = render_page("---\ntitle: T\ntags: [Post Mortem, db]\nlabels: a, b\nowner: sre\nday: 2026-01-02\n---\n# H\n")
    assert (page.title, page.labels) == ("T", ("post-mortem", "db", "a", "b"))
    assert page.properties == {"owner": "sre", "day": "2026-01-02"}
    assert page.body == "<h1>H</h1>"


@pytest.mark.parametrize(
    "text",
    [
        "---\nwords\n---\n",
        "---\n[a\n---\n",
        "---\n\n# x",
        "+++\nwords\n+++\n",
        "---\n- a\n---\n",
        "---\nNote: words\nand more\n---\n",
        "---\ntitle: x\n\nwords\n---\n",
        "---\na:b\n---\n",
        "---\nsee the log\nc: d: e\n---\n",
        "---\nNote:words\nAnd: more: words\n---\n",
        "---\nhttps://e.com\n---\n",
    ],
)
def test_what_is_no_front_matter_stays_in_the_document(text):
    front = front_matter.split(text)
    assert (front.fields, front.rest) == (None, text)
    assert missing(seen_words(text), words_of(validated(confluence.render(text)))) == []


def test_options_shape_the_page():
    options = PageOptions(
        drop_title_heading="T",
        toc=True,
        back_link="https://e.com/1",
        heading_shift=1,
        labels=("RCA",),
        page_width="full-width",
    )
    page = render_page("# t\n\n## A\n\n[x](#a)", options)
    root = validated(page.body)
    assert [e.get(f"{AC}name") for e in root.iter(f"{AC}structured-macro")] == ["panel", "toc", "anchor"]
    assert [e.tag for e in root if str(e.tag).startswith("h")] == ["h3"]
    assert root.find(".//a").get("href") == "https://e.com/1"
    assert page.labels == ("rca",)
    assert page.appearance["content-appearance-published"] == "full-width"


def test_relative_links_and_images_have_a_base():
    page = render_page("[a](../x.md) ![b](i.png)", PageOptions(link_base="https://e.com/docs/rca/"))
    root = validated(page.body)
    assert root.find(".//a").get("href") == "https://e.com/docs/x.md"
    assert root.find(f".//{RI}url").get(f"{RI}value") == "https://e.com/docs/rca/i.png"


def test_diagrams_and_math_become_macros_or_pictures_by_option():
    source = "```mermaid\ngraph TD\n```\n\n$x$\n\n$$\ny\n$$"
    macros = validated(render_page(source, PageOptions(diagrams="macro", math="macro")).body)
    names = [e.get(f"{AC}name") for e in macros.iter(f"{AC}structured-macro")]
    assert names == ["mermaid-macro", "mathinline", "mathblock"]
    without = render_page(source, PageOptions(diagrams="image"))
    (warning,) = without.warnings
    drawing = re.search(r"mermaid-[0-9a-f]{12}\.svg", warning).group()
    page = render_page(source, PageOptions(diagrams="image", files={drawing: b"<svg/>"}))
    assert validated(page.body).find(f".//{RI}attachment").get(f"{RI}filename") == drawing


def test_four_byte_characters_are_named_for_an_old_data_center():
    page = render_page("# 🚀 :rocket: `🔥`", PageOptions(bmp_only=True))
    assert max(page.body + (page.title or "")) <= "\uffff"
    assert ":rocket:" in page.body
    assert ":fire:" in page.body


def test_a_macro_that_a_document_talks_about_is_text():
    source = '<ac:structured-macro ac:name="html"><ac:plain-text-body>x</ac:plain-text-body></ac:structured-macro>'
    root = validated(confluence.render(source))
    assert list(root.iter(f"{AC}structured-macro")) == []
    assert "ac:structured-macro" in "".join(root.itertext())


HARD = {
    "quotes": ">" * 5000 + " deepest",
    "markers": "- " * 5000 + "deepest",
    "indented": "\n".join("  " * i + f"- item{i}" for i in range(200)),
    "nested tasks": "\n".join("  " * i + f"- [ ] item{i}" for i in range(60)),
    "brackets": "[" * 5000 + "word",
    "tables in tables": "<table><tr><td>" * 2000 + "word",
    "details in details": "<details>\n\n" * 300 + "word",
    "rows": "|a|b|\n|-|-|\n" + "|left|right|\n" * 10000,
    "comments without an end": "x <!-- y" * 5000,
    "colours": "\x1b[31mred\x1b[0m \x1b]8;;http://e.com\x07link\x1b]8;;\x07",
    "emphasis": "*a **b " * 3000 + "word",
    "nested emphasis": "*a " * 400 + "a* " * 400,
    "nul and surrogates": "a\x00b \ud800 c\udfff \ufffe word",
    "fence": "```\nword",
    "everything open": "<b><i><table><tr><td><details><summary>**a [b](c `d\n> - [ ] word",
}


@pytest.mark.parametrize("source", HARD.values(), ids=list(HARD))
def test_hard_input_is_delivered_readable(source):
    root = validated(confluence.render(source))
    text = words_of(root)
    for word in ("deepest", "word", "item199", "item59", "left", "red"):
        assert text.count(word) >= source.count(word)
    assert "\x1b" not in text
    servicenow.render(source, limit=4000)
    azure_devops.render(source)


def test_a_document_of_five_megabytes_is_rendered_whole():
    paragraph = (
        "An **incident** with `code`, a [link](https://e.com) and words enough to fill the paragraph. " * 11 + "\n\n"
    )
    body = confluence.render(paragraph * (5_000_000 // len(paragraph)))
    assert body.count("<strong>incident</strong>") == 11 * (5_000_000 // len(paragraph))


def structure(tokens) -> dict[str, list[int]]:
    """Counts of what a document is made of, with the depth of each list item."""
    depths, depth = [], 0
    for token in tokens:
        depth += token.type in ("bullet_list_open", "ordered_list_open")
        depth -= token.type in ("bullet_list_close", "ordered_list_close")
        if token.type == "list_item_open":
            depths.append(depth)
    count = [token.type for token in tokens].count
    return {
        "depths": depths,
        "cells": [count("td") + count("th")],
        "headings": [count("heading")],
        "code": [count("fence") + count("code_block")],
        "quotes": [count("blockquote_open")],
    }


def rendered_structure(root) -> dict[str, list[int]]:
    """The same of a page."""
    lists = ("ul", "ol", f"{AC}task-list")
    depths = []
    for item in root.iter("li", f"{AC}task"):
        names = {p.get(f"{AC}name") for p in item.iter(f"{AC}structured-macro")}
        first = item.find(f"{AC}structured-macro/{AC}parameter")
        if "anchor" in names and first is not None and str(first.text).startswith("footnote-"):
            continue
        depths.append(sum(above.tag in lists for above in item.iterancestors()))
    macros = [e.get(f"{AC}name") for e in root.iter(f"{AC}structured-macro")]
    return {
        "depths": depths,
        "cells": [len(list(root.iter("td", "th")))],
        "headings": [len(list(root.iter("h1", "h2", "h3", "h4", "h5", "h6")))],
        "code": [macros.count("code")],
        "quotes": [len(list(root.iter("blockquote")))],
    }


def test_real_documents_are_valid_keep_their_structure_and_every_word(shared):
    for file in sorted((shared / "inputs").glob("*.md")):
        source = file.read_text("utf-8")
        root = validated(confluence.render(source))
        assert rendered_structure(root) == structure(parse(source)), file.name
        assert missing(seen_words(front_matter.split(source).rest), words_of(root)) == [], file.name


def test_titles_are_one_clean_line():
    assert clean.plain_title("a\r\nb\x00\u202ec\u200b \ud800d", 255) == "a bc d"
    assert len(clean.plain_title("word " * 80, 255)) <= 255


@pytest.mark.parametrize(
    "title",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 down",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937 in Hindi",
    ],
)
def test_joiners_that_belong_to_a_word_or_an_emoji_stay_in_a_title(title):
    assert clean.plain_title(title, 255) == title


@pytest.mark.parametrize(
    "hidden",
    ["pass\u200dword", "\u200cpassword", "password\u200d", "pass\u200b\u200d\u200dword", "pass\u200e\u2066word"],
)
def test_joiners_that_only_hide_are_taken_out_of_a_title(hidden):
    assert clean.plain_title(hidden, 255) == "password"


def test_the_generated_footer_is_no_change():
    body = "# x\n\nwords\n"
    footer = "\n---\n\n_Generated by Troubleshooting and RCA Assistant on 2026-02-03 14:05 UTC_\n"
    assert clean.without_footer(body + footer).strip() == body.strip()


def test_the_viewer_shows_a_page_and_runs_nothing_of_it():
    page = render_page(
        "> [!TIP]\n> a\n\n- [x] done\n\n<details><summary>S</summary>\n\nb\n\n</details>\n\n[[_TOC_]]\n\n# H"
    )
    shown = viewer.to_html(page.body, lambda _: None)
    for part in ('<aside class="tip">', "☑ done", "<summary>S</summary>", '<a href="#heading-1">H</a>'):
        assert part in shown
    evil = viewer.to_html("<p onclick='x'><script>x</script><a href='javascript:x'>y</a></p>", lambda _: None)
    assert evil == '<div class="page"><p>xy</p></div>'
    for broken in ("<p>", "<!DOCTYPE a [<!ENTITY b 'c'>]><p>&b;</p>", "a & b <"):
        assert "<pre>" in viewer.to_html(broken, lambda _: None)
