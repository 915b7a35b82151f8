"""What a document becomes before anything is sent: pure, so that even five megabytes are quick to try."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from tasks.destinations import destination_for, parse_settings
from tasks.destinations.contract import Work
from tasks.http.multipart import multipart
from tasks.model import Document, parse_command

COMMAND = parse_command({"command": "publish_to_confluence", "doc_id": "d", "space_key": "OPS"})


def plan(markdown, **settings):
    given = {"kind": "confluence", "base_url": "https://example.atlassian.net", **settings}
    work = Work(
        job_id="j", subject="ab" * 16, command=COMMAND, document=Document(id="d", title="RCA", content_md=markdown)
    )
    return destination_for(parse_settings(given)).prepare(work).plan


@pytest.mark.parametrize("block", ["Part {}. " + "ä" * 9_000, "Part {}.\n\n```\n" + ("x" * 9_000 + "\n\n") * 6 + "```"])
def test_a_document_longer_than_a_page_is_cut_and_attached_whole(block):
    """JSON escapes make 2 bytes six, and a cut inside a code block leaves the note outside of it."""
    text = "\n\n".join(block.format(n) for n in range(110))
    made = plan(text)
    assert len(json.dumps(made.body)) < 5_000_000
    assert "Part 1." in made.body
    assert "Part 109." not in made.body
    (file,) = made.files
    assert file.content.decode() == text
    assert file.name in made.body
    assert any("attached whole" in warning for warning in made.warnings)
    ET.fromstring(f"<r xmlns:ac='ac' xmlns:ri='ri'>{made.body}</r>")


def test_a_page_that_fits_is_whole():
    assert plan("words").files == ()
    assert plan("words").warnings == ()


def test_labels_of_the_destination_come_as_a_list_or_a_line():
    assert plan("x", labels="ops, RCA").labels == plan("x", labels=["ops", "RCA"]).labels == ("ops", "rca")


def test_the_same_file_is_the_same_form_and_its_name_cant_leave_its_place():
    form, body = multipart('a".png', "image/png", b"\r\n--x", {"minorEdit": "true", "comment": "why"})
    assert multipart('a".png', "image/png", b"\r\n--x", {"minorEdit": "true", "comment": "why"}) == (form, body)
    boundary = form.partition("boundary=")[2]
    assert b'filename="a%22.png"' in body
    assert body.count(boundary.encode()) == 4
