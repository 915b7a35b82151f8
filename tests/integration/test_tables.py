"""Issues as records of another ServiceNow table than `incident`: problems, changes, and tables that aren't there."""

from __future__ import annotations

import pytest

from tasks.destinations import parse_settings
from tasks.errors import Refused
from tasks.model import Issue, JobState, parse_command, subject_key
from tasks.subjects import subject_of
from tests.integration.page_support import INCIDENT, ISSUE, PUBLISH, Bench
from tests.integration.test_blame import deny
from tests.integration.test_following import looked
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

pytestmark = pytest.mark.usefixtures("destinations")


@pytest.fixture
async def bench(services, sandbox):
    await services.contents.put_issue(ISSUE, "test")
    return Bench(services, sandbox)


async def files_into(bench, table, **settings):
    """Set the destination's table."""
    given = sandbox_destinations(bench.sandbox.url)["servicenow"] | {"write_lag_s": 0.2, "table": table} | settings
    await bench.services.destinations.set("servicenow", parse_settings(given), FAKE_SECRET, "test")


async def filed(bench, arguments=INCIDENT, **changes):
    """A job of the issue with these changes, run until it rests."""
    await bench.services.contents.put_issue(Issue.model_validate(ISSUE.model_dump() | changes), "test")
    return await bench.run(await bench.submit(arguments))


async def records(bench):
    return await bench.sandbox.objects("servicenow")


@pytest.mark.parametrize(("table", "prefix"), [("problem", "PRB"), ("change_request", "CHG")])
@pytest.mark.parametrize("by", ["destination", "job"])
async def test_an_issue_is_filed_updated_and_left_alone_in_the_table_that_is_named(bench, table, prefix, by):
    """The setting of the destination, or the argument of the job."""
    await files_into(bench, table if by == "destination" else "incident")
    arguments = INCIDENT if by == "destination" else INCIDENT | {"table": table}
    first = (await filed(bench, arguments)).receipt
    same = (await filed(bench, arguments)).receipt
    changed = (await filed(bench, arguments, title="Worse")).receipt
    (made,) = await records(bench)
    assert [first.change, same.change, changed.change] == ["created", "unchanged", "updated"]
    assert (made["kind"], made["title"]) == (table, "Worse")
    assert first.ticket_number.startswith(prefix)
    assert f"uri={table}.do?sys_id={made['id']}" in first.url
    assert (first.warnings, changed.warnings) == ((), ())


@pytest.mark.promise("delivered once", "servicenow")
@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500"])
async def test_a_lost_answer_makes_no_second_record_also_where_the_setting_changes_meanwhile(bench, fault):
    """The job keeps the table that it was submitted with, so that it looks where it wrote."""
    await files_into(bench, "problem")
    await bench.sandbox.fault(vendor="servicenow", fault=fault, operation="create")
    job = await bench.submit(INCIDENT)
    assert (await bench.attempt(job)).state is JobState.RETRYING
    await files_into(bench, "change_request")
    ended = await bench.run(job)
    assert ended.state is JobState.DELIVERED
    assert [made["kind"] for made in await records(bench)] == ["problem"]


async def test_another_table_is_another_record_and_the_way_back_finds_the_first(bench):
    """As with another project: what was delivered stays where it is."""
    incident = (await filed(bench)).receipt
    await files_into(bench, "problem")
    await filed(bench)
    await files_into(bench, "incident")
    again = (await filed(bench)).receipt
    assert (again.change, again.id) == ("unchanged", incident.id)
    assert sorted(made["kind"] for made in await records(bench)) == ["incident", "problem"]


async def test_an_unknown_table_fails_the_test_at_its_own_step_and_lets_the_jobs_wait(bench):
    """Nothing is lost while the operator's setting is wrong; the job's receipt says which table there isn't."""
    await files_into(bench, "u_major_incident")
    report = await bench.services.test_destination("servicenow", "test")
    assert (report.success, report.failure.name) == (False, "table")
    assert "Invalid table u_major_incident" in report.message
    job = await bench.submit(INCIDENT)
    await bench.attempt(job)
    stored = await bench.services.ledger.require(job.id)
    assert (stored.state, stored.last_error.code) == (JobState.QUEUED, "no_such_table")
    assert (await bench.services.destinations.require("servicenow")).state == "suspended"


async def test_an_unknown_table_of_one_job_ends_that_job_and_no_other(bench):
    """The destination's own table is there, so the trouble is the job's."""
    job = await bench.submit(INCIDENT | {"table": "u_nowhere"})
    ended = await bench.run(job)
    stored = await bench.services.ledger.require(job.id)
    assert (ended.state, stored.last_error.code) == (JobState.DEAD, "no_such_table")
    assert "Invalid table u_nowhere" in stored.last_error.message
    assert "Correct the table" in stored.last_error.advice
    assert (await filed(bench)).state is JobState.DELIVERED


async def test_the_test_looks_at_the_table_of_the_settings(bench):
    await files_into(bench, "problem")
    report = await bench.services.test_destination("servicenow", "test")
    assert report.success
    assert {"read access to problem", "right to create in problem"} <= {step.name for step in report.steps}
    await deny(bench.sandbox, "servicenow", "problem", "read")
    assert not (await bench.services.test_destination("servicenow", "test")).success


async def test_a_table_without_the_column_that_records_are_found_by_fails_the_test(bench):
    """As one that doesn't extend `task`: a record in it could not be found again after a lost answer."""
    await files_into(bench, "problem")
    rows = '{"result": [{"sys_id": "6816f79cc0a8016401c5a33be04be441"}]}'
    given = {"fault": "status", "status": 200, "body": rows, "content_type": "application/json", "times": 9}
    await bench.sandbox.fault(vendor="servicenow", path="/table/problem", **given)
    report = await bench.services.test_destination("servicenow", "test")
    assert (report.success, report.failure.name) == (False, "read access to problem")
    assert "problem shows no correlation_id" in report.message


async def test_states_of_another_table_come_from_the_mapping_alone(bench):
    """Without one the state is left alone, and the receipt says so; with one it is sent with what belongs to it."""
    await files_into(bench, "problem")
    left = (await filed(bench, status="resolved")).receipt
    assert left.warnings == (
        "the issue is resolved, and the state of the problem was left alone: set `state` in the mapping for that",
    )
    (made,) = await records(bench)
    assert made["status"] == "101"
    rule = '[[rule]]\nwhen = { status = "resolved" }\nstate = "106"\nclose_notes = "Fixed by {issue.id}"\n'
    await files_into(bench, "problem", mapping=rule)
    moved = (await filed(bench, status="resolved")).receipt
    (made,) = await records(bench)
    assert (moved.warnings, made["status"], made["fields"]["close_notes"]) == ((), "106", "Fixed by inc-1")


async def test_what_people_change_of_a_problem_stays(bench):
    await files_into(bench, "problem")
    first = (await filed(bench)).receipt
    await bench.control("edit", vendor="servicenow", id=first.id, title="Mine")
    again = (await filed(bench, description="New words")).receipt
    (made,) = await records(bench)
    assert (again.change, made["title"], made["body"]) == ("updated", "Mine", "New words")


@pytest.mark.promise("files", "servicenow")
async def test_the_document_is_attached_once_to_a_change(bench):
    await files_into(bench, "change_request", attach_document="always")
    for _ in range(2):
        ended = await filed(bench)
        assert ended.state is JobState.DELIVERED
    (made,) = await records(bench)
    assert len(made["attachments"]) == 1


async def test_what_people_make_of_tickets_in_several_tables_comes_back(bench):
    """Each is read from its own table; a state of another table means no stage."""
    moved = {}
    for table, state in (("incident", "2"), ("problem", "103")):
        await files_into(bench, table, follow_state=True)
        moved[(await filed(bench)).receipt.id] = state
    assert await looked(bench.services, "servicenow") == 0
    for sys_id, state in moved.items():
        await bench.control("edit", vendor="servicenow", id=sys_id, status=state)
    assert await looked(bench.services, "servicenow") == 2
    found = [each.seen.ticket for each in await bench.services.core.followed.of(subject_key("issue", ISSUE.id))]
    assert {(seen.state, seen.stage) for seen in found} == {("In Progress", "working"), ("Root Cause Analysis", None)}
    assert {"incident.do" in seen.url for seen in found} == {True, False}


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_table_that_is_gone_hides_no_change_in_the_others(bench, status):
    """It was removed, or the account may not read it any more: its own tickets alone aren't looked at."""
    for table in ("problem", "change_request", "incident"):
        await files_into(bench, table, follow_state=True)
        made = (await filed(bench)).receipt
    assert await looked(bench.services, "servicenow") == 0
    words = "Invalid table problem" if status == 400 else "No Record found"
    gone = {"fault": "status", "path": "/table/problem", "status": status, "message": words, "times": 9}
    await bench.sandbox.fault(vendor="servicenow", **gone)
    await bench.control("edit", vendor="servicenow", id=made.id, status="2")
    assert await looked(bench.services, "servicenow") == 1


@pytest.mark.promise("links", "servicenow")
async def test_a_problem_leads_to_the_page_of_its_issue(bench):
    """The link is written to the table that the job was submitted with."""
    await files_into(bench, "problem")
    await filed(bench)
    await bench.put()
    await bench.run(await bench.submit(PUBLISH))
    await files_into(bench, "incident")
    await bench.follow_up()
    (made,), page = await records(bench), await bench.page()
    assert made["body"].endswith(f"/pages/{page['id']}")
    assert f"Problem {made['number']}" in page["body"]


def test_an_incident_is_known_as_before_there_were_other_tables():
    """Jobs and receipts of an earlier version name no table."""
    plain, named, other = (parse_command(INCIDENT | more) for more in ({}, {"table": "incident"}, {"table": "problem"}))
    assert subject_of(plain, "snow", None) == subject_of(named, "snow", None) == subject_key("snow", "", "inc-1")
    assert subject_of(other, "snow", None) != subject_of(named, "snow", None)


@pytest.mark.parametrize("table", ["", "Problem", "1st", "pro-blem", "a/b", "incident?x=1", "a" * 81, "incident\n"])
def test_what_is_no_tables_name_is_refused(sandbox, table):
    """In a setting and in a job: it becomes a part of an address."""
    with pytest.raises(Refused, match="table: must be a table's name"):
        parse_command(INCIDENT | {"table": table})
    given = sandbox_destinations(sandbox.url)["servicenow"]
    with pytest.raises(Refused, match="table"):
        parse_settings(given | {"table": table})
