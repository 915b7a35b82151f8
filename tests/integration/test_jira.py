"""Jira as a destination: one issue whatever happens, in the Cloud and in a Data Center, and what its projects refuse."""

from __future__ import annotations

import json

import pytest

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.model import JobState
from tests.integration.test_lifecycle import ISSUE, JIRA_ISSUE, PUBLISH, run, submit
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

pytestmark = pytest.mark.usefixtures("destinations", "content")


async def configured(services, sandbox, **settings):
    given = sandbox_destinations(sandbox.url)["jira"] | {"write_lag_s": 0.2, "total_timeout_s": 3} | settings
    await services.destinations.set("jira", parse_settings(given), FAKE_SECRET, "test")


async def deny(sandbox, *actions):
    body = {"vendor": "jira", "target": "OPS", "deny": actions}
    async with sandbox.session.post(f"{sandbox.url}/_sandbox/permissions", json=body) as answer:
        assert answer.status == 201


async def rewritten(services, **changes):
    await services.contents.put_issue(ISSUE.model_copy(update=changes), "test")


async def test_an_issue_has_the_type_priority_labels_and_property_that_it_is_known_by(services, sandbox):
    """Severity becomes a priority, tags become labels, and the receipt tells key and address."""
    await configured(services, sandbox, labels=("incident",))
    ended = await run(services, await submit(services, JIRA_ISSUE | {"project": "ops"}))
    (made,) = await sandbox.objects("jira")
    assert (made["kind"], made["priority"], made["project"]) == ("Bug", "Highest", "OPS")
    assert made["labels"][:2] == ["incident", "db"]
    assert made["key"] == f"aw-{made['properties']['afterword']['subject']}"
    assert (ended.receipt.ticket_number, ended.receipt.url) == ("OPS-1", f"{sandbox.url}/browse/OPS-1")
    assert made["fields"]["description"]["type"] == "doc"


@pytest.mark.parametrize(("wanted", "made"), [("incident", "Incident"), ("TASK", "Task"), (None, "Bug")])
async def test_a_type_is_named_in_any_case(services, sandbox, wanted, made):
    """The project's own list of types says what a name means."""
    config = {"config": {"work_item_type": wanted}} if wanted else {}
    await run(services, await submit(services, JIRA_ISSUE | {"project": "PAY"} | config))
    assert [row["kind"] for row in await sandbox.objects("jira")] == [made]


async def test_a_project_without_priorities_gets_the_issue_and_a_warning(services, sandbox):
    """A priority that isn't on the screen is left out, also when the issue changes."""
    job = await submit(services, JIRA_ISSUE | {"project": "MIN"})
    ended = await run(services, job)
    assert (ended.state, "priority" in ended.receipt.warnings[0]) == (JobState.DELIVERED, True)
    await rewritten(services, title="Pool exhausted again")
    again = await run(services, await submit(services, JIRA_ISSUE | {"project": "MIN"}))
    assert (again.receipt.change, len(again.receipt.warnings)) == ("updated", 1)
    (made,) = await sandbox.objects("jira")
    assert (made["kind"], made["title"], made["priority"]) == ("Task", "Pool exhausted again", None)


async def test_fields_are_found_by_name_and_take_the_form_that_jira_wants(services, sandbox):
    """Text, long text, choice, number and list, by name or id, each as its type says."""
    fields = {
        "Impacted service": "checkout",
        "cause": "pool",
        "customfield_10052": "eu",
        "Minutes down": "90",
        "components": "api, web",
    }
    ended = await run(services, await submit(services, JIRA_ISSUE | {"project": "REQ", "config": {"fields": fields}}))
    assert ended.state is JobState.DELIVERED
    (made,) = await sandbox.objects("jira")
    held = made["fields"]
    assert (held["customfield_10050"], held["customfield_10052"]) == ("checkout", {"value": "eu"})
    assert (held["customfield_10051"]["type"], held["customfield_10053"]) == ("doc", 90)
    assert held["components"] == [{"name": "api"}, {"name": "web"}]
    again = await run(services, await submit(services, JIRA_ISSUE | {"project": "REQ", "config": {"fields": fields}}))
    assert again.receipt.change == "unchanged"


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"project": "NOPE"}, "unknown_project", "NOPE"),
        ({"config": {"work_item_type": "Incident"}}, "unknown_type", "Epic, Story, Task, Bug"),
        ({"config": {"fields": {"Nothing": "x"}}}, "unknown_field", "Impacted service"),
        ({"config": {"fields": {"labels": "aw-1"}}}, "unknown_field", "labels"),
        ({"config": {"fields": {"Region": "mars"}}}, "refused", "valid value"),
        ({"config": {"fields": {"priority": "Urgent"}}}, "refused", "Priority"),
        ({"project": "REQ"}, "refused", "Impacted service is required"),
    ],
)
async def test_what_jira_refuses_ends_the_job_at_once_in_its_words(services, sandbox, more, code, words):
    """The project, the type or the field is named; nothing is left behind."""
    job = await submit(services, JIRA_ISSUE | more)
    ended = await run(services, job)
    stored = await services.ledger.require(job.id)
    assert (ended.state, stored.last_error.code, stored.attempts) == (JobState.DEAD, code, 1)
    assert words in f"{stored.last_error.message} {stored.last_error.advice}"
    assert await sandbox.objects("jira") == []


async def test_an_account_without_the_right_to_create_is_named_and_the_job_can_be_retried(services, sandbox):
    """Jira says it with a 400 of the field project; it is the account's trouble, not an unknown project."""
    await deny(sandbox, "create")
    job = await submit(services, JIRA_ISSUE)
    ended = await run(services, job)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "not_permitted")
    await deny(sandbox)
    await services.retry(job.id, "test")
    assert (await run(services, job)).state is JobState.DELIVERED


@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500"])
@pytest.mark.promise("lag is waited out", "jira")
async def test_a_lost_answer_and_an_index_that_lags_make_one_issue(services, sandbox, fault):
    """The look-up finds nothing as long as the index lags: the job waits for it and writes no second issue."""
    await configured(services, sandbox, write_lag_s=0.6)
    await sandbox.fault(vendor="jira", operation="create", fault=fault)
    await sandbox.fault(fault="jql_lag", seconds=0.3)
    job = await submit(services, JIRA_ISSUE)
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.RETRYING
    for _ in range(40):
        await services.redis.zadd(f"{services.settings.prefix}:due:jira", {job.id: 0})
        ended = await lifecycle.attempt(services.core, job.id)
        assert len(await sandbox.objects("jira")) == 1
        if getattr(ended, "state", None) is JobState.DELIVERED:
            break
    assert ended.receipt.change == "found"
    assert ended.receipt.ticket_number == "OPS-1"


@pytest.mark.promise("hidden gets no double", "jira")
async def test_an_account_that_cannot_browse_makes_no_second_issue(services, sandbox):
    """JQL hides what the account may not see without a word, so an empty answer proves nothing then."""
    await sandbox.fault(vendor="jira", operation="create", fault="commit_then_drop")
    job = await submit(services, JIRA_ISSUE)
    await lifecycle.attempt(services.core, job.id)
    await deny(sandbox, "read")
    ended = await run(services, job)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "hidden")
    assert len(await sandbox.objects("jira")) == 1


@pytest.mark.promise("hidden gets no double", "jira")
async def test_a_known_issue_that_went_out_of_sight_gets_no_double(services, sandbox):
    """Deleted and hidden look alike in Jira: the job stops and says how to go on."""
    await run(services, await submit(services, JIRA_ISSUE))
    await rewritten(services, title="Again")
    await sandbox.fault(vendor="jira", method="GET", path="/issue/", fault="status", status=404, times=100)
    ended = await run(services, await submit(services, JIRA_ISSUE))
    assert (ended.state, ended.error.code) == (JobState.DEAD, "hidden")
    assert "if_exists: new" in ended.error.advice
    assert len(await sandbox.objects("jira")) == 1


async def test_a_copy_that_a_person_made_is_not_taken_for_the_issue(services, sandbox):
    """A cloned issue has the labels of the first one, but not its property."""
    await sandbox.fault(vendor="jira", operation="create", fault="commit_then_drop")
    job = await submit(services, JIRA_ISSUE)
    await lifecycle.attempt(services.core, job.id)
    (made,) = await sandbox.objects("jira")
    copy = {
        "fields": {"project": {"key": "OPS"}, "issuetype": {"name": "Bug"}, "summary": "C", "labels": [made["key"]]}
    }
    headers = {"Authorization": f"Bearer {FAKE_SECRET}"}
    async with sandbox.session.post(f"{sandbox.url}/rest/api/3/issue", json=copy, headers=headers) as answer:
        assert answer.status == 201
    ended = await run(services, job)
    assert ended.receipt.ticket_number == "OPS-1"


@pytest.mark.promise("ended by people", "jira")
async def test_an_update_leaves_a_persons_labels_status_and_links_alone(services, sandbox):
    """Only summary, description, labels of ours and priority are written."""
    await run(services, await submit(services, JIRA_ISSUE))
    (made,) = await sandbox.objects("jira")
    headers = {"Authorization": f"Bearer {FAKE_SECRET}"}
    place, theirs = f"{sandbox.url}/rest/api/3/issue/{made['id']}", {"url": "https://x.example", "title": "Theirs"}
    async with sandbox.session.put(place, json={"update": {"labels": [{"add": "theirs"}]}}, headers=headers) as answer:
        assert answer.status == 204
    async with sandbox.session.post(f"{place}/remotelink", json={"object": theirs}, headers=headers) as answer:
        assert answer.status == 201
    async with sandbox.session.post(
        f"{sandbox.url}/_sandbox/edit", json={"vendor": "jira", "id": made["id"], "status": "Done"}
    ) as answer:
        assert answer.status == 200
    await rewritten(services, severity=3, description="Newer")
    assert (await run(services, await submit(services, JIRA_ISSUE))).receipt.change == "updated"
    (after,) = await sandbox.objects("jira")
    assert (after["status"], after["priority"], after["body"]) == ("Done", "Medium", "Newer")
    assert "theirs" in after["labels"]
    assert after["links"] == [theirs["url"]]


@pytest.mark.parametrize(
    ("policy", "state", "title"),
    [
        (None, JobState.DELIVERED, "Theirs"),
        ("overwrite", JobState.DELIVERED, "Pool exhausted again"),
        ("hold", JobState.HELD, "Theirs"),
    ],
)
@pytest.mark.promise("people's changes are kept", "jira")
async def test_a_summary_that_a_person_changed_is_kept_unless_told_otherwise(services, sandbox, policy, state, title):
    """What somebody else changed since the last delivery is theirs; the rest of the issue is brought up to date."""
    await run(services, await submit(services, JIRA_ISSUE))
    (made,) = await sandbox.objects("jira")
    edit = {"vendor": "jira", "id": made["id"], "title": "Theirs"}
    async with sandbox.session.post(f"{sandbox.url}/_sandbox/edit", json=edit) as answer:
        assert answer.status == 200
    await rewritten(services, title="Pool exhausted again", description="Newer")
    config = {"config": {"on_drift": policy}} if policy else {}
    ended = await run(services, await submit(services, JIRA_ISSUE | config))
    (after,) = await sandbox.objects("jira")
    assert (ended.state, after["title"]) == (state, title)
    if state is JobState.DELIVERED:
        assert after["body"] == "Newer"
        assert bool(ended.receipt.warnings) == (policy is None)


async def test_an_update_whose_answer_was_lost_is_not_taken_for_a_persons(services, sandbox):
    """What a lost write would have set is remembered, so that the next job may change it again."""
    await run(services, await submit(services, JIRA_ISSUE))
    await rewritten(services, title="Second")
    await sandbox.fault(vendor="jira", operation="update", fault="commit_then_drop")
    await run(services, await submit(services, JIRA_ISSUE))
    await rewritten(services, title="Third")
    ended = await run(services, await submit(services, JIRA_ISSUE))
    (after,) = await sandbox.objects("jira")
    assert (after["title"], ended.receipt.warnings) == ("Third", ())


@pytest.mark.parametrize(("if_exists", "change", "count"), [("skip", "skipped", 1), ("new", "created", 2)])
async def test_an_issue_that_exists_is_kept_or_doubled_as_the_job_says(services, sandbox, if_exists, change, count):
    """`skip` leaves it as it is, `new` makes another one."""
    await run(services, await submit(services, JIRA_ISSUE))
    await rewritten(services, title="Again")
    ended = await run(services, await submit(services, JIRA_ISSUE | {"config": {"if_exists": if_exists}}))
    assert ended.receipt.change == change
    assert len(await sandbox.objects("jira")) == count


MAPPING = """
assigned_to = "beth.anglin@example.com"
labels = "{issue.category}"
fields = { "Impacted service" = "{issue.id}", comment = "Filed for {issue.title}" }

[[rule]]
when = { severity = "P1" }
type = "Incident"
components = "api, web"
"""


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
async def test_the_mapping_routes_an_issue_by_type_people_and_fields(services, sandbox, flavor):
    """Defaults, then rules; people are found by their addresses, and the job has the last word."""
    await configured(services, sandbox, mapping=MAPPING, flavor=flavor, project="PAY", email=None)
    await rewritten(services, category="data base")
    config = {"fields": {"Impacted service": "checkout"}}
    ended = await run(services, await submit(services, JIRA_ISSUE | {"project": "PAY", "config": config}))
    assert ended.state is JobState.DELIVERED, ended.error
    (made,) = await sandbox.objects("jira")
    held = made["fields"]
    assert (made["kind"], held["customfield_10050"], held["components"]) == (
        "Incident",
        "checkout",
        [{"name": "api"}, {"name": "web"}],
    )
    assert set(held["assignee"]) == {"accountId" if flavor == "cloud" else "name"}
    assert "data-base" in made["labels"]
    assert made["comments"] == [f"Filed for {ISSUE.title}"]
    again = await run(services, await submit(services, JIRA_ISSUE | {"project": "PAY", "config": config}))
    assert (again.receipt.change, again.receipt.warnings) == ("unchanged", ())
    assert len((await sandbox.objects("jira"))[0]["comments"]) == 1


@pytest.mark.parametrize(("policy", "state"), [("refuse", JobState.DEAD), ("warn", JobState.DELIVERED)])
async def test_a_name_that_jira_doesnt_know_stops_the_job_or_is_left_out(services, sandbox, policy, state):
    """`unknown_reference` decides; either way the name is told."""
    await configured(services, sandbox, mapping='assigned_to = "Nobody Here"', unknown_reference=policy)
    job = await submit(services, JIRA_ISSUE)
    ended = await run(services, job)
    assert ended.state is state
    words = ended.receipt.warnings[0] if ended.receipt else ended.error.message
    assert "Nobody Here" in words
    assert bool(await sandbox.objects("jira")) == (policy == "warn")


@pytest.mark.parametrize(
    ("name", "assigned"), [("Beth Anglin", True), ("Fred <fred.luddy@example.com>", True), ("Somebody else", False)]
)
async def test_a_new_issue_is_assigned_to_whom_its_issue_names_where_jira_knows_them(services, sandbox, name, assigned):
    """Nobody asked for it, so an unknown name costs a warning only, and later it is the people's business."""
    await rewritten(services, assigned_to=name)
    ended = await run(services, await submit(services, JIRA_ISSUE))
    (made,) = await sandbox.objects("jira")
    assert bool(made["fields"].get("assignee")) == assigned
    assert bool(ended.receipt.warnings) != assigned
    await rewritten(services, assigned_to="Abel Tuter")
    again = await run(services, await submit(services, JIRA_ISSUE))
    assert again.receipt.change == "unchanged"


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
@pytest.mark.parametrize("fault", [None, "commit_then_drop", "commit_then_500"])
async def test_what_people_changed_is_told_in_a_comment_once_for_each_content(services, sandbox, fault, flavor):
    """The field stays theirs; a comment whose answer was lost is found again before it is repeated."""
    await configured(services, sandbox, on_drift="comment", flavor=flavor, email=None)
    await run(services, await submit(services, JIRA_ISSUE))
    (made,) = await sandbox.objects("jira")
    edit = {"vendor": "jira", "id": made["id"], "title": "Theirs"}
    async with sandbox.session.post(f"{sandbox.url}/_sandbox/edit", json=edit) as answer:
        assert answer.status == 200
    for title, count in (("Second *x*", 1), ("Second *x*", 1), ("Third", 2), ("Second *x*", 2)):
        await rewritten(services, title=title)
        if fault:
            await sandbox.fault(vendor="jira", method="POST", path="/comment", fault=fault)
        ended = await run(services, await submit(services, JIRA_ISSUE))
        assert ended.state is JobState.DELIVERED, ended.error
        (after,) = await sandbox.objects("jira")
        assert (after["title"], len(after["comments"])) == ("Theirs", count)
        async with sandbox.session.delete(f"{sandbox.url}/_sandbox/faults") as answer:
            assert answer.status == 204


async def test_an_account_that_may_not_comment_leaves_a_warning_and_the_rest_stands(services, sandbox):
    """The issue is there and up to date; only the comment is missing, and the receipt says so."""
    body = {"errorMessages": ["You do not have the permission to comment on this issue."], "errors": {}}
    fault = {"fault": "status", "status": 403, "body": json.dumps(body), "content_type": "application/json"}
    await sandbox.fault(vendor="jira", method="POST", path="/comment", times=9, **fault)
    ended = await run(services, await submit(services, JIRA_ISSUE | {"config": {"fields": {"comment": "Hello"}}}))
    assert ended.state is JobState.DELIVERED, ended.error
    assert "the comment was not added" in ended.receipt.warnings[0]


async def test_a_data_center_gets_plain_text_in_which_nothing_is_markup(services, sandbox):
    """Version 2, wiki markup taken out of force, and the same promises: one issue, no change without a reason."""
    await configured(services, sandbox, flavor="datacenter", email=None)
    await rewritten(services, description="# What\n\n`{code}` *a* [~admin] !x.png! https://x.example/a_b-c\n\nh1. no")
    await sandbox.fault(vendor="jira", operation="create", fault="commit_then_drop")
    ended = await run(services, await submit(services, JIRA_ISSUE))
    assert ended.state is JobState.DELIVERED
    (made,) = await sandbox.objects("jira")
    body = made["fields"]["description"]
    assert r"\{code\}" in body
    assert r"\[\~admin\] \!x.png\!" in body
    assert "https://x.example/a_b-c" in body
    assert "h1&#46; no" in body
    assert (await run(services, await submit(services, JIRA_ISSUE))).receipt.change == "unchanged"
    assert (await services.test_destination("jira", "test")).success


@pytest.mark.promise("links", "jira")
async def test_page_and_issue_carry_each_others_addresses(services, sandbox):
    """The issue gets a link to the page; brought again, nothing changes, and links follow the page."""
    from tasks import cross_links

    await run(services, await submit(services, JIRA_ISSUE))
    await run(services, await submit(services, PUBLISH))
    for job_id in await cross_links.follow_up(services.ledger, services.core.links, ahead_ms=120_000):
        await run(services, await services.ledger.require(job_id))
    (made,), (page,) = await sandbox.objects("jira"), await sandbox.objects("confluence")
    assert len(made["links"]) == 1
    assert page["id"] in made["links"][0]
    assert "/browse/OPS-1" in page["body"]


@pytest.mark.parametrize(
    ("changed", "denied", "failing"),
    [
        ({}, (), None),
        ({"project": "NOPE"}, (), "project"),
        ({"issue_type": "Incident"}, (), "issue type"),
        ({"issue_type": "bug"}, (), None),
        ({}, ("create",), "right to create issues"),
    ],
)
async def test_a_connection_test_names_the_first_step_that_fails(services, sandbox, changed, denied, failing):
    """Account, project, rights and type, without writing anything."""
    await configured(services, sandbox, **changed)
    await deny(sandbox, *denied)
    report = await services.test_destination("jira", "test")
    assert next((step.name for step in report.steps if step.ok is False), None) == failing
    assert "accepted as Sandbox" in [step.detail for step in report.steps]
    assert await sandbox.objects("jira") == []
