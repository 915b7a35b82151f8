"""Work items and incidents read well, and nothing smuggles markup into them."""

from __future__ import annotations

import pytest

from tasks.markup import azure_devops, jira, servicenow


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
