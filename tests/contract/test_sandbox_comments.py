"""What readers and editors leave on a sandbox page: inline comments, minor edits, earlier versions of files, new parents."""

from __future__ import annotations

import aiohttp
import pytest

from tests.contract.sandbox_support import contract, must_meet, running

V2, DC = "/wiki/api/v2", "/rest/api"


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


async def comment(live, page, selection, index=0):
    place = {"textSelection": selection, "textSelectionMatchCount": 1, "textSelectionMatchIndex": index}
    body = {"pageId": page, "body": {"representation": "storage", "value": "<p>Why?</p>"}}
    return await live.ask("POST", f"{V2}/inline-comments", json=body | {"inlineCommentProperties": place})


async def body_of(live, page):
    return (await live.ask("GET", f"{V2}/pages/{page}?body-format=storage")).json["body"]["storage"]["value"]


async def test_an_inline_comment_is_a_marker_in_the_body_and_no_new_version(live):
    page = (await live.new_page(storage="<p>one two, one two</p>")).json["id"]
    made = await comment(live, page, "two", 1)
    ref = made.json["properties"]["inlineMarkerRef"]
    marked = f'<ac:inline-comment-marker ac:ref="{ref}">two</ac:inline-comment-marker>'
    assert made.status == 201
    assert await body_of(live, page) == f"<p>one two, one {marked}</p>"
    assert (await live.ask("GET", f"{V2}/pages/{page}")).json["version"]["number"] == 1
    assert (await comment(live, page, "three")).status == 400


@pytest.mark.parametrize(
    "storage",
    ["<p>one <strong>two</strong> three</p>", "<p>one <strong>two thr</strong>ee</p>", "<p>one t<em/>wo three</p>"],
)
async def test_a_selection_across_tags_leaves_a_body_that_confluence_takes(live, storage):
    page = (await live.new_page(storage=storage)).json["id"]
    assert (await comment(live, page, "one two th")).status in (201, 400)
    body = {"id": page, "status": "current", "title": "RCA", "version": {"number": 2}}
    whole = {"body": {"representation": "storage", "value": await body_of(live, page)}}
    assert (await live.ask("PUT", f"{V2}/pages/{page}", json=body | whole)).status == 200


async def test_a_comment_whose_marker_is_gone_dangles(live):
    page = (await live.new_page(storage="<p>words</p>")).json["id"]
    await comment(live, page, "words")
    listed = await live.ask("GET", f"{V2}/pages/{page}/inline-comments")
    assert listed.json["results"][0]["resolutionStatus"] == "open"
    body = {
        "id": page,
        "status": "current",
        "title": "RCA",
        "version": {"number": 2},
        "body": {"storage": {"value": ""}},
    }
    await live.ask("PUT", f"{V2}/pages/{page}", json=body)
    listed = await live.ask("GET", f"{V2}/pages/{page}/inline-comments")
    assert listed.json["results"][0]["resolutionStatus"] == "dangling"


async def test_a_minor_edit_and_its_message_stay_with_the_version(live):
    page = (await live.new_page()).json["id"]
    version = {"number": 2, "message": "small", "minorEdit": True}
    body = {"type": "page", "title": "RCA", "version": version, "body": {"storage": {"value": "<p>y</p>"}}}
    changed = await live.ask("PUT", f"{DC}/content/{page}", json=body)
    must_meet(contract("confluence-v1-swagger-2021-11.json"), "put", "/wiki/rest/api/content/{id}", changed)
    assert changed.json["version"]["minorEdit"] is True
    versions = await live.ask("GET", f"{V2}/pages/{page}/versions")
    must_meet(contract("confluence-v2-openapi.json"), "get", "/pages/{id}/versions", versions)
    assert [(row["message"], row["minorEdit"]) for row in versions.json["results"]] == [("small", True), ("", False)]


async def test_a_file_put_again_is_its_next_version_and_the_earlier_one_can_be_read(live):
    page = (await live.new_page()).json["id"]
    for content in (b"first", b"second"):
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("file", content, filename="größe.txt", content_type="text/plain")
        form.add_field("comment", f"sha of {content.decode()}")
        headers = {"X-Atlassian-Token": "nocheck"}
        put = await live.ask("PUT", f"{DC}/content/{page}/child/attachment", data=form, headers=headers)
        assert put.status == 200
    listed = await live.ask("GET", f"{V2}/pages/{page}/attachments")
    must_meet(contract("confluence-v2-openapi.json"), "get", "/pages/{id}/attachments", listed)
    (row,) = listed.json["results"]
    assert (row["title"], row["version"]["number"], row["comment"]) == ("größe.txt", 2, "sha of second")
    path = f"/download/attachments/{page}/größe.txt"
    assert (await live.ask("GET", path)).body == b"second"
    assert (await live.ask("GET", f"{path}?version=1")).body == b"first"
    assert (await live.ask("GET", f"{path}?version=3")).status == 404


async def test_a_page_moves_below_another_of_its_space_and_nowhere_else(live):
    page, parent = [(await live.new_page(title)).json["id"] for title in ("Child", "Parent")]
    body = {"id": page, "status": "current", "title": "Child", "body": {"storage": {"value": ""}}}
    moved = await live.ask("PUT", f"{V2}/pages/{page}", json=body | {"parentId": parent, "version": {"number": 2}})
    assert moved.json["parentId"] == parent
    ancestors = (await live.ask("GET", f"{DC}/content/{page}?expand=ancestors")).json["ancestors"]
    assert ancestors[-1]["id"] == parent
    elsewhere = live.store.homepage("ENG")
    refused = await live.ask("PUT", f"{V2}/pages/{page}", json=body | {"parentId": elsewhere, "version": {"number": 3}})
    assert refused.status == 404
