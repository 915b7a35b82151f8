"""A document that says nothing replaces no page, whichever way it comes."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.errors import Refused
from tasks.model import Document, JobState, parse_command
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

PUBLISH = parse_command({"command": "publish_to_confluence", "doc_id": "d1", "space_key": "OPS"})


def document(text: str) -> Document:
    return Document(id="d1", title="RCA", content_md=text)


@pytest.mark.parametrize("text", ["", " \n\t", "\ufeff", "\ufeff\n \r\n", "\u200b\u2060 \u00ad", "\x00\x00"])
async def test_a_document_without_a_text_is_not_taken(services, sandbox, text):
    """Neither by itself nor with its job."""
    settings = parse_settings(sandbox_destinations(sandbox.url)["confluence"])
    await services.destinations.set("confluence", settings, FAKE_SECRET, "test")
    with pytest.raises(Refused) as stored:
        await services.put(document(text), "test")
    with pytest.raises(Refused) as submitted:
        await services.submit(PUBLISH, actor="test", document=document(text))
    assert (stored.value.code, submitted.value.code) == ("empty_document", "empty_document")
    assert await services.contents.document("d1") is None


@pytest.mark.parametrize(
    "text",
    [
        "<!-- to be written -->",
        "---\ntitle: RCA\n---\n",
        "[link]: https://e.com",
        "![]() <b></b>",
        "\ufeff---\na: b\n---\n<!-- a -->\n\n<!-- b\n\nc -->\n",
    ],
)
async def test_a_document_that_shows_nothing_ends_its_job_and_leaves_the_page(services, sandbox, text):
    """Front matter, comments and addresses of links show nothing by themselves."""
    settings = parse_settings(sandbox_destinations(sandbox.url)["confluence"] | {"toc": "true"})
    await services.destinations.set("confluence", settings, FAKE_SECRET, "test")
    first = await services.submit(PUBLISH, actor="test", document=document("words"))
    assert (await lifecycle.attempt(services.core, first.id)).state is JobState.DELIVERED
    second = await services.submit(PUBLISH, actor="test", document=document(text))
    ended = await lifecycle.attempt(services.core, second.id)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "empty_document")
    (page,) = await sandbox.objects("confluence")
    assert "words" in page["body"]
