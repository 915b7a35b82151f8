"""What holds for every page of the console: safe headers, bodies that are no forms, bulk actions, words that stay words."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from yarl import URL

from tasks.destinations import parse_settings
from tasks.expiry import expire_overdue
from tasks.model import Document, Issue, JobState, parse_command
from tasks.state.audit.entries import Event
from tasks.state.audit.export import verify_export
from tasks.state.jobs.transitions import Lease, Settlement
from tests.conftest import until
from worker.console.rendering import ago, safe_url, span, visible
from worker.verifications import VERIFICATIONS


async def audited(services, event: str) -> list[dict]:
    return [entry.data for entry in await services.audit.tail(500) if entry.event == event]


# -- many at once ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def queued(services, destinations):
    """Jobs that wait, since no worker runs."""
    issue = Issue(id="i", title="Broken")
    await services.contents.put_issue(issue, "test")
    await services.destinations.pause("servicenow", "test")
    jobs = []
    for number in range(120):
        other = issue.model_copy(update={"id": f"i{number}"})
        command = parse_command({"command": "create_servicenow_incident", "issue_id": other.id})
        jobs.append((await services.submit(command, actor="test", issue=other)).id)
    return jobs


async def ended(services, client, address: str) -> str:
    """The page of a bulk action once it no longer runs."""

    async def text() -> str:
        found = await (await client.get(address)).text()
        return "" if 'pill-running">Running' in found else found

    return await until(text, what="the bulk action's end")


async def test_all_that_match_are_cancelled_with_one_reason(services, client, log_in, queued):
    token = await log_in("operator")
    asked = await (await client.get("/bulk?verb=cancel&state=queued&destination=servicenow")).text()
    assert "Cancel 120 jobs?" in asked
    form = {"csrf": token, "verb": "cancel", "state": "queued", "destination": "servicenow", "reason": "A drill"}
    answer = await client.post("/bulk", data=form, allow_redirects=False)
    shown = await ended(services, client, answer.headers["Location"])
    assert "Finished" in shown
    assert "A drill" in shown
    told = await services.redis.get(f"{services.settings.prefix}:bulk:{answer.headers['Location'].rpartition('/')[2]}")
    assert b"picked" not in told, "a server of the version before shows it, too"
    assert (await services.ledger.counts())["cancelled"] == len(queued)
    entries = await audited(services, "job.cancelled")
    assert {(entry["actor"], entry["reason"]) for entry in entries} == {("operator", "A drill")}


async def test_a_job_of_a_paused_destination_says_who_paused_it(client, log_in, queued):
    await log_in("viewer")
    assert "servicenow is paused by test" in await (await client.get(f"/jobs/{queued[0]}")).text()
    assert "destination paused by test" in await (await client.get("/jobs")).text()


async def test_people_are_called_by_their_names_on_pages(services, client, log_in, queued):
    """Their ids at a provider are in the audit."""
    await log_in("viewer")
    await services.destinations.pause("servicenow", "oidc:248289761001 Augusta Ada King")
    for address in ("/", "/jobs", f"/jobs/{queued[0]}", "/settings/destinations"):
        page = await (await client.get(address)).text()
        assert re.search(r"[Pp]aused by Augusta Ada King", page), address
        assert "248289761001" not in page, address
    assert "248289761001" in await (await client.get("/audit")).text()


async def test_a_bulk_action_stops_where_somebody_asks_for_it(services, client, log_in, queued, monkeypatch):
    token = await log_in("operator")
    monkeypatch.setattr("worker.console.bulk.secrets.token_hex", lambda _: "known")
    await services.redis.set(f"{services.settings.prefix}:bulk:known:stop", "test")
    form = {"csrf": token, "verb": "cancel", "state": "queued"}
    await client.post("/bulk", data=form, allow_redirects=False)
    assert "Stopped" in await ended(services, client, "/bulk/known")
    assert (await services.ledger.counts())["queued"] > 0


async def test_only_the_jobs_that_were_chosen_are_cancelled(services, client, log_in, queued):
    token = await log_in("operator")
    listed = await (await client.get("/jobs?state=queued&q=i7")).text()
    assert 'form="chosen" name="job"' in listed, "after a search, too"
    form = [("csrf", token), ("verb", "cancel"), ("state", "queued"), ("job", queued[3]), ("job", queued[7])]
    asked = await (await client.post("/bulk/ask", data=form)).text()
    assert "Cancel 2 jobs?" in asked
    assert re.findall(r'name="job" value="([^"]+)"', asked) == [queued[3], queued[7]]
    answer = await client.post("/bulk", data=[*form, ("reason", "A drill")], allow_redirects=False)
    shown = await ended(services, client, answer.headers["Location"])
    assert "Cancelling chosen jobs" in shown
    assert "<b>2</b> of 2" in shown
    entries = await audited(services, "job.cancelled")
    assert {(entry["job"], entry["reason"]) for entry in entries} == {(queued[n], "A drill") for n in (3, 7)}
    assert (await client.post("/bulk/ask", data=form[:3])).status == 409, "none is not all"
    await log_in("viewer")
    assert 'form="chosen"' not in await (await client.get("/jobs?state=queued")).text()


@pytest.mark.parametrize(
    "form",
    [
        {"verb": "retry", "state": "delivered"},
        {"verb": "retry", "state": ""},
        {"verb": "cancel", "state": "", "destination": ""},
        {"verb": "explode", "state": "dead"},
        {"verb": "release", "state": "held", "reason": ""},
    ],
)
async def test_a_bulk_action_that_makes_no_sense_is_refused(client, log_in, form):
    token = await log_in("operator")
    assert (await client.post("/bulk", data={"csrf": token, **form})).status == 409


async def test_the_mark_that_stops_a_bulk_action_is_no_bulk_action(services, client, log_in):
    """It stands under a bulk action's key: whoever may read could ask for it, and met a fault of ours."""
    await log_in("viewer")
    await services.redis.set(f"{services.settings.prefix}:bulk:known:stop", "test")
    assert (await client.get("/bulk/known:stop")).status == 404
    async with client.get("/live?topic=bulk:known:stop") as stream:
        assert (stream.status, stream.content_type) == (200, "text/event-stream")


async def test_a_job_is_reached_whatever_its_producer_called_it(services, client, log_in, destinations):
    token = await log_in("operator")
    await services.contents.put_issue(Issue(id="i", title="Broken"), "test")
    command = parse_command({"command": "create_servicenow_incident", "issue_id": "i"})
    await services.submit(command, actor="celery", job_id="a/b?c=d#e&f")
    link = re.search(r'class="title" href="([^"]+)"', await (await client.get("/jobs")).text())[1]
    answer = await client.get(URL(link, encoded=True))
    assert (answer.status, "Cancel job" in await answer.text()) == (200, True)
    ended = await client.post(URL(f"{link}/cancel", encoded=True), data={"csrf": token})
    assert (ended.status, "Cancelled." in await ended.text()) == (200, True)


# -- headers and words -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/login", "/jobs", "/nowhere", "/jobs/none", "/v2", "/settings/connect?kind=nothing"])
async def test_every_page_carries_the_safe_headers(client, log_in, path):
    await log_in("admin")
    answer = await client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    text = await answer.text()
    assert not re.search(r"<style|<script(?! src=)|\son\w+=|style=", text)


async def test_pages_that_are_not_there_say_so_in_the_same_look(client, log_in):
    await log_in("viewer")
    for path in ("/nowhere", "/jobs/none", "/bulk/none", "/jobs/none/paper"):
        answer = await client.get(path)
        assert answer.status == 404, path
        assert "Home" in await answer.text()


async def test_a_fault_of_ours_is_a_page_without_its_words(services, client, log_in, monkeypatch):
    await log_in("viewer")

    async def broken(*_):
        raise RuntimeError("planted-word")

    monkeypatch.setattr(type(services.ledger), "statistics", broken)
    answer = await client.get("/jobs")
    assert answer.status == 500
    text = await answer.text()
    assert "Internal error" in text
    assert "planted-word" not in text


async def test_the_log_of_a_fault_names_the_page_and_not_the_address_as_sent(
    services, client, log_in, monkeypatch, caplog
):
    await log_in("viewer")

    async def broken(*_):
        raise RuntimeError

    monkeypatch.setattr(type(services.ledger), "require", broken)
    assert (await client.get("/jobs/planted-word")).status == 500
    assert "/jobs/{id}: RuntimeError" in caplog.text
    assert "planted-word" not in caplog.text


async def test_a_body_that_is_too_large_is_refused_early(client, log_in):
    token = await log_in("operator")
    answer = await client.post("/publish", data={"csrf": token, "content": "x" * 12_000_000})
    assert answer.status == 413


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=nonsense",
        "application/json",
    ],
)
async def test_a_body_that_is_no_form_is_refused(client, log_in, kind):
    await log_in("admin")
    answer = await client.post("/settings/keys", data=b"\xff\x00{]", headers={"Content-Type": kind})
    assert answer.status in (400, 403)
    assert "Home" in await answer.text()


async def test_a_form_sent_twice_makes_one_job(services, client, log_in, destinations):
    token = await log_in("operator")
    form = {"csrf": token, "title": "Twice", "content": "Text", "space": "OPS", "once": "1", "then": "submit"}
    first = await client.post("/publish", data=form, allow_redirects=False)
    second = await client.post("/publish", data=form, allow_redirects=False)
    assert first.headers["Location"] == second.headers["Location"]
    assert urlsplit(first.headers["Location"]).path.startswith("/jobs/")


async def test_a_form_sent_before_with_another_content_can_be_sent_once_more(client, log_in, destinations):
    """A browser that goes back brings the old form with its key: it was refused, however often it was sent."""
    token = await log_in("operator")
    form = {
        "csrf": token,
        "title": "Twice",
        "id": "twice",
        "content": "Text",
        "space": "OPS",
        "once": "1",
        "then": "submit",
    }
    first = await client.post("/publish", data=form, allow_redirects=False)
    refused = await client.post("/publish", data=form | {"content": "Changed"})
    page = await refused.text()
    assert (refused.status, "was sent before" in page) == (422, True)
    again = form | {"content": "Changed", "once": re.search(r'name="once" value="([^"]+)"', page)[1]}
    second = await client.post("/publish", data=again, allow_redirects=False)
    assert second.status == 303
    assert second.headers["Location"] != first.headers["Location"]


async def test_another_text_under_a_known_title_replaces_nothing_unasked(services, client, log_in, destinations):
    token = await log_in("operator")
    form = {"csrf": token, "title": "Outage", "content": "Of the DNS", "space": "OPS", "once": "1", "then": "submit"}
    assert (await client.post("/publish", data=form, allow_redirects=False)).status == 303
    refused = await client.post("/publish", data=form | {"content": "Of the queue", "once": "2"})
    page = await refused.text()
    assert (refused.status, "with another text has this title" in page) == (422, True)
    assert (await services.contents.document("outage")).content_md == "Of the DNS"
    again = {name: re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("once", "id")}
    wanted = await client.post("/publish", data=form | {"content": "Of the queue"} | again, allow_redirects=False)
    assert wanted.status == 303
    assert (await services.contents.document("outage")).content_md == "Of the queue"


TOKEN = "ghp_" + "a8Fk2Lq9Zx7Vb3Nm5Pw1Rt6Yu4Ic0OsEd2Gh"


async def test_a_preview_shows_no_secret_wherever_a_ticket_holds_it(services, client, log_in, destinations):
    """Tags and further fields are stopped as rendered only; the preview is for viewers as well."""
    await log_in("viewer")
    for number, held in enumerate(({"tags": (TOKEN,)}, {"config": {"fields": {"Custom.Note": TOKEN}}})):
        config = held.pop("config", None)
        issue = Issue(id=f"i{number}", title="Broken", description="Text", **held)
        command = {"command": "create_azuredevops_workitem", "issue_id": issue.id, "project": "Operations"}
        job = await services.submit(parse_command(command | {"config": config}), actor="test", issue=issue)
        shown = await (await client.get(f"/jobs/{job.id}/paper")).text()
        assert "Text" in shown
        assert TOKEN not in shown
        assert ("[ApiKey]" if config is None else "[withheld]") in shown


async def test_a_preview_has_no_row_for_what_a_document_has_none_of(services, client, log_in, destinations):
    """Labels and a parent are shown where there are any."""
    await log_in("viewer")
    for number, more in enumerate(({}, {"parent_page_id": "Post-mortems/2026"})):
        document = Document(id=f"d{number}", title="Broken", content_md="See the log.")
        command = {"command": "publish_to_confluence", "doc_id": document.id, "space_key": "OPS"} | more
        job = await services.submit(parse_command(command), actor="test", document=document)
        shown = await (await client.get(f"/jobs/{job.id}/paper")).text()
        assert "See the log." in shown
        assert ("<dt>labels</dt>" in shown, "<dt>parent</dt>" in shown) == (False, "parent_page_id" in more)


async def test_a_preview_names_what_will_look_otherwise_than_it_was_written(client, log_in, destinations):
    """With its line, as the receipt does once it is too late; and says that files chosen in the browser weren't looked at yet."""
    token = await log_in("operator")
    text = "# Broken\n\nSee [the log](logs/app.log).\n\n![Graph](graph.png)\n\n<blink>odd</blink>\n"
    form = {"csrf": token, "content": text, "space": "OPS", "then": "look"}
    page = await (await client.post("/publish", data=form)).text()
    assert "Looks different there" in page
    assert "<li>Line 3: the link to logs/app.log is relative" in page
    assert "<li>Line 5: image graph.png was not handed over" in page
    assert page.index("<li>Line 5") < page.index("<li>Line 7: the tag"), "in the order of the text"
    assert "looked at by Preview" not in page
    page = await (await client.post("/publish", data=form | {"later": '["graph.png"]'})).text()
    assert "The files that you chose are looked at by Preview." in page
    assert ("graph.png was not" in page, "logs/app.log is relative" in page) == (False, True)
    page = await (await client.post("/publish", data=form | {"content": "# Broken\n\nNothing odd."})).text()
    assert "Looks different there" not in page


async def test_what_is_found_in_a_documents_files_is_told_by_file_and_line(services, client, log_in, destinations):
    await log_in("operator")
    files = ({"name": "App.log", "media_type": "text/plain", "content": f"started\nkey {TOKEN}\n".encode()},)
    document = Document(id="d", title="Broken", content_md="See the log.", attachments=files)
    command = {"command": "publish_to_confluence", "doc_id": "d", "space_key": "OPS"}
    job = await services.submit(parse_command(command), actor="test", document=document)
    page = await (await client.get(f"/jobs/{job.id}")).text()
    assert "File App.log, line 2" in page
    assert TOKEN not in page
    assert re.search(rf"<mark[^>]*><b>[^<]*</b>[^<]*{TOKEN}", await (await client.get(f"/jobs/{job.id}/text")).text())


async def test_a_text_is_corrected_as_long_as_its_destination_is_there(services, client, log_in, destinations):
    await log_in("operator")
    command = parse_command({"command": "create_servicenow_incident", "issue_id": "i"})
    job = await services.submit(command, actor="test", issue=Issue(id="i", title="Broken"))
    claimed = (await services.ledger.claim(job.id, "w", Lease(0, 60_000))).job
    await services.ledger.settle(claimed, Settlement(JobState.HELD, Event.HELD))
    offer = f'href="/jobs/{job.id}/edit"'
    assert offer in await (await client.get(f"/jobs/{job.id}/text")).text()
    await services.destinations.remove("servicenow", "test")
    assert offer not in await (await client.get(f"/jobs/{job.id}/text")).text()


async def test_the_stored_secret_is_on_no_page(services, client, log_in):
    settings = parse_settings({"kind": "confluence", "base_url": "https://wiki.example.com", "email": "a@example.com"})
    await services.destinations.set("confluence", settings, "planted-secret-word", "test")
    token = await log_in("admin")
    for path in ("/settings/destinations", "/settings/destinations/confluence", "/audit"):
        assert "planted-secret-word" not in await (await client.get(path)).text()
    answer = await client.post(
        "/settings/destinations/confluence", data={"csrf": token, "base_url": "https://elsewhere.example.com"}
    )
    assert answer.status == 422
    assert "Give the secret again" in await answer.text()


async def test_an_exported_trail_verifies_and_a_searched_one_holds_what_was_searched(services, client, log_in):
    await log_in("viewer")
    whole = await (await client.get("/audit/export.jsonl")).text()
    report = verify_export(services.vault, whole.splitlines())
    assert report.ok
    assert report.entries > 0
    answer = await client.get("/audit/export.jsonl?event=session.opened&since=2020-01-01T00:00")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert len((await answer.text()).splitlines()) == 1
    nothing = await client.get("/audit/export.jsonl?until=2020-01-01T00:00")
    assert (nothing.status, await nothing.text()) == (200, "")
    assert [entry["actor"] for entry in await audited(services, "audit.exported")] == ["viewer"] * 3


@pytest.mark.parametrize(
    "query",
    [
        "since=never",
        "until=99999-01-01",
        "before=x",
        "before=1-1",
        "before=99999999999999999999999-0",
        "since=0001-01-01",
        "event=<b>&job=%00",
        "actor=" + "a" * 500,
    ],
)
async def test_a_search_that_makes_no_sense_is_a_page_as_well(client, log_in, query):
    await log_in("viewer")
    assert (await client.get(f"/audit?{query}")).status == 200


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "//evil", "https://user:pw@host/", "ht\ntp://x", "", None, "http://[x"],
)
def test_only_plain_web_addresses_become_links(address):
    assert safe_url(address) is None


def test_direction_and_control_characters_never_reach_a_page():
    assert visible("a\u202egnp\x1b[31m\u200b.exe\nnext") == "agnp[31m.exe\nnext"


def test_times_are_said_as_people_say_them():
    assert [span(ms) for ms in (0, 119_000, 120_000, 7_200_000, 172_800_000)] == ["0 s", "119 s", "2 min", "2 h", "2 d"]
    assert (ago(1000, 5000), ago(9000, 5000), ago(5000, 5400)) == ("4 s ago", "in 4 s", "now")


async def test_the_addresses_of_the_page_before_it_was_renamed_lead_to_the_new_ones(client, log_in):
    await log_in("admin")
    for rest in ("", "/confluence", "/confluence/remove", "?a=b"):
        answer = await client.get(f"/settings/integrations{rest}", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (301, f"/settings/destinations{rest}")


async def test_a_verification_is_followed_on_its_page(services, client, log_in, monkeypatch):
    """It runs in the background; the page says how far it is, then what was found."""
    gate, whole = asyncio.Event(), services.audit.verify

    async def slow(*, tell):
        tell(5, 10)
        await gate.wait()
        return await whole(tell=tell)

    monkeypatch.setattr(services.audit, "verify", slow)
    monkeypatch.setattr("worker.console.audit.FIRST_WAIT_S", 0)
    csrf = await log_in("viewer")
    answer = await client.post("/audit/verify", data={"csrf": csrf})
    page = await answer.text()
    assert "Verifying" in page
    assert "5 of 10 entries" in page
    assert 'data-topic="audit:' in page
    gate.set()
    run = client.app[VERIFICATIONS].find(answer.url.query["run"])
    assert await run.wait(30)
    page = await (await client.get(answer.url.path_qs)).text()
    assert "The audit trail is intact." in page
    assert "complete since" in page


async def test_a_note_waits_for_a_page_that_somebody_sees(client, log_in):
    """A script that refreshes the page before, while the browser goes on, doesn't take it away."""
    token = await log_in("viewer")
    form = {"csrf": token, "name": "Dead ones", "state": "dead"}
    await client.post("/views", data=form, allow_redirects=False)
    fetched = await client.get("/jobs", headers={"Sec-Fetch-Dest": "empty"})
    assert "Saved as Dead ones." not in await fetched.text()
    assert "Saved as Dead ones." in await (await client.get("/jobs?state=dead")).text()


async def test_the_overview_tells_of_clocks_credentials_and_workers_that_need_somebody(services, client, log_in):
    await log_in("viewer")
    today = datetime.fromtimestamp(services.core.clock_ms() / 1000, UTC).date()
    for name, days in (("ended", -2), ("ends", 21), ("far", 90)):
        given = {"kind": "confluence", "base_url": "https://wiki.example.com", "email": "a@example.com"}
        settings = parse_settings(given | {"credential_expires": (today + timedelta(days=days)).isoformat()})
        await services.destinations.set(name, settings, "word", "test")
    await services.redis.zadd(f"{services.settings.prefix}:workers", {"gone": 1})
    page = await (await client.get("/")).text()
    assert "No worker is running" in page, "one that is gone is none"
    assert "none ended in this time" in page
    assert re.search(r"The credential of ended ended 2 d ago\.", page)
    assert re.search(r"The credential of ends ends in 2[01] d\.", page)
    assert "The credential of far" not in page
    for name in (*"abcdef", "w", *"xyz012"):
        about = {"host": "db-host", "skew_ms": -61_000} if name == "w" else {}
        await services.ledger.heartbeat(name, 60_000, 1, json.dumps(about))
    page = await (await client.get("/")).text()
    assert "The clock of db-host is 61.0 s behind the Redis server&#39;s." in page
    assert "No worker is running" not in page


@pytest.mark.parametrize(("role", "may"), [("admin", True), ("operator", False)])
async def test_nobody_is_offered_what_is_refused_to_them(client, log_in, role, may):
    """Where nothing is connected yet, others read who can."""
    await log_in(role)
    for address, button in (
        ("/jobs", "Connect a destination</a>"),
        ("/publish", "Connect Confluence</a>"),
        ("/publish/issue", "Connect one</a>"),
    ):
        page = await (await client.get(address)).text()
        assert (button in page) == may, address
        assert ("n admin " in page) != may, address


async def test_who_may_correct_a_mapping_is_led_there_from_a_ticket_that_failed(services, client, log_in, destinations):
    """Operators edit the text; admins may find the cause in the destination's mapping."""
    record = await services.destinations.require("servicenow")
    short = record.settings.model_copy(update={"max_age_hours": 1e-6})
    await services.destinations.set("servicenow", short, None, "test")
    command = parse_command({"command": "create_servicenow_incident", "issue_id": "i"})
    job = await services.submit(command, actor="test", issue=Issue(id="i", title="Broken"))
    assert await until(lambda: expire_overdue(services.core), what="the end of its time") == [job.id]
    link = 'href="/settings/destinations/servicenow#mapping"'
    for role, may in (("operator", False), ("admin", True)):
        await log_in(role)
        page = await (await client.get(f"/jobs/{job.id}")).text()
        assert "Edit and publish again" in page
        assert (link in page) == may
