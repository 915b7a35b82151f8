"""Who notices first that the ledger went back, what can't be written blindly meanwhile, and how it ends."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack

import pytest
from click.testing import CliRunner

from tasks import lifecycle
from tasks.errors import Fenced
from tasks.model import JobState
from tasks.state.audit.entries import Event
from tasks.state.jobs.transitions import Lease, NotClaimed
from tasks.state.newest import NewestOnDisk
from tasks.state.upkeep.trimming import trim
from tests.conftest import environment
from tests.integration import test_going_back as going_back
from tests.integration.conftest import HTML
from tests.integration.test_lifecycle import EVERY, INCIDENT, run, submit
from worker.cli import root
from worker.runtime import open_services

valkey, copies = going_back.valkey, going_back.copies  # the fixtures
LEASE_MS = 240_000
pytestmark = pytest.mark.usefixtures("destinations")


@pytest.fixture
async def another(settings, services):
    """Opens the services of one more worker."""
    async with AsyncExitStack() as opened:
        yield lambda: opened.enter_async_context(open_services(settings))


async def beat(worker):
    await worker.ledger.heartbeat(worker.core.worker, 60_000, 8)


async def events(services, event):
    return [entry.data for entry in await services.audit.after(count=10_000) if entry.event == event]


@pytest.mark.parametrize(("vendor", "command"), EVERY)
async def test_a_worker_that_only_saw_what_another_delivered_looks_before_it_writes(
    services, sandbox, content, copies, another, vendor, command
):
    """The one that delivered is gone: what the other's heartbeat saw is enough, before its first write."""
    job = await submit(services, command)
    copies.take()
    idle = await another()
    await run(services, job)
    await beat(idle)
    newest_ms = await going_back.newest_entry(services)
    copies.put_back()
    ended = await run(idle, job)
    assert (ended.state, ended.receipt.change) == (JobState.DELIVERED, "found")
    assert len(await sandbox.objects(vendor)) == 1
    flag, (told,) = await idle.look_first.read(), await events(idle, Event.WENT_BACK)
    assert flag.by == told["by"] == idle.core.worker
    assert flag.until_ms == told["until_ms"] == newest_ms


async def test_nothing_is_claimed_on_another_server_before_every_worker_has_compared(
    services, sandbox, content, copies, another
):
    """The newcomer can't notice anything; the one that delivered can, with its next heartbeat."""
    job = await submit(services, INCIDENT)
    await beat(services)
    copies.take()
    await run(services, job)
    copies.put_back()
    newcomer = await another()
    refused = await lifecycle.attempt(newcomer.core, job.id)
    assert isinstance(refused, NotClaimed)
    assert refused.reason == "settling"
    assert await newcomer.ledger.dispatch(1000, 10) == []
    await beat(services)
    ended = await run(newcomer, job)
    assert ended.receipt.change == "found"
    assert len(await sandbox.objects("servicenow")) == 1


async def test_an_attempt_from_before_the_loss_can_neither_write_nor_settle(services, content, copies, another):
    """Its job is given back at no cost, under a token that none of the lost ones can be."""
    job = await submit(services, INCIDENT)
    copies.take()
    stale = await another()
    lost = [(await services.ledger.claim(job.id, "w", Lease(0, LEASE_MS))).job]
    await services.redis.hset(f"{services.settings.prefix}:job:{job.id}", "state", "queued")
    lost.append((await stale.ledger.claim(job.id, "w", Lease(0, LEASE_MS))).job)
    copies.put_back()
    again = (await stale.ledger.claim(job.id, stale.core.worker, Lease(0, LEASE_MS))).job
    assert again.token > max(earlier.token for earlier in lost)
    for earlier in lost:
        with pytest.raises(Fenced):
            await services.ledger.intend(
                earlier, Event.DELIVERY_INTENT, writes=True, doubt_until_ms=0, facts={}, patience_ms=1000
            )
    assert (await services.ledger.require(job.id)).token == again.token


async def test_what_runs_in_the_copy_is_given_back_at_once_and_counts_as_nothing(services, sandbox, content, copies):
    """No lease has to run out, and no worker is blamed for a crash."""
    job = await submit(services, INCIDENT)
    claimed = await services.ledger.claim(job.id, services.core.worker, Lease(0, LEASE_MS))
    copies.take()
    await services.ledger.note(job, Event.SCREENED, {})
    copies.put_back()
    await services.ledger.note(job, Event.SCREENED, {})
    back = await services.ledger.require(job.id)
    assert (claimed.job.attempts, back.state, back.attempts, back.crashes) == (1, JobState.RETRYING, 0, 0)
    assert back.last_error.code == "ledger_went_back"
    await beat(services)
    assert (await run(services, job)).state is JobState.DELIVERED


async def test_every_process_tells_its_own_loss_and_the_flag_is_raised_once(services, content, copies, another):
    had = (await services.audit.verify()).entries
    copies.take()
    other = await another()
    for worker in (services, other):
        await worker.ledger.record(Event.CONTENT_VIEWED, {})
    copies.put_back()
    for worker in (services, other, services):
        await worker.ledger.record(Event.CONTENT_VIEWED, {})
    flag, told = await services.look_first.read(), await events(services, Event.WENT_BACK)
    assert [loss["by"] for loss in told] == [services.core.worker, other.core.worker]
    assert [(loss["entry"], loss["found"]) for loss in told] == [(had + 1, had), (1, 0)]
    assert flag.by == services.core.worker
    report = await services.audit.verify()
    assert report.verdict == "broken"  # entries are missing: that is for an operator to accept
    assert all("which is missing" in problem for problem in report.problems)


async def test_a_trail_that_was_trimmed_is_no_loss(services, content, another):
    """Neither for a process whose last entries are all gone, nor for one that only saw such."""
    idle, seer = await another(), await another()
    await idle.ledger.record(Event.CONTENT_VIEWED, {})
    await beat(seer)
    await asyncio.sleep(0.005)  # the server's clock goes on
    now_ms = await services.journal.server_ms()
    await trim(services.audit, services.journal, services.vault, before_ms=now_ms, actor="test")
    for worker in (idle, seer):
        await worker.ledger.record(Event.CONTENT_VIEWED, {})
        await beat(worker)
    assert not (await services.look_first.read()).active
    assert await events(services, Event.WENT_BACK) == []


async def test_after_clearing_first_attempts_write_straight_away(services, sandbox, content):
    await services.look_first.raise_by_hand("cli:ada", "restored on Monday")
    assert (await services.look_first.read()).active
    cleared = await services.look_first.clear("cli:ada", "all is there")
    assert (cleared.active, cleared.cleared_by) == (False, "cli:ada")
    await asyncio.sleep(0.002)  # the server's clock goes on
    await run(services, await submit(services, INCIDENT))
    assert await going_back.look_ups(sandbox) == 0
    assert await events(services, Event.LOOK_FIRST_SET) == [{"actor": "cli:ada", "reason": "restored on Monday"}]
    assert await events(services, Event.LOOK_FIRST_CLEARED) == [{"actor": "cli:ada", "reason": "all is there"}]


async def test_a_job_that_waited_while_an_operator_cleared_still_looks_first(services, sandbox, content):
    """Submitted again after a loss, it may be about an object that the ledger doesn't know any more."""
    delivered = await run(services, await submit(services, INCIDENT))
    await services.redis.delete(
        *[key async for key in services.redis.scan_iter(f"{services.settings.prefix}:subject:*")]
    )
    await services.look_first.raise_by_hand("cli:ada")
    waiting = await submit(services, INCIDENT)
    await services.look_first.clear("cli:ada")
    again = await run(services, waiting)
    assert (again.state, again.receipt.id) == (JobState.DELIVERED, delivered.receipt.id)


async def test_a_loss_after_clearing_raises_the_flag_again(services, content, copies):
    await services.look_first.raise_by_hand("cli:ada")
    first = await services.look_first.clear("cli:ada")
    copies.take()
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    copies.put_back()
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    second = await services.look_first.read()
    assert second.active
    assert second.since_ms > first.since_ms


async def restored_in_place(redis, kept):
    """The same server holds what it held before: no process of it ended."""
    await redis.flushall()
    for key, value in kept.items():
        await redis.restore(key, 0, value)


@pytest.mark.parametrize("restart", [True, False], ids=["by a restart", "in place"])
async def test_a_second_loss_is_one_of_its_own_however_soon_it_comes(services, content, copies, restart):
    """What ran in the second copy is given back as well, and nobody is told that what the first loss took were back."""
    copies.take()
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    copies.put_back()
    job = await submit(services, INCIDENT)
    first = await services.look_first.read()
    await beat(services)
    claimed = await services.ledger.claim(job.id, services.core.worker, Lease(0, LEASE_MS))
    copies.take()
    kept = {key: await services.redis.dump(key) async for key in services.redis.scan_iter()}
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    last_ms = await going_back.newest_entry(services)
    await beat(services)
    if restart:
        copies.put_back()
    else:
        await restored_in_place(services.redis, kept)
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    second, back = await services.look_first.read(), await services.ledger.require(job.id)
    assert second.since_ms > last_ms > first.since_ms
    assert (second.after_ms, second.until_ms >= last_ms) == (first.after_ms, True)
    assert (claimed.job.attempts, back.state, back.attempts, back.crashes) == (1, JobState.RETRYING, 0, 0)
    assert back.last_error.code == "ledger_went_back"


async def test_redis_that_takes_no_writes_when_the_loss_is_noticed_is_an_error_and_no_endless_try(
    services, content, copies
):
    copies.take()
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    copies.put_back()
    await services.redis.config_set("maxmemory", 1)
    with pytest.raises(Exception, match="full"):
        await services.ledger.record(Event.CONTENT_VIEWED, {})
    await services.redis.config_set("maxmemory", 0)
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    assert (await services.look_first.read()).active


def test_what_was_seen_starts_anew_for_every_process_of_the_machine(tmp_path):
    """After a failover to a server whose clock is behind, the newest entry is older than the lost one."""
    one, two = (NewestOnDisk(tmp_path / "newest.json", "local") for _ in range(2))
    one.learn("ledger", 2000)
    one.learn("destination:a", 7)
    assert two.of("ledger") == 2000
    two.restart("ledger", 1000)
    assert NewestOnDisk(tmp_path / "newest.json", "local").of("ledger") == 1000
    assert two.of("destination:a") == 7


async def test_a_destination_that_changed_after_the_copy_waits_until_an_operator_confirms_it(
    services, sandbox, content, copies
):
    """Nobody's credential goes to an address of an earlier time by itself."""
    job = await submit(services, INCIDENT)
    copies.take()
    record = await services.destinations.require("servicenow")
    await services.destinations.set("servicenow", record.settings, "fake-newer", "test")
    copies.put_back()
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    await beat(services)
    ended = await lifecycle.attempt(services.core, job.id)
    assert (ended.state, ended.error.code) == (JobState.QUEUED, "record_older")
    (doubt,) = await services.signing.doubts()
    assert await services.signing.sign(doubt, "cli:ada") == ""
    assert (await run(services, job)).state is JobState.DELIVERED
    assert len(await sandbox.objects("servicenow")) == 1


async def test_a_worker_that_ends_leaves_what_it_saw_last_to_the_next_one_of_its_machine(services, content, copies):
    copies.take()
    await services.ledger.record(Event.CONTENT_VIEWED, {})
    await services.upkeep.goodbye(services.core.worker)
    copies.put_back()
    async with open_services(services.settings) as fresh:
        await fresh.ledger.record(Event.CONTENT_VIEWED, {})
        assert (await fresh.look_first.read()).by == fresh.core.worker


# -- what operators see ------------------------------------------------------------------------------------------------


async def test_operators_see_it_on_every_page_and_clear_it_there(services, client, log_in):
    await services.look_first.raise_by_hand("cli:ada", "restored on Monday")
    token = await log_in("operator")
    for address in ("/jobs", "/workers", "/audit", "/settings/destinations"):
        page = await (await client.get(address, headers=HTML)).text()
        assert "The ledger went back in time" in page
        assert "restored on Monday" in page
    answer = await client.post("/lookfirst/clear", data={"csrf": token})
    page = await answer.text()
    assert "First attempts write straight away again" in page
    assert "The ledger went back in time" not in page
    ((cleared),) = await events(services, Event.LOOK_FIRST_CLEARED)
    assert cleared["actor"] == "operator"


async def test_viewers_see_it_and_cannot_clear_it(services, client, log_in):
    await services.look_first.raise_by_hand("cli:ada")
    token = await log_in("viewer")
    page = await (await client.get("/jobs", headers=HTML)).text()
    assert "The ledger went back in time" in page
    assert "I have checked" not in page
    assert (await client.post("/lookfirst/clear", data={"csrf": token})).status == 403
    assert (await services.look_first.read()).active


async def test_the_command_line_shows_sets_and_clears_it(services, settings):
    async def afterword(*words):
        arguments = ["--json", *words]
        result = await asyncio.to_thread(CliRunner().invoke, root, arguments, env=environment(settings))
        return result.exit_code, json.loads(result.stdout)

    assert (await afterword("lookfirst", "status"))[1]["active"] is False
    code, flag = await afterword("lookfirst", "set", "--reason", "an old snapshot")
    assert (code, flag["active"], flag["reason"]) == (0, True, "an old snapshot")
    _, report = await afterword("doctor")
    (line,) = [check for check in report["checks"] if check["check"] == "ledger"]
    assert not line["ok"]
    assert "afterword lookfirst clear" in line["detail"]
    code, flag = await afterword("lookfirst", "clear")
    assert (code, flag["active"]) == (0, False)
    assert re.fullmatch(r"cli:.+|cli", flag["cleared_by"])
