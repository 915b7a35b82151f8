"""Jobs over HTTP: accepted once, waited for, listed, and acted on."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import Refused
from tests.api.conftest import DOCUMENT, ISSUE, PUBLISH
from tests.conftest import until

INCIDENT = {"command": "create_servicenow_incident", "issue_id": "issue-1", "issue": ISSUE}
WORK_ITEM = {
    "command": "create_azuredevops_workitem",
    "issue_id": "issue-1",
    "project": "Operations",
    "config": {"work_item_type": "Bug", "severity": "P2"},
    "issue": ISSUE,
}


async def test_the_whole_path_from_a_submission_to_upstreams_result(api, destinations, sandbox, start_worker):
    start_worker()
    jobs = {}
    for name, body in (("confluence", PUBLISH), ("servicenow", INCIDENT), ("azure_devops", WORK_ITEM)):
        accepted = await api.post("/v1/jobs", body)
        assert accepted.status == 202, accepted.text
        assert accepted.headers["Location"] == f"/v1/jobs/{accepted.json['job_id']}"
        assert accepted.json["state"] == "queued"
        jobs[name] = accepted.headers["Location"]

    async def rested(path):
        answer = (await api.get(f"{path}?wait=30")).json
        return answer if answer["state"] == "delivered" else None

    results = {name: (await until(lambda path=path: rested(path)))["result"] for name, path in jobs.items()}
    assert results["confluence"]["url"].startswith(sandbox.url)
    assert results["confluence"].keys() == {"id", "url"}
    assert results["servicenow"].keys() == {"id", "ticket_number", "url"}
    assert results["servicenow"]["ticket_number"].startswith("INC")
    assert results["azure_devops"]["ticket_number"]
    assert len((await sandbox.state())["objects"]) == 3
    events = (await api.get(f"{jobs['confluence']}/events")).json["events"]
    assert (events[0]["event"], events[-1]["event"]) == ("job.submitted", "job.delivered")


async def test_a_job_may_name_another_table_of_servicenow(api, destinations):
    """It stands in the job as it is shown; without one it is the destination's own."""
    for given, stored in (({"table": "problem"}, "problem"), ({}, "incident")):
        accepted = await api.post("/v1/jobs", INCIDENT | given)
        assert (await api.get(accepted.headers["Location"])).json["command"]["table"] == stored
    assert (await api.post("/v1/jobs", INCIDENT | {"table": "No Table"})).status == 422


async def test_content_put_first_is_what_the_job_sends(api, destinations):
    assert (await api.put("/v1/documents/doc-1", DOCUMENT)).json == {"id": "doc-1", "title": "RCA: api down"}
    assert (await api.put("/v1/issues/issue-1", {k: v for k, v in ISSUE.items() if k != "id"})).status == 200
    body = {k: v for k, v in PUBLISH.items() if k != "document"}
    assert (await api.post("/v1/jobs", body)).status == 202
    assert (await api.services.contents.document("doc-1")).issue_id == "issue-1"
    assert (await api.services.contents.issue("issue-1")).tags == ("tls",)


async def test_the_same_idempotency_key_gives_the_same_answer_whatever_became_of_the_job(api, destinations):
    first = await api.post("/v1/jobs", PUBLISH, Idempotency_Key="once")
    await api.post(f"{first.headers['Location']}/cancel")
    again = await api.post("/v1/jobs", PUBLISH, Idempotency_Key="once")
    assert (again.status, again.json, again.headers["Location"]) == (202, first.json, first.headers["Location"])
    other = PUBLISH | {"space_key": "ENG"}
    refused = await api.post("/v1/jobs", other, Idempotency_Key="once")
    assert (refused.status, refused.problem) == (409, "idempotency_conflict")
    assert len((await api.get("/v1/jobs")).json["jobs"]) == 1


async def test_many_at_once_with_one_idempotency_key_make_one_job(api, destinations):
    answers = await asyncio.gather(*(api.post("/v1/jobs", PUBLISH, Idempotency_Key="once") for _ in range(20)))
    assert len({answer.json["job_id"] for answer in answers}) == 1


async def test_two_producers_may_use_the_same_idempotency_key(api, destinations):
    other = await api.with_scopes("submit")
    first = await api.post("/v1/jobs", PUBLISH, Idempotency_Key="once")
    second = await other.post("/v1/jobs", PUBLISH | {"space_key": "ENG"}, Idempotency_Key="once")
    assert first.json["job_id"] != second.json["job_id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "snow☃"])
async def test_an_idempotency_key_that_could_be_cut_on_its_way_is_refused(api, destinations, key):
    answer = await api.post("/v1/jobs", PUBLISH, Idempotency_Key=key)
    assert answer.status == 422
    assert (await api.get("/v1/jobs")).json["jobs"] == []


async def test_a_waiting_client_wakes_up_when_the_job_ends(api, destinations):
    path = (await api.post("/v1/jobs", PUBLISH)).headers["Location"]
    waiting = asyncio.create_task(api.get(f"{path}?wait=60"))

    async def asked():
        return not waiting.done()

    await until(asked)
    assert (await api.post(f"{path}/cancel", {"reason": "a duplicate"})).json["state"] == "cancelled"
    assert (await waiting).json["state"] == "cancelled"
    entry = next(e for e in await api.services.audit.tail(50) if e.event == "job.cancelled")
    assert entry.data["reason"] == "a duplicate"
    assert entry.data["actor"].startswith(f"apikey:{api.key.partition('.')[0]} "), "and the key's name"


async def test_a_wait_that_ends_without_an_outcome_tells_the_state(api, destinations):
    path = (await api.post("/v1/jobs", PUBLISH)).headers["Location"]
    assert (await api.get(f"{path}?wait=1")).json["state"] == "queued"


async def test_pages_of_jobs_hold_every_job_once(api, destinations):
    made = {
        (await api.post("/v1/jobs", INCIDENT | {"issue_id": f"i{n}", "issue": ISSUE | {"id": f"i{n}"}})).json["job_id"]
        for n in range(7)
    }
    await api.post("/v1/jobs", PUBLISH)
    seen, path = [], "/v1/jobs?state=queued&destination=servicenow&limit=3"
    cursor = ""
    while True:
        page = (await api.get(path + cursor)).json
        seen += [job["job_id"] for job in page["jobs"]]
        if not page["next"]:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == sorted(made)
    foreign = await api.get(f"/v1/jobs?state=dead{cursor}")
    assert (foreign.status, foreign.problem) == (404, "unknown_cursor")


@pytest.mark.parametrize("cursor", ["AAAA", "MA.0", "a" * 900])
async def test_a_cursor_that_nobody_gave_leads_nowhere(api, cursor):
    assert (await api.get(f"/v1/jobs?cursor={cursor}")).problem == "unknown_cursor"


@pytest.mark.parametrize("verb", ["retry", "release"])
async def test_what_the_state_forbids_is_a_conflict_that_says_why(api, destinations, verb):
    path = (await api.post("/v1/jobs", PUBLISH)).headers["Location"]
    answer = await api.post(f"{path}/{verb}", {"reason": "why not"})
    assert answer.status == 409
    assert "queued" in answer.json["detail"]
    assert "may have changed" in answer.json["advice"]
    await api.post(f"{path}/cancel")
    assert "submit a new job" in (await api.post(f"{path}/{verb}", {"reason": "why not"})).json["advice"]
    assert (await api.post(f"/v1/jobs/none/{verb}")).status == 404


async def test_what_a_job_names_must_be_there(api, destinations):
    body = {"command": "publish_to_confluence", "doc_id": "never-put", "space_key": "OPS"}
    assert (await api.post("/v1/jobs", body)).problem == "unknown_document"
    assert (await api.post("/v1/jobs", PUBLISH | {"destination": "nowhere"})).problem == "unknown_destination"
    assert (await api.post("/v1/jobs", PUBLISH | {"destination": "servicenow"})).problem == "wrong_kind"
    two_ids = PUBLISH | {"document": DOCUMENT | {"id": "another"}}
    assert (await api.post("/v1/jobs", two_ids)).problem == "two_ids"


@pytest.mark.parametrize("severity", ["P1", "p2 - High", "critical", "LOW", 3, None, ""])
async def test_every_severity_that_upstream_writes_is_taken(api, severity):
    assert (await api.put("/v1/issues/i", {"title": "t", "severity": severity})).status == 200


@pytest.mark.parametrize(
    "moment", [1764000000000, 1764000000000.0, "2026-11-24 10:00:00", "2024-02-29T10:00:00Z", None, ""]
)
async def test_every_time_that_upstream_writes_is_taken(api, moment):
    body = {"title": "t", "content_md": "x", "created_at": moment, "updated_at": moment}
    assert (await api.put("/v1/documents/d", body)).status == 200


async def test_files_come_along_with_a_document(api):
    file = {"name": "graphs/load.png", "media_type": "image/png", "content": "iVBORw0KGgo="}
    assert (await api.put("/v1/documents/doc-1", DOCUMENT | {"attachments": [file]})).status == 200
    (stored,) = (await api.services.contents.document("doc-1")).attachments
    assert (stored.name, stored.content) == ("graphs/load.png", b"\x89PNG\r\n\x1a\n")
    twice = await api.put("/v1/documents/doc-1", DOCUMENT | {"attachments": [file, file]})
    assert (twice.status, twice.problem) == (409, "bad_content")
    broken = await api.put("/v1/documents/doc-1", DOCUMENT | {"attachments": [file | {"content": "?"}]})
    assert (broken.status, broken.problem) == (422, "invalid")


async def test_the_key_of_a_timeline_is_no_job(api, destinations, services):
    """It is a list in Redis: looked at as a job it looked as if Redis were away, and its message came back for ever."""
    path = (await api.post("/v1/jobs", PUBLISH)).headers["Location"]
    identifier = f"{path.removeprefix('/v1/jobs/')}:events"
    for answer in (
        await api.get(f"{path}:events"),
        await api.get(f"{path}:events/events"),
        *[await api.post(f"{path}:events/{verb}") for verb in ("retry", "cancel", "release")],
    ):
        assert (answer.status, answer.problem) == (404, "unknown_job")
    command = (await services.ledger.require(identifier.removesuffix(":events"))).command
    with pytest.raises(Refused, match="can't end in :events"):
        await services.submit(command, actor="celery", job_id=identifier, adopt=True)
    assert (await api.get(path)).json["state"] == "queued"
