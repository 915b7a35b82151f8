"""What people change of a delivered ticket comes back into the ledger: once, audited, told to the producer, never our own."""

from __future__ import annotations

import asyncio

import pytest

from config.keys import add_key
from tasks.callbacks import payload
from tasks.destinations import parse_settings
from tasks.following import follow
from tasks.model import Callback, JobState, parse_command, subject_key
from tests.conftest import until
from tests.integration.test_credential_commands import cli
from tests.integration.test_lifecycle import INCIDENT, ISSUE, JIRA_ISSUE, PUBLISH, WORK_ITEM, run, submit
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

__all__ = ["cli"]  # the fixture
pytestmark = pytest.mark.usefixtures("destinations", "content")

# For each kind: the job, the state that a person moves it to, what that means, and who is assigned as it is stored there.
KINDS = {
    "servicenow": (INCIDENT, "2", "working", {"assigned_to": "Beth Anglin"}),
    "azure_devops": (WORK_ITEM, "Active", "working", {"System.AssignedTo": "Beth Anglin"}),
    "jira": (JIRA_ISSUE, "In Progress", "working", {"assignee": {"name": "beth.anglin"}}),
}
CALLBACK = Callback(url="https://tool.example/hook", origin="https://tool.example", apikey="ak_0")


async def configured(services, sandbox, kind, **settings):
    given = sandbox_destinations(sandbox.url)[kind] | {"write_lag_s": 0.2, "total_timeout_s": 3, "follow_state": True}
    return await services.destinations.set(kind, parse_settings(given | settings), FAKE_SECRET, "test")


async def delivered(services, arguments, **more):
    command = parse_command(arguments)
    job = await services.submit(command, actor="test", **more)
    ended = await run(services, job)
    assert ended.state is JobState.DELIVERED, ended.error
    return job


async def looked(services, kind) -> int:
    """One round, with every ticket's turn come."""
    due = f"{services.settings.prefix}:followed:{kind}"
    for subject in await services.redis.zrange(due, 0, -1):
        await services.redis.zadd(due, {subject: 0})
    return await follow(services.core, await services.destinations.require(kind))


async def edited(sandbox, kind, **change):
    (made,) = await sandbox.objects(kind)
    body = {"vendor": kind, "id": made["id"]} | change
    async with sandbox.session.post(f"{sandbox.url}/_sandbox/edit", json=body) as answer:
        assert answer.status == 200, await answer.text()


async def tickets(services):
    return await services.core.followed.of(subject_key("issue", ISSUE.id))


async def audited(services, name):
    return [entry for entry in await services.audit.after() if entry.event == name]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_person_changes_of_a_ticket_is_taken_over_once(services, sandbox, kind):
    """State and assignee are kept with the issue and audited by their names; a second look finds nothing new."""
    arguments, state, stage, assigned = KINDS[kind]
    await configured(services, sandbox, kind)
    job = await delivered(services, arguments, callback=CALLBACK)
    assert await looked(services, kind) == 0, "the first look is what later ones are compared with"
    await edited(sandbox, kind, status=state, fields=assigned)
    assert await looked(services, kind) == 1
    assert await looked(services, kind) == 0
    (ticket,) = await tickets(services)
    assert (ticket.seen.ticket.stage, ticket.seen.ticket.assignee) == (stage, "Beth Anglin")
    assert ticket.seen.changed_ms
    events = [event for event in await services.ledger.events(job.id) if event["event"] == "ticket.changed"]
    assert [event["changed"] for event in events] == [["state", "assignee"]]
    told = [o for o in await services.outbox.take(CALLBACK.origin, 10, 1000) if o.ticket]
    assert [(o.ticket["stage"], o.ticket["changed"]) for o in told] == [(stage, ["state", "assignee"])]
    posted = payload(told[0]).decode()
    assert '"type": "ticket.changed"' in posted
    assert "Beth" not in posted, "who is assigned stays sealed; the receiver asks for it"


@pytest.mark.parametrize("kind", KINDS)
async def test_our_own_update_is_not_reported_as_somebody_elses(services, sandbox, kind):
    """What a delivery since the last look has set is ours, and what came from there is never written back."""
    arguments, state, _, _ = KINDS[kind]
    await configured(services, sandbox, kind, mapping='assigned_to = "Abel Tuter"')
    await delivered(services, arguments)
    await looked(services, kind)
    mapped = "Beth Anglin" if kind != "jira" else "beth.anglin@example.com"
    await configured(services, sandbox, kind, mapping=f'assigned_to = "{mapped}"')
    await delivered(services, arguments)
    assert await looked(services, kind) == 0, "we assigned it anew"
    await edited(sandbox, kind, status=state)
    await looked(services, kind)
    before = await sandbox.objects(kind)
    await delivered(services, arguments)
    assert await sandbox.objects(kind) == before
    assert await looked(services, kind) == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_ticket_is_followed_only_where_that_is_on_and_its_issue_is_open(services, sandbox, kind):
    """Without the setting nothing is asked; nor once the issue is resolved, until it is delivered again."""
    arguments, state, _, _ = KINDS[kind]
    await configured(services, sandbox, kind, follow_state=False)
    await delivered(services, arguments)
    asked = len((await sandbox.state())["requests"])
    await looked(services, kind)
    await configured(services, sandbox, kind, follow_status="off")
    await services.contents.put_issue(ISSUE.model_copy(update={"status": "resolved"}), "test")
    await looked(services, kind)
    assert len((await sandbox.state())["requests"]) == asked
    assert await services.redis.zcard(f"{services.settings.prefix}:followed:{kind}") == 0
    await services.contents.put_issue(ISSUE, "test")
    await delivered(services, arguments)
    await looked(services, kind)
    await edited(sandbox, kind, status=state)
    assert await looked(services, kind) == 1


async def test_each_look_is_audited_and_many_tickets_take_one_request(services, sandbox):
    """One request for a batch, with its intent and its outcome."""
    await configured(services, sandbox, "servicenow")
    for number in range(5):
        issue = ISSUE.model_copy(update={"id": f"many-{number}"})
        await delivered(services, INCIDENT | {"issue_id": issue.id}, issue=issue)
    asked = len((await sandbox.state())["requests"])
    await looked(services, "servicenow")
    assert len((await sandbox.state())["requests"]) == asked + 1
    assert len(await audited(services, "ticket.seen")) == 5


async def test_a_destination_that_has_no_room_or_is_paused_is_not_asked(services, sandbox):
    """Looking at tickets waits for its turn behind the jobs, and for nobody when the destination stands still."""
    await delivered_before_there_was_a_rate(services, sandbox)
    asked = len((await sandbox.state())["requests"])
    assert await looked(services, "jira") == 0
    await services.destinations.pause("jira", "test")
    assert await looked(services, "jira") == 0
    assert len((await sandbox.state())["requests"]) == asked


async def delivered_before_there_was_a_rate(services, sandbox):
    """A ticket that was delivered before its destination got a rate that leaves no room."""
    await configured(services, sandbox, "jira")
    await delivered(services, JIRA_ISSUE)
    await configured(services, sandbox, "jira", rate_per_s=0.05)
    await services.ledger.announce("lookup.intent", {"destination": "jira"}, within="jira")


async def test_a_ticket_that_is_being_delivered_is_left_for_later(services, sandbox):
    """What a delivery is writing at this moment can't be told from somebody else's change."""
    await configured(services, sandbox, "jira")
    await delivered(services, JIRA_ISSUE)
    await looked(services, "jira")
    await edited(sandbox, "jira", status="In Progress")
    job = await submit(services, JIRA_ISSUE)
    subject = f"{services.settings.prefix}:subject:{job.subject}"
    await services.redis.hset(subject, "running", job.id)
    assert await looked(services, "jira") == 0
    await services.redis.hdel(subject, "running")
    assert await looked(services, "jira") == 1


async def test_an_issue_that_moved_to_another_project_is_known_by_its_new_number(services, sandbox):
    """Jira gives a moved issue another key; address and number follow."""
    await configured(services, sandbox, "jira")
    await delivered(services, JIRA_ISSUE)
    await looked(services, "jira")
    await edited(sandbox, "jira", number="PAY-7", fields={"issuelinks": [{"outwardIssue": {"key": "OPS-99"}}]})
    assert await looked(services, "jira") == 1
    (ticket,) = await tickets(services)
    assert (ticket.seen.ticket.number, ticket.seen.ticket.links) == ("PAY-7", ("OPS-99",))
    assert ticket.seen.ticket.url.endswith("/browse/PAY-7")


async def test_pages_are_not_followed_and_tickets_of_a_removed_destination_are_forgotten(services, sandbox):
    """A page has no state, and what is gone leaves nothing to look at."""
    await delivered(services, PUBLISH)
    await configured(services, sandbox, "jira")
    await delivered(services, JIRA_ISSUE)
    prefix = services.settings.prefix
    assert await services.redis.keys(f"{prefix}:followed:*") == [f"{prefix}:followed:jira".encode()]
    await services.destinations.remove("jira", "test")
    assert await services.redis.keys(f"{prefix}:followed:*") == []


async def test_every_surface_shows_the_ticket_as_it_reads_now(services, sandbox, client, log_in, cli):
    """Console, API and command line tell state, number and assignee; an issue that isn't there is told as such."""
    await configured(services, sandbox, "jira")
    job = await delivered(services, JIRA_ISSUE)
    await delivered(services, PUBLISH)
    assert cli_shows(await asyncio.to_thread(cli, "issue", "show", ISSUE.id)) == ["its state is not followed"]
    (unseen,) = await asyncio.to_thread(shown_tickets, cli)
    assert [unseen[name] for name in ("state", "seen_ms", "seen_at", "changed_ms", "changed_at")] == [None] * 5
    await looked(services, "jira")
    await edited(sandbox, "jira", status="In Progress", number="PAY-7", fields=KINDS["jira"][3])
    await looked(services, "jira")
    await log_in("viewer")
    page = await (await client.get(f"/issues/{ISSUE.id}")).text()
    assert all(words in page for words in ("PAY-7", "In Progress", "Beth Anglin"))
    assert f'href="/issues/{ISSUE.id}"' in await (await client.get(f"/jobs/{job.id}")).text()
    assert (await client.get("/issues/nothing")).status == 404
    _, key = await services.access.create("reader", ["read"], None, "test")
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
    async with client.get(f"/v1/issues/{ISSUE.id}", headers=headers) as answer:
        (ticket,) = (await answer.json())["tickets"]
    assert (ticket["ticket_number"], ticket["state"], ticket["stage"]) == ("PAY-7", "In Progress", "working")
    assert (ticket["assignee"], ticket["job_id"]) == ("Beth Anglin", job.id)
    assert ticket["changed_at"].endswith("Z")
    assert await asyncio.to_thread(shown_tickets, cli) == [ticket]
    async with client.get("/v1/issues/nothing", headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "unknown_issue")
    assert cli_shows(await asyncio.to_thread(cli, "issue", "show", ISSUE.id)) == ["In Progress, Beth Anglin"]
    await asyncio.to_thread(cli, "issue", "show", "nothing", status=1)


def shown_tickets(cli) -> list[dict]:
    """The tickets of the issue, as programs read them."""
    return cli.json("issue", "show", ISSUE.id)["tickets"]


def cli_shows(done) -> list[str]:
    """The second line of each ticket."""
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]


async def test_no_name_of_a_person_stands_in_redis(services, sandbox):
    """Who is assigned is sealed, and moves to a new key with everything else."""
    await configured(services, sandbox, "jira")
    await delivered(services, JIRA_ISSUE, callback=CALLBACK)
    await looked(services, "jira")
    await edited(sandbox, "jira", fields=KINDS["jira"][3])
    await looked(services, "jira")
    add_key(services.settings.data / "keys")
    async for _ in services.rotation.reseal("test"):
        pass
    (ticket,) = await tickets(services)
    assert ticket.seen.ticket.assignee == "Beth Anglin"
    await services.redis.config_set("rdbcompression", "no")
    for name in await services.redis.keys(f"{services.settings.prefix}:*"):
        assert b"Beth Anglin" not in await services.redis.dump(name), name


async def test_a_real_worker_takes_over_what_a_person_changed(services, sandbox, start_worker):
    """From the change to what is kept, by the worker's own rounds."""
    await configured(services, sandbox, "jira", follow_state_every_s=60)
    await delivered(services, JIRA_ISSUE)
    await looked(services, "jira")
    await edited(sandbox, "jira", status="In Progress")
    await services.redis.zadd(
        f"{services.settings.prefix}:followed:jira", {ticket.subject: 0 for ticket in await tickets(services)}
    )
    start_worker()

    async def taken_over():
        return [ticket for ticket in await tickets(services) if ticket.seen.ticket.stage == "working"]

    await until(taken_over)
    assert len(await audited(services, "ticket.changed")) == 1
