"""A page below a path of titles: missing pages are created, each once, whatever happens and however many jobs create them."""

from __future__ import annotations

import asyncio

import pytest

from tasks import lifecycle
from tasks.errors import Refused
from tasks.model import Document, Issue, JobState, parse_command
from tests.integration.page_support import DOCUMENT, PUBLISH, TEXT
from tests.integration.test_blame import deny
from tests.integration.test_pages import others_page

pytestmark = pytest.mark.usefixtures("destinations")
PATH = "Post-mortems/2026/2026-11"


async def pages(bench) -> dict[str, dict]:
    """All pages by title; fails where two have the same."""
    found = await bench.sandbox.objects("confluence")
    by_title = {page["title"]: page for page in found}
    assert len(by_title) == len(found)
    return by_title


async def way_up(bench, title=DOCUMENT.title) -> list[str]:
    """The titles above a page, from the top."""
    by_title = await pages(bench)
    by_id = {page["id"]: page for page in by_title.values()}
    above, at = [], by_title[title]["parent"]
    while at in by_id:  # the space's home page is none of them
        above.insert(0, by_id[at]["title"])
        at = by_id[at]["parent"]
    return above


async def test_missing_pages_of_the_path_are_created_and_the_page_is_below_them(bench):
    ended = await bench.publish(parent_page_id=PATH)
    assert ended.receipt.change == "created"
    assert await way_up(bench) == ["Post-mortems", "2026", "2026-11"]
    assert "children" in (await pages(bench))["2026"]["body"]


async def test_the_same_again_reads_twice_and_writes_nothing(bench):
    await bench.publish(parent_page_id=PATH)
    ended = await bench.publish(parent_page_id=PATH)
    assert ended.receipt.change == "unchanged"
    assert len(bench.sent) == 2
    assert all(line.startswith("GET") for line in bench.sent)
    assert len(await pages(bench)) == 4


async def test_pages_that_are_there_are_used_and_not_touched(bench):
    theirs = await others_page(bench, "Post-mortems")
    await bench.publish(parent_page_id="/post-mortems")
    found = await pages(bench)
    assert (len(found), found[DOCUMENT.title]["parent"]) == (2, theirs)
    assert (found["Post-mortems"]["body"], found["Post-mortems"]["version"]) == ("<p>theirs</p>", 1)


@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500", "drop", "malformed_json"])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
async def test_a_create_of_unknown_end_makes_no_page_twice(bench, fault, number):
    """Whichever of the four creates it hits."""
    await bench.sandbox.fault(vendor="confluence", fault=fault, operation="create", after=number)
    assert (await bench.publish(parent_page_id=PATH)).state is JobState.DELIVERED
    assert await way_up(bench) == ["Post-mortems", "2026", "2026-11"]
    assert len(await pages(bench)) == 4
    assert (await bench.services.audit.verify()).ok


async def test_killed_after_any_request_the_next_attempt_finishes_the_path(bench):
    """Every request of the delivery is the last one of an attempt once."""
    for number in range(1, 30):
        title = f"Report {number}"
        await bench.put(id=f"d{number}", issue_id=None, title=title)
        job = await bench.submit(doc_id=f"d{number}", parent_page_id=f"Top {number}/Below {number}")
        killed = await bench.attempt(job, kill_after=number)
        if getattr(killed, "state", None) is JobState.DELIVERED:
            return
        assert (await bench.run(job)).state is JobState.DELIVERED
        assert await way_up(bench, title) == [f"Top {number}", f"Below {number}"]
    pytest.fail("the delivery never came to its end")


async def test_jobs_at_once_share_the_pages_of_their_path(bench):
    jobs = []
    for number in range(6):
        document = Document.model_validate(
            DOCUMENT.model_dump() | {"id": f"d{number}", "issue_id": None, "title": f"R{number}"}
        )
        command = parse_command(PUBLISH | {"doc_id": document.id, "parent_page_id": PATH})
        jobs.append(await bench.services.submit(command, actor="test", document=document))
    await asyncio.gather(*(bench.attempt(job) for job in jobs))
    for job in jobs:
        if (await bench.services.ledger.require(job.id)).state is not JobState.DELIVERED:
            assert (await bench.run(job)).state is JobState.DELIVERED
    assert len(await pages(bench)) == 3 + len(jobs)
    assert {tuple(await way_up(bench, f"R{number}")) for number in range(6)} == {("Post-mortems", "2026", "2026-11")}


async def test_another_path_moves_the_page_and_a_person_who_moved_it_is_overruled(bench):
    """A job that names a parent says where the page belongs."""
    await bench.publish(parent_page_id=PATH)
    assert (await bench.publish(parent_page_id="Post-mortems/Old")).receipt.change == "updated"
    assert await way_up(bench) == ["Post-mortems", "Old"]
    assert (await bench.publish()).receipt.change == "unchanged"
    await bench.put(content_md=TEXT + "\nMore.\n")
    assert (await bench.publish(parent_page_id=PATH)).receipt.change == "updated"
    assert await way_up(bench) == ["Post-mortems", "2026", "2026-11"]


async def test_a_title_that_a_page_elsewhere_has_ends_the_job_and_names_that_page(bench):
    """Confluence permits a title once in a space: nothing is moved, and nothing else is created for it."""
    await others_page(bench, "2026")
    await others_page(bench, "Post-mortems")
    ended = await bench.publish(parent_page_id=PATH)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "parent_elsewhere")
    assert "under another parent" in str(ended.error)
    assert "2026-11" not in await pages(bench)


@pytest.mark.parametrize("status", ["archived", "trashed"])
async def test_a_parent_that_people_put_away_is_told(bench, status):
    theirs = await others_page(bench, "Post-mortems")
    await bench.control("edit", id=theirs, status=status)
    ended = await bench.publish(parent_page_id=PATH)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "parent_elsewhere")
    assert status in str(ended.error)


async def test_an_account_that_may_not_create_the_parent_is_told_the_right(bench):
    await deny(bench.sandbox, "confluence", "OPS", "create")
    ended = await bench.publish(parent_page_id=PATH)
    assert ended.state is JobState.DEAD
    assert "right" in ended.error.advice
    await deny(bench.sandbox, "confluence", "OPS")
    assert (await bench.publish(parent_page_id=PATH)).state is JobState.DELIVERED


async def test_a_page_is_never_put_below_itself(bench):
    ended = await bench.publish(parent_page_id=f"Post-mortems/{DOCUMENT.title}")
    assert (ended.state, ended.error.code) == (JobState.DEAD, "bad_parent")
    assert await bench.sandbox.objects("confluence") == []


@pytest.mark.parametrize("space", [None, "OPS"])
async def test_the_destinations_own_parent_is_taken_with_the_documents_date_filled_in(bench, space):
    """Also where the job names the destination's space, as upstream's command always does."""
    parent = "Post-mortems/{document.year}/{document.year}-{document.month}"
    await bench.set("confluence", space="OPS", parent=parent)
    await bench.put(created_at="2026-11-03 09:00:00")
    assert (await bench.publish(space_key=space)).state is JobState.DELIVERED
    assert await way_up(bench) == ["Post-mortems", "2026", "2026-11"]


async def test_a_document_without_what_the_path_names_says_so(bench):
    await bench.set("confluence", space="OPS", parent="/{document.year}")
    ended = await bench.publish()
    assert (ended.state, ended.error.code) == (JobState.DEAD, "bad_parent")
    assert "created_at" in ended.error.advice


@pytest.mark.parametrize("path", ["a//b", "/", "a/", "//a", f"a/{'x' * 256}", "a/" * 10 + "a", "a/ /b"])
async def test_a_path_that_cant_be_read_is_refused_when_it_is_submitted(bench, path):
    with pytest.raises(Refused, match=r"parent_page_id: (has an empty title|must have at most 10 titles)"):
        parse_command(PUBLISH | {"parent_page_id": path})


@pytest.mark.parametrize("path", ["/{document.body}", "a/{b", "{document.__class__}/b"])
async def test_a_path_with_a_placeholder_for_nothing_is_refused_too(bench, path):
    with pytest.raises(Refused, match=r"nothing to fill in|lone brace"):
        await bench.submit(parent_page_id=path)


async def test_fields_of_the_documents_issue_are_filled_in_redacted(bench):
    """A page is brought up to date when its issue says something else; a document without a stored issue has empty fields."""
    issue = Issue(id="inc-1", title="Ask jane.doe@acme-corp.com", severity="P2", status="open", tags=["db", "pool"])
    await bench.set(
        "confluence",
        title_pattern="{issue.severity} {document.title}",
        properties={"Issue": "{issue.title}", "Status": "{issue.status}", "Tags": "{issue.tags}"},
    )
    assert (await bench.publish()).receipt.change == "created"
    await bench.services.contents.put_issue(issue, "test")
    assert (await bench.publish(parent_page_id="/{issue.severity}")).receipt.change == "updated"
    found = await pages(bench)
    page = found[f"P2 {DOCUMENT.title}"]
    assert "<th>Issue</th><td>Ask [Email]</td>" in page["body"]
    assert "<td>db, pool</td>" in page["body"]
    assert await way_up(bench, page["title"]) == ["P2"]
    assert (await bench.publish(parent_page_id="/{issue.severity}")).receipt.change == "unchanged"
    await bench.services.contents.put_issue(issue.model_copy(update={"status": "resolved"}), "test")
    assert (await bench.publish(parent_page_id="/{issue.severity}")).receipt.change == "updated"
    assert "<td>resolved</td>" in (await pages(bench))[page["title"]]["body"]


async def test_a_title_of_255_characters_is_a_title(bench):
    await bench.publish(parent_page_id=f"/{'x' * 255}")
    assert await way_up(bench) == ["x" * 255]


async def test_a_dry_run_names_the_path_and_creates_nothing(bench):
    seen = await bench.services.preview(parse_command(PUBLISH | {"parent_page_id": PATH}))
    assert seen.parent == (None, PATH)
    assert "would be created" in " ".join(seen.notes)
    assert await bench.sandbox.objects("confluence") == []
    await bench.publish(parent_page_id=PATH)
    assert (await bench.services.preview(parse_command(PUBLISH | {"parent_page_id": PATH}))).action == "unchanged"


async def test_a_secret_in_a_path_stops_the_job(bench):
    """It would be a page's title."""
    planted = "AKIA" + "Z7QH2M4KXW3TR5VB"
    ended = await bench.publish(parent_page_id=f"Post-mortems/{planted}")
    assert ended.state is JobState.HELD
    assert await bench.sandbox.objects("confluence") == []


async def test_a_page_that_cant_be_seen_yet_is_no_missing_parent(bench):
    """The vendor says 404 of both."""
    await bench.publish(parent_page_id=PATH)
    await bench.put(content_md="Another text.")
    job = await bench.submit(parent_page_id=PATH)
    await bench.sandbox.fault(vendor="confluence", method="PUT", fault="status", status=404, message="Not found")
    ended = await lifecycle.attempt(bench.services.core, job.id)
    assert (ended.state, ended.error.code) == (JobState.RETRYING, "page_not_visible")
