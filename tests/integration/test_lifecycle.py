"""One attempt after another against the sandbox, without Celery: what the ledger and the remote side hold afterwards."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.errors import Refused
from tasks.lifecycle import Ended
from tasks.model import Document, Issue, JobState, parse_command
from tasks.state.jobs.transitions import NotClaimed

DOCUMENT = Document(
    id="doc-1",
    issue_id="inc-1",
    title="RCA: pool exhausted",
    content_md="# RCA: pool exhausted\n\n| a | b |\n|-|-|\n| 1 | x<y |\n\n- [ ] task\n",
)
ISSUE = Issue(id="inc-1", title="Pool exhausted", description="# What\n\n`a|b` <none>\n", severity="P1", tags='["db"]')
PUBLISH = {"command": "publish_to_confluence", "doc_id": "doc-1", "space_key": "OPS"}
INCIDENT = {"command": "create_servicenow_incident", "issue_id": "inc-1"}
WORK_ITEM = {"command": "create_azuredevops_workitem", "issue_id": "inc-1", "project": "Operations"}
JIRA_ISSUE = {"command": "create_jira_issue", "issue_id": "inc-1", "project": "OPS"}
EVERY = [("confluence", PUBLISH), ("servicenow", INCIDENT), ("azure_devops", WORK_ITEM), ("jira", JIRA_ISSUE)]

pytestmark = pytest.mark.usefixtures("destinations")


async def run(services, job, clock=None) -> Ended:
    """Attempts until the job rests; time between them is passed in."""
    core = services.core
    for _ in range(12):
        ended = await lifecycle.attempt(core, job.id)
        if isinstance(ended, NotClaimed):
            pytest.fail(f"not claimed: {ended}")
        if ended.state not in (JobState.RETRYING, JobState.QUEUED):
            return ended
        due = ended.due_ms
        core = _later(services, due)
        await services.redis.zadd(f"{services.settings.prefix}:due:{job.destination}", {job.id: 0})
        await services.redis.hset(f"{services.settings.prefix}:destination:{job.destination}", "not_before_ms", 0)
        await services.redis.hdel(f"{services.settings.prefix}:traffic:{job.destination}", "pace_ms")
    pytest.fail("the job never came to rest")


def _later(services, due_ms):
    from dataclasses import replace

    now = services.core.clock_ms()
    shift = max(due_ms - now, 0) + 10
    return replace(services.core, clock_ms=lambda: services.core.clock_ms() + shift)


async def submit(services, arguments, **more):
    return await services.submit(parse_command(arguments), actor="test", **more)


@pytest.mark.parametrize(("vendor", "arguments"), EVERY)
@pytest.mark.promise("delivered once")
async def test_a_job_becomes_one_object_with_a_receipt(services, sandbox, content, vendor, arguments):
    ended = await run(services, await submit(services, arguments))
    assert ended.state is JobState.DELIVERED
    (made,) = await sandbox.objects(vendor)
    assert made["id"] == ended.receipt.id
    assert made["key"]
    async with sandbox.session.get(ended.receipt.url) as page:
        assert page.status == 200
        assert "xhausted" in await page.text()


@pytest.mark.parametrize(("vendor", "arguments"), EVERY)
@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "commit_then_drop", "operation": "create"},
        {"fault": "commit_then_500", "operation": "create"},
        {"fault": "commit_then_429", "operation": "create", "retry_after": "0"},
        {"fault": "status", "status": 408, "operation": "create"},
        {"fault": "malformed_json", "operation": "create"},
        {"fault": "drop", "operation": "create"},
        {"fault": "status", "status": 503, "operation": "create"},
        {"fault": "bom", "operation": "create"},
        {"fault": "rate_limit", "operation": "create", "retry_after": "absurd"},
        {"fault": "rate_limit", "operation": "create", "retry_after": "negative"},
        {"fault": "slow_headers", "operation": "create", "seconds": 5},
        {"fault": "endless_body", "operation": "create"},
        {"fault": "gzip_bomb", "operation": "create"},
    ],
    ids=lambda fault: fault["fault"] + str(fault.get("retry_after", "")),
)
@pytest.mark.promise("delivered once")
async def test_whatever_happens_to_the_create_there_is_one_object(services, sandbox, content, vendor, arguments, fault):
    await sandbox.fault(vendor=vendor, **fault)
    ended = await run(services, await submit(services, arguments))
    assert ended.state is JobState.DELIVERED
    assert len(await sandbox.objects(vendor)) == 1
    assert (await services.audit.verify()).ok


@pytest.mark.promise("lag is waited out", "azure_devops")
async def test_a_wiql_index_that_lags_makes_no_second_work_item(services, sandbox, content):
    await sandbox.fault(vendor="azure_devops", fault="commit_then_drop", operation="create")
    await sandbox.fault(fault="wiql_blind", seconds=0.3)
    job = await submit(services, WORK_ITEM)
    first = await lifecycle.attempt(services.core, job.id)
    assert first.state is JobState.RETRYING
    await services.redis.zadd(f"{services.settings.prefix}:due:azure_devops", {job.id: 0})
    second = await lifecycle.attempt(services.core, job.id)
    assert second.state in (JobState.RETRYING, JobState.DELIVERED)
    assert len(await sandbox.objects("azure_devops")) == 1


@pytest.mark.parametrize(("vendor", "arguments"), EVERY)
@pytest.mark.promise("updated in place")
async def test_a_second_job_updates_the_same_object(services, sandbox, content, vendor, arguments):
    await run(services, await submit(services, arguments))
    changed = {"content_md": "# New\n\nwords", "id": "doc-2"}
    await services.contents.put_document(DOCUMENT.model_copy(update=changed), "test")
    await services.contents.put_issue(ISSUE.model_copy(update={"description": "New words"}), "test")
    again = arguments | ({"doc_id": "doc-2"} if vendor == "confluence" else {})
    ended = await run(services, await submit(services, again))
    assert ended.receipt.change == "updated"
    (made,) = await sandbox.objects(vendor)
    assert "words" in made["body"]


@pytest.mark.parametrize(("vendor", "arguments"), EVERY)
@pytest.mark.promise("unchanged is not written")
async def test_unchanged_content_makes_no_new_version(services, sandbox, content, vendor, arguments):
    await run(services, await submit(services, arguments))
    (before,) = await sandbox.objects(vendor)
    ended = await run(services, await submit(services, arguments))
    (after,) = await sandbox.objects(vendor)
    assert ended.receipt.change == "unchanged"
    assert after["version"] == before["version"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (PUBLISH | {"space_key": "NOPE"}, "unknown_space", "NOPE"),
        (PUBLISH | {"parent_page_id": "424242"}, "unknown_parent", "424242"),
        (WORK_ITEM | {"project": "Nowhere"}, "unknown_project", "Nowhere"),
        (WORK_ITEM | {"project": "Starter"}, "unknown_type", "Epic, Issue, Task"),
        (WORK_ITEM | {"config": {"fields": {"Custom/../x": "1"}}}, "unknown_field", "can't be set"),
        (WORK_ITEM | {"config": {"fields": {"Nope.Field": "1"}}}, "unknown_field", "TF51535"),
        (INCIDENT | {"config": {"fields": {"sys_id": "1"}}}, "unknown_field", "sys_id"),
    ],
)
async def test_what_the_remote_side_refuses_is_dead_at_once_and_says_why(services, content, arguments, code, words):
    job = await submit(services, arguments)
    ended = await run(services, job)
    stored = await services.ledger.require(job.id)
    assert ended.state is JobState.DEAD
    assert stored.last_error.code == code
    assert words in str(stored.last_error)
    assert stored.last_error.advice
    assert stored.attempts == 1


async def test_a_document_that_was_never_put_is_refused_before_anything_is_stored(services):
    with pytest.raises(Refused, match="not stored"):
        await submit(services, PUBLISH)
    assert await services.ledger.list() == ([], None)


async def test_a_dead_job_for_missing_content_goes_on_once_it_was_put(services, sandbox):
    job = await submit(services, PUBLISH, adopt=True, job_id="from-celery")
    assert (await run(services, job)).state is JobState.DEAD
    await services.contents.put_document(DOCUMENT, "test")
    await services.retry(job.id, "test")
    assert (await run(services, job)).state is JobState.DELIVERED
    assert len(await sandbox.objects("confluence")) == 1


async def test_an_issue_that_cant_be_opened_keeps_no_message_from_becoming_a_job(services, destinations):
    """Nobody can refuse the message any more: the job waits for the key, and goes on once it is back."""
    await services.contents.put_issue(ISSUE, "test")
    name = f"{services.settings.prefix}:issue:{ISSUE.id}"
    sealed = await services.redis.get(name)
    await services.redis.set(name, b"v1.00000000.gone")
    job = await submit(services, INCIDENT, adopt=True)
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.RETRYING
    await services.redis.set(name, sealed)
    assert (await run(services, job)).state is JobState.DELIVERED


@pytest.mark.parametrize("fault", ["sign_in_203", "redirect_302", "hibernating"])
async def test_a_page_instead_of_an_answer_suspends_the_destination_and_loses_nothing(
    services, sandbox, content, fault
):
    await sandbox.fault(vendor="azure_devops", fault=fault, times=2)
    job = await submit(services, WORK_ITEM)
    await lifecycle.attempt(services.core, job.id)
    stored = await services.ledger.require(job.id)
    assert stored.state is JobState.QUEUED
    assert stored.attempts == 0
    assert (await services.destinations.require("azure_devops")).state == "suspended"
    assert (await services.test_destination("azure_devops", "test")).success
    assert (await services.destinations.require("azure_devops")).state == "ready"
    assert (await run(services, job)).state is JobState.DELIVERED
    assert len(await sandbox.objects("azure_devops")) == 1


async def test_a_secret_in_a_document_holds_the_job_and_never_leaves(services, sandbox):
    planted = "hunter" + "2-Xy99"
    await services.contents.put_document(DOCUMENT.model_copy(update={"content_md": f"password: {planted}"}), "test")
    job = await submit(services, PUBLISH)
    assert (await run(services, job)).state is JobState.HELD
    assert await sandbox.objects("confluence") == []
    await services.ledger.release(job.id, "test", "seen")
    assert (await run(services, job)).state is JobState.DELIVERED
    (page,) = await sandbox.objects("confluence")
    assert planted not in page["body"]
    assert "[Password]" in page["body"]
    await _is_nowhere(services, planted)


async def _is_nowhere(services, planted: str) -> None:
    async for key in services.redis.scan_iter(f"{services.settings.prefix}*"):
        assert planted.encode() not in await services.redis.dump(key), key


async def test_personal_data_is_redacted_on_its_way_out(services, sandbox):
    await services.contents.put_issue(ISSUE.model_copy(update={"description": "Ask jane.doe@acme-corp.com"}), "test")
    await run(services, await submit(services, INCIDENT))
    (made,) = await sandbox.objects("servicenow")
    assert made["body"] == "Ask [Email]"


async def test_a_page_edited_by_hand_is_held_and_released_to_be_overwritten(services, sandbox, content):
    first = await run(services, await submit(services, PUBLISH))
    async with sandbox.session.post(
        f"{sandbox.url}/_sandbox/edit", json={"id": first.receipt.id, "body": "<p>mine</p>"}
    ):
        pass
    await services.contents.put_document(DOCUMENT.model_copy(update={"content_md": "newer"}), "test")
    job = await submit(services, PUBLISH)
    assert (await run(services, job)).state is JobState.HELD
    (page,) = await sandbox.objects("confluence")
    assert page["body"] == "<p>mine</p>"
    await services.ledger.release(job.id, "test")
    assert (await run(services, job)).receipt.change == "updated"


async def test_a_title_that_belongs_to_somebody_else_is_a_conflict(services, sandbox, content):
    body = {"spaceId": "98300", "title": DOCUMENT.title, "body": {"representation": "storage", "value": "<p>x</p>"}}
    headers = {"Authorization": "Bearer x1"}
    async with sandbox.session.post(f"{sandbox.url}/wiki/api/v2/pages", json=body, headers=headers) as made:
        assert made.status == 200
    ended = await run(services, await submit(services, PUBLISH))
    assert ended.state is JobState.DEAD
    assert ended.error.code == "title_taken"
    assert len(await sandbox.objects("confluence")) == 1


async def test_every_request_has_an_intent_before_it_and_one_outcome_after_it(services, sandbox, content):
    await sandbox.fault(vendor="confluence", fault="commit_then_drop", operation="create")
    await run(services, await submit(services, PUBLISH))
    entries = await services.audit.tail(500)
    intents = {f"{e.chain}/{e.seq}" for e in entries if e.event.endswith(".intent")}
    outcomes = [
        e.data["intent"] for e in entries if e.event.startswith(("delivery.", "lookup.")) and "intent" in e.data
    ]
    assert sorted(outcomes) == sorted(intents)
    assert len(intents) == len((await sandbox.state())["requests"])
    assert [e.event for e in entries].count("delivery.unknown") == 1
    assert DOCUMENT.content_md[:20] not in str(entries)


@pytest.mark.parametrize(("key_id", "state"), [(None, JobState.DEAD), ("0badc0de", JobState.RETRYING)])
async def test_content_that_does_not_open_is_its_jobs_trouble_and_suspends_no_destination(
    services, content, key_id, state
):
    job = await submit(services, INCIDENT)
    name = f"{services.settings.prefix}:issue:{ISSUE.id}"
    version, used, token = (await services.redis.get(name)).decode().split(".", 2)
    await services.redis.set(name, f"{version}.{key_id or used}.{token if key_id else token[:-9] + 'AAAAAAAA='}")
    ended = await lifecycle.attempt(services.core, job.id)
    assert (ended.state, ended.error.code) == (state, "key_unavailable" if key_id else "damaged")
    assert (await services.destinations.require("servicenow")).state == "ready"
