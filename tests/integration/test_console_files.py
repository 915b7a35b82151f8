"""A form's files: under their own names or the paths that a script gives, within the limits that the page tells."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp import FormData

from worker.console import files

TEXT = "# Title\n\n![a](shots/a.gif)\n"
DOT = b"GIF89a"


def form(token, images, **more):
    """A filled form, with `then` submit unless it says otherwise."""
    data = FormData()
    for name, value in {"csrf": token, "content": TEXT, "space": "OPS", "then": "submit", **more}.items():
        data.add_field(name, value)
    for name, content in images:
        data.add_field("attachment", content, filename=name, content_type="image/gif")
    return data


async def attachments(services):
    document = await services.contents.document("title")
    return document and [(file.name, file.media_type, file.content) for file in document.attachments]


@pytest.mark.usefixtures("destinations")
@pytest.mark.parametrize(
    ("paths", "name"),
    [
        ("", "a.gif"),
        (json.dumps(["shots/a.gif"]), "shots/a.gif"),
        (json.dumps(["shots/a.gif", "more"]), "a.gif"),
        ("[" * 5000, "a.gif"),
        ('"shots/a.gif"', "a.gif"),
    ],
)
async def test_a_file_comes_under_its_path_where_the_form_says_one_for_each(client, log_in, services, paths, name):
    """Else under its own name, by which the text finds it as well."""
    token = await log_in("operator")
    answer = await client.post("/publish", data=form(token, [("a.gif", DOT)], paths=paths))
    assert answer.status == 200, await answer.text()
    assert await attachments(services) == [(name, "image/gif", DOT)]


@pytest.mark.usefixtures("destinations")
@pytest.mark.parametrize("path", ["/etc/x.gif", "a\\b.gif", "", "x" * 300])
async def test_a_path_that_is_none_is_refused(client, log_in, services, path):
    """And nothing is stored."""
    token = await log_in("operator")
    answer = await client.post("/publish", data=form(token, [("a.gif", DOT)], paths=json.dumps([path])))
    assert answer.status == 422
    assert "Choose the files again" in await answer.text()
    assert await attachments(services) is None


@pytest.mark.usefixtures("destinations")
async def test_too_many_and_too_large_files_are_refused_with_the_limit(client, log_in, services, monkeypatch):
    """Together, not each by itself."""
    monkeypatch.setattr(files, "MOST_FILES", 2)
    monkeypatch.setattr(files, "MOST_BYTES", 1_000_000)
    token = await log_in("operator")
    many = await client.post("/publish", data=form(token, [(f"{n}.gif", DOT) for n in range(3)]))
    assert "There are 3 files; 2 may come with a document." in await many.text()
    large = await client.post("/publish", data=form(token, [(f"{n}.gif", DOT * 90_000) for n in range(2)]))
    assert "larger than 1 MB together" in await large.text()
    assert (many.status, large.status) == (422, 422)
    assert await attachments(services) is None


@pytest.mark.usefixtures("destinations")
async def test_a_text_of_several_megabytes_is_taken_up_to_the_limit_that_the_page_names(client, log_in, services):
    """A form of another page stays short."""
    token = await log_in("operator")
    fits = await client.post("/publish", data=form(token, [], content="# Title\n\n" + "word " * 500_000))
    assert fits.status == 200
    assert len((await services.contents.document("title")).content_md) > 2_000_000
    assert (await client.post("/publish", data=form(token, [], content="x" * 4_000_001))).status == 413
    assert (await client.post("/views", data={"csrf": token, "name": "x" * 2_000_000})).status == 413


@pytest.mark.usefixtures("destinations")
async def test_a_comparison_stores_and_sends_nothing(client, log_in, services, sandbox):
    """It reads the other side alone."""
    token = await log_in("operator")
    text = await (await client.post("/publish", data=form(token, [("a.gif", DOT)], then="compare"))).text()
    assert "A new page would be created." in text
    assert await attachments(services) is None
    assert await sandbox.objects("confluence") == []


@pytest.mark.usefixtures("destinations")
async def test_only_operators_compare_with_a_page(client, services):
    """People may have written on it what a producer must not read."""
    _, key = await services.access.create("producer", ["submit", "read"], None, "test")
    page = await (await client.post("/login", data={"key": key, "next": "/publish"})).text()
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)[1]
    assert "What would change" not in page
    text = await (await client.post("/publish", data=form(token, [], then="compare"))).text()
    assert "takes the right to operate" in text
    assert [entry for entry in await services.audit.tail(100) if entry.event.startswith("lookup")] == []
