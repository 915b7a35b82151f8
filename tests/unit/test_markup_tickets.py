"""Work items and incidents read well, and nothing smuggles markup into them."""

from __future__ import annotations

import pytest

from tasks.markup import azure_devops, confluence, jira, servicenow
from tasks.markup.parser.parse import parse_document
from tasks.markup.told import warnings_of


def test_work_item_html_has_borders_and_no_script():
    html = azure_devops.render("|a|\n|-|\n|<script>alert(1)</script>|\n\n[x](#y) <b onclick=x>b</b>")
    assert 'border="1"' in html
    assert "<script" not in html
    assert "onclick" not in html
    assert "alert(1)" in html


def test_work_item_html_shows_tasks_alerts_and_links_into_itself():
    html = azure_devops.render("# A b\n\n- [x] done\n- [ ] open\n\n> [!NOTE]\n> n\n\n[x](#a-b) y[^1]\n\n[^1]: note")
    for part in ("☑ done", "☐ open", "<strong>Note</strong>", 'id="a-b"', 'href="#a-b"', 'href="#footnote-ref-1"'):
        assert part in html


def test_work_item_html_keeps_no_style_but_ours():
    html = azure_devops.render('<table><tr><td style="position:fixed;text-align:right">a</td></tr></table>')
    assert "position" not in html
    assert "text-align:right" in html


def test_a_work_item_is_cut_at_a_paragraph_with_the_pointer():
    html = azure_devops.render("words & words\n\n" * 1000, limit=2000, pointer="More: https://e.com")
    assert len(html) <= 2000
    assert html.endswith("<p>More: https://e.com</p>")
    markdown = azure_devops.render_markdown("---\na: b\n---\n" + "words\n\n" * 1000, limit=500, pointer="More")
    assert len(markdown) <= 500
    assert markdown.startswith("words")
    assert markdown.endswith("\n\nMore")


@pytest.mark.parametrize(
    ("document", "end"),
    [
        ("- x\n" * 3000, "<li>x</li></ul>"),
        ("|a|b|\n|-|-|\n" + "|c|d|\n" * 900, "<td>c</td>\n<td>d</td>\n</tr></tbody></table>"),
        ("```\n" + "code line\n" * 900 + "```\n", "code</code></pre>"),
        ("*a* " * 3000, "<em>a</em></p>"),
        ("x" * 5000, "x</p>"),
        ("> - a\n>   - b\n" * 900, "b</li>\n</ul>\n</li></ul></blockquote>"),
    ],
)
def test_a_work_item_that_is_cut_ends_where_a_reader_can_stop_with_everything_closed(document, end):
    for limit in (2000, 7):
        html = azure_devops.render(document, limit=limit, pointer="More")
        assert len(html) <= max(limit, len("<p>More</p>"))
        assert html.endswith("<p>More</p>")
    assert azure_devops.render(document, limit=2000, pointer="More").endswith(f"{end}<p>More</p>")
    assert len(azure_devops.render(document, limit=2000, pointer="More")) > 1900


def test_what_the_sanitiser_takes_away_makes_room_for_more_of_the_document():
    gone = "<div onclick='" + "x" * 300 + "'>\n\nkept\n\n</div>\n\n"
    html = azure_devops.render(gone * 400 + "the end", limit=20_000)
    assert html.count("kept") == 400
    assert html.endswith("<p>the end</p>")


def test_a_control_character_in_raw_html_is_left_out():
    assert azure_devops.render("<div>x&#1;y</div>") == "<div>xy</div>"


def test_a_text_of_many_ampersands_keeps_each():
    assert azure_devops.render("&" * 12_000) == "<p>" + "&amp;" * 12_000 + "</p>"
    assert azure_devops.render("&copy" * 12_000) == "<p>" + "&amp;copy" * 12_000 + "</p>"


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("[w](http://host:PORT/x)", "w (http://host:PORT/x)"),
        ("http://host:PORT/x", "http://host:PORT/x"),
        ("![w](http://host:PORT/i.png)", "w"),
        ("![](http://[)", "http://["),
        ('a <a href="http://host:PORT/x">w</a>', "a w (http://host:PORT/x)"),
        ('a <img src="http://host:PORT/x" alt="w">', "a w"),
        ("[w](https://192.168.0.256/)", "w (https://192.168.0.256/)"),
        ("[w](http://xn--/)", "w (http://xn--/)"),
        ("[w](//])", "w (//])"),
    ],
)
def test_a_host_that_cant_be_one_is_shown_in_a_form(source, form):
    """Its sanitiser would take the address away."""
    assert azure_devops.render(source, link_base="https://e.com/") == f"<p>{form}</p>"


@pytest.mark.parametrize(
    "address", ["http://[::1]:80/x", "https://192.168.0.1/", "http://e.com:8080?a=b", "mailto:a@e.com"]
)
def test_usual_and_unusual_hosts_are_linked_in_a_form(address):
    assert azure_devops.render(f"[w]({address})") == f'<p><a href="{address}">w</a></p>'


def test_plain_text_lays_tables_out_and_keeps_links_and_boxes():
    text = servicenow.render(
        "|a|bb|\n|-|-|\n|ccc|d|\n\n- [x] done [site](https://e.com)\n- [ ] open <a href='http://x.y'>raw</a>"
    )
    assert "a    bb\n---  --\nccc  d" in text
    assert "- [x] done site (https://e.com)" in text
    assert "- [ ] open raw (http://x.y)" in text


def test_a_wide_table_becomes_one_field_a_line():
    text = servicenow.render(f"|Time|What|\n|-|-|\n|10:00|{'word ' * 40}|\n|11:00|end|")
    assert "Time: 10:00\nWhat: word" in text
    assert "Time: 11:00\nWhat: end" in text


@pytest.mark.parametrize(
    "source",
    [
        "[code]<b>x</b>[/code]",
        "[CoDe]x[/cOdE]",
        "[co\nde]x[/code]",
        "[ code ]x[ / code ]",
        "&#91;code&#93;x&#91;/code&#93;",
        "&amp;#91;code]x",
        "&amp;lsqb;code&amp;rsqb;x",
        "[co\u200bde]x",
        "[co<!-- -->de]x",
        "[c**o**de]x",
        "`[code]`",
        "|[code]|\n|-|\n|[/code]|",
        "![[code]](http://e.com)",
        "\uff3bcode]x\uff3b/code]",
    ],
)
def test_no_code_tag_is_smuggled_into_an_incident(source):
    text = servicenow.render(source)
    bare = "".join(c for c in text.lower() if not c.isspace() and c != "\u200b")
    for tag in ("[code]", "[/code]", "&#91;code", "&lsqb;code"):
        assert tag not in bare
    assert "code)" in text


def test_plain_text_is_cut_at_a_word_with_the_pointer():
    text = servicenow.render("word " * 100, limit=60, pointer="More: https://e.com")
    assert len(text) <= 60
    assert text.endswith("More: https://e.com")
    assert "word…" in text
    assert len(servicenow.render("word " * 100, limit=10, pointer="More: https://e.com")) <= 10


def test_the_whole_document_is_a_file():
    file = servicenow.document_file("# a\x00\n", 'RCA: "x" / y^2')
    assert (file.name, file.media_type, file.content) == ("RCA- -x- - y-2.md", "text/markdown", b"# a\n")


def test_raw_tags_nested_without_end_are_shown_as_text_beyond_what_anybody_reads():
    html = azure_devops.render("<ul><li>x" * 200)
    assert html.count("<ul>") == 120
    assert html.count("&lt;ul&gt;") == 80
    assert html.count("x") == 200


def test_raw_tags_that_need_no_end_are_never_too_many():
    assert "&lt;" not in azure_devops.render("<p>a<br>b<b>c</b>\n\n" * 200)


def test_a_table_in_a_cell_is_words_of_it():
    source = (
        "<table><tr><td>a<table><tr><td>b</td><td>c</td></tr><tr><td>d</td></tr></table></td><td>e</td></tr></table>"
    )
    assert servicenow.render(source).split("\n") == ["a b, c; d  e", "---------  -"]


def test_an_empty_line_of_a_quote_in_an_item_stands_below_it():
    assert servicenow.render("1. > a\n   >\n   > b") == "1. > a\n   >\n   > b"


@pytest.mark.parametrize(("info", "language"), [("{.Bash #id}", "bash"), ("yaml:a.yml", "yaml"), ("py title=x", "py")])
def test_the_language_of_code_is_its_name_alone_in_jira(info, language):
    (code,) = jira.render(f"```{info}\nx\n```")["content"]
    assert code["attrs"] == {"language": language}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one\n  two</p>\n<p>three</p>", "one two\n\nthree"),
        ("<ul>\n<li>a</li>\n<li>b\n  <ol><li>c</li></ol></li>\n</ul>", "- a\n- b\n  1. c"),
        ("<pre>\n  x\n\n    y\n</pre>", "      x\n\n        y"),
        ("<pre><code>a &lt; b\n  c</code></pre>\n\nw", "    a < b\n      c\n\nw"),
        ("<table><tr><td><pre>a\nb</pre></td></tr></table>", "a b\n---"),
        ("<script>\n  x\n</script>", "    <script>\n      x\n    </script>"),
        ("10<sup>6</sup> x<sup>-1</sup> 2<sup>n</sup> 1<sup>st</sup> H<sub>2</sub>O", "10^6 x^-1 2^n 1st H2O"),
        ("<div>10<sup>6</sup></div>", "10^6"),
        ("a<br> b <hr> c", "a\nb\n----\nc"),
        ("![](https://e.com/i.png)", "https://e.com/i.png"),
        (
            "![](file:///x/a.png) ![](C:/a.png) ![](data:image/png;base64,aGk=) ![](?a)",
            "file:///x/a.png C:/a.png data ?a",
        ),
    ],
)
def test_raw_html_and_images_read_well_as_text(source, text):
    assert servicenow.render(source) == text


@pytest.mark.parametrize(
    "program", ["<script>\n  a < b\n</script>", "<style>\n  p\n</style>", "<?php\n  x\n?>", "<!DOCTYPE a\n  b>"]
)
def test_programs_are_code_in_every_target(program):
    """Where their lines stay lines."""
    body = confluence.render(program)
    assert f"<![CDATA[{program}]]>" in body
    assert azure_devops.render(program).startswith("<pre")
    assert azure_devops.render_markdown(program) == f"```\n{program}\n```"
    (code,) = jira.render(program)["content"]
    assert (code["type"], code["content"][0]["text"]) == ("codeBlock", program)


def test_a_data_centers_text_keeps_the_columns_of_code_and_tables():
    """In wiki markup, blanks say nothing elsewhere."""

    def wiki(source):
        return jira.escaped(servicenow.render(source, kept=jira.KEPT))

    assert wiki("a*\n\n```\n  x*\n\ny\n```\n\nb") == "a\\*\n\n{noformat}\n  x*\n\ny\n{noformat}\n\nb"
    assert wiki("|a|b|\n|-|-|\n|cc|d_|") == "{noformat}\na   b\n--  --\ncc  d_\n{noformat}"
    assert wiki("<table><tr><td>a</td><td>b</td></tr></table>") == "{noformat}\na  b\n-  -\n{noformat}"
    assert wiki("- a\n  - b") == "\\- a\n\u00a0\u00a0\\- b"
    assert wiki("```\n{noformat}*\n```") == "\\{noformat\\}\\*"
    assert wiki("```\n{NoFormat}*\n```") == "\\{NoFormat\\}\\*"
    assert wiki(f"|a|\n|-|\n|{'word ' * 40}|").startswith("a: word")


def test_raw_marks_and_images_are_marks_and_links_in_jira():
    source = 'a<u>b</u><sup>2</sup><sub>3</sub> <kbd>K</kbd> **<code>c</code>** ![w](https://e.com/i.png) <img src="https://e.com/j.png">'
    (paragraph,) = jira.render(source)["content"]
    marks = {node["text"]: [mark.get("attrs", mark) for mark in node.get("marks", ())] for node in paragraph["content"]}
    assert marks["b"] == [{"type": "underline"}]
    assert (marks["2"], marks["3"]) == ([{"type": "sup"}], [{"type": "sub"}])
    assert marks["K"] == marks["c"] == [{"type": "code"}]
    assert marks["w"] == [{"href": "https://e.com/i.png"}]
    assert marks["https://e.com/j.png"] == [{"href": "https://e.com/j.png"}]


def test_raw_html_in_jira_has_links_code_and_tables():
    link, table, code = jira.render(
        "<a href='https://e.com/a_(b)'>\n<p>T</p>\n</a>\n\n<table><tr><td>a</td><td>b</td></tr></table>\n\n<pre>\n  x\n   y</pre>"
    )["content"]
    assert [mark["attrs"]["href"] for node in link["content"] for mark in node.get("marks", ())] == [
        "https://e.com/a_(b)"
    ]
    assert (table["type"], table["content"][0]["text"]) == ("codeBlock", "a  b\n-  -")
    assert (code["type"], code["content"][0]["text"]) == ("codeBlock", "x\n y")


def test_places_that_raw_html_names_are_kept_in_a_form():
    html = azure_devops.render('<a name="here"></a>x <p id="there">y</p>\n\n[z](#here) [w](#there)')
    assert 'id="here"' in html
    assert 'id="there"' in html


def test_warnings_of_a_ticket_name_what_isnt_on_the_web():
    """In raw HTML as in Markdown; a base helps relative addresses alone."""
    source = "[a](b.md)\n\n<img src='c.png'> ![d](data:image/png;base64,aGk=)\n\n![]()\n\n<p>\n<a href='e.md'>f</a></p>"
    without, based = (warnings_of(parse_document(source), base) for base in (None, "https://e.com/"))
    assert [warning.partition(":")[0] for warning in without] == ["line 1", "line 3", "line 3", "line 5", "line 7"]
    assert [warning.partition(":")[0] for warning in based] == ["line 3", "line 5"]
