"""What the account can't see may be there all the same: the job stops and says so, and makes no second object."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tasks.model import JobState
from tests.integration.test_lifecycle import DOCUMENT, EVERY, INCIDENT, ISSUE, WORK_ITEM, run, submit

pytestmark = pytest.mark.usefixtures("destinations", "content")


async def changed(services):
    await services.contents.put_issue(ISSUE.model_copy(update={"title": "Pool exhausted again"}), "test")


@pytest.mark.parametrize("fault", ["read_acl", "query_ignored"])
@pytest.mark.promise("hidden gets no double", "servicenow")
async def test_a_look_up_that_cannot_be_trusted_stops_the_job_before_a_second_incident(services, sandbox, fault):
    for other in ("inc-2", "inc-3"):  # as many rows as the look-up asks for
        await services.contents.put_issue(ISSUE.model_copy(update={"id": other}), "test")
        await run(services, await submit(services, INCIDENT | {"issue_id": other}))
    await sandbox.fault(vendor="servicenow", operation="create", fault="commit_then_drop")
    await sandbox.fault(vendor="servicenow", operation="lookup", fault=fault, times=100)
    job = await submit(services, INCIDENT)
    ended = await run(services, job)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "hidden")
    assert len(await sandbox.objects("servicenow")) == 3


async def test_a_look_up_that_was_broken_off_is_no_proof_that_there_is_no_incident(services, sandbox):
    """ServiceNow says so with status 200, beside what it had found until then."""
    cut = {"result": [], "error": {"message": "Transaction cancelled", "detail": "maximum execution time exceeded"}}
    body = json.dumps(cut | {"status": "failure"})
    await sandbox.fault(vendor="servicenow", operation="create", fault="commit_then_drop")
    said = {"fault": "status", "status": 200, "body": body, "content_type": "application/json"}
    await sandbox.fault(vendor="servicenow", operation="lookup", times=2, **said)
    assert (await run(services, await submit(services, INCIDENT))).state is JobState.DELIVERED
    assert len(await sandbox.objects("servicenow")) == 1


@pytest.mark.promise("hidden gets no double", "servicenow")
async def test_a_known_incident_that_went_out_of_sight_gets_no_double(services, sandbox):
    await run(services, await submit(services, INCIDENT))
    await changed(services)
    await sandbox.fault(vendor="servicenow", fault="read_acl", times=100)
    ended = await run(services, await submit(services, INCIDENT))
    assert (ended.state, ended.error.code) == (JobState.DEAD, "hidden")
    assert len(await sandbox.objects("servicenow")) == 1


@pytest.mark.promise("hidden gets no double", "azure_devops")
async def test_a_known_work_item_that_went_out_of_sight_gets_no_double(services, sandbox):
    await run(services, await submit(services, WORK_ITEM))
    await changed(services)
    await sandbox.fault(vendor="azure_devops", method="GET", path="/workitems/", fault="status", status=404, times=100)
    ended = await run(services, await submit(services, WORK_ITEM))
    assert (ended.state, ended.error.code) == (JobState.DEAD, "hidden")
    assert "if_exists: new" in ended.error.advice
    assert len(await sandbox.objects("azure_devops")) == 1


@pytest.mark.parametrize(("vendor", "command"), EVERY)
@pytest.mark.promise("looked up after doubt")
async def test_what_the_ledger_has_lost_is_found_and_updated(services, sandbox, vendor, command):
    looking = replace(services, core=replace(services.core, look_first=True))
    first = await run(looking, await submit(services, command))
    async for key in services.redis.scan_iter(f"{services.settings.prefix}:subject:*"):
        await services.redis.delete(key)
    await changed(services)
    await services.contents.put_document(DOCUMENT.model_copy(update={"content_md": "Newer."}), "test")
    ended = await run(looking, await submit(services, command))
    assert (first.receipt.change, ended.receipt.change) == ("created", "updated")
    assert [made["id"] for made in await sandbox.objects(vendor)] == [first.receipt.id]
