"""What an operator puts round each document: values are filled in as plain text, and a title always has room for its pattern."""

from __future__ import annotations

import pytest

from tasks.destinations import parse_settings
from tasks.destinations.confluence import destination
from tasks.destinations.confluence.destination import BODY_BYTES, Confluence, _sent_bytes
from tasks.destinations.contract import Work
from tasks.errors import Permanent, Refused
from tasks.model import Document, parse_command
from tasks.state.directory import DestinationRecord
from worker.console.destination_forms import KINDS, settings_from, values_of

SITE = {"kind": "confluence", "base_url": "https://example.atlassian.net"}


def prepared(document=None, **settings):
    given = {"id": "d1", "issue_id": "INC-7", "title": "Pool exhausted", "content_md": "Words.", **(document or {})}
    command = parse_command({"command": "publish_to_confluence", "doc_id": "d1", "space_key": "OPS"})
    work = Work(job_id="j", subject="s", command=command, document=Document.model_validate(given))
    return Confluence(parse_settings(SITE | settings)).prepare(work).plan


def test_without_a_template_the_page_is_as_before():
    """Nothing that was published gets a new version."""
    plan = prepared()
    assert (plan.title, plan.body) == ("Pool exhausted", "<p>Words.</p>")


def test_the_pattern_makes_the_title():
    made = {"created_at": "2026-11-03T23:30:00-05:00", "doc_type": "postmortem"}
    pattern = "{document.type} {document.date}: {document.title} ({issue.id}) {{x}}"
    assert prepared(made, title_pattern=pattern).title == "Post-mortem 2026-11-04: Pool exhausted (INC-7) {x}"


@pytest.mark.parametrize(
    "pattern", ["{document.title} ({issue.id})", "{document.title} / {document.title} ({issue.id})"]
)
def test_a_long_title_is_cut_and_the_rest_of_the_pattern_stays(pattern):
    """What tells two pages apart is at its end."""
    title = prepared({"title": "word " * 100}, title_pattern=pattern).title
    assert len(title) <= 255
    assert title.endswith("… (INC-7)")


def test_header_and_footer_stand_round_the_body_and_values_are_plain_text():
    """A value can't close the document's code block, make a macro or a link."""
    plan = prepared(
        {"title": "[a](http://x) *b* <c> | `d`", "content_md": "```\nopen"},
        header="**Read this:** {document.title}",
        footer="Made for {issue.id}.",
    )
    assert plan.body.startswith("<p><strong>Read this:</strong> [a](http://x) *b* &lt;c&gt; | `d`</p>")
    assert plan.body.endswith("<p>Made for INC-7.</p>")


def test_the_table_of_properties_is_confluences_own():
    plan = prepared({"title": "a <b> & c"}, properties="Issue={issue.id}; Title = {document.title};Owner=SRE = us")
    assert plan.body.startswith('<ac:structured-macro ac:name="details"><ac:rich-text-body><table>')
    for label, value in (("Issue", "INC-7"), ("Title", "a &lt;b&gt; &amp; c"), ("Owner", "SRE = us")):
        assert f"<tr><th>{label}</th><td>{value}</td></tr>" in plan.body


def test_another_template_is_another_content():
    assert prepared().digest != prepared(footer="New").digest


def test_a_cut_document_leaves_room_for_its_template():
    long = "word & <word> " * 400_000
    plan = prepared({"content_md": long}, footer="The end. " * 1000)
    assert _sent_bytes(plan.body) <= BODY_BYTES + 2_000  # the note that it was cut
    assert plan.body.endswith("The end.</p>")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("title_pattern", "{document.body}", "nothing to fill in; known are: document.created_at"),
        ("title_pattern", "{document.title", "lone brace"),
        ("title_pattern", "", "at least 1 character"),
        ("header", "{document.__class__}", "nothing to fill in"),
        ("properties", {"A": "{0}"}, "nothing to fill in"),
        ("properties", "no value", "LABEL=VALUE"),
        ("parent", "a//b", "empty title"),
        ("parent", "abc", "a path of titles"),
        ("parent", "/{document.nope}", "nothing to fill in"),
    ],
)
def test_a_template_that_cant_be_read_is_refused_when_it_is_set(setting, value, words):
    with pytest.raises(Refused, match=words):
        parse_settings(SITE | {setting: value})


def test_the_consoles_form_takes_a_template_and_shows_it_again():
    """A row of the table is a line; an emptied field is the default again."""
    given = {
        "base_url": SITE["base_url"],
        "flavor": "cloud",
        "parent": "/Post-mortems",
        "header": "**Internal**\r\n\r\nRead it.",
        "properties": "Issue={issue.id}\r\nTeam=SRE",
    }
    settings = settings_from(KINDS["confluence"], given, None)
    assert settings.parent == "/Post-mortems"
    assert settings.title_pattern == "{document.title}"
    assert settings.properties == {"Issue": "{issue.id}", "Team": "SRE"}
    record = DestinationRecord(name="c", settings=settings, revision=1)
    shown = values_of(record)
    assert shown["properties"] == "Issue={issue.id}\nTeam=SRE"
    emptied = settings_from(KINDS["confluence"], shown | {"header": "", "properties": "", "parent": ""}, record)
    assert (emptied.header, emptied.properties, emptied.parent) == ("", {}, None)


def test_a_template_that_leaves_no_room_for_the_document_is_refused(monkeypatch):
    """Cutting the document would never make it fit."""
    monkeypatch.setattr(destination, "BODY_BYTES", 110_000)
    document = {"content_md": "Words.\n\n" * 20_000}
    assert "goes on" in prepared(document, header="Short.").body
    with pytest.raises(Permanent, match="no room for the document") as refused:
        prepared(document, header="a" * 6_000, footer="b" * 6_000)
    assert (refused.value.code, "Shorten" in refused.value.advice) == ("template_too_long", True)


@pytest.mark.parametrize("label", ["a=b", "a;b", "a\nb", "a\\", "\\=", "C:\\x"])
@pytest.mark.parametrize("value", ["", "x=y", "A; B", "two\nlines", "C:\\", "C:\\x;"])
def test_a_row_of_any_signs_comes_back_from_a_form_as_it_was(label, value):
    settings = parse_settings(SITE | {"properties": {label: value, "Other": "z"}})
    shown = values_of(DestinationRecord(name="c", settings=settings, revision=1))
    assert settings_from(KINDS["confluence"], shown, None).properties == {label: value, "Other": "z"}


def test_a_label_with_an_equals_sign_is_written_with_a_backslash():
    made = parse_settings(SITE | {"properties": "a\\=b=c; Path=C:\\temp"})
    assert made.properties == {"a=b": "c", "Path": "C:\\temp"}
    with pytest.raises(Refused, match="LABEL=VALUE"):
        parse_settings(SITE | {"properties": "no equals sign"})
