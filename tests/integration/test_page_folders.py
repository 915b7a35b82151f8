"""Folders of the Cloud on the way to a page: found, gone through, and created where the destination says so."""

from __future__ import annotations

import asyncio

import pytest

from tasks.model import Document, JobState, parse_command
from tests.integration.page_support import DOCUMENT, PUBLISH, Bench
from tests.integration.test_blame import deny

pytestmark = pytest.mark.usefixtures("destinations")
AUTH = {"Authorization": "Bearer fake-for-the-sandbox"}
PATH = "Post-mortems/2026/2026-11"


@pytest.fixture
async def bench(services, sandbox, destinations):
    made = Bench(services, sandbox)
    await made.put()
    return made


async def asked(bench, method, path, **given):
    url = f"{bench.sandbox.url}/wiki/api/v2/{path}"
    async with bench.sandbox.session.request(method, url, headers=AUTH, **given) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def folder(bench, title, parent=None) -> str:
    """A folder that somebody else made."""
    space = (await asked(bench, "GET", "spaces?keys=OPS"))["results"][0]["id"]
    given = {"spaceId": space, "title": title} | ({"parentId": parent} if parent else {})
    return (await asked(bench, "POST", "folders", json=given))["id"]


async def above(bench, title=DOCUMENT.title) -> list[tuple[str, str]]:
    """Kind and title of all that is above a page, from the top."""
    (page,) = [row for row in await bench.sandbox.objects("confluence") if row["title"] == title]
    number, kind = page["parent"], (await asked(bench, "GET", f"pages/{page['id']}"))["parentType"]
    found: list[tuple[str, str]] = []
    while number:
        held = await asked(bench, "GET", f"{kind}s/{number}")
        found.insert(0, (kind, held["title"]))
        number, kind = held["parentId"], held["parentType"]
    return found[1:]  # the space's home page is none of them


async def test_a_path_leads_through_folders_that_are_there(bench):
    await folder(bench, "2026", await folder(bench, "Post-mortems"))
    ended = await bench.publish(parent_page_id=PATH)
    assert ended.receipt.change == "created"
    assert await above(bench) == [("folder", "Post-mortems"), ("folder", "2026"), ("page", "2026-11")]
    again = await bench.publish(parent_page_id=PATH)
    assert (again.receipt.change, len(bench.sent)) == ("unchanged", 2)


async def test_a_folder_is_named_by_its_number_too(bench):
    number = await folder(bench, "Post-mortems")
    await bench.publish(parent_page_id=number)
    assert await above(bench) == [("folder", "Post-mortems")]
    assert (await bench.publish(parent_page_id=number)).receipt.change == "unchanged"


async def test_a_folder_below_a_page_is_found(bench):
    await bench.publish(parent_page_id="/Post-mortems")
    (parent,) = [row for row in await bench.sandbox.objects("confluence") if row["title"] == "Post-mortems"]
    await folder(bench, 'The "old" ones', parent["id"])
    await bench.publish(parent_page_id='Post-mortems/The "old" ones')
    assert await above(bench) == [("page", "Post-mortems"), ("folder", 'The "old" ones')]


async def test_missing_parts_are_created_as_folders_where_the_destination_says_so(bench):
    await bench.set("confluence", missing_parents="folders")
    await bench.publish(parent_page_id=PATH)
    assert await above(bench) == [("folder", "Post-mortems"), ("folder", "2026"), ("folder", "2026-11")]
    assert len(await bench.sandbox.objects("confluence")) == 1


@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500", "drop"])
@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_folder_of_unknown_end_is_not_created_twice(bench, fault, number):
    """The vendor permits a title of a folder once in a space, so a second create is refused and the folder is looked for."""
    await bench.set("confluence", missing_parents="folders")
    await bench.sandbox.fault(vendor="confluence", fault=fault, operation="create", after=number)
    assert (await bench.publish(parent_page_id=PATH)).state is JobState.DELIVERED
    assert await above(bench) == [("folder", "Post-mortems"), ("folder", "2026"), ("folder", "2026-11")]


async def test_jobs_at_once_share_the_folders_of_their_path(bench):
    await bench.set("confluence", missing_parents="folders")
    jobs = []
    for number in range(4):
        changes = {"id": f"d{number}", "issue_id": None, "title": f"R{number}"}
        document = Document.model_validate(DOCUMENT.model_dump() | changes)
        command = parse_command(PUBLISH | {"doc_id": document.id, "parent_page_id": PATH})
        jobs.append(await bench.services.submit(command, actor="test", document=document))
    await asyncio.gather(*(bench.attempt(job) for job in jobs))
    for job in jobs:
        if (await bench.services.ledger.require(job.id)).state is not JobState.DELIVERED:
            assert (await bench.run(job)).state is JobState.DELIVERED
    wanted = (("folder", "Post-mortems"), ("folder", "2026"), ("folder", "2026-11"))
    assert {tuple(await above(bench, f"R{number}")) for number in range(4)} == {wanted}


async def test_a_folder_of_that_title_elsewhere_is_told_and_not_moved(bench):
    """It may also be one that can't be seen yet, so the job tries again before it gives up."""
    await folder(bench, "2026")
    await bench.set("confluence", missing_parents="folders")
    ended = await bench.attempt(await bench.submit(parent_page_id=PATH))
    assert (ended.state, ended.error.code) == (JobState.RETRYING, "parent_hidden")


async def test_an_account_that_may_not_create_folders_is_told(bench):
    await bench.set("confluence", missing_parents="folders")
    await deny(bench.sandbox, "confluence", "OPS", "create")
    ended = await bench.publish(parent_page_id=PATH)
    assert ended.state is JobState.DEAD
    assert "right" in ended.error.advice


async def test_a_dry_run_says_that_folders_are_missing_and_creates_none(bench):
    await bench.set("confluence", missing_parents="folders")
    seen = await bench.services.preview(parse_command(PUBLISH | {"parent_page_id": PATH}))
    assert "Folders of the parent's path are missing" in " ".join(seen.notes)
    await folder(bench, "Post-mortems")  # would be refused if there were one
