"""Microsoft's own client for Python works against the sandbox as it does against Azure DevOps."""

from __future__ import annotations

import pytest

from tests.clients.outside import python_with


@pytest.fixture(scope="module")
def python():
    return python_with("azure_devops")


async def test_a_work_item_is_created_found_changed_discussed_and_deleted(live, printed_by):
    got = await printed_by("azure_devops_work_items", live)
    assert got == {
        "projects": ["Operations", "Payments", "Platform", "Starter"],
        "process": got["process"] | {"templateName": "Basic"},
        "types": ["Epic", "Issue", "Task"],
        "states": ["New", "Active", "Resolved", "Closed"],
        "areas": ["Database", "Web"],
        "fields": True,
        "title": "Up",
        "assigned": "Abel Tuter",
        "relations": ["AttachedFile", "System.LinkTypes.Hierarchy-Reverse"],
        "parent": [True],
        "content": "one line\n",
        "comments": [],
        "comment": "Seen.",
        "changed_text": "Changed.",
        "left": ["Seen."],
        "revisions": ["Down", "Up"],
        "recent": True,
        "rev": 2,
        "found": True,
        "batch": ["Up", "Outages"],
        "updates": ["Down", "Up"],
        "thrown": True,
        "deleted": True,
        "back": True,
        "refused": "WorkItemTypeNotFoundException",
    }
