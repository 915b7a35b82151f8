"""Real workers beside destinations that hang, throttle, refuse or are down: the others' jobs go out."""

from __future__ import annotations

import json
import sys

import pytest

from tasks.model import JobState
from tests.conftest import until
from tests.integration.test_lifecycle import WORK_ITEM
from tests.integration.test_limits import configure, pages, tickets
from tests.integration.test_processes import cli
from worker.attempts import Attempts
from worker.rounds.runner import Runner
from worker.rounds.sweeper import Sweeper

pytestmark = pytest.mark.usefixtures("destinations")


def worker(start_worker, threads):
    return start_worker(sys.executable, "-m", "worker", "worker", "--concurrency", str(threads))


async def all_delivered(services, jobs):
    async def delivered():
        states = [(await services.ledger.require(job.id)).state for job in jobs]
        return all(state is JobState.DELIVERED for state in states)

    await until(delivered, what="the end of all jobs")


async def test_a_worker_takes_nothing_before_its_room_is_counted(services, sandbox, monkeypatch):
    """Before its first heartbeat the ledger knows of no room to share out: one destination could have got all of it."""
    await configure(services, sandbox, "confluence", concurrency=16)
    await pages(services, 20)
    runner, began = Runner(services, Attempts(), None, capacity=12), []
    monkeypatch.setattr(runner, "begin", began.append)
    assert await runner._take() < 1
    assert not began
    await Sweeper(services, capacity=12)._beat()
    await runner._take()
    room_of_others = 2 * (12 // 4)
    assert 0 < len(began) <= 12 - room_of_others


async def test_while_two_destinations_hang_the_third_delivers(services, sandbox, start_worker):
    for name in ("confluence", "azure_devops"):
        await configure(services, sandbox, name, concurrency=16, total_timeout_s=120)
        await sandbox.fault(vendor=name, fault="slow_headers", seconds=110, times=1000)
    await configure(services, sandbox, "servicenow", concurrency=16)
    hanging = [*await pages(services, 20), *await tickets(services, 20, WORK_ITEM)]
    worker(start_worker, 12)

    async def held():
        return sum([(await services.destinations.health(n)).running for n in ("confluence", "azure_devops")]) >= 6

    await until(held, what="threads held by what hangs")
    await all_delivered(services, await tickets(services, 20))
    assert not any([(await services.ledger.require(job.id)).state is JobState.DELIVERED for job in hanging])


async def test_jobs_of_a_destination_that_was_down_drain_when_it_is_back(services, sandbox, start_worker):
    await configure(services, sandbox, "servicenow", breaker_failures=3, breaker_cooldown_s=1)
    await sandbox.fault(vendor="servicenow", fault="status", status=503, share=1.0)
    jobs = await tickets(services, 30)
    worker(start_worker, 8)

    async def open_breaker():
        return (await services.destinations.health("servicenow")).breaker != "closed"

    await until(open_breaker, what="the breaker")
    attempted = [job for job in jobs if (await services.ledger.require(job.id)).attempts]
    assert len(attempted) < 15, "most jobs wait without an attempt"
    async with sandbox.session.delete(f"{sandbox.url}/_sandbox/faults"):
        pass  # the vendor comes back, nobody configures anything
    await all_delivered(services, jobs)
    assert len(await sandbox.objects("servicenow")) == 30


async def test_a_suspended_destination_is_tested_and_goes_on_by_itself(services, sandbox, start_worker, settings):
    await configure(services, sandbox, "servicenow", probe_interval_s=1)
    await sandbox.fault(vendor="servicenow", fault="status", status=401, times=7)
    jobs = await tickets(services, 5)
    worker(start_worker, 8)
    await all_delivered(services, jobs)
    events = [entry.event for entry in await services.audit.tail(1000)]
    assert "destination.suspended" in events
    assert "destination.resumed" in events
    assert (settings.data / "worker-0.log").read_text().count("servicenow is suspended") == events.count(
        "destination.suspended"
    )


async def test_a_rate_is_kept_by_two_worker_processes_together(services, sandbox, start_worker):
    await configure(services, sandbox, "servicenow", rate_per_s=10, burst=2)
    jobs = await tickets(services, 15)
    worker(start_worker, 8)
    worker(start_worker, 8)
    await all_delivered(services, jobs)
    entries = [entry for entry in await services.audit.tail(1000) if entry.event.endswith(".intent")]
    moments = sorted(int(entry.id.split("-")[0]) for entry in entries)
    for first, begin in enumerate(moments):
        for last in range(first, len(moments)):
            assert last - first + 1 <= 2 + (moments[last] - begin + 2) / 100


async def test_the_command_line_shows_what_keeps_a_destinations_jobs(services, sandbox, settings):
    await configure(services, sandbox, "servicenow", rate_per_s=2.5)
    await tickets(services, 3)
    await services.destinations.suspend(
        await services.destinations.require("servicenow"), "The credential was refused."
    )
    shown = json.loads(cli(settings, "destination", "show", "servicenow", "--json").stdout)["health"]
    assert (shown["state"], shown["waiting"], shown["rate_per_s"]) == ("suspended", 3, 2.5)
