"""Entries are found by what people look for: a destination, a key's name, a document, a job; and exported the same."""

from __future__ import annotations

import json

import pytest

from tasks.model import JobState, LastError
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Settlement
from tests.integration.test_lifecycle import DOCUMENT
from tests.integration.test_rotation import afterword, printed
from tests.integration.test_state import claim, submit

pytestmark = pytest.mark.usefixtures("destinations")


@pytest.fixture
async def dead(services) -> str:
    """A job that was delivered nothing of: its write failed and it is dead; returns its id."""
    await services.contents.put_document(DOCUMENT, "test")
    job = await claim(services, await submit(services))
    intent = await services.ledger.intend(job, Event.DELIVERY_INTENT, writes=True, doubt_until_ms=0, facts={})
    await services.ledger.conclude(job.id, intent, Event.DELIVERY_OK, {"status": 400}, job=job)
    error = LastError(code="bad_space", message="There is no such space.")
    await services.ledger.settle(job, Settlement(JobState.DEAD, Event.DEAD, error=error))
    return job.id


FOUND = ("job.submitted", "delivery.intent", "delivery.ok", "job.dead")


@pytest.mark.parametrize("event", FOUND)
async def test_an_entry_says_its_destination_and_document_under_its_mac(services, dead, event):
    """What is searched by is part of the signed data, so nobody moves an entry to another destination."""
    entries = [entry for entry in await services.audit.tail(50) if entry.event == event]
    assert [(e.data["job"], e.data["destination"], e.data["document"]) for e in entries] == [
        (dead, "confluence", DOCUMENT.id)
    ]


@pytest.mark.parametrize("event", [*FOUND, "job.claimed"])
async def test_the_command_finds_and_exports_by_event_and_destination(services, settings, dead, event):
    """An export is never emptier than the search with the same filter; a claim, which names no destination, is found by its job."""
    status, found = await afterword(settings, "audit", "tail", "--event", event, "--destination", "confluence")
    assert (status, [entry["event"] for entry in found]) == (0, [event])
    status, lines = await printed(settings, "audit", "export", "--event", event, "--destination", "confluence")
    assert [json.loads(line)["message"] for line in lines.splitlines()] == [event]
    assert (await afterword(settings, "audit", "tail", "--event", event, "--destination", "servicenow"))[1] == []


async def test_the_console_finds_and_exports_the_same(services, client, log_in, dead):
    """Also the entries of older versions, which said nothing of destinations: their jobs are asked."""
    await services.ledger.record(Event.DEAD, {"job": dead, "error": "as version 0.1 wrote it"})
    await log_in("viewer")
    for query, times in (
        ("event=job.dead&destination=confluence", 2),
        ("event=delivery.ok&destination=confluence", 1),
        (f"event=job.dead&about={DOCUMENT.id}", 2),
        ("event=job.dead&destination=servicenow", 0),
    ):
        page = await (await client.get(f"/audit?{query}")).text()
        exported = (await (await client.get(f"/audit/export.jsonl?{query}")).text()).splitlines()
        assert (page.count("<tr><td><time"), len(exported)) == (times, times), query


async def test_an_export_of_a_part_is_for_reading_and_takes_nothing_away(settings, services, dead):
    """With a filter nothing may be trimmed."""
    out = str(settings.data / "part.jsonl")
    status, _ = await printed(settings, "audit", "export", "--event", "job", "--out", out, "--trim-days", "1")
    assert status == 2
