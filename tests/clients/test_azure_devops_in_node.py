"""Microsoft's own client for Node.js works against the sandbox as it does against Azure DevOps."""

from __future__ import annotations

import shutil

import pytest

from tests.clients.outside import HERE, node_modules, printed


@pytest.fixture(scope="module")
def packages():
    return node_modules()


async def test_a_work_item_is_created_found_changed_and_discussed(live, packages, tmp_path):
    program = HERE / "programs" / "azure_devops_work_items.mjs"
    got = await printed(shutil.which("node"), program, live=live, home=tmp_path, NODE_MODULES=str(packages))
    assert got == {
        "user": "Sandbox",
        "projects": ["Operations", "Payments", "Platform", "Starter"],
        "types": ["Epic", "Issue", "Task"],
        "title": "Up",
        "relations": ["AttachedFile"],
        "comment": "Seen.",
        "rev": 2,
        "found": [True],
        "refused": "TF51535",
    }
