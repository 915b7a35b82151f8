"""The older Atlassian client and the MCP server that is built on it work against the sandbox."""

from __future__ import annotations

import pytest

from tests.clients.outside import python_with


@pytest.fixture(scope="module")
def python():
    return python_with("mcp_atlassian")


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
async def test_atlassian_python_api_4_writes_labels_attaches_and_finds_a_page(live, printed_by, flavor):
    got = await printed_by("confluence_by_version_4", live, FLAVOR=flavor)
    assert got == {
        "exists": True,
        "absent": False,
        "again": True,
        "id": True,
        "space": "OPS",
        "body": "<p>four</p>",
        "version": 4,
        "below": "Post-mortems",
        "children": ["RCA"],
        "labels": ["rca"],
        "property": {"subject": "s1"},
        "files": ["trace.txt"],
        "comments": 1,
        "found": ["RCA"],
        "either": ["Post-mortems", "RCA"],
        "by_me": ["RCA"],
        "first": 1,
        "history": 4,
        "ancestors": "Post-mortems",
    }


async def test_an_assistant_handles_a_page_and_an_issue_by_mcp_atlassian(live, printed_by):
    got = await printed_by("mcp_atlassian_tools", live)
    assert got == {
        "body": "Again.",
        "version": 2,
        "found": ["RCA"],
        "summary": "Up",
        "status": "In Progress",
        "comments": 1,
        "search": ["PAY-1"],
    }
    (page,) = await live.objects("confluence")
    assert page["labels"] == ["rca"]
