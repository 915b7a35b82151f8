"""A dry run looks and tells; it never writes, and what it tells is what the job then does."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from tasks.errors import Held, Permanent, Refused
from tasks.model import JobState, parse_command
from tests.conftest import ROOT, environment
from tests.integration.page_support import PUBLISH, TEXT, Bench
from tests.integration.test_blame import deny
from tests.integration.test_pages import others_page

pytestmark = pytest.mark.usefixtures("destinations")


async def preview(bench, **more):
    return await bench.services.preview(parse_command(PUBLISH | more))


async def writes(bench):
    return [row for row in (await bench.sandbox.state())["requests"] if row["method"] != "GET"]


async def test_a_new_page_is_shown_with_all_that_it_would_get(bench):
    seen = await preview(bench)
    assert seen.action == "create"
    assert seen.title == ("", "RCA: pool exhausted")
    assert seen.labels_added == ("database", "rca")
    assert "error.png" in seen.uploads
    assert "The pool was exhausted at noon." in [change.text for change in seen.diff]
    assert await writes(bench) == []
    assert await bench.sandbox.objects("confluence") == []


async def test_an_unchanged_page_is_said_to_be(bench):
    await bench.publish()
    before = await writes(bench)
    assert (await preview(bench)).action == "unchanged"
    assert await writes(bench) == before


async def test_a_change_is_shown_by_words(bench):
    await bench.publish()
    await bench.put(content_md=TEXT.replace("noon", "night").replace("[rca, database]", "[new]"), title="RCA: renamed")
    before = await writes(bench)
    seen = await preview(bench)
    assert seen.action == "update"
    assert seen.title == ("RCA: pool exhausted", "RCA: renamed")
    assert (seen.labels_added, seen.labels_removed) == (("new",), ("database", "rca"))
    (changed,) = [change for change in seen.diff if change.kind == "changed"]
    assert ("removed", "noon") in changed.parts
    assert ("added", "night") in changed.parts
    assert await writes(bench) == before


async def test_an_edited_page_is_told_of_by_policy(bench):
    first = await bench.publish()
    await bench.control("edit", id=first.receipt.id, body="<p>mine</p>")
    assert (await preview(bench)).action == "hold"
    await bench.set("confluence", on_drift="overwrite")
    seen = await preview(bench)
    assert seen.action == "update"
    assert any("edited the page" in note for note in seen.notes)


async def test_comments_that_would_lose_their_words_are_counted(bench):
    first = await bench.publish()
    await bench.control("comment", id=first.receipt.id, selection="Second paragraph")
    await bench.put(content_md="All new.")
    assert any("1 inline comment" in note for note in (await preview(bench)).notes)


async def test_what_would_stop_the_job_stops_the_dry_run(bench):
    with pytest.raises(Permanent, match="no space"):
        await preview(bench, space_key="NOPE")
    with pytest.raises(Refused, match="not stored"):
        await preview(bench, doc_id="nope")
    planted = "hunter" + "2-Xy99z"
    await bench.put(content_md=f"password: {planted}")
    with pytest.raises(Held, match="Screening"):
        await preview(bench)
    assert await writes(bench) == []


@pytest.mark.parametrize("kind", ["missing", "archived", "trashed", "in another space"])
async def test_a_parent_page_that_stops_the_job_stops_the_dry_run(bench, kind):
    number = "999999"
    if kind != "missing":
        number = await others_page(bench, "Post-mortems", space="98301" if kind == "in another space" else "98300")
    if kind in ("archived", "trashed"):
        await bench.control("edit", id=number, status=kind)
    before = await writes(bench)
    with pytest.raises(Permanent, match=f"no parent page {number}"):
        await preview(bench, parent_page_id=number)
    assert await writes(bench) == before
    ended = await bench.publish(parent_page_id=number)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "unknown_parent")


@pytest.mark.parametrize("kind", ["missing", "trashed"])
async def test_a_parent_page_that_a_page_can_not_move_to_stops_the_dry_run(bench, kind):
    await bench.publish()
    number = "999999" if kind == "missing" else await others_page(bench, "Post-mortems")
    if kind == "trashed":
        await bench.control("edit", id=number, status=kind)
    with pytest.raises(Permanent, match=f"no parent page {number}"):
        await preview(bench, parent_page_id=number)


async def test_a_dry_run_stops_where_the_account_may_not_create_pages(services, sandbox):
    cloud = Bench(services, sandbox)  # Data Center's API doesn't tell
    await cloud.set("confluence")
    await cloud.put()
    await deny(sandbox, "confluence", "OPS", "create")
    with pytest.raises(Permanent, match="may not create pages"):
        await preview(cloud)


async def test_a_secret_in_an_attached_log_stops_it_too(bench):
    planted = "hunter" + "2-Xy99z"
    log = {"name": "app.log", "media_type": "text/plain", "content": f"password: {planted}".encode()}
    await bench.put(attachments=[log])
    assert (await bench.publish()).state is JobState.HELD


async def test_every_look_is_audited(bench):
    await bench.publish()
    asked = len((await bench.sandbox.state())["requests"])
    await preview(bench)
    looks = len((await bench.sandbox.state())["requests"]) - asked
    entries = await bench.services.audit.tail(500)
    assert len([e for e in entries if e.event == "lookup.intent" and "job" not in e.data]) == looks > 0
    assert (await bench.services.audit.verify()).ok


# -- on the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def afterword(settings, monkeypatch):
    from worker.cli import root

    monkeypatch.chdir(ROOT)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        return CliRunner().invoke(root, list(arguments))

    return run


async def _elsewhere(function, *arguments):
    return await asyncio.to_thread(function, *arguments)


async def test_the_command_line_puts_files_and_shows_the_difference(bench, afterword, tmp_path):
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "error.png").write_bytes(b"\x89PNG")
    (tmp_path / "doc-1.md").write_text("# RCA\n\nThe pool was full.\n\n![error](shots/error.png)\n")
    put = await _elsewhere(
        afterword,
        "document",
        "put",
        str(tmp_path / "doc-1.md"),
        "--attach",
        str(tmp_path / "shots" / "error.png"),
        "--json",
    )
    assert json.loads(put.output)["attachments"] == ["shots/error.png"]
    await bench.publish()
    assert (await bench.page())["attachments"] == ["error.png"]
    (tmp_path / "doc-1.md").write_text("# RCA\n\nThe pool was empty.\n")
    await _elsewhere(afterword, "document", "put", str(tmp_path / "doc-1.md"))
    shown = await _elsewhere(afterword, "publish", "doc-1", "--space", "OPS", "--dry-run")
    assert shown.exit_code == 0
    assert "The page would get a new version." in shown.output
    assert "The pool was [-full-]{+empty+}." in shown.output
    told = await _elsewhere(afterword, "publish", "doc-1", "--space", "OPS", "--dry-run", "--json")
    assert json.loads(told.output)["action"] == "update"
    assert (await bench.page())["version"] == 1
    assert len((await bench.services.ledger.list())[0]) == 1


async def test_a_file_that_cant_be_read_is_one_line(bench, afterword, tmp_path):
    (tmp_path / "a.md").write_text("# A")
    done = await _elsewhere(afterword, "document", "put", str(tmp_path / "a.md"), "--attach", str(tmp_path / "no.png"))
    assert done.exit_code == 1
    assert "can't be read" in done.output
