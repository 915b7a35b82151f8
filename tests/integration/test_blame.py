"""Whose fault it is: a stranger's answer costs no job, one job's missing right stops no other, and the operator hears once."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.model import Document, Job, JobState, parse_command
from tests.conftest import until
from tests.integration.test_lifecycle import EVERY, INCIDENT, ISSUE, WORK_ITEM
from tests.integration.test_limits import configure, health, key, let_the_pause_end, pages, tickets
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

pytestmark = pytest.mark.usefixtures("destinations")

STRANGERS = [
    {"status": 404, "body": "default backend - 404"},
    {"status": 404, "body": "<html><body>404 Not Found</body></html>", "content_type": "text/html"},
    {"status": 403, "body": "<html><body>Your address is not permitted.</body></html>", "content_type": "text/html"},
    {"status": 407, "body": "Proxy Authentication Required"},
    {"status": 410, "body": "<h1>Gone</h1>", "content_type": "text/html"},
    {"status": 400, "body": '{"message": "no Route matched"}', "content_type": "application/json"},
    {"status": 200, "body": "<html><body>Log in to the Wi-Fi</body></html>", "content_type": "text/html"},
    {"status": 302, "body": "", "content_type": "text/html"},
    {"status": 200, "body": "OK", "content_type": "text/plain"},
    {"status": 200, "body": '{"login": "required"}', "content_type": "application/json"},
    {"status": 200, "body": "<!-- x --><HTML>Sign in</HTML>", "content_type": "application/octet-stream"},
    {"status": 511, "body": "<html>Log in to this network</html>", "content_type": "text/html"},
    {"status": 404, "body": "404 page not found", "content_type": "text/plain"},
    {"status": 403, "body": '{"Message": "with an explicit deny"}', "content_type": "application/json"},
]
OF_VENDORS = [
    ("servicenow", {"status": 400, "message": "Invalid table incident"}, "no such table"),
    (
        "servicenow",
        {"status": 400, "message": "Requested URI does not represent any resource"},
        "doesn't have this API",
    ),
    ("azure_devops", {"status": 503, "message": "TF24668: The organization is deactivated."}, "An owner"),
    (
        "azure_devops",
        {"status": 400, "message": "The requested REST API version is out of range for this server."},
        "api_version",
    ),
]


async def jobs_for(services, vendor, count) -> list[Job]:
    if vendor == "confluence":
        return await pages(services, count)
    return await tickets(services, count, dict(EVERY)[vendor])


async def in_space(services, space, count, start=100) -> list[Job]:
    """Jobs for pages of another space, each a document of its own."""
    found = []
    for number in range(start, start + count):
        document = Document(id=f"d{number}", title=f"{space} page {number}", content_md="words")
        command = {"command": "publish_to_confluence", "doc_id": document.id, "space_key": space}
        found.append(await services.submit(parse_command(command), actor="test", document=document))
    return found


async def for_project(services, project, number) -> Job:
    issue = ISSUE.model_copy(update={"id": f"x{number}"})
    command = parse_command(WORK_ITEM | {"issue_id": issue.id, "project": project})
    return await services.submit(command, actor="test", issue=issue)


async def deny(sandbox, vendor, target, *actions):
    given = {"vendor": vendor, "target": target, "deny": list(actions)}
    async with sandbox.session.post(f"{sandbox.url}/_sandbox/permissions", json=given) as answer:
        assert answer.status == 201, await answer.text()


async def heal(sandbox):
    async with sandbox.session.delete(f"{sandbox.url}/_sandbox/faults") as answer:
        assert answer.status == 204


async def states(services, jobs) -> list[JobState]:
    return [(await services.ledger.require(job.id)).state for job in jobs]


async def rounds(services, vendor, times=1):
    """What workers do, some rounds of it: every moment for which a waiting job waits comes at once."""
    for _ in range(times):
        due = key(services, "due", vendor)
        for job_id in await services.redis.zrange(due, 0, -1):
            await services.redis.zadd(due, {job_id: 1})
        await let_the_pause_end(services, vendor)
        sent = await services.ledger.dispatch(1, 50)
        await asyncio.gather(*(lifecycle.attempt(services.core, job_id) for job_id in sent))


def told(caplog) -> list[str]:
    return [line.message for line in caplog.records if line.levelno >= logging.ERROR]


# -- a stranger answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", STRANGERS, ids=lambda answer: f"{answer['status']}-{answer['body'][:8]}")
@pytest.mark.parametrize("vendor", [vendor for vendor, _ in EVERY])
@pytest.mark.promise("a stranger ends no job")
async def test_a_strangers_answer_lets_all_jobs_wait_and_they_go_on_when_it_is_over(
    services, sandbox, vendor, answer, caplog
):
    await configure(services, sandbox, vendor, write_lag_s=0, total_timeout_s=10)
    jobs = await jobs_for(services, vendor, 6)
    await sandbox.fault(vendor=vendor, fault="status", times=1000, **answer)
    await rounds(services, vendor, 2)
    assert set(await states(services, jobs)) == {JobState.QUEUED}
    found = await health(services, vendor)
    assert (found.state, len(told(caplog))) == ("suspended", 1)
    assert str(answer["status"]) in found.reason
    assert found.next_probe_ms - services.core.clock_ms() < 15_500
    await heal(sandbox)
    assert (await services.test_destination(vendor, "probe")).success
    await rounds(services, vendor, 3)
    assert set(await states(services, jobs)) == {JobState.DELIVERED}
    assert len(await sandbox.objects(vendor)) == 6


@pytest.mark.parametrize("vendor", [vendor for vendor, _ in EVERY])
async def test_a_vendor_that_shows_the_account_nothing_any_more_ends_no_job(services, sandbox, vendor):
    """As to an anonymous visitor: no space, no project and no ticket is there, in the vendor's own words."""
    await configure(services, sandbox, vendor, write_lag_s=0)
    (known,) = await jobs_for(services, vendor, 1)
    await rounds(services, vendor)
    assert await states(services, [known]) == [JobState.DELIVERED]
    jobs = await jobs_for(services, vendor, 3)
    await sandbox.fault(vendor=vendor, fault="status", status=404, message="It isn't there.", times=1000)
    await rounds(services, vendor, 2)
    assert JobState.DEAD not in await states(services, jobs)
    assert (await health(services, vendor)).state == "suspended"
    await heal(sandbox)
    assert (await services.test_destination(vendor, "probe")).success
    await rounds(services, vendor, 2)
    assert JobState.DELIVERED in await states(services, jobs)
    assert set(await states(services, jobs)) <= {JobState.DELIVERED, JobState.SUPERSEDED}


@pytest.mark.parametrize(("vendor", "answer", "advice"), OF_VENDORS)
async def test_what_a_vendor_says_of_the_whole_instance_ends_no_job(services, sandbox, vendor, answer, advice):
    jobs = await jobs_for(services, vendor, 3)
    await sandbox.fault(vendor=vendor, fault="status", times=1000, **answer)
    await rounds(services, vendor, 2)
    assert set(await states(services, jobs)) == {JobState.QUEUED}
    found = await health(services, vendor)
    assert found.state == "suspended"
    assert advice in found.reason


async def test_an_api_version_that_the_server_doesnt_speak_suspends_until_it_is_set_right(services, sandbox):
    await configure(services, sandbox, "azure_devops", api_version="9.9")
    jobs = await jobs_for(services, "azure_devops", 2)
    await rounds(services, "azure_devops", 2)
    assert (await health(services, "azure_devops")).state == "suspended"
    assert not (await services.test_destination("azure_devops", "probe")).success
    assert (await health(services, "azure_devops")).state == "suspended"
    await configure(services, sandbox, "azure_devops")
    await rounds(services, "azure_devops", 2)
    assert set(await states(services, jobs)) == {JobState.DELIVERED}


async def test_a_read_only_site_lets_jobs_wait_behind_the_breaker_though_its_test_passes(services, sandbox, caplog):
    jobs = await pages(services, 5)
    await sandbox.fault(
        vendor="confluence", fault="status", status=405, message="READ_ONLY", operation="create", times=1000
    )
    await rounds(services, "confluence", 4)
    assert set(await states(services, jobs)) == {JobState.QUEUED}
    found = await health(services)
    assert (found.state, found.breaker) == ("ready", "open")
    assert len(told(caplog)) == 1
    await heal(sandbox)
    await rounds(services, "confluence", 2)
    assert set(await states(services, jobs)) == {JobState.DELIVERED}


async def test_writes_that_a_stranger_stops_while_the_test_passes_lose_no_job(services, sandbox, caplog):
    await configure(services, sandbox, "servicenow", breaker_failures=3, write_lag_s=0, total_timeout_s=1)
    jobs = await jobs_for(services, "servicenow", 5)
    await sandbox.fault(
        vendor="servicenow", fault="status", status=404, body="default backend", operation="create", times=1000
    )
    await rounds(services, "servicenow", 6)
    assert set(await states(services, jobs)) <= {JobState.QUEUED, JobState.RETRYING}
    assert (await health(services, "servicenow")).state == "ready"
    assert len(told(caplog)) <= 1
    await heal(sandbox)
    await rounds(services, "servicenow", 4)
    assert set(await states(services, jobs)) == {JobState.DELIVERED}
    assert len(await sandbox.objects("servicenow")) == 5


# -- one job lacks a right -------------------------------------------------------------------------------------------


async def test_a_space_without_the_right_to_create_ends_its_own_jobs_and_no_other_waits(services, sandbox, caplog):
    await deny(sandbox, "confluence", "ENG", "create")
    bad, good = await in_space(services, "ENG", 3), await pages(services, 3)
    await rounds(services, "confluence")
    assert set(await states(services, good)) == {JobState.DELIVERED}
    assert set(await states(services, bad)) == {JobState.RETRYING}
    await rounds(services, "confluence")
    assert set(await states(services, bad)) == {JobState.DEAD}
    error = (await services.ledger.require(bad[0].id)).last_error
    assert error.status == 403
    assert "not permitted" in error.message
    assert "right to create pages" in error.advice
    assert (await health(services)).state == "ready"
    assert told(caplog) == []


async def test_a_destination_whose_every_space_but_one_is_forbidden_serves_that_one(services, sandbox):
    await deny(sandbox, "confluence", "*", "create")
    await deny(sandbox, "confluence", "ENG")
    bad = await pages(services, 8) + await in_space(services, "SRE", 8, start=300)
    good = await in_space(services, "ENG", 4)
    await rounds(services, "confluence", 9)
    assert set(await states(services, good)) == {JobState.DELIVERED}
    assert set(await states(services, bad)) == {JobState.DEAD}


async def test_a_locked_project_stops_itself_only(services, sandbox):
    await deny(sandbox, "azure_devops", "Payments", "create")
    bad, good = await for_project(services, "Payments", 1), await for_project(services, "Operations", 2)
    await rounds(services, "azure_devops", 2)
    assert await states(services, [bad, good]) == [JobState.DEAD, JobState.DELIVERED]
    error = (await services.ledger.require(bad.id)).last_error
    assert "TF237111" in error.message
    assert "right to create work items" in error.advice
    events = [entry.event for entry in await services.audit.tail(500)]
    assert "destination.suspended" not in events


async def test_a_label_call_without_its_scope_keeps_the_page_in_the_receipt(services, sandbox):
    await configure(services, sandbox, labels=("rca",))
    await deny(sandbox, "confluence", "OPS", "label")
    (job,) = await pages(services, 1)
    await rounds(services, "confluence", 2)
    ended = await services.ledger.require(job.id)
    (page,) = await sandbox.objects("confluence")
    assert (ended.state, ended.receipt.id) == (JobState.DEAD, page["id"])
    assert "scope" in str(ended.last_error)
    async with sandbox.session.delete(f"{sandbox.url}/_sandbox/permissions"):
        pass
    await services.retry(job.id, "test")
    await rounds(services, "confluence")
    assert await states(services, [job]) == [JobState.DELIVERED]
    assert len(await sandbox.objects("confluence")) == 1


async def test_an_access_rule_for_one_incident_lets_another_one_go(services, sandbox):
    (closed,) = await tickets(services, 1)
    await rounds(services, "servicenow")
    await deny(sandbox, "servicenow", "incident", "update")
    issue = (await services.contents.issue("i0")).model_copy(update={"description": "another text"})
    again = await services.submit(parse_command(INCIDENT | {"issue_id": "i0"}), actor="test", issue=issue)
    other = issue.model_copy(update={"id": "urgent"})
    urgent = await services.submit(parse_command(INCIDENT | {"issue_id": "urgent"}), actor="test", issue=other)
    await rounds(services, "servicenow")
    assert await states(services, [closed, urgent]) == [JobState.DELIVERED, JobState.DELIVERED]
    await rounds(services, "servicenow")
    ended = await services.ledger.require(again.id)
    assert ended.state is JobState.DEAD
    assert "ACL" in ended.last_error.message


@pytest.mark.parametrize("vendor", [vendor for vendor, _ in EVERY])
async def test_a_vendor_that_refuses_once_and_then_changes_its_mind_delivers(services, sandbox, vendor):
    await sandbox.fault(vendor=vendor, fault="status", status=401, times=1)
    (job,) = await jobs_for(services, vendor, 1)
    await rounds(services, vendor)
    assert await states(services, [job]) == [JobState.RETRYING]
    await rounds(services, vendor)
    assert await states(services, [job]) == [JobState.DELIVERED]
    assert (await health(services, vendor)).state == "ready"


async def test_a_retried_job_has_two_tries_again(services, sandbox):
    await deny(sandbox, "confluence", "OPS", "create")
    (job,) = await pages(services, 1)
    await rounds(services, "confluence", 2)
    assert await states(services, [job]) == [JobState.DEAD]
    await services.retry(job.id, "test")
    await rounds(services, "confluence")
    assert await states(services, [job]) == [JobState.RETRYING]


@pytest.mark.parametrize("vendor", [vendor for vendor, _ in EVERY])
@pytest.mark.promise("credential suspends")
async def test_a_credential_that_is_refused_suspends_once_and_costs_no_job(services, sandbox, vendor, caplog):
    given = {**sandbox_destinations(sandbox.url)[vendor], "write_lag_s": 0.2}
    await services.destinations.set(vendor, parse_settings(given), "expired-" + FAKE_SECRET, "test")
    jobs = await jobs_for(services, vendor, 6)
    await rounds(services, vendor, 3)
    assert set(await states(services, jobs)) == {JobState.QUEUED}
    assert (await health(services, vendor)).state == "suspended"
    assert len(told(caplog)) == 1
    tests = [entry for entry in await services.audit.tail(1000) if entry.event == "test.intent"]
    assert len(tests) == 1


async def test_many_jobs_that_are_refused_at_once_share_their_tests(services, sandbox):
    await configure(services, sandbox, concurrency=8)
    await deny(sandbox, "confluence", "ENG", "create")
    await in_space(services, "ENG", 8)
    await rounds(services, "confluence")
    looks = [row for row in (await sandbox.state())["requests"] if row["path"].endswith("/user/current")]
    assert 1 <= len(looks) <= 3


async def test_an_attempt_that_is_cut_short_while_it_tests_gives_its_job_back(services, sandbox):
    await sandbox.fault(vendor="servicenow", fault="status", status=401, times=1)
    await sandbox.fault(vendor="servicenow", fault="slow_headers", seconds=2, operation="lookup", times=1)
    (job,) = await tickets(services, 1)
    attempt = asyncio.create_task(lifecycle.attempt(services.core, job.id))
    while len((await sandbox.state())["requests"]) < 2:
        await asyncio.sleep(0.02)
    attempt.cancel()
    await attempt
    assert await states(services, [job]) == [JobState.RETRYING]


# -- the test itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", [vendor for vendor, _ in EVERY])
@pytest.mark.promise("test as whom")
async def test_no_web_server_that_isnt_the_vendor_passes_the_test(services, sandbox, vendor):
    given = {**sandbox_destinations(sandbox.url)[vendor]}
    given.pop("space", None)
    given.pop("project", None)
    await services.destinations.set(vendor, parse_settings(given), FAKE_SECRET, "test")
    for status, body in ((404, "default backend - 404"), (200, "{}"), (200, "[]"), (404, "{}")):
        await sandbox.fault(
            vendor=vendor, fault="status", status=status, body=body, content_type="application/json", times=50
        )
        report = await services.test_destination(vendor, "test")
        assert not report.success, (status, body)
        await heal(sandbox)


@pytest.mark.parametrize("vendor", [vendor for vendor, _ in EVERY])
@pytest.mark.promise("test as whom")
async def test_a_test_says_as_whom(services, vendor):
    report = await services.test_destination(vendor, "test")
    assert report.success
    assert next(step for step in report.steps if step.name == "credential").detail.startswith("accepted as ")


@pytest.mark.parametrize("vendor", ["confluence", "azure_devops"])
async def test_a_server_that_takes_the_credential_for_nobodys_is_refused(services, sandbox, vendor):
    given = sandbox_destinations(sandbox.url)[vendor]
    await services.destinations.set(vendor, parse_settings(given), "anonymous-" + FAKE_SECRET, "test")
    report = await services.test_destination(vendor, "test")
    assert not report.success
    assert "nobody" in report.message


# -- with real workers -----------------------------------------------------------------------------------------------


async def test_a_fleet_waits_out_a_strangers_answers_and_goes_on_within_seconds(services, sandbox, start_worker):
    for vendor, _ in EVERY:
        await configure(services, sandbox, vendor, write_lag_s=0.2, total_timeout_s=3)
    await sandbox.fault(fault="status", status=404, body="default backend - 404", times=100_000)
    start_worker(), start_worker()
    jobs = [job for vendor, _ in EVERY for job in await jobs_for(services, vendor, 12)]

    async def all_suspended():
        return {(await health(services, vendor)).state for vendor, _ in EVERY} == {"suspended"}

    await until(all_suspended, what="the suspensions")
    await asyncio.sleep(3)
    assert JobState.DEAD not in await states(services, jobs)
    await heal(sandbox)

    async def all_delivered():
        return set(await states(services, jobs)) == {JobState.DELIVERED}

    await until(all_delivered, 30, "the deliveries")
    events = [entry.event for entry in await services.audit.tail(5000)]
    assert events.count("destination.suspended") == len(EVERY)
    assert [len(await sandbox.objects(vendor)) for vendor, _ in EVERY] == [12] * len(EVERY)


async def test_a_fleet_serves_a_good_project_while_a_locked_one_is_refused(services, sandbox, start_worker):
    await deny(sandbox, "azure_devops", "Payments", "create")
    bad = [await for_project(services, "Payments", number) for number in range(6)]
    good = [await for_project(services, "Operations", number) for number in range(10, 16)]
    start_worker()

    async def ended():
        return await states(services, good + bad) == [JobState.DELIVERED] * 6 + [JobState.DEAD] * 6

    await until(ended, 45, "the end of all")
    assert "destination.suspended" not in [entry.event for entry in await services.audit.tail(5000)]


# -- Data Center -----------------------------------------------------------------------------------------------------


async def test_data_center_is_judged_the_same_way(services, sandbox):
    given = {"base_url": sandbox.url, "flavor": "datacenter", "space": "OPS"}
    await configure(services, sandbox, **given)
    report = await services.test_destination("confluence", "test")
    assert "accepted as Sandbox" in report.message or report.steps[0].detail == "accepted as Sandbox"
    await deny(sandbox, "confluence", "ENG", "create")
    bad, good = await in_space(services, "ENG", 2), await pages(services, 2)
    await rounds(services, "confluence", 2)
    assert set(await states(services, bad)) == {JobState.DEAD}
    assert set(await states(services, good)) == {JobState.DELIVERED}
    await sandbox.fault(fault="status", status=404, body="default backend - 404", times=1000)
    late = await pages(services, 2, start=20)
    await rounds(services, "confluence", 2)
    assert set(await states(services, late)) == {JobState.QUEUED}
    assert (await health(services)).state == "suspended"
