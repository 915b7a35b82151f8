"""A Redis that goes back in time under running workers: noticed by itself, and nothing is made twice."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import Counter

import pytest
from redis.exceptions import RedisError

from tasks.destinations import parse_settings
from tasks.model import Document, Issue, JobState, parse_command
from tasks.state.look_first.flag import LookFirst
from tasks.state.memory import LEDGER
from tasks.state.newest import NewestOnDisk
from tests.conftest import stop, until
from tests.integration.test_lifecycle import DOCUMENT, EVERY, ISSUE, submit
from tests.integration.test_processes import alive
from worker.machine.embedded import EmbeddedValkey
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

pytestmark = pytest.mark.usefixtures("destinations")
LOUD = "THE LEDGER WENT BACK IN TIME"
numbers = itertools.count()


@pytest.fixture
def valkey(tmp_path):
    """A server of this test's own: others would miss what it loses."""
    with EmbeddedValkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def copies(valkey, tmp_path):
    """Copies of the server's files."""
    return Copies(valkey, tmp_path)


class Copies:
    """Takes a copy of a running server's files, and puts it back."""

    def __init__(self, valkey, folder):
        self._valkey, self._live, self._kept = valkey, folder / "valkey" / "appendonlydir", folder / "copy"

    def take(self):
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self._live, self._kept)

    def put_back(self):
        self._valkey.kill()
        shutil.rmtree(self._live)
        shutil.copytree(self._kept, self._live)
        self._valkey.start()


async def submit_three(services):
    """One job for each vendor, of a subject of its own."""
    number = next(numbers)
    issue = Issue(id=f"inc-{number}", title=f"Incident {number}", description="Words.")
    document = Document(id=f"doc-{number}", title=f"RCA {number}", content_md="Words.")
    orders = [
        ({"command": "create_servicenow_incident", "issue_id": issue.id}, {"issue": issue}),
        ({"command": "create_azuredevops_workitem", "issue_id": issue.id, "project": "Operations"}, {"issue": issue}),
        ({"command": "publish_to_confluence", "doc_id": document.id, "space_key": "OPS"}, {"document": document}),
    ]
    return [(await services.submit(parse_command(c), actor="test", **content)).id for c, content in orders]


async def submit_many(services, count):
    return [job for _ in range(count) for job in await submit_three(services)]


async def delivered(services, ids):
    async def every():
        jobs = await services.ledger.overview.jobs(ids)
        return len(jobs) == len(ids) and all(job.state is JobState.DELIVERED for job in jobs)

    await until(every, what="the delivery of every job")


async def noticed(services):
    async def raised():
        return (await services.look_first.read()).active

    await until(raised, what="the flag")
    return await services.look_first.read()


async def count_by_vendor(sandbox):
    return Counter(made["vendor"] for made in (await sandbox.state())["objects"])


def loud_lines(settings):
    logs = [file.read_text() for file in settings.data.glob("worker-*.log")]
    return sum(log.count(LOUD) for log in logs)


async def newest_entry(services):
    ((newest, _),) = await services.redis.xrevrange(f"{services.settings.prefix}:audit", count=1)
    return int(newest.split(b"-")[0])


async def seen_by_the_machine(settings, moment_ms):
    """Until a heartbeat of some worker has seen the entry of that moment."""

    async def seen():
        return NewestOnDisk(settings.data / "newest.json", f"local/{settings.prefix}").of(LEDGER) >= moment_ms

    await until(seen, what="the next heartbeat")


async def reachable(services):
    with contextlib.suppress(RedisError, OSError):
        return await services.redis.ping()
    return False


async def look_ups(sandbox):
    made = (await sandbox.state())["requests"]
    return sum(request["operation"] == "lookup" and request["vendor"] != "confluence" for request in made)


async def test_an_older_copy_put_back_under_running_workers_makes_no_second_object(
    services, sandbox, start_worker, copies
):
    """Some jobs wait in the copy, some run, some are delivered; and some answers of the vendors are lost meanwhile."""
    for vendor in ("servicenow", "azure_devops", "confluence"):
        await sandbox.fault(vendor=vendor, operation="create", fault="commit_then_drop", times=1)
    start_worker()
    start_worker()
    await alive(services, 2)
    await services.destinations.pause("servicenow", "test")
    ids = await submit_many(services, 4)
    copies.take()
    await services.destinations.resume("servicenow", "test")
    await delivered(services, ids)
    copies.put_back()
    seen = await noticed(services)
    await services.destinations.resume("servicenow", "test")
    await delivered(services, ids)
    assert await count_by_vendor(sandbox) == {"servicenow": 4, "azure_devops": 4, "confluence": 4}
    assert seen.after_ms < seen.until_ms <= seen.since_ms
    assert loud_lines(services.settings) == 1


async def test_what_is_flushed_under_running_workers_is_found_when_it_is_submitted_again(
    services, sandbox, start_worker, settings
):
    start_worker()
    await alive(services)
    await services.contents.put_issue(ISSUE, "test")
    await services.contents.put_document(DOCUMENT, "test")
    first = [(await submit(services, command)).id for _, command in EVERY]
    await delivered(services, first)
    worker_saw = await newest_entry(services)
    await seen_by_the_machine(settings, worker_saw)
    await services.redis.flushall()
    seen = await noticed(services)
    assert (seen.after_ms, seen.until_ms >= worker_saw) == (0, True)
    for name, given in sandbox_destinations(sandbox.url).items():
        quick = {**given, "write_lag_s": 0.2, "total_timeout_s": 3}
        await services.destinations.set(name, parse_settings(quick), FAKE_SECRET, "test")
    await services.contents.put_issue(ISSUE, "test")
    await services.contents.put_document(DOCUMENT, "test")
    again = [(await submit(services, command)).id for _, command in EVERY]
    await delivered(services, again)
    assert await count_by_vendor(sandbox) == {vendor: 1 for vendor, _ in EVERY}
    assert loud_lines(settings) == 1


async def test_a_restart_of_redis_that_loses_nothing_is_no_alarm(services, sandbox, start_worker, valkey, settings):
    start_worker()
    start_worker()
    await alive(services, 2)
    await delivered(services, await submit_many(services, 1))
    for _ in range(2):
        await seen_by_the_machine(settings, await newest_entry(services))
        valkey.kill()
        valkey.start()
        await until(lambda: reachable(services), what="the connection")
        await delivered(services, await submit_many(services, 1))
    assert await services.look_first.read() == LookFirst()
    assert await look_ups(sandbox) == 0
    assert loud_lines(settings) == 0


async def test_a_worker_started_on_an_older_copy_knows_from_its_machines_file(
    services, sandbox, start_worker, copies, settings
):
    ids = await submit_many(services, 1)
    copies.take()
    worker = start_worker()
    await delivered(services, ids)
    await seen_by_the_machine(settings, await newest_entry(services))
    stop(worker)
    copies.put_back()
    start_worker()
    seen = await noticed(services)
    await delivered(services, ids)
    assert await count_by_vendor(sandbox) == {"servicenow": 1, "azure_devops": 1, "confluence": 1}
    assert seen.after_ms < seen.until_ms
