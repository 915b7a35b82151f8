"""Clients of ServiceNow work against the sandbox as they do against an instance."""

from __future__ import annotations

import pytest

from tests.clients.outside import python_with


@pytest.fixture(scope="module")
def python():
    return python_with("servicenow")


async def test_pysnow_makes_finds_changes_attaches_to_and_deletes_an_incident(live, printed_by):
    got = await printed_by("pysnow_incidents", live)
    assert got == {
        "made": "INC0010001",
        "priority": "2",
        "nope": False,
        "title": "Up",
        "files": ["trace.txt"],
        "found": ["INC0010001"],
        "walked": [],
        "ranged": ["INC0010001"],
        "deleted": "record deleted",
        "left": 1,
        "refused": True,
    }


async def test_pysnc_handles_incidents_as_the_platform_does(secured, printed_by):
    got = await printed_by("pysnc_incidents", secured)
    assert got == {
        "title": "Up",
        "priority": "2",
        "shown": "2 - High",
        "group": "Database",
        "files": [["trace.txt", "one line\n"]],
        "journal": ["Seen."],
        "titles": ["a", "b", "c"],
        "deleted": True,
        "left": 1,
    }


async def test_aiosnow_finds_changes_makes_and_deletes_incidents(live, printed_by):
    await live.new_incident(correlation_id="k1", impact="2")
    got = await printed_by("aiosnow_incidents", live)
    assert got == {"number": "INC0010001", "made": "INC0010002", "listed": ["Another", "Up"]}
    assert [row["title"] for row in await live.objects("servicenow")] == ["Up"]
