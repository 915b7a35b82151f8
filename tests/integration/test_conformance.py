"""Promises of every kind of destination that no other file holds all of them to; `tests/conformance.py` has the whole list."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.model import JobState
from tests.integration.test_blame import deny, heal
from tests.integration.test_lifecycle import EVERY, run, submit
from tests.integration.test_limits import let_the_pause_end

pytestmark = pytest.mark.usefixtures("destinations", "content")
# What a right to create is given for.
PLACES = {"confluence": "OPS", "servicenow": "incident", "azure_devops": "Operations", "jira": "OPS"}
every = pytest.mark.parametrize(("vendor", "arguments"), EVERY)


async def operations(sandbox, vendor, *, since=0) -> list[str]:
    """What the requests to the vendor did, from that one on: create, update, lookup or other."""
    requests = [row for row in (await sandbox.state())["requests"] if row["vendor"] == vendor]
    return [row["operation"] for row in requests[since:]]


@every
@pytest.mark.promise("unchanged is not written")
async def test_content_that_is_shown_already_sends_no_write(services, sandbox, vendor, arguments):
    """Neither the object nor what belongs to it is written again."""
    await run(services, await submit(services, arguments))
    before = len(await operations(sandbox, vendor))
    ended = await run(services, await submit(services, arguments))
    assert ended.receipt.change == "unchanged"
    again = await operations(sandbox, vendor, since=before)
    assert again
    assert not {"create", "update"} & set(again)


@every
@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_429"])
@pytest.mark.promise("looked up after doubt")
async def test_a_create_of_unknown_end_is_followed_by_a_look_and_by_no_second_create(
    services, sandbox, vendor, arguments, fault
):
    """The first request of the next attempt reads."""
    await sandbox.fault(vendor=vendor, fault=fault, operation="create", retry_after="1")
    job = await submit(services, arguments)
    assert (await lifecycle.attempt(services.core, job.id)).state in (JobState.RETRYING, JobState.QUEUED)
    await let_the_pause_end(services, vendor)
    before = len(await operations(sandbox, vendor))
    assert (await run(services, job)).state is JobState.DELIVERED
    after = await operations(sandbox, vendor, since=before)
    assert after[0] == "lookup"
    assert "create" not in after


@every
@pytest.mark.promise("the vendor's words")
async def test_what_the_vendor_refuses_for_good_ends_the_job_at_once_in_its_words(services, sandbox, vendor, arguments):
    """A retry would be refused again: the producer reads the reason and what to do."""
    said = "The value of the field Shoe Size is not valid"
    await sandbox.fault(vendor=vendor, operation="create", fault="status", status=400, message=said)
    job = await submit(services, arguments)
    ended = await run(services, job)
    stored = await services.ledger.require(job.id)
    assert (ended.state, stored.attempts) == (JobState.DEAD, 1)
    assert said in stored.last_error.message
    assert stored.last_error.advice
    assert (await services.destinations.require(vendor)).state == "ready"


@every
@pytest.mark.promise("throttling waits")
async def test_a_throttled_job_waits_costs_no_attempt_and_is_delivered(services, sandbox, vendor, arguments):
    """The destination slows down, not the one job."""
    await sandbox.fault(vendor=vendor, operation="create", fault="rate_limit", retry_after="30")
    job = await submit(services, arguments)
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.state is JobState.QUEUED
    assert (await services.ledger.require(job.id)).attempts == 0
    assert await sandbox.objects(vendor) == []
    await let_the_pause_end(services, vendor)
    assert (await run(services, job)).state is JobState.DELIVERED


@every
@pytest.mark.promise("missing right")
async def test_an_account_without_the_right_to_create_is_told_which(services, sandbox, vendor, arguments):
    """The job ends, its destination goes on, and the job can be retried once the right is there."""
    await deny(sandbox, vendor, PLACES[vendor], "create")
    job = await submit(services, arguments)
    assert (await run(services, job)).state is JobState.DEAD
    error = (await services.ledger.require(job.id)).last_error
    assert "right" in error.advice
    assert error.message not in error.advice
    assert (await services.destinations.require(vendor)).state == "ready"
    await deny(sandbox, vendor, PLACES[vendor])
    await services.retry(job.id, "test")
    assert (await run(services, job)).state is JobState.DELIVERED


@every
@pytest.mark.promise("test writes nothing")
async def test_a_connection_test_writes_nothing(services, sandbox, vendor, arguments):
    """It passes, and the vendor has seen reading requests alone. A dry run of Azure DevOps counts as one."""
    await heal(sandbox)
    report = await services.test_destination(vendor, "test")
    assert report.success
    assert len(report.steps) > 1
    assert not {"create", "update"} & set(await operations(sandbox, vendor))
    assert await sandbox.objects(vendor) == []
