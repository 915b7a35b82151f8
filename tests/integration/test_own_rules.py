"""Destinations whose organisation set up types, fields, tables and workflows of its own: what their rules refuse is told or left out."""

from __future__ import annotations

import aiohttp
import pytest

from tasks.destinations import parse_settings
from tasks.model import JobState
from tests.conftest import Sandbox
from tests.integration.page_support import INCIDENT, ISSUE, Bench
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.sandbox.serve import serve
from worker.sandbox.setup import read

SETUP = """
[projects]
Checkout = "Incident handling"

[[process]]
name = "Incident handling"
based_on = "Agile"

[[process.type]]
name = "Incident"
states = { Reported = "Proposed", Working = "InProgress", Done = "Completed" }
moves = { Reported = ["Working"] }
required = ["Custom.CauseCode"]
read_only = ["Microsoft.VSTS.Common.Priority"]

[[work_item_field]]
name = "Custom.CauseCode"
values = ["code", "config"]

[[table]]
name = "incident"
mandatory = ["u_cause"]
read_only = ["urgency"]
column = [{ name = "u_cause", type = "choice", values = ["code", "config"] }]
"""
CAUSE = '[fields]\n"Custom.CauseCode" = "config"'
TICKET = {"command": "create_azuredevops_workitem", "issue_id": "inc-1"}


@pytest.fixture
async def bench(services):
    """A sandbox that begins as SETUP says, with a destination of Azure DevOps for its type and one of ServiceNow."""
    runner, port = await serve("127.0.0.1", 0, setup=read(SETUP))
    given = sandbox_destinations(url := f"http://127.0.0.1:{port}")
    async with aiohttp.ClientSession() as session:
        bench = Bench(services, Sandbox(url, session))
        for kind in ("azure_devops", "servicenow"):
            own = {"write_lag_s": 0.2} | (
                {"project": "Checkout", "work_item_type": "Incident"} if "azure" in kind else {}
            )
            await services.destinations.set(kind, parse_settings(given[kind] | own), FAKE_SECRET, "test")
        await services.contents.put_issue(ISSUE, "test")
        yield bench
    await runner.cleanup()


async def filed(bench, arguments=TICKET):
    return await bench.run(await bench.submit(arguments))


async def test_a_field_that_the_type_protects_is_left_out_unless_somebody_asked_for_it(bench):
    """The issue's severity suggests a priority, which nobody may set here."""
    await bench.set("azure_devops", mapping=CAUSE)
    job = await filed(bench)
    (made,) = await bench.sandbox.objects("azure_devops")
    assert (job.state, made["kind"], made["fields"]["Custom.CauseCode"]) == (JobState.DELIVERED, "Incident", "config")
    again = await filed(bench)
    assert again.receipt.change == "unchanged"
    for warnings in (job.receipt.warnings, again.receipt.warnings):
        assert [text.partition(" ")[0] for text in warnings] == ["Microsoft.VSTS.Common.Priority"]
    asked = await filed(bench, TICKET | {"config": {"severity": "P1", "if_exists": "new"}})
    assert asked.state is JobState.DEAD
    assert "'ReadOnly' for field 'Microsoft.VSTS.Common.Priority'" in asked.error.message


async def test_a_field_that_the_type_demands_is_named(bench):
    job = await filed(bench)
    assert job.state is JobState.DEAD
    assert "Rule Error for field Cause Code. Error code: Required" in job.error.message


async def test_a_dry_run_that_the_rules_are_against_says_nothing_of_the_right(bench):
    """A mapping may well give what the rules ask for, so it is no failure either."""
    report = await bench.services.test_destination("azure_devops", "test")
    step = report.steps[-1]
    assert (report.success, step.name, step.ok) == (True, "right to create work items", None)
    assert "Cause Code" in step.detail


async def test_a_state_that_the_workflow_doesnt_lead_to_is_told_and_the_item_stands(bench):
    await bench.set("azure_devops", mapping=f'state = "Done"\n{CAUSE}')
    job = await filed(bench)
    (made,) = await bench.sandbox.objects("azure_devops")
    assert (job.state, made["status"]) == (JobState.DELIVERED, "Reported")
    assert any(text.startswith("System.State was left as it is") for text in job.receipt.warnings)


async def test_a_type_that_was_renamed_is_told_with_those_there_are(bench):
    await bench.set("azure_devops", work_item_type="Outage")
    job = await filed(bench)
    assert (job.state, job.error.code) == (JobState.DEAD, "unknown_type")
    assert "Incident" in job.error.message


async def test_what_a_table_demands_is_named_and_what_it_protects_is_told(bench):
    """A read-only column is dropped without a word there."""
    bare = await filed(bench, INCIDENT)
    assert bare.state is JobState.DEAD
    assert "The following fields are mandatory: Cause" in bare.error.message
    await bench.set("servicenow", mapping='[fields]\nu_cause = "config"')
    job = await filed(bench, INCIDENT)
    (made,) = await bench.sandbox.objects("servicenow")
    assert (job.state, made["fields"]["u_cause"], made["fields"]["urgency"]) == (JobState.DELIVERED, "config", "3")
    assert any(text.startswith("urgency") for text in job.receipt.warnings)
