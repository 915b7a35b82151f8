"""Work items that people work on: what they changed stays theirs, nothing is said twice, and repeats make no revision."""

from __future__ import annotations

import pytest

from tasks.model import Issue, JobState
from tests.integration.page_support import ISSUE, WORK_ITEM, Bench

pytestmark = pytest.mark.usefixtures("destinations")
SAID = {"config": {"fields": {"System.History": "<p>See the RCA.</p>", "System.AssignedTo": "beth.anglin@example.com"}}}
PRIORITY = "Microsoft.VSTS.Common.Priority"


@pytest.fixture
async def bench(services, sandbox):
    await services.contents.put_issue(ISSUE, "test")
    return Bench(services, sandbox)


async def filed(bench, arguments=WORK_ITEM, **changes):
    """A job of the issue with these changes, run until it rests."""
    await bench.services.contents.put_issue(Issue.model_validate(ISSUE.model_dump() | changes), "test")
    return await bench.run(await bench.submit(arguments))


async def item(bench):
    (made,) = await bench.sandbox.objects("azure_devops")
    return made


async def edit(bench, receipt, **given):
    await bench.control("edit", vendor="azure_devops", id=receipt.id, **given)


@pytest.mark.parametrize(
    "description", ["It was down.", "# A\n\n| a | b |\n|-|-|\n| 1 | x<y & z |\n\n- [ ] task\n\n```\ncode  x\n```\n"]
)
async def test_the_same_job_again_makes_no_revision(bench, description):
    """Row 5: identities, HTML in the server's form, numbers and tags in another order are no change."""
    arguments = WORK_ITEM | SAID
    await filed(bench, arguments, description=description, tags=("b", "a"))
    again = await filed(bench, arguments, description=description, tags=("a", "b"))
    assert (again.receipt.change, again.receipt.warnings) == ("unchanged", ())
    assert (await item(bench))["version"] == 1
    assert len((await item(bench))["history"]) == 1


@pytest.mark.parametrize(
    ("policy", "state", "title", "comments"),
    [
        ("hold", JobState.HELD, "Mine", 0),
        ("keep", JobState.DELIVERED, "Mine", 0),
        ("overwrite", JobState.DELIVERED, "Better", 0),
        ("comment", JobState.DELIVERED, "Mine", 1),
    ],
)
@pytest.mark.promise("ended by people", "azure_devops")
@pytest.mark.promise("people's changes are kept", "azure_devops")
async def test_the_operator_decides_about_changed_fields(bench, policy, state, title, comments):
    """Row 4: closed, retitled and lowered by people; then the issue changes."""
    await bench.set("azure_devops", on_drift=policy)
    first = await filed(bench)
    await edit(bench, first.receipt, title="Mine", status="Closed", fields={PRIORITY: 4})
    for _ in range(2):
        ended = await filed(bench, title="Better")
    made = await item(bench)
    assert (ended.state, made["title"], len(made["history"])) == (state, title, comments)
    assert made["status"] == "Closed"
    assert made["fields"][PRIORITY] == (1 if policy == "overwrite" else 4)
    assert all("Better" in text for text in made["history"])


async def test_by_default_what_people_changed_is_kept_and_the_rest_updated(bench):
    first = await filed(bench)
    await edit(bench, first.receipt, title="Mine")
    again = await filed(bench, description="New words")
    made = await item(bench)
    assert (again.receipt.change, made["title"]) == ("updated", "Mine")
    assert "New words" in made["body"]
    assert again.receipt.warnings == ("System.Title was changed by somebody else and kept",)


@pytest.mark.parametrize("kill_after", [None, 1, 2, 3])
async def test_a_comment_is_written_once_whatever_happens(bench, kill_after):
    """Row 3: repeats, and a worker that dies after any request."""
    for _ in range(3):
        job = await bench.submit(WORK_ITEM | SAID)
        await bench.attempt(job, kill_after=kill_after)
        if (await bench.services.ledger.require(job.id)).state is not JobState.DELIVERED:
            await bench.run(job)
    assert (await item(bench))["history"] == ["<p>See the RCA.</p>"]


async def test_a_tag_that_somebody_took_off_stays_off(bench):
    first = await filed(bench, tags=("db", "net"))
    ours = next(tag for tag in (await item(bench))["tags"] if tag.startswith("aw-"))
    await edit(bench, first.receipt, fields={"System.Tags": f"db; theirs; {ours}"})
    await filed(bench, tags=("db", "net", "new"))
    assert set((await item(bench))["tags"]) == {"db", "theirs", "new", ours}


@pytest.mark.parametrize(
    ("state", "ended", "warned"), [("New", "New", False), ("Active", "Active", False), ("Lost", "New", True)]
)
async def test_a_state_of_the_mapping_is_given_after_the_creation(bench, state, ended, warned):
    """The server takes a new work item in its first state only."""
    await bench.set("azure_devops", mapping=f'state = "{state}"')
    job = await filed(bench)
    made = await item(bench)
    assert (job.state, job.receipt.change, made["status"]) == (JobState.DELIVERED, "created", ended)
    assert any(text.startswith("System.State was left as it is") for text in job.receipt.warnings) is warned
    assert (await filed(bench)).receipt.change == "unchanged" or warned


@pytest.mark.promise("follows its issue", "azure_devops")
async def test_a_work_item_follows_its_issue(bench):
    """Item 4: states of the type's own process, and people may go further."""
    await filed(bench, status="resolved")
    assert (await item(bench))["status"] == "Resolved"
    await filed(bench, status="investigating")
    assert (await item(bench))["status"] == "Active"
    again = await filed(bench, status="investigating")
    assert again.receipt.change == "unchanged"


async def test_an_assignee_that_the_server_does_not_know_is_left_out_and_told(bench):
    """Row 18: whom the issue names is tried; what was asked for by name has to be right."""
    ended = await filed(bench, assigned_to="Nobody Known", category="Database", source="Grafana")
    assert (ended.state, "Nobody Known" in ended.receipt.warnings[0]) == (JobState.DELIVERED, True)
    assert {"Database", "Grafana"} <= set((await item(bench))["tags"])
    asked = {"config": {"fields": {"System.AssignedTo": "Nobody Known"}, "if_exists": "new"}}
    wrong = await filed(bench, WORK_ITEM | asked)
    assert (wrong.state, wrong.error.code) == (JobState.DEAD, "unknown_reference")


async def test_a_type_in_any_case_is_the_same_type(bench):
    """Row 9: the body goes where a bug shows it."""
    await filed(bench, WORK_ITEM | {"config": {"work_item_type": "bug"}})
    made = (await item(bench))["fields"]
    assert "down" in made["Microsoft.VSTS.TCM.ReproSteps"]
    assert made["Microsoft.VSTS.Common.Severity"] == "1 - Critical"


@pytest.mark.parametrize("status", [202, 204])
async def test_a_change_that_is_answered_with_nothing_is_no_refusal(bench, status):
    """It may have been made: the job looks, and goes on."""
    await filed(bench)
    await bench.sandbox.fault(vendor="azure_devops", method="PATCH", fault="status", status=status, body="")
    ended = await filed(bench, title="Pool exhausted again")
    assert ended.state is JobState.DELIVERED
    assert (await item(bench))["title"] == "Pool exhausted again"
