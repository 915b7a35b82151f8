"""Clients of Confluence and Jira work against the sandbox as they do against the products."""

from __future__ import annotations

import pytest

from tests.clients.outside import python_with

DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63000100000005000100"
    "0d0a2db40000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def python():
    return python_with("atlassian")


async def test_atlassian_python_api_5_writes_a_page_of_the_cloud(live, printed_by):
    got = await printed_by("confluence_cloud", live)
    assert got == {
        "id": got["id"],
        "found": [got["id"]],
        "below": True,
        "body": "<p>two</p>",
        "keys": ["afterword"],
        "kept": {"subject": "s1"},
    }
    page = next(row for row in await live.objects("confluence") if row["title"] == "RCA")
    assert (page["id"], page["version"], page["key"]) == (got["id"], 2, "s1")


async def test_atlassian_python_api_5_writes_a_page_of_a_data_center(live, printed_by):
    got = await printed_by("confluence_data_center", live)
    (page,) = await live.objects("confluence")
    assert got == {"id": page["id"], "space": "OPS", "version": 2}
    assert page["body"] == "<p>two</p>"


async def test_markdown_to_confluence_publishes_a_file_with_a_picture(live, printed_by, tmp_path):
    made = await live.new_page("To be filled")
    (tmp_path / "dot.png").write_bytes(DOT)
    (tmp_path / "rca.md").write_text(
        f"<!-- confluence-page-id: {made.json['id']} -->\n\n# Pool exhausted\n\n| a | b |\n|-|-|\n| 1 | 2 |\n\n![dot](dot.png)\n"
    )
    await printed_by("markdown_to_confluence_file", live)
    (page,) = await live.objects("confluence")
    assert page["id"] == made.json["id"]
    assert page["version"] == 2
    assert "<table" in page["body"]
    assert page["attachments"] == ["dot.png"]


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
async def test_jira_makes_finds_discusses_links_and_resolves_an_issue(live, printed_by, flavor):
    got = await printed_by("jira_issues", live, FLAVOR=flavor)
    assert got == {
        "key": "PAY-1",
        "project": "Payments",
        "types": ["Incident", "Task", "Bug"],
        "priorities": ["Highest", "High"],
        "fields": True,
        "summary": "Up",
        "priority": "High",
        "status": "Resolved",
        "comments": 1,
        "files": ["trace.txt"],
        "content": "one line\n",
        "links": ["PAY-2"],
        "remote": ["https://wiki.example/rca"],
        "found": ["PAY-1"],
        "property": 1,
        "link": "Blocks",
        "people": ["Abel Tuter"],
        "several": ["PAY-1", "PAY-2"],
        "priority_by_id": "Highest",
        "me": True,
        "refused": "Specify a valid issue type",
    }
