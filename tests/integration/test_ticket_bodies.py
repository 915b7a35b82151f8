"""What a destination's settings do to a ticket's body: Markdown fields, and the whole document beside an incident."""

from __future__ import annotations

import pytest

from tasks.destinations import parse_settings
from tasks.model import Issue, JobState, parse_command
from tests.integration.test_blame import deny
from tests.integration.test_lifecycle import run
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

LONG = "# What\n\n" + "words and words\n\n" * 400
INCIDENT = {"command": "create_servicenow_incident", "issue_id": "inc-1"}
ISSUE = {"command": "create_jira_issue", "issue_id": "inc-1", "project": "OPS"}
WORK_ITEM = {"command": "create_azuredevops_workitem", "issue_id": "inc-1", "project": "Operations"}
TICKETS = [("servicenow", INCIDENT), ("azure_devops", WORK_ITEM), ("jira", ISSUE)]


async def delivered(services, sandbox, name, arguments, description, **settings):
    given = sandbox_destinations(sandbox.url)[name] | {"write_lag_s": 0.2, "total_timeout_s": 30} | settings
    await services.destinations.set(name, parse_settings(given), FAKE_SECRET, "test")
    await services.contents.put_issue(Issue(id="inc-1", title="Pool exhausted", description=description), "test")
    job = await services.submit(parse_command(arguments), actor="test")
    ended = await run(services, job)
    assert ended.state is JobState.DELIVERED, ended
    return ended.receipt


async def files(sandbox, vendor):
    (ticket,) = await sandbox.objects(vendor)
    return ticket["attachments"]


async def test_a_work_item_field_is_switched_to_markdown(services, sandbox):
    await delivered(services, sandbox, "azure_devops", WORK_ITEM, "# What\n\n**a**\n", body_format="markdown")
    (item,) = await sandbox.objects("azure_devops")
    assert (item["body"], item["format"]) == ("# What\n\n**a**", "markdown")


@pytest.mark.parametrize(
    ("vendor", "arguments", "given"),
    [
        *((vendor, arguments, {}) for vendor, arguments in TICKETS),
        ("azure_devops", WORK_ITEM, {"body_format": "markdown"}),
        ("jira", ISSUE, {"flavor": "datacenter", "email": None}),
    ],
)
async def test_a_first_heading_that_repeats_the_title_comes_once(services, sandbox, vendor, arguments, given):
    """The ticket's own field for titles has it."""
    receipt = await delivered(services, sandbox, vendor, arguments, "# Pool *exhausted*\n\nwords\n", **given)
    (ticket,) = await sandbox.objects(vendor)
    assert (receipt.change, ticket["title"]) == ("created", "Pool exhausted")
    assert "words" in ticket["body"]
    assert "exhausted" not in ticket["body"]
    again = await delivered(services, sandbox, vendor, arguments, "# Pool *exhausted*\n\nwords\n", **given)
    assert again.change == "unchanged"


@pytest.mark.promise("files")
@pytest.mark.parametrize(("vendor", "arguments"), TICKETS)
async def test_the_document_is_attached_once_for_each_content(services, sandbox, vendor, arguments):
    receipts = []
    for description in (LONG, LONG, LONG + "more\n"):
        receipts.append(await delivered(services, sandbox, vendor, arguments, description, attach_document="always"))
    names = await files(sandbox, vendor)
    assert [receipt.change for receipt in receipts] == ["created", "unchanged", "updated"]
    assert len(names) == 2
    assert all(name.startswith("Pool exhausted") and name.endswith(".md") for name in names)


@pytest.mark.parametrize(("vendor", "arguments"), TICKETS)
@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500"])
async def test_a_file_whose_answer_was_lost_is_looked_for_before_it_is_sent_again(
    services, sandbox, vendor, arguments, fault
):
    await sandbox.fault(vendor=vendor, fault=fault, method="POST", path="attachment")
    await delivered(services, sandbox, vendor, arguments, LONG, attach_document="always")
    assert len(await files(sandbox, vendor)) == 1


@pytest.mark.parametrize(("vendor", "arguments"), TICKETS)
async def test_a_file_is_attached_to_a_ticket_that_shows_its_content_already(services, sandbox, vendor, arguments):
    """As after the setting was switched on: nothing else has to change."""
    await delivered(services, sandbox, vendor, arguments, LONG)
    receipt = await delivered(services, sandbox, vendor, arguments, LONG, attach_document="always")
    assert receipt.change == "updated"
    assert len(await files(sandbox, vendor)) == 1


@pytest.mark.parametrize(
    ("vendor", "arguments", "description", "number"),
    [
        ("servicenow", INCIDENT, "short", 0),
        ("servicenow", INCIDENT, LONG, 1),
        ("jira", ISSUE, LONG, 0),
        ("jira", ISSUE, LONG * 6, 1),
        ("azure_devops", WORK_ITEM, LONG * 6, 0),
    ],
)
async def test_the_document_is_attached_when_the_field_has_no_room_for_it(
    services, sandbox, vendor, arguments, description, number
):
    await delivered(services, sandbox, vendor, arguments, description, attach_document="when_cut")
    assert len(await files(sandbox, vendor)) == number


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
async def test_an_account_that_may_not_attach_leaves_an_issue_with_a_warning_and_its_test_says_so(
    services, sandbox, flavor
):
    await deny(sandbox, "jira", "OPS", "attachment")
    receipt = await delivered(services, sandbox, "jira", ISSUE, LONG, attach_document="always", flavor=flavor)
    assert "the document was not attached" in " ".join(receipt.warnings)
    tested = await services.test_destination("jira", "test")
    assert [step.name for step in tested.steps if step.ok is False] == ["right to attach files to issues"]


@pytest.mark.parametrize(("name", "arguments"), [("servicenow", INCIDENT), ("azure_devops", WORK_ITEM)])
async def test_a_receipt_names_what_does_not_look_as_written_with_its_line(services, sandbox, name, arguments):
    """Relative links lead nowhere from a ticket, unless their base is set."""
    description = "words\n\n{{< note >}} [notes](notes.md) ![p](p.png)\n"
    receipt = await delivered(services, sandbox, name, arguments, description)
    assert receipt.warnings == (
        "line 3: a shortcode of Hugo is shown as typed",
        "line 3: the link to notes.md is relative; set `link_base`",
        "line 3: image p.png isn't on the web; its words stand in its place",
    )
    receipt = await delivered(services, sandbox, name, arguments, description + "x\n", link_base="https://e.com/rca/")
    assert receipt.warnings == ("line 3: a shortcode of Hugo is shown as typed",)
    (ticket,) = await sandbox.objects(name)
    assert "https://e.com/rca/notes.md" in str(ticket)


async def test_a_file_is_not_taken_for_attached_to_an_item_that_was_gone_for_a_moment(services, sandbox):
    """The next delivery attaches it."""
    await sandbox.fault(
        vendor="azure_devops", fault="status", status=404, method="GET", path="workitems/", message="TF401232: none"
    )
    await delivered(services, sandbox, "azure_devops", WORK_ITEM, LONG, attach_document="always")
    assert await files(sandbox, "azure_devops") == []
    await delivered(services, sandbox, "azure_devops", WORK_ITEM, LONG, attach_document="always")
    assert len(await files(sandbox, "azure_devops")) == 1
