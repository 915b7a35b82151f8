"""What a destination meets with an account of another kind: one that sees its own records alone, or speaks another language."""

from __future__ import annotations

import json

import aiohttp
import pytest
from aiohttp import web

from tasks.destinations import parse_settings
from tasks.model import Issue, JobState, parse_command
from tests.conftest import Sandbox
from tests.integration.page_support import DOCUMENT, INCIDENT, ISSUE, Bench
from tests.integration.test_blame import deny
from tests.integration.test_pages import others_page
from tests.listening import listening
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.sandbox.serve import serve
from worker.sandbox.setup import read

OWN_ONLY = '[[account]]\nuser_name = "sees.own"\nroles = ["snc_basic_auth_api_access"]\n'


@pytest.fixture
async def instance(services):
    """A ServiceNow whose account `sees.own` reads its own records alone, among 25 of others."""
    runner, port = await serve("127.0.0.1", 0, setup=read(OWN_ONLY))
    url = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        others = {"Accept": "application/json", "Authorization": aiohttp.encode_basic_auth("somebody", "else")}
        for number in range(25):
            body = {"short_description": f"theirs {number}"}
            async with session.post(f"{url}/api/now/table/incident", json=body, headers=others) as made:
                assert made.status == 201
        given = sandbox_destinations(url)["servicenow"] | {"username": "sees.own", "write_lag_s": 0.2}
        await services.destinations.set("servicenow", parse_settings(given), FAKE_SECRET, "test")
        await services.contents.put_issue(ISSUE, "test")
        yield Bench(services, Sandbox(url, session))
    await runner.cleanup()


async def read_step(bench):
    report = await bench.services.test_destination("servicenow", "test")
    (step,) = [step for step in report.steps if step.name == "read access to incident"]
    return report.success, step


async def test_an_account_that_sees_its_own_incidents_alone_passes_the_test(instance):
    """None of the newest is its own: at first there is none at all, later its own are older than those of others."""
    passed, step = await read_step(instance)
    assert (passed, step.ok, "none itself yet" in step.detail) == (True, None, True)
    assert (await instance.run(await instance.submit(INCIDENT))).state is JobState.DELIVERED
    passed, step = await read_step(instance)
    assert (passed, step.ok) == (True, True)


@pytest.mark.usefixtures("instance")
async def test_such_an_account_makes_no_second_incident_after_a_lost_answer(instance):
    await instance.sandbox.fault(fault="commit_then_drop", operation="create")
    assert (await instance.run(await instance.submit(INCIDENT))).state is JobState.DELIVERED
    assert len(await instance.sandbox.objects("servicenow")) == 26


async def test_an_account_that_may_not_read_what_it_made_fails_the_test(instance):
    """Then a lost answer would leave an incident that can't be found again."""
    await instance.run(await instance.submit(INCIDENT))
    await instance.sandbox.fault(fault="read_acl", times=50)
    passed, step = await read_step(instance)
    assert (passed, step.ok, "counted and not shown" in step.detail) == (False, False, True)


@pytest.fixture(params=["cloud", "datacenter"])
async def wiki(request, services, sandbox, destinations):
    bench = Bench(services, sandbox)
    await bench.set("confluence", flavor=request.param)
    await bench.put()
    return bench


TAKEN = "Es gibt in diesem Bereich bereits eine Seite mit dem Titel"


async def flavor_of(bench):
    return (await bench.services.destinations.require("confluence")).settings.flavor


async def refuse_in_german(bench, **where):
    """What the next create or update gets, in the shape of the API that is asked."""
    v2 = {"errors": [{"status": 400, "code": "BAD_REQUEST", "title": TAKEN, "detail": None}]}
    body = v2 if await flavor_of(bench) == "cloud" else {"statusCode": 400, "data": {"valid": False}, "message": TAKEN}
    given = {"status": 400, "content_type": "application/json", "body": json.dumps(body)} | where
    await bench.sandbox.fault(vendor="confluence", fault="status", **given)


async def test_a_title_that_is_taken_is_known_by_looking_whatever_the_refusal_says(wiki):
    await others_page(wiki, DOCUMENT.title)
    await wiki.set("confluence", on_title_conflict="number")
    await refuse_in_german(wiki, operation="create")
    ended = await wiki.publish()
    assert ended.state is JobState.DELIVERED
    assert f"{DOCUMENT.title} (2)" in [page["title"] for page in await wiki.sandbox.objects("confluence")]


async def test_a_new_title_that_is_taken_is_known_by_looking_too(wiki):
    await wiki.publish()
    await others_page(wiki, "Renamed")
    await wiki.put(title="Renamed")
    await refuse_in_german(wiki, method="PUT", words="Renamed")
    ended = await wiki.publish()
    assert (ended.state, ended.error.code) == (JobState.DEAD, "title_taken")


async def test_a_refusal_of_another_kind_stays_what_it_is(wiki):
    await refuse_in_german(wiki, operation="create")
    ended = await wiki.publish()
    assert (ended.state, ended.error.code, TAKEN in str(ended.error)) == (JobState.DEAD, "refused", True)


async def test_a_parent_that_somebody_creates_meanwhile_is_known_by_looking(wiki):
    """Two jobs create one path at once: the slower one looks before the other's create, and is refused its own."""
    theirs = await others_page(wiki, "Post-mortems")
    empty = {"status": 200, "body": '{"results": []}', "content_type": "application/json"}
    place = "/wiki/api/v2/pages" if await flavor_of(wiki) == "cloud" else "/rest/api/content"
    await wiki.sandbox.fault(vendor="confluence", fault="status", method="GET", path=place, times=1, **empty)
    await refuse_in_german(wiki, operation="create")
    ended = await wiki.publish(parent_page_id="/Post-mortems")
    assert ended.state is JobState.DELIVERED
    assert {page["parent"] for page in await wiki.sandbox.objects("confluence") if page["title"] == DOCUMENT.title} == {
        theirs
    }


async def test_a_parent_that_cant_be_created_is_named_with_its_path_and_the_vendors_words(wiki):
    """A path is no content: neither our words nor the vendor's are told without it, however long it is."""
    path = "Post-mortems of the platform team/2026-11"
    said = "Post-mortems of the platform team may not be created by this account"
    v2 = {"errors": [{"status": 400, "code": "BAD_REQUEST", "title": said, "detail": None}]}
    body = v2 if await flavor_of(wiki) == "cloud" else {"statusCode": 400, "data": {"valid": False}, "message": said}
    given = {"status": 400, "content_type": "application/json", "body": json.dumps(body)}
    await wiki.sandbox.fault(vendor="confluence", fault="status", operation="create", **given)
    ended = await wiki.publish(parent_page_id=path)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "parent_refused")
    assert "The parent page 'Post-mortems of the platform team' can't be created" in str(ended.error)
    assert said in str(ended.error)


async def test_a_right_to_create_a_parent_that_is_missing_names_the_parent(wiki):
    await deny(wiki.sandbox, "confluence", "OPS", "create")
    ended = await wiki.publish(parent_page_id="Post-mortems/2026")
    assert (ended.state, ended.error.code) == (JobState.DEAD, "not_permitted")
    assert "The parent page 'Post-mortems' can't be created" in str(ended.error)


async def test_a_table_that_isnt_there_is_known_in_any_language(services, sandbox, destinations):
    """It is the destination's own, so its jobs wait until that is set right."""
    given = sandbox_destinations(sandbox.url)["servicenow"] | {"table": "u_major_incident"}
    await services.destinations.set("servicenow", parse_settings(given), FAKE_SECRET, "test")
    body = {"error": {"message": "Ungültige Tabelle u_major_incident", "detail": None}, "status": "failure"}
    given = {"status": 400, "content_type": "application/json", "body": json.dumps(body), "times": 50}
    await sandbox.fault(vendor="servicenow", fault="status", **given)
    report = await services.test_destination("servicenow", "test")
    assert (report.success, report.failure.name) == (False, "table")
    bench = Bench(services, sandbox)
    issue = Issue(id="inc-1", title="t", severity=1)
    job = await services.submit(parse_command(INCIDENT), actor="test", issue=issue)
    await bench.attempt(job)
    assert (await services.ledger.require(job.id)).state is JobState.QUEUED


async def test_the_vendors_are_asked_to_speak_english(services, sandbox, destinations):
    """Some of their words decide what a refusal means."""
    heard = []

    async def hear(request):
        heard.append(dict(request.headers))
        return web.json_response({}, status=404)

    async with listening(hear) as url:
        await services.destinations.set("jira", parse_settings(sandbox_destinations(url)["jira"]), FAKE_SECRET, "test")
        assert not (await services.test_destination("jira", "test")).success
    assert {"Accept-Language": "en", "X-Force-Accept-Language": "true"}.items() <= heard[0].items()
