"""Incidents that people work on: what they changed stays theirs, and nothing is said twice."""

from __future__ import annotations

import pytest

from tasks.model import Issue, JobState
from tests.integration.page_support import INCIDENT, ISSUE, Bench

pytestmark = pytest.mark.usefixtures("destinations")
NOTE = {"config": {"fields": {"work_notes": "See the RCA.", "urgency": "1"}}}


@pytest.fixture
async def bench(services, sandbox):
    await services.contents.put_issue(ISSUE, "test")
    return Bench(services, sandbox)


async def filed(bench, arguments=INCIDENT, **changes):
    """A job of the issue with these changes, run until it rests."""
    await bench.services.contents.put_issue(Issue.model_validate(ISSUE.model_dump() | changes), "test")
    return await bench.run(await bench.submit(arguments))


async def incident(bench):
    (made,) = await bench.sandbox.objects("servicenow")
    return made


async def edit(bench, receipt, **given):
    await bench.control("edit", vendor="servicenow", id=receipt.id, **given)


async def test_the_same_job_again_writes_nothing(bench):
    """Row 5: a repeat makes no change of the record."""
    await filed(bench)
    again = await filed(bench)
    assert (again.receipt.change, again.receipt.warnings) == ("unchanged", ())
    assert (await incident(bench))["version"] == 0
    assert not any(sent.startswith(("POST", "PATCH")) for sent in bench.sent)


async def test_a_field_that_the_instance_doesnt_have_is_told_each_time(bench):
    """Also where nothing has to be written."""
    unknown = INCIDENT | {"config": {"fields": {"u_no_such_field": "1"}}}
    words = "u_no_such_field is not a field of this instance, or the account may not write it"
    for change in ("created", "unchanged"):
        receipt = (await filed(bench, unknown)).receipt
        assert (receipt.change, receipt.warnings) == (change, (words,))


async def test_what_people_changed_stays_and_the_rest_is_updated(bench):
    """Row 4, by default: retitled by people, and the issue has a new description."""
    first = await filed(bench)
    await edit(bench, first.receipt, title="Mine")
    again = await filed(bench, description="New words")
    made = await incident(bench)
    assert (again.receipt.change, made["title"], made["body"]) == ("updated", "Mine", "New words")
    assert again.receipt.warnings == ("short_description was changed by somebody else and kept",)
    third = await filed(bench, description="New words")
    assert (third.receipt.change, (await incident(bench))["title"]) == ("unchanged", "Mine")


@pytest.mark.parametrize(
    ("policy", "state", "title", "entries"),
    [
        ("hold", JobState.HELD, "Mine", 0),
        ("keep", JobState.DELIVERED, "Mine", 0),
        ("overwrite", JobState.DELIVERED, "Better", 0),
        ("comment", JobState.DELIVERED, "Mine", 1),
    ],
)
@pytest.mark.parametrize("by", ["destination", "job"])
@pytest.mark.promise("people's changes are kept", "servicenow")
async def test_the_operator_or_the_job_decides_about_changed_fields(bench, policy, state, title, entries, by):
    """Row 4: each policy, set for the destination or for one job."""
    arguments = INCIDENT if by == "destination" else INCIDENT | {"config": {"on_drift": policy}}
    if by == "destination":
        await bench.set("servicenow", on_drift=policy)
    first = await filed(bench, arguments)
    await edit(bench, first.receipt, title="Mine")
    for _ in range(2):
        ended = await filed(bench, arguments, title="Better")
    made = await incident(bench)
    assert (ended.state, made["title"], len(made["journal"])) == (state, title, entries)
    assert all("Better" in entry["text"] for entry in made["journal"])


async def test_a_held_job_that_is_released_overwrites(bench):
    await bench.set("servicenow", on_drift="hold")
    first = await filed(bench)
    await edit(bench, first.receipt, title="Mine")
    await bench.services.contents.put_issue(ISSUE.model_copy(update={"title": "Better"}), "test")
    job = await bench.submit(INCIDENT)
    held = await bench.run(job)
    assert (held.state, held.error.code) == (JobState.HELD, "drift")
    await bench.services.ledger.release(job.id, "test")
    assert (await bench.run(job)).receipt.change == "updated"
    assert (await incident(bench))["title"] == "Better"


async def test_only_changed_fields_are_sent(bench, sandbox):
    first = await filed(bench)
    await edit(bench, first.receipt, fields={"impact": "3"})
    await filed(bench, title="Better")
    made = await incident(bench)
    assert (made["title"], made["fields"]["impact"]) == ("Better", "3")


@pytest.mark.parametrize("kill_after", [None, 1, 2, 3])
async def test_a_note_is_written_once_whatever_happens(bench, kill_after):
    """Row 3: repeats, and a worker that dies after any request."""
    for _ in range(3):
        job = await bench.submit(INCIDENT | NOTE)
        await bench.attempt(job, kill_after=kill_after)
        state = (await bench.services.ledger.require(job.id)).state
        if state is not JobState.DELIVERED:
            await bench.run(job)
    made = await incident(bench)
    assert [entry["text"] for entry in made["journal"]] == ["See the RCA."]


@pytest.mark.parametrize("operation", ["create", "update"])
async def test_a_note_whose_answer_was_lost_is_not_repeated(bench, operation):
    """Row 3: the write landed, its answer did not."""
    if operation == "update":
        await filed(bench)
    await bench.sandbox.fault(vendor="servicenow", fault="commit_then_drop", operation=operation)
    ended = await filed(bench, INCIDENT | NOTE)
    made = await incident(bench)
    assert (ended.state, len(made["journal"])) == (JobState.DELIVERED, 1)
    assert ended.receipt.warnings in ((), ("priority is 1, expected 1: the instance has rules of its own",))


async def test_another_note_is_another_entry_and_an_old_one_is_none(bench):
    for text in ("One", "Two", "One"):
        await filed(bench, INCIDENT | {"config": {"fields": {"comments": text}}})
    assert [entry["text"] for entry in (await incident(bench))["journal"]] == ["One", "Two"]


async def test_a_write_whose_answer_was_lost_is_no_edit_by_somebody_else(bench):
    """What an update left that nobody heard of is still ours."""
    await bench.set("servicenow", on_drift="hold")
    await filed(bench)
    await bench.sandbox.fault(vendor="servicenow", fault="commit_then_drop", operation="update")
    await bench.services.contents.put_issue(ISSUE.model_copy(update={"title": "Two"}), "test")
    await bench.attempt(await bench.submit(INCIDENT))
    ended = await filed(bench, title="Three")
    assert (ended.state, (await incident(bench))["title"]) == (JobState.DELIVERED, "Three")


@pytest.mark.promise("ended by people", "servicenow")
async def test_a_closed_incident_is_left_alone(bench):
    """People closed it, and ServiceNow takes no more changes."""
    first = await filed(bench)
    await edit(bench, first.receipt, fields={"state": "7", "close_code": "x", "close_notes": "y"})
    ended = await filed(bench, title="Better")
    assert (ended.state, ended.receipt.change) == (JobState.DELIVERED, "skipped")
    assert "closed" in ended.receipt.warnings[-1]
    asked = await filed(bench, INCIDENT | {"config": {"on_drift": "overwrite"}}, title="Better")
    assert (asked.state, asked.error.code) == (JobState.DEAD, "closed")


# -- names -----------------------------------------------------------------------------------------------------------


async def test_an_unknown_group_is_an_error_or_a_warning(bench):
    """Row 6: a name that the instance doesn't know is told, never stored as nothing."""
    wrong = INCIDENT | {"config": {"assignment_group": "Nowhere"}}
    ended = await filed(bench, wrong)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "unknown_reference")
    assert "'Nowhere'" in ended.error.message
    assert await bench.sandbox.objects("servicenow") == []
    await bench.set("servicenow", unknown_reference="warn")
    warned = await filed(bench, wrong)
    assert any("Nowhere" in warning for warning in warned.receipt.warnings)


async def test_an_ambiguous_name_is_an_error(bench):
    ended = await filed(bench, INCIDENT | {"config": {"assignment_group": "Twins"}})
    assert (ended.state, ended.error.code) == (JobState.DEAD, "ambiguous_reference")


async def test_names_become_ids_once_for_a_while(bench):
    """Row 7: a caller by name is stored as an id without a warning, and looked up once."""
    fields = {"caller_id": "abel.tuter", "cmdb_ci": "payments-db"}
    arguments = INCIDENT | {"config": {"assignment_group": "Network", "fields": fields}}
    first = await filed(bench, arguments)
    assert first.receipt.warnings == ()
    assert sum(sent.startswith("GET /table/sys_user ") or sent == "GET GET /table/sys_user" for sent in bench.sent) == 1
    again = await filed(bench, arguments)
    assert (again.receipt.change, again.receipt.warnings) == ("unchanged", ())
    assert not any("sys_user" in sent for sent in bench.sent)
    made = (await incident(bench))["fields"]
    assert all(len(made[name]) == 32 for name in ("caller_id", "cmdb_ci", "assignment_group"))


# -- status ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("follows its issue", "servicenow")
async def test_an_incident_follows_its_issue_and_people_may_go_further(bench):
    """Item 4: resolved with code and notes; opened again; what people do in between is theirs."""
    await filed(bench)
    await filed(bench, status="resolved")
    made = (await incident(bench))["fields"]
    assert (made["state"], made["close_code"], made["close_notes"]) == (
        "6",
        "Solved (Permanently)",
        "Issue inc-1 is resolved.",
    )
    await filed(bench, status="investigating")
    assert (await incident(bench))["status"] == "2"
    await edit(bench, (await filed(bench, status="investigating")).receipt, status="3")
    assert (await filed(bench, status="investigating")).receipt.change == "unchanged"
    assert (await incident(bench))["status"] == "3"


async def test_an_incident_of_a_resolved_issue_is_made_resolved_or_not(bench):
    await bench.set("servicenow", follow_status="off")
    await filed(bench, status="resolved")
    assert (await incident(bench))["status"] == "1"


async def test_what_an_issue_says_reaches_its_incident(bench):
    """Row 18: category, source, assignee and time; what the instance doesn't know is told."""
    said = {
        "category": "Database",
        "source": "alert",
        "assigned_to": "Beth Anglin",
        "created_at": "2026-11-02 03:04:05",
    }
    first = await filed(bench, **said)
    made = (await incident(bench))["fields"]
    assert (made["category"], made["contact_type"], made["opened_at"]) == (
        "database",
        "monitoring",
        "2026-11-02 03:04:05",
    )
    assert len(made["assigned_to"]) == 32
    assert first.receipt.warnings == ()
    again = await filed(bench, **said | {"assigned_to": "Nobody Known"})
    assert "Nobody Known" in again.receipt.warnings[0]
