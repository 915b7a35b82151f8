"""An issue's status in Jira follows its issue: by transitions of its workflow, once, and never against people."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.model import JobState
from tests.integration.test_jira import configured, deny, rewritten
from tests.integration.test_lifecycle import JIRA_ISSUE, run, submit

pytestmark = pytest.mark.usefixtures("destinations", "content")


async def filed(services, status=None, project="OPS"):
    if status is not None:
        await rewritten(services, status=status)
    return await run(services, await submit(services, JIRA_ISSUE | {"project": project}))


async def issue(sandbox):
    (made,) = await sandbox.objects("jira")
    return made


async def edit(sandbox, status):
    body = {"vendor": "jira", "id": (await issue(sandbox))["id"], "status": status}
    async with sandbox.session.post(f"{sandbox.url}/_sandbox/edit", json=body) as answer:
        assert answer.status == 200


async def moves(sandbox):
    requests = (await sandbox.state())["requests"]
    return sum(row["method"] == "POST" and row["path"].endswith("/transitions") for row in requests)


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
@pytest.mark.promise("follows its issue", "jira")
async def test_a_status_follows_its_issue_forward_and_back_when_it_is_opened_again(services, sandbox, flavor):
    """What a person sets in between stays until the issue changes again."""
    await configured(services, sandbox, flavor=flavor)
    await filed(services, "open")
    assert (await issue(sandbox))["status"] == "To Do"
    for status, wanted in (("investigating", "In Progress"), ("resolved", "Done"), ("investigating", "In Progress")):
        assert (await filed(services, status)).receipt.change == "updated"
        assert (await issue(sandbox))["status"] == wanted
    await edit(sandbox, "To Do")
    assert (await filed(services)).receipt.change == "unchanged"
    assert ((await issue(sandbox))["status"], await moves(sandbox)) == ("To Do", 3)


async def test_an_issue_that_is_further_already_is_left_alone(services, sandbox):
    await configured(services, sandbox)
    await filed(services, "open")
    await edit(sandbox, "Done")
    assert (await filed(services, "investigating")).receipt.change == "unchanged"
    assert ((await issue(sandbox))["status"], await moves(sandbox)) == ("Done", 0)


async def test_a_new_issue_of_a_resolved_one_is_resolved(services, sandbox):
    await configured(services, sandbox)
    ended = await filed(services, "resolved")
    assert ended.receipt.change == "created"
    assert ((await issue(sandbox))["status"], await moves(sandbox)) == ("Done", 1)
    assert (await filed(services)).receipt.change == "unchanged"


async def test_follow_status_off_moves_nothing(services, sandbox):
    await configured(services, sandbox, follow_status="off")
    await filed(services, "resolved")
    assert ((await issue(sandbox))["status"], await moves(sandbox)) == ("To Do", 0)


@pytest.mark.parametrize(
    ("follow", "mapping", "status", "resolution"),
    [
        ("resolve", "", "Resolved", "Fixed"),
        ("close", "", "Closed", "Fixed"),
        ("resolve", 'status = "close issue"\nresolution = "duplicate"', "Closed", "Duplicate"),
        ("resolve", '[[rule]]\nwhen = { status = "closed" }\nstatus = "Closed"', "Closed", "Fixed"),
    ],
)
async def test_a_classic_workflow_resolves_or_closes_with_a_resolution(
    services, sandbox, follow, mapping, status, resolution
):
    """The resolution is what the screen offers; the mapping may name it, and the status or transition."""
    await configured(services, sandbox, follow_status=follow, mapping=mapping)
    ended = await filed(services, "closed", project="PAY")
    made = await issue(sandbox)
    assert (made["status"], made["fields"]["resolution"]["name"]) == (status, resolution)
    assert ended.receipt.warnings == ()
    if not mapping:
        await filed(services, "reopened", project="PAY")
        assert (await issue(sandbox))["status"] == "Reopened"


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ('status = "Archive"', "no transition 'Archive'; it has: Start Progress (to In Progress), Resolve Issue (to"),
        ('resolution = "Magic"', "no resolution 'Magic'; there are: Fixed, Won't Fix, Duplicate"),
    ],
)
async def test_what_the_workflow_doesnt_have_is_told_with_what_it_has(services, sandbox, mapping, words):
    """The issue itself is written, and moved once the mapping is right."""
    await configured(services, sandbox, mapping=mapping)
    ended = await filed(services, "resolved", project="PAY")
    assert (ended.state, len(ended.receipt.warnings)) == (JobState.DELIVERED, 1)
    assert words in ended.receipt.warnings[0]
    assert (await issue(sandbox))["status"] == "Open"
    await configured(services, sandbox)
    assert (await filed(services, project="PAY")).receipt.change == "updated"
    assert (await issue(sandbox))["status"] == "Resolved"


async def test_a_workflow_without_a_way_there_is_told_with_its_transitions(services, sandbox):
    await configured(services, sandbox)
    ended = await filed(services, "resolved", project="MIN")
    told = ended.receipt.warnings[-1]
    assert "not moved to resolved" in told
    assert "there are: To Do, In Progress." in told


async def test_a_transition_that_needs_fields_names_them_and_takes_them_from_the_mapping(services, sandbox):
    service = '[fields]\n"Impacted service" = "checkout"\n'
    await configured(services, sandbox, mapping=service)
    ended = await filed(services, "resolved", project="REQ")
    assert "'Done' needs Cause" in ended.receipt.warnings[-1]
    assert (await issue(sandbox))["status"] == "To Do"
    await configured(services, sandbox, mapping=service + 'Cause = "pool"\n')
    await filed(services, project="REQ")
    assert (await issue(sandbox))["status"] == "Done"


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
async def test_fields_of_a_transitions_screen_alone_come_from_the_mapping(services, sandbox, flavor):
    """No issue is created with them, so they can't be fields of the issue; a choice that isn't required is set, too."""
    await configured(services, sandbox, flavor=flavor)
    ended = await filed(services, "resolved", project="SCR")
    assert "'Done' needs Lesson: set them by `[transition]`" in ended.receipt.warnings[-1]
    mapping = '[transition]\n"lesson" = "Pool of {issue.id}"\n[[rule]]\nwhen = { status = "resolved" }\n'
    await configured(
        services, sandbox, flavor=flavor, mapping=mapping + 'transition = { customfield_10055 = "code" }\n'
    )
    assert (await filed(services, project="SCR")).receipt.change == "updated"
    made = await issue(sandbox)
    lesson = made["fields"]["customfield_10054"]
    assert (made["status"], made["fields"]["customfield_10055"]) == ("Done", {"value": "code"})
    assert "Pool of" in (lesson if flavor == "datacenter" else str(lesson["content"]))


@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500", "drop"])
async def test_a_lost_answer_to_a_transition_moves_the_issue_once(services, sandbox, fault):
    await configured(services, sandbox)
    await filed(services, "open")
    await rewritten(services, status="resolved")
    await sandbox.fault(vendor="jira", fault=fault, method="POST", path="/transitions")
    job = await submit(services, JIRA_ISSUE | {"project": "OPS"})
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.RETRYING
    assert (await run(services, job)).state is JobState.DELIVERED
    assert (await issue(sandbox))["status"] == "Done"
    assert (await filed(services)).receipt.change == "unchanged"
    assert (await issue(sandbox))["version"] == 2
    assert (await services.audit.verify()).ok


async def test_an_account_that_may_not_move_issues_is_told_and_the_issue_stands(services, sandbox):
    await configured(services, sandbox)
    await deny(sandbox, "update")
    ended = await filed(services, "resolved")
    assert (ended.state, ended.receipt.change) == (JobState.DELIVERED, "created")
    assert "the status was left as it is" in ended.receipt.warnings[-1]
    assert (await issue(sandbox))["status"] == "To Do"
