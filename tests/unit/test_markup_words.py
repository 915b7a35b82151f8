"""What the author wrote can be read in every target, and what GitHub links is linked."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.markup import azure_devops, confluence, jira, servicenow
from tasks.markup.confluence import PageOptions, render_page
from tasks.markup.confluence.stored import fingerprint
from tasks.markup.parser.admonitions import with_origins
from tests.markup_tools.storage_format import validated

TARGETS = [confluence.render, azure_devops.render, servicenow.render]


def jira_words(markdown: str, **given: str) -> str:
    return jira.words(jira.render(markdown, **given))


WORD = st.text("abcdef", min_size=3, max_size=8)


def read(render, markdown: str) -> str:
    """The words that a reader of the target sees, on one line."""
    shown = render(markdown)
    if render is not servicenow.render:
        shown = re.sub(r"<!\[CDATA\[(.*?)\]\]>", lambda found: html.escape(found[1]), shown, flags=re.DOTALL)
        shown = html.unescape(re.sub(r"<[^>]*>", "", shown))
    return " ".join(shown.split())


@pytest.mark.parametrize(
    "address",
    [
        " javascript:alert(1)",
        "java&Tab;script:alert(1)",
        "java&#10;script:alert(1)",
        "&#1;javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "\u00a0javascript:alert(1)",
        "java\u00adscript:alert(1)",
    ],
)
@pytest.mark.parametrize("form", ['<a href="{}">words</a>', "<div>\n<a href='{}'>words</a>\n</div>", "[words](<{}>)"])
def test_an_address_that_runs_what_it_holds_is_words_only(address, form):
    for render in TARGETS:
        shown = render(form.format(address))
        assert "href" not in shown
        assert "script:" not in re.sub(r"\s", "", shown).lower()
        assert "words" in shown
        for image in ("![](<{}>)", '<img src="{}">', '<img src="{}" alt="">'):
            assert not re.search("script:|src=|data:", re.sub(r"\s", "", render(image.format(address))).lower())


@pytest.mark.parametrize(
    "opening", ["<?php echo", "<![CDATA[ x", "<!ENTITY x", "<!-- oops", "<!-- a --> text <!-- oops"]
)
@pytest.mark.parametrize("render", TARGETS)
def test_what_a_browser_would_hide_to_the_end_is_text_and_the_rest_is_read(render, opening):
    shown = read(render, f"{opening}\n\n# Rest")
    assert opening.removeprefix("<!-- a --> ") in shown
    assert "Rest" in shown
    assert "# Rest" not in shown


@pytest.mark.parametrize(
    ("front", "fields"),
    [
        ("---\ntitle: RCA: disk full\ntags: [rca]\n---\n", {"title": "RCA: disk full", "tags": ["rca"]}),
        ("---\na: &x [1]\nb: *x\n---\n", {"a": "&x [1]", "b": "*x"}),
        ('---\ntitle: "open\nlabels:\n  - a\n  - b\n---\n', {"title": '"open', "labels": ["a", "b"]}),
        ('+++\ntitle = "T"\ntags = ["x"]\n+++\n', {"title": "T", "tags": ["x"]}),
        ("+++\ntitle = T: x\n+++\n", {"title": "T: x"}),
        ("\n\n---\ntitle: T\n---\n", {"title": "T"}),
        ('---\ntitle: t: u\nkey with spaces: v\n"quoted": w\n---\n', {"title": "t: u"}),
        ("---\n\ttitle: t\n---\n", {"title": "t"}),
        ('---\ntitle: "open\nmore words\n---\n', {"title": '"open more words'}),
        ("---\na:b\ntitle: t\n---\n", {"a": "b", "title": "t"}),
        ("---\na=b\ntitle: t\n---\n", {"title": "t"}),
        ("---\nhttps://e.com\ntitle: t\n---\n", {"title": "t"}),
        ("---\ntags:[x, y]\ntitle: t: u\n---\n", {"tags": ["x", "y"], "title": "t: u"}),
        ("---\nseverity:P1\ntags:x\n---\n", {"severity": "P1"}),
        ("---\n<<: *default\ntitle: t\n---\n", {"title": "t"}),
        ("---\n标题: 磁盘: 满\ntitle: t\n---\n", {"标题": "磁盘: 满", "title": "t"}),
        ("---\n\ttitle: t: u\n\ttags: [x]\n---\n", {"title": "t: u", "tags": ["x"]}),
        ("---\ntitle: t: u\n  v\n---\n", {"title": "t: u v"}),
        ("+++\na:b\ntitle = t\n+++\n", {"title": "t"}),
        ("+++\na: b\nc = \n+++\n", {}),
        ("+++\ntitle: t\ntags: [x]\n+++\n", {"title": "t", "tags": ["x"]}),
    ],
)
def test_front_matter_is_read_leniently_and_never_published(front, fields):
    page = render_page(front + "# X\n")
    assert page.body == "<h1>X</h1>"
    assert page.title == fields.get("title", "X")
    if "tags" in fields:
        assert set(page.labels) == set(fields["tags"])
    for render in (azure_devops.render, servicenow.render, azure_devops.render_markdown):
        assert "title" not in render(front + "# X\n")


@pytest.mark.parametrize(
    "front", ["---\n---\n", "---\n\n---\n", "\n---  \n\n\n---\n", "---\r\n---\r\n", "\ufeff---\n...\n", "+++\n+++\n"]
)
def test_empty_front_matter_is_not_published(front):
    """Editors leave it when the last field is deleted."""
    for render in TARGETS:
        assert read(render, front + "words") == "words"
    assert render_page(front + "words").warnings == ()


@pytest.mark.parametrize("render", TARGETS)
@pytest.mark.parametrize("prefix", ["", "> ", "  "])
def test_cells_beyond_a_tables_columns_join_the_last_one(render, prefix):
    rows = [
        "| a | b | é |",
        "|-|-|-|",
        "| 10:00 | cmd | ps aux | grep java | wc -l gave `42` |",
        "| é | x \\| y | z | w",
    ]
    source = "\n".join(prefix + row for row in rows)
    assert "ps aux | grep java | wc -l gave 42" in read(render, source)
    assert "z | w" in read(render, source)
    assert "line 3: cells" in " ".join(render_page(source).warnings)


@pytest.mark.parametrize("render", TARGETS)
@pytest.mark.parametrize(
    "source",
    [
        "Detected <time>, host <address>, feed <source>",
        "if a<b and c>d then",
        "Set <code> to <var>",
        "Use the <table> or <details> element, a <b> too",
        "an <img> of <li> and <td>",
        "<time>",
        "vector<a b> of <p q>",
        "The <ul>, <ol> and <li> of a <dl>, a <dt>",
        "Set <p> to <path>",
    ],
)
def test_placeholders_stay_words(render, source):
    assert read(render, source) == source
    if render is confluence.render:
        assert "<strong>" not in render(source)
        assert "<code>" not in render(source)


@pytest.mark.parametrize(
    "source",
    [
        "| x<br>https://e.com |\n|-|",
        '"https://e.com"',
        "见：https://e.com",
        "<b>https://e.com</b>",
        "(https://e.com)",
        "*https://e.com*",
    ],
)
def test_what_github_links_is_linked(source):
    assert 'href="https://e.com"' in confluence.render(source)
    assert 'href="https://e.com"' in azure_devops.render(source)


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        (r"\\e.com\x", "//e.com/x"),
        (r"HTTPS:\\e.com\x?a\b", r"HTTPS://e.com/x?a\b"),
        (r"https:/\e.com#a\b", r"https://e.com#a\b"),
        (r"c:\dir", r"c:\dir"),
    ],
)
def test_backslashes_of_raw_html_are_slashes_as_in_browsers(address, taken):
    """In addresses of the web and without a scheme, before the query."""
    shown = confluence.render(f'<a href="{address}">w</a>')
    assert shown in (f'<p><a href="{taken}">w</a></p>', f"<p>w ({taken})</p>")
    assert confluence.render(r"[w](a\b)") == '<p><a href="a%5Cb">w</a></p>'


@pytest.mark.parametrize("render", TARGETS)
@pytest.mark.parametrize(
    "source", ["<script ", "a\n\n<script src", "<div>a</div\n\nb", "<!--><i<!-->n", "<p>a <b", "<table <x"]
)
def test_a_tag_that_is_cut_off_is_words(render, source):
    """A sanitiser takes the rest of the document for its attributes."""
    shown = read(render, source)
    assert re.findall(r"\w+", re.sub(r"<!-->|</?(?:div|p)>", "", source)) == re.findall(r"\w+", shown)


@pytest.mark.parametrize("render", TARGETS)
@pytest.mark.parametrize("source", ["<td><ta<!-->ble>", "<div>\n<ta<!-- a -->ble> x\n</div>"])
def test_a_comment_in_a_tags_name_leaves_no_other_tag(render, source):
    assert re.findall(r"\w+", read(render, source)) == re.findall(r"\w+", re.sub("</?div>", "", source))


@pytest.mark.parametrize("render", TARGETS)
@pytest.mark.parametrize("name", ["xs:element", "soap:Body", "ac:task-list", "std:vector"])
def test_an_elements_name_with_its_prefix_keeps_its_brackets(render, name):
    """The grammar takes it for an address of a scheme that nobody could follow."""
    assert read(render, f"Put <{name}> there") == f"Put <{name}> there"
    assert read(render, "see <irc://e.com/x>") == "see irc://e.com/x"


@pytest.mark.parametrize("uses", ["[w] ", "[w][] ", "[v][w] ", "![v][w] "])
@pytest.mark.parametrize("address", ["https://e.com/a", f"https://e.com/{'x' * 300}"])
def test_every_link_by_reference_is_one_however_short_the_document(uses, address):
    """The parser lets all of them take as much as the document is long; GitHub has 100,000 characters for them."""
    source = f"{uses * 40}\n\n[w]: {address}\n\n{{{{< x >}}}}\n\n!!! note\n    {uses * 40}"
    page = render_page(source)
    assert page.body.count(address) == 80
    assert page.warnings == ("line 5: a shortcode of Hugo is shown as typed",)
    assert azure_devops.render(source).count(address) == 80
    assert jira_words(source).count(address) == 80


@pytest.mark.parametrize(
    ("heading", "place"),
    [
        ("https://e.com", "httpsecom"),
        ("<https://e.com>", "httpsecom"),
        ("See [a](https://e.com)", "see-a"),
        (":rocket: A", "rocket-a"),
    ],
)
def test_a_heading_is_named_by_its_words(heading, place):
    assert f'ac:anchor="{place}"' in confluence.render(f"# {heading}\n\n[x](#{place})")


def test_a_link_to_no_place_is_words():
    """`#` alone is the page itself; a macro without a place would be refused."""
    for source in ("</a>[x](#)", "# 🚀\n\n[x](#)", '<a id="">y</a> [x](#)'):
        body = confluence.render(source)
        assert validated(body) is not None
        assert "ac:link" not in body


def test_definitions_at_the_very_end_are_none_of_the_documents_words():
    assert confluence.render("[a]: <b>") == ""
    assert confluence.render("[a][]\n\n[a]: <b>") == '<p><a href="b">a</a></p>'


def test_an_address_in_the_words_of_a_link_is_no_link_of_its_own():
    """A sanitiser would end the outer one there."""
    source = "[see *<https://a.b>*](https://c.d)"
    assert azure_devops.render(source) == '<p><a href="https://c.d">see <em>https://a.b</em></a></p>'
    assert confluence.render(source) == azure_devops.render(source)


def test_plain_text_says_an_address_once():
    """In letters or percent signs, with the scheme of mail or without."""
    said = "https://e.com/ü <mailto:a@b.co> www.e.com [a@b.co](mailto:a@b.co)"
    assert servicenow.render(said) == "https://e.com/ü mailto:a@b.co www.e.com a@b.co"
    assert servicenow.render("[x](https://e.com/ü)") == "x (https://e.com/%C3%BC)"


def test_mail_addresses_are_links_and_addresses_read_as_written():
    assert 'href="mailto:a@b.co"' in confluence.render("a@b.co")
    address = "https://e.com/a%20b?q=%22x%22"
    for render in TARGETS:
        assert read(render, address) == address


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("[w](../x.md)", "https://e.com/docs/x.md"),
        ("[w](/x?a=1&b=2#c)", "https://e.com/x?a=1&b=2#c"),
        ('<a href="x y.md">w</a>', "https://e.com/docs/rca/x%20y.md"),
        ("<div>\n<a href='?q'>w</a>\n</div>", "https://e.com/docs/rca/?q"),
        ("[w][r]\n\n[r]: //other.com/x", "https://other.com/x"),
        ("![w](i.png)", "https://e.com/docs/rca/i.png"),
        ("<img alt=w src=i.png>", "https://e.com/docs/rca/i.png"),
        ("[w](https://elsewhere.com/)", "https://elsewhere.com/"),
    ],
)
def test_relative_links_and_images_lead_to_the_base(source, address):
    """In every target, however the link is written; what is whole stays as it is."""
    base = "https://e.com/docs/rca/"
    bodies = [
        render_page(source, PageOptions(link_base=base)).body,
        azure_devops.render(source, link_base=base),
        servicenow.render(source, link_base=base),
        jira.words(jira.render(source, link_base=base)),
    ]
    assert [address in html.unescape(body) for body in bodies] == [True] * 4


def test_a_link_that_leads_nowhere_is_words_with_its_address_beside():
    for source in ("[w](x.md)", '<a href="x.md">w</a>', '<div>\n<a href="x.md">w</a>\n</div>'):
        assert read(azure_devops.render, source) == "w (x.md)"
    assert confluence.render("[w]()") == "<p>w</p>"
    assert render_page("[w](//])", PageOptions(link_base="https://e.com/")).body == "<p>w (//])</p>"


def test_words_between_signs_of_a_declaration_are_kept_in_an_image():
    assert (
        confluence.render("![a <![CDATA[b]]> <!-- c --> <?d?>](x.png)") == "<p>a &lt;![CDATA[b]]&gt;  &lt;?d?&gt;</p>"
    )


def test_words_of_an_image_within_an_image_are_kept():
    for render in TARGETS:
        assert "foo bar" in render("![foo ![bar](https://e.com/a)](https://e.com/b)")


def test_a_backslash_before_a_bar_is_the_tables():
    """GitHub takes the bar as a part of the cell, whatever stands before the backslash."""
    body = confluence.render("| a | b |\n|-|-|\n| `c \\\\|` | d |")
    assert "<td>d</td>" in body


def test_plain_text_reads_well():
    assert servicenow.render("    first\n\n\n\n    last") == "    first\n\n\n\n    last"
    assert servicenow.render("## A\n\nhard\nwraps, 2*3*4, ![alt](gone.png)![](img/gone.png)") == (
        "A\n-\n\nhard wraps, 2*3*4, altgone.png"
    )
    table = "<table><tr><th>k</th><th>v</th></tr><tr><td rowspan=2>a</td><td>1</td></tr><tr><td>2</td></tr></table>"
    assert servicenow.render(table) == "k  v\n-  -\na  1\n   2"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<div>words</div>\n\npara", "words\n\npara"),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c"),
        ("<ol start=3><li>a</li><li>b</li></ol>", "3. a\n4. b"),
        ("<table>\n<tr>\n<td>\n\n**bold**\n\n</td>\n</tr>\n</table>", "bold"),
        ("<table><caption>Cap</caption><tr><td>x</td></tr></table>", "Cap\nx\n-"),
        ("<h3>Head</h3>\n\ntext", "Head\n\ntext"),
    ],
)
def test_raw_html_reads_well_as_plain_text(source, text):
    assert servicenow.render(source) == text


def test_cells_without_words_are_not_joined():
    page = render_page("| a | b |\n|-|-|\n| 1 | 2 | | |")
    assert "<td>2</td>" in page.body
    assert page.warnings == ()


@pytest.mark.parametrize("render", [azure_devops.render, azure_devops.render_markdown, servicenow.render, jira_words])
def test_a_first_heading_that_repeats_the_title_is_left_out_of_a_ticket(render):
    """Its field for titles shows it already; where that has less of it, the heading stays."""
    assert "pool" not in render("# Pool *down*\n\nx", title="Pool down").lower()
    assert "x" in render("# Pool *down*\n\nx", title="Pool down")
    for title in ("Pool", "Pool d…", ""):
        assert "Pool" in render("# Pool *down*\n\nx", title=title)
    assert "Pool down" in render("words\n\n# Pool down", title="Pool down")


@pytest.mark.parametrize("above", ["<!-- lint off -->\n\n", "[[_TOC_]]\n\n", "<!--\n# no\n-->\n[TOC]\n\n"])
@pytest.mark.parametrize("heading", ["# Pool *down*", "Pool down\n===", "#   Pool down  #", "# Pool down {#p}"])
def test_a_title_is_said_once_below_what_says_nothing(above, heading):
    source = f"{above}{heading}\n\nx"
    for shown in (
        render_page(source, PageOptions(drop_title_heading="Pool down")).body,
        azure_devops.render(source, title="Pool down"),
        azure_devops.render_markdown(source, title="Pool down"),
        azure_devops.render_markdown(source + "\n\nw" * 100_000, title="Pool down"),  # too long to be written again
        servicenow.render(source, title="Pool down"),
        jira_words(source, title="Pool down"),
    ):
        assert "Pool" not in shown
        assert "x" in shown


def test_links_to_a_title_that_names_itself_lead_to_the_top():
    body = render_page("# T {#here}\n\n[a](#here)", PageOptions(drop_title_heading="T")).body
    assert body.startswith('<p><ac:structured-macro ac:name="anchor"><ac:parameter ac:name="">here</ac:parameter>')


@pytest.mark.parametrize(
    "source", ["![]()", "[]()", "<b></b>", "&nbsp;", "\u200b", "<!-- a -->", "<p></p>\n\n<div></div>"]
)
def test_a_document_of_nothing_that_is_seen_is_blank(source):
    """A job that would replace a page by it is stopped."""
    assert render_page(source).blank
    assert not render_page(f"{source}\n\n---").blank
    assert not render_page(f"{source}\n\n| |\n|-|").blank


def test_a_work_item_names_its_images_and_says_its_title_once():
    assert azure_devops.render("![](img/a%20b.png)") == azure_devops.render("![ ](img/a%20b.png)") == "<p>a b.png</p>"
    assert azure_devops.render("# Pool *down*\n\nx", title="Pool down") == "<p>x</p>"
    assert azure_devops.render_markdown("# Pool down\n\nx", title="Pool down") == "x"
    assert "Other" in azure_devops.render("# Other\n\nx", title="Pool down")


def test_an_editors_save_without_other_words_is_no_change():
    ours = confluence.render("| a | b |\n|-|-|\n| c | d |\n\n- x\n\ny")
    theirs = ours.replace("<thead>", '<colgroup><col style="width: 50%;"/></colgroup><tbody>').replace(
        "</thead><tbody>", ""
    )
    theirs = re.sub(r"<(td|th|li)>(\w)", r"<\1><p>\2", theirs).replace("</t", "</p></t", 0)
    theirs = re.sub(r"(\w)</(td|th|li)>", r"\1</p></\2>", theirs) + "<p />\n<p></p>"
    assert fingerprint(ours) == fingerprint(theirs)
    assert fingerprint(ours) != fingerprint(theirs.replace("<p>c", "<p>changed"))
    assert fingerprint(ours, earlier=True) != fingerprint(theirs, earlier=True)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("<p>a</p>", "<p>a</p><p><br /></p>"),
        ("<ol><li>a</li></ol>", '<ol start="1"><li><p>a</p></li></ol>'),
        (
            '<ac:link ac:anchor="a"><ac:link-body>T</ac:link-body></ac:link>',
            '<ac:link ac:anchor="a"><ac:plain-text-link-body><![CDATA[T]]></ac:plain-text-link-body></ac:link>',
        ),
        (
            confluence.render("```\nx\n```"),
            confluence.render("```\nx\n```").replace(
                "<ac:plain", '<ac:parameter ac:name="breakoutWidth">760</ac:parameter><ac:plain', 1
            ),
        ),
    ],
)
def test_what_an_editor_adds_by_itself_is_no_change(ours, theirs):
    """Empty paragraphs, numbers of lists, widths of macros."""
    assert fingerprint(ours) == fingerprint(theirs)


def test_other_dialects_have_panels_links_and_warnings():
    assert render_page(":::tip Read this\nwords\n:::\n").body == confluence.render('!!! tip "Read this"\n    words')
    assert '<ac:parameter ac:name="title">Title</ac:parameter>' in confluence.render("> [!tip] Title\n> words")
    headed = render_page("# Words {#id}\n\n[x](#id) [y](#words)")
    assert headed.warnings == ()
    assert "{#id}" not in headed.body
    for source, shown in (
        ("[[Page|shown]]", "shown (Page)"),
        ("[[Page]]", "[[Page]]"),
        ("{{< note >}}", "{{< note >}}"),
        (":::odd x\nwords\n:::", "::: odd x words"),
        ("> [!info]- Fold\n> w", "[!info]- Fold w"),
        ("# A {#b .c}", "A {#b .c}"),
        ("{{ page.title }}", "{{ page.title }}"),
        ('=== "Tab"', '=== "Tab"'),
        ("a^[note]", "a^[note]"),
        ("++w++", "++w++"),
    ):
        page = render_page(source)
        assert page.warnings[0].startswith("line 1: ")
        assert read(confluence.render, source).replace("xwords", "x words") == shown


@pytest.mark.parametrize(
    "source", [r"\[\[Page|shown\]\]", r"\[[Page|shown]]", r"[[Page|shown]\]", "&#91;[Page|shown]]"]
)
def test_brackets_that_an_author_took_out_of_force_are_no_link_of_a_wiki(source):
    assert read(confluence.render, source) == "[[Page|shown]]"
    assert render_page(source).warnings == ()
    assert (
        read(confluence.render, f"| a |\n|-|\n| [[b\\|c]] {source.replace('|', chr(92) + '|')} |")
        == "ac (b) [[Page|shown]]"
    )


@pytest.mark.parametrize(
    ("opening", "macro", "title"),
    [
        (':::info{title="X"}', "info", "X"),
        (":::{.callout-note}", "info", "Note"),
        ('::: {.callout-tip title="T"}', "tip", "T"),
        ("::: warning Read this", "warning", "Read this"),
        (":::caution[Read this]", "warning", "Read this"),
        (':::note{title="Read this" .x}', "info", "Read this"),
        ("::: {.callout-note .x collapse=true}", "info", "Note"),
        ("::: {note} Read this", "info", "Read this"),
        ('::: tip "Read [this]"', "tip", "Read [this]"),
    ],
)
def test_containers_of_other_dialects_are_panels_with_their_titles(opening, macro, title):
    body = confluence.render(f"{opening}\nw\n:::")
    assert f'ac:name="{macro}"><ac:parameter ac:name="title">{title}</ac:parameter>' in body


@pytest.mark.parametrize(
    ("opening", "macro", "title"),
    [
        ("[!TIP]- Fold", "expand", "Fold"),
        ("[!warning]-", "expand", "Warning"),
        ("[!NOTE]+ Open", "info", "Open"),
        ("[!NOTE] - a", "info", "- a"),
    ],
)
def test_an_alert_may_fold(opening, macro, title):
    """As in Obsidian, whose sign is no part of the title."""
    source = f"> {opening}\n> w"
    assert f'ac:name="{macro}"><ac:parameter ac:name="title">{title}</ac:parameter>' in confluence.render(source)
    assert ("<details>" in azure_devops.render_markdown(source)) is (macro == "expand")


def test_an_admonition_may_say_where_it_stands():
    assert confluence.render('!!! note inline end "T"\n    w') == confluence.render('!!! note "T"\n    w')


@pytest.mark.parametrize("name", ["{#b}", "{ #b }", "{: #b}", "{:#b}"])
def test_a_heading_may_name_itself(name):
    """Links find it by that name and by its words, and nothing is told of it."""
    page = render_page(f"# A {name}\n\n[x](#b) [y](#a)")
    assert page.body.count("<ac:link ") == 2
    assert page.warnings == ()
    assert read(confluence.render, f"# A {name}") == "A"
    html_ = azure_devops.render(f"# A {name}\n\n[x](#b) [y](#a)")
    assert set(re.findall('href="#(.)"', html_)) <= set(re.findall('id="(.)"', html_))


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("::: mermaid\ngraph TD\n  A --> B\n\n  B --> C\n:::", "graph TD\n  A --> B\n\n  B --> C"),
        ("- a\n  :::mermaid\n  graph TD\n  :::", "graph TD"),
        ("> ::: mermaid\n> graph TD\n>   A ==> B\n> :::", "graph TD\n  A ==> B"),
        ("::: mermaid\n> A", "> A"),
    ],
)
def test_a_diagram_between_colons_is_code(source, code):
    """As it is written in the wiki of Azure DevOps."""
    assert f"<![CDATA[{code}]]>" in confluence.render(source)
    assert "```mermaid" in azure_devops.render_markdown(source)


@pytest.mark.parametrize("source", ["[TOC]", "[[toc]]", "[[_TOC_]]"])
def test_a_table_of_contents_by_any_of_its_names(source):
    assert 'ac:name="toc"' in confluence.render(source)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["note", "tip", "warning"]), WORD, st.lists(WORD, min_size=1, max_size=4), WORD)
def test_an_admonition_holds_its_indented_lines_and_no_others(kind, title, lines, after):
    source = f'!!! {kind} "{title}"\n' + "".join(f"    {line}\n" for line in lines) + f"\n{after}\n"
    root = validated(confluence.render(source))
    (macro,) = root.iter("{ac}structured-macro")
    assert "".join(macro.itertext()) == title + " ".join(lines)
    assert "".join(root.itertext()).endswith(after)
    assert with_origins(source.replace("!!!", "!! !")) == (source.replace("!!!", "!! !"), [])


def test_code_in_items_and_summaries_without_an_end_are_as_github_has_them():
    assert "<summary>T</summary></details>" in azure_devops.render_markdown("<details><summary>T</details>\n\na")
    assert "<![CDATA[x]]>" in confluence.render("11. a\n\n    ```\n    x\n    ```\n")
    assert confluence.render("<summary> of <details>") == "<p>&lt;summary&gt; of &lt;details&gt;</p>"
    assert 'ac:name="expand"' in confluence.render("<details>\n<summary>Title\n\nwords")
    body = confluence.render("<details>\n<summary>Title\n\nwords\n\n</details>\n\nafter")
    assert '<ac:parameter ac:name="title">Title</ac:parameter>' in body
    assert body.endswith("<p>after</p>")


@pytest.mark.parametrize("render", [confluence.render, azure_devops.render, servicenow.render])
@pytest.mark.parametrize("container", ["::: note\n{}\n:::\n", "> ::: note\n> {}\n> :::\n", "!!! note\n    {}\n"])
@pytest.mark.parametrize("item", ["- ```\n  words", "1. <div>words", "-     words", "- a\n  - <script>\n    words"])
def test_code_and_html_of_a_list_at_the_end_of_a_container_are_kept(render, container, item):
    """The parser forgets them where the container's last line follows them."""
    start = container.partition("{}")[0].rpartition("\n")[2]
    source = container.format(item.replace("\n", f"\n{start}"))
    assert "words" in render(source)
    assert "end of list" not in render(source)
    assert render_page(f"{source}\n{{% x %}}").warnings[-1] == (
        f"line {source.count(chr(10)) + 2}: a tag of Liquid or Jinja is shown as typed"
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("---\ntitle: T\n---\n\n{{< note >}}", "line 5: a shortcode of Hugo is shown as typed"),
        ("!!! note\n    words\n\n[[Page]]", "line 4: a link of a wiki has no place here; its words are shown"),
        ("one\ntwo\n{% include x %}", "line 3: a tag of Liquid or Jinja is shown as typed"),
        ("!!! odd\n    words", "line 1: an admonition of an unknown kind is shown as typed"),
        ("a\n\n==marked words==", "line 3: a highlight between equals signs is shown as typed"),
        ("words[^1]", "line 1: a reference to a footnote that is missing is shown as typed"),
        ("??? odd\n    words", "line 1: an admonition of an unknown kind is shown as typed"),
        (": what it is", "line 1: a definition list is shown as typed"),
        ("*[HTML]: language", "line 1: an abbreviation is shown as typed"),
        ("term\n: what it is", "line 2: a definition list is shown as typed"),
        ("words {: .class}", "line 1: a list of attributes is shown as typed"),
        ("![a](https://e.com/a.png){width=50%}", "line 1: a list of attributes is shown as typed"),
        ("![a](https://e.com/a.png =100x20)", "line 1: the size of an image is shown as typed"),
        ("x^2^ y", "line 1: a superscript between carets is shown as typed"),
        ("{{< a >}} and {% b %}", "line 1: a tag of Liquid or Jinja is shown as typed"),
        (": what ==it== is", "line 1: a highlight between equals signs is shown as typed"),
        ('a\n\n{{< figure\n  src="x" >}}', "line 3: a shortcode of Hugo is shown as typed"),
        ("words {#id}", "line 1: a list of attributes is shown as typed"),
        ("/// note | T\nw\n///", "line 1: a block of PyMdown is shown as typed"),
        ('--8<-- "a.md"', "line 1: a file that is to be put in is shown as typed"),
        ("a\n\n![]() b", "line 3: an image has no address; its text stands in its place"),
        ("a\n\n<Widget>words</Widget>", "line 3: the tag <Widget> has no place here and is shown as typed"),
        ("a\n\n<iframe src=x>\nw</iframe>", "line 3: the tag <iframe> has no place here and is shown as typed"),
        ("a\n\n<style>p</style>", "line 3: a program, style or text area in HTML is shown as typed"),
        ("a\n\n<!doctype html>", "line 3: a declaration is shown as typed"),
        ("a\n\n<div>\n<img src=q.png></div>", "line 3: image q.png was not handed over; its text stands in its place"),
        ("a\n\n<?php echo\n", "line 3: a processing instruction without an end is shown as typed"),
        ("a\n\n- x ![p](a.png)", "line 3: image a.png was not handed over; its text stands in its place"),
    ],
)
def test_what_is_shown_as_typed_is_told_with_its_line(source, told):
    """The line is that of the file, whatever stands above it: front matter, or what is read as a container."""
    assert told in render_page(source).warnings


@pytest.mark.parametrize(
    "source",
    [
        *("a == b and c == d", "Set <name> in `{% x %}`", "at 10: 30", "[^1]\n\n[^1]: words", "x: y"),
        *(
            "**Status**: open",
            "`x`: y",
            "[a](https://b.c): d",
            "*a*\n**b**: c",
            "- **a**: b",
            "| **a**: b |\n|-|",
            "*no*??? why",
            "C++ and D++, then i++",
            "[![a](https://e.com/i.png)](https://b.c)",
            "> [!NOTE]\n> w",
        ),
    ],
)
def test_ordinary_words_are_not_warned_of(source):
    """A warning that is wrong makes people read none."""
    assert render_page(source).warnings == ()
