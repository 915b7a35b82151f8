"""What a destination's settings do to a ticket's body: Markdown fields, and the whole document beside an incident."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.destinations.contract import basic
from tasks.model import Issue, JobState, parse_command
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

LONG = "# What\n\n" + "words and words\n\n" * 400
INCIDENT = {"command": "create_servicenow_incident", "issue_id": "inc-1"}
WORK_ITEM = {"command": "create_azuredevops_workitem", "issue_id": "inc-1", "project": "Operations"}


async def delivered(services, sandbox, name, arguments, description, **settings):
    given = sandbox_destinations(sandbox.url)[name] | {"write_lag_s": 0.2, "total_timeout_s": 30} | settings
    await services.destinations.set(name, parse_settings(given), FAKE_SECRET, "test")
    await services.contents.put_issue(Issue(id="inc-1", title="Pool exhausted", description=description), "test")
    job = await services.submit(parse_command(arguments), actor="test")
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.state is JobState.DELIVERED, ended
    return ended.receipt


async def files(sandbox):
    headers = basic("admin", "fake")
    async with sandbox.session.get(f"{sandbox.url}/api/now/attachment", headers=headers) as answer:
        return [row["file_name"] for row in (await answer.json())["result"]]


async def test_a_work_item_field_is_switched_to_markdown(services, sandbox):
    await delivered(services, sandbox, "azure_devops", WORK_ITEM, "# What\n\n**a**\n", body_format="markdown")
    (item,) = await sandbox.objects("azure_devops")
    assert (item["body"], item["format"]) == ("# What\n\n**a**", "markdown")


@pytest.mark.promise("files", "servicenow")
async def test_the_document_is_attached_once_for_each_content(services, sandbox):
    for description in (LONG, LONG, LONG + "more\n"):
        await delivered(services, sandbox, "servicenow", INCIDENT, description, attach_document="always")
    assert await files(sandbox) == ["Pool exhausted.md", "Pool exhausted.md"]


@pytest.mark.parametrize(("description", "names"), [("short", []), (LONG, ["Pool exhausted.md"])])
async def test_the_document_is_attached_when_the_field_has_no_room_for_it(services, sandbox, description, names):
    await delivered(services, sandbox, "servicenow", INCIDENT, description, attach_document="when_cut")
    assert await files(sandbox) == names


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
