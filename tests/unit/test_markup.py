"""Whatever is written comes out: well-formed, with every word, and without a macro that the document only talked about."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tasks.markup import azure_devops, clean, confluence, servicenow
from tasks.markup.parse import parse

NAMESPACES = "xmlns:ac='ac' xmlns:ri='ri'"
AC = "{ac}"


def tree(storage: str) -> etree._Element:
    """The fragment as a tree; raises where it isn't well-formed or breaks a nesting rule."""
    root = etree.fromstring(f"<root {NAMESPACES}>{storage}</root>".encode(), etree.XMLParser(huge_tree=True))
    parents = {"tr": {"table", "thead", "tbody", "tfoot"}, "td": {"tr"}, "th": {"tr"}, "li": {"ul", "ol"}}
    parents |= {f"{AC}task": {f"{AC}task-list"}, f"{AC}task-body": {f"{AC}task"}}
    for element in root.iter():
        allowed = parents.get(element.tag)
        assert allowed is None or element.getparent().tag in allowed, etree.tostring(element)
        if element.tag in ("table", "tbody", "thead", "tr", "ul", "ol", f"{AC}task-list"):
            assert not (element.text or "").strip()
    return root


CASES = {
    "# T": "<h1>T</h1>",
    "a\nb  \nc": "<p>a\nb<br/>c</p>",
    "3. x\n4. y": '<ol start="3"><li>x</li><li>y</li></ol>',
    "- a\n  - b": "<ul><li>a<ul><li>b</li></ul></li></ul>",
    "|a|b|\n|:-|-:|\n|1\\|2|<br>|": '<table><thead><tr><th style="text-align: left;">a</th><th style="text-align: right;">b</th></tr></thead>'
    '<tbody><tr><td style="text-align: left;">1|2</td><td style="text-align: right;"><br/></td></tr></tbody></table>',
    "~~x~~ **y** *z* `w`": "<p><del>x</del> <strong>y</strong> <em>z</em> <code>w</code></p>",
    "[x](https://e.com?a=1&b=2)": '<p><a href="https://e.com?a=1&amp;b=2">x</a></p>',
    "![alt](https://e.com/i.png)": '<p><ac:image ac:alt="alt"><ri:url ri:value="https://e.com/i.png"/></ac:image></p>',
    "![alt](gone.png)": "<p>alt</p>",
    "---": "<hr/>",
    "[[_TOC_]]": '<ac:structured-macro ac:name="toc"></ac:structured-macro>',
    "List<String> <none> <@U123> <->": "<p>List&lt;String&gt; &lt;none&gt; &lt;@U123&gt; &lt;-&gt;</p>",
    "$5 and $6": "<p>$5 and $6</p>",
    ":rocket: :nope:": "<p>🚀 :nope:</p>",
    "H<sub>2</sub>O<script>": "<p>H<sub>2</sub>O&lt;script&gt;</p>",
    "a <!-- b -- c --> d": "<p>a  d</p>",
    "&nbsp;&#1;&check;": "<p>\u00a0\ufffd✓</p>",
}


@pytest.mark.parametrize(("source", "storage"), CASES.items(), ids=list(CASES))
def test_each_construct_has_its_form(source, storage):
    assert confluence.render(source) == storage


def test_tasks_keep_their_state_and_nesting_and_plain_items_stay_items():
    root = tree(confluence.render("- [x] a\n  - [ ] b\n- c"))
    assert [e.text for e in root.iter(f"{AC}task-status")] == ["complete", "incomplete"]
    assert [e.text for e in root.iter(f"{AC}task-id")] == ["1", "2"]
    assert [e.text for e in root.iter("li")] == ["c"]


def test_code_keeps_every_character_and_its_language_and_title():
    (macro,) = tree(confluence.render('```python title="a.py"\nx = "]]>" < 1 & 2\n```')).iter(f"{AC}structured-macro")
    assert [p.text for p in macro.iter(f"{AC}parameter")] == ["py", "a.py"]
    assert macro.find(f"{AC}plain-text-body").text == 'x = "]]>" < 1 & 2'


def test_a_macro_that_a_document_talks_about_is_text():
    source = '<ac:structured-macro ac:name="html"><ac:plain-text-body>x</ac:plain-text-body></ac:structured-macro>'
    assert list(tree(confluence.render(source)).iter(f"{AC}structured-macro")) == []
    assert "ac:structured-macro" in "".join(tree(confluence.render(source)).itertext())


@pytest.mark.parametrize(
    ("kind", "macro"),
    [("NOTE", "info"), ("TIP", "tip"), ("IMPORTANT", "note"), ("WARNING", "note"), ("CAUTION", "warning")],
)
def test_alerts_become_panels(kind, macro):
    root = tree(confluence.render(f"> [!{kind}]\n> words"))
    assert [e.get(f"{AC}name") for e in root.iter(f"{AC}structured-macro")] == [macro]


def test_details_become_an_expand_macro_with_rendered_content():
    root = tree(confluence.render("<details><summary>S</summary>\n\n**x**\n\n</details>\n\nafter"))
    (macro,) = root.iter(f"{AC}structured-macro")
    assert macro.get(f"{AC}name") == "expand"
    assert next(macro.iter("strong")) is not None
    assert root[-1].text == "after"


def test_links_into_the_page_find_their_heading_and_repeats_are_numbered():
    storage = confluence.render("# A b\n\n# A b\n\n[one](#a-b) [two](#a-b-1)")
    root = tree(storage)
    assert [e.text for e in root.iter(f"{AC}parameter")] == ["a-b", "a-b-1"]
    assert [e.get(f"{AC}anchor") for e in root.iter(f"{AC}link")] == ["a-b", "a-b-1"]


FRAGMENTS = st.sampled_from(
    [
        "<table>",
        "<tr>",
        "</td>",
        "<td>",
        "<details>",
        "</details>",
        "<summary>",
        "</summary>",
        "<b>",
        "</b>",
        "<p>",
        "</p>",
        "```",
        "",
        "[^1]",
        "<ul>",
        "<li>",
        "</li>",
        "<a>",
        "</a>",
        "<!--",
        "-->",
        "<br>",
        "<hr>",
        "<pre>",
        "<h1>",
        "</h1>",
        "<code>",
        "$$",
        "word",
        "- [ ] ",
        "> ",
        "[^1]: ",
        "| a | b |\n|-|-|\n| ",
        "1. ",
        "    ",
        "\n\n",
        "<a href='http://x'>",
        "!!! note\n    ",
        "> [!TIP]\n> ",
        "\x00",
        "�",
        "---\n",
    ]
)
TEXTS = st.lists(st.one_of(FRAGMENTS, st.text(max_size=6)), max_size=30).map("".join)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_any_text_is_well_formed_and_valid(text):
    tree(confluence.render(text))
    azure_devops.render(text)
    assert len(servicenow.render(text, limit=80, pointer="See page.")) <= 80


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["# ", "- ", "1. ", "> ", "- [ ] ", "**", "`", "~~", "", "    ", "<b>", "<x>"]),
            st.from_regex(r"[a-z]{3,9}", fullmatch=True),
        ),
        max_size=12,
    )
)
def test_no_word_is_lost(lines):
    source = "\n".join(mark + word for mark, word in lines)
    seen = "".join(tree(confluence.render(source)).itertext())
    plain = servicenow.render(source)
    for _, word in lines:
        assert word in seen
        assert word in plain


@pytest.mark.parametrize(
    "source",
    [
        ">" * 5000 + " x",
        "- " * 5000 + "x",
        "\n".join("  " * i + "- x" for i in range(200)),
        "[" * 20000,
        "<table>" * 5000,
        "|a|b|\n|-|-|\n" + "|c|d|\n" * 10000,
        "x <!--" * 20000,
        "\x1b[31mred\x1b[0m",
        "*a **b " * 3000,
    ],
    ids=["quotes", "markers", "indent", "brackets", "tables", "rows", "comments", "ansi", "emphasis"],
)
def test_hard_input_is_delivered_readable(source):
    root = tree(confluence.render(source))
    assert "".join(root.itertext()).strip() or len(root)
    assert "\x1b" not in confluence.render(source)


def test_real_documents_keep_their_structure(shared):
    for file in sorted((shared / "inputs").glob("*.md")):
        source = file.read_text("utf-8")
        tokens = parse(source)
        root = tree(confluence.render(source))

        def count(*names, tokens=tokens):
            return sum(token.type in names for token in tokens)

        assert len(list(root.iter("li"))) + len(list(root.iter(f"{AC}task"))) == count(
            "list_item_open", "footnote_open"
        ), file.name
        assert len(list(root.iter("td", "th"))) >= count("td_open", "th_open"), file.name
        assert len(list(root.iter("h1", "h2", "h3", "h4", "h5", "h6"))) >= count("heading_open"), file.name
        codes = [e for e in root.iter(f"{AC}structured-macro") if e.get(f"{AC}name") == "code"]
        assert len(codes) == count("fence", "code_block"), file.name
        assert len(list(root.iter("blockquote"))) == count("blockquote_open"), file.name


def test_work_item_html_has_borders_and_no_script():
    html = azure_devops.render("|a|\n|-|\n|<script>alert(1)</script>|\n\n[x](#y) <b onclick=x>b</b>")
    assert 'border="1"' in html
    assert "<script" not in html
    assert "onclick" not in html
    assert "alert(1)" in html


def test_plain_text_lays_tables_out_and_keeps_links_and_boxes():
    text = servicenow.render(
        "|a|bb|\n|-|-|\n|ccc|d|\n\n- [x] done [site](https://e.com)\n- [ ] open\n\n[code]<b>x</b>[/CODE]"
    )
    assert "a    bb\n---  --\nccc  d" in text
    assert "- [x] done site (https://e.com)" in text
    assert "[code]" not in text.lower()


def test_plain_text_is_cut_at_a_word_with_the_pointer():
    text = servicenow.render("word " * 100, limit=60, pointer="More: https://e.com")
    assert len(text) <= 60
    assert text.endswith("More: https://e.com")
    assert re.search(r"word…", text)


def test_titles_are_one_clean_line():
    assert clean.plain_title("a\r\nb\x00\u202ec\u200b \ud800d", 255) == "a bc d"
    assert len(clean.plain_title("word " * 100, 255)) <= 255


def test_the_generated_footer_is_no_change():
    body = "# x\n\nwords\n"
    footer = "\n---\n\n_Generated by Troubleshooting and RCA Assistant on 2026-02-03 14:05 UTC_\n"
    assert clean.without_footer(body + footer).strip() == body.strip()
