"""A worker of several processes: they share its attempts, stop together, and one that ends is started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery

from tasks.model import Issue, JobState, parse_command
from tasks.state.workers import workers
from tests.conftest import READY_S, ROOT, environment, stop, until
from tests.integration.test_processes import settled

pytestmark = pytest.mark.usefixtures("destinations")
OURS = (sys.executable, "-m", "worker", "worker")
CELERYS_OWN = (sys.executable, "-m", "celery", "-A", "worker", "worker")


@pytest.fixture
def start(start_worker, monkeypatch):
    """Starts a worker of as many processes as are asked for."""

    def begin(count: int, command=OURS, *options: str) -> subprocess.Popen:
        monkeypatch.setattr("tests.conftest.environment", lambda settings: several(settings, count))
        return start_worker(*command, *options)

    return begin


def several(settings, count: int) -> dict[str, str]:
    return environment(settings) | {"AFTERWORD_WORKER_PROCESSES": str(count)}


async def alive(services, count: int) -> list[int]:
    """The process ids by their heartbeats, once there are so many."""

    async def enough():
        seen = await workers(services.redis, services.settings.prefix)
        now_ms = await services.journal.server_ms()
        pids = [
            worker.about.pid
            for worker in seen
            if worker.until_ms > now_ms and Path(f"/proc/{worker.about.pid}").exists()
        ]
        return pids if len(pids) == count else None

    return await until(enough, what=f"{count} heartbeats")


async def submit(services, number: int, **command):
    issue = Issue(id=f"inc-{number}", title=f"Incident {number}", description="words")
    asked = {"command": "create_servicenow_incident", "issue_id": issue.id, **command}
    return await services.submit(parse_command(asked), actor="test", issue=issue)


async def one_in_each_process(services, sandbox, seconds: int):
    """Two attempts that take so long, at two destinations, in processes that have room for one each."""
    for vendor in ("servicenow", "azure_devops"):
        await sandbox.fault(vendor=vendor, operation="create", fault="slow_headers", seconds=seconds)
    item = {"command": "create_azuredevops_workitem", "project": "Operations"}
    jobs = [await submit(services, 1), await submit(services, 2, **item)]

    async def both():
        found = [await services.ledger.require(job.id) for job in jobs]
        return all(job.state is JobState.RUNNING for job in found) and {job.worker for job in found}

    assert len(await until(both, what="both attempts")) == 2
    return jobs


async def gone(pids):
    async def all_of_them():
        return not any(Path(f"/proc/{pid}").exists() for pid in pids)

    await until(all_of_them, what="the end of every process")


@pytest.mark.parametrize("attempts", [200, 7])
async def test_the_processes_of_a_worker_share_its_attempts(services, start, attempts):
    worker = start(1, OURS, "--processes", "3", "--concurrency", str(attempts))
    assert worker.pid in await alive(services, 3)
    assert int(await services.redis.get(f"{services.settings.prefix}:capacity")) == attempts


async def test_a_worker_has_no_more_processes_than_attempts(services, start):
    worker = start(3, OURS, "--concurrency", "2")
    assert worker.pid in await alive(services, 2)
    assert int(await services.redis.get(f"{services.settings.prefix}:capacity")) == 2


async def test_a_process_that_is_killed_is_started_again_and_nothing_is_lost_or_doubled(services, sandbox, start):
    worker = start(2)
    pids = await alive(services, 2)
    (other,) = set(pids) - {worker.pid}
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=1, times=20)
    jobs = [await submit(services, number) for number in range(20)]
    os.kill(other, signal.SIGKILL)
    jobs += [await submit(services, number) for number in range(20, 25)]
    for job in jobs:
        assert (await settled(services, job.id)).state is JobState.DELIVERED
    assert len(await sandbox.objects("servicenow")) == len(jobs)
    again = await alive(services, 2)
    assert worker.pid in again
    assert other not in again
    assert "process 2 of this worker ended (SIGKILL)" in (services.settings.data / "worker-0.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_signal_lets_the_attempts_of_all_processes_finish(services, sandbox, start, number):
    worker = start(2, OURS, "--concurrency", "2")
    pids = await alive(services, 2)
    jobs = await one_in_each_process(services, sandbox, seconds=2)
    await asyncio.to_thread(stop, worker, number)
    for job in jobs:
        ended = await services.ledger.require(job.id)
        assert (ended.state, ended.attempts) == (JobState.DELIVERED, 1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_second_stop_signal_gives_back_what_runs_in_all_processes(services, sandbox, start):
    worker = start(2, OURS, "--concurrency", "2")
    pids = await alive(services, 2)
    jobs = await one_in_each_process(services, sandbox, seconds=60)
    worker.send_signal(signal.SIGTERM)

    async def warned():
        return "Warm shutdown" in (services.settings.data / "worker-0.log").read_text()

    await until(warned, what="the first signal")
    await asyncio.to_thread(stop, worker)
    await gone(pids)
    for job in jobs:
        assert (await services.ledger.require(job.id)).state in (JobState.RETRYING, JobState.QUEUED)


async def test_a_shutdown_by_remote_control_stops_all_processes_at_once(services, sandbox, start, valkey):
    """The other ones don't go on until the first has ended."""
    worker = start(2, OURS, "--concurrency", "2", "--name", "celery-one@here")
    pids = await alive(services, 2)
    jobs = await one_in_each_process(services, sandbox, seconds=2)
    with Celery("somebody", broker=valkey.url, set_as_current=False) as client:
        await asyncio.to_thread(client.control.shutdown, destination=["celery-one@here"])

    async def warned():
        return "Warm shutdown" in (services.settings.data / "worker-0.log").read_text()

    await until(warned, what="the signal to the second process")
    assert {(await services.ledger.require(job.id)).state for job in jobs} == {JobState.RUNNING}
    await asyncio.to_thread(worker.wait, READY_S)
    await gone(pids)
    for job in jobs:
        assert (await services.ledger.require(job.id)).state is JobState.DELIVERED


async def test_the_other_processes_stop_when_the_first_is_killed_and_finish_what_they_do(services, sandbox, start):
    worker = start(2)
    pids = await alive(services, 2)
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=1, times=10)
    jobs = [await submit(services, number) for number in range(10)]
    stop(worker, signal.SIGKILL)
    await gone(pids)
    start(1)
    for job in jobs:
        assert (await settled(services, job.id)).state is JobState.DELIVERED
    assert len(await sandbox.objects("servicenow")) == len(jobs)


async def test_celerys_own_command_has_them_too_with_names_of_their_own(services, start, valkey):
    worker = start(2, CELERYS_OWN, "-P", "prefork", "-c", "4", "-n", "celery-one@here", "-Q", "servicenow")
    assert worker.pid in await alive(services, 2)
    client = Celery("somebody", broker=valkey.url, backend=valkey.url, set_as_current=False)

    async def both():
        found = await asyncio.to_thread(client.control.ping, ["celery-one@here", "celery-one-2@here"], timeout=2)
        return len(found) == 2

    await until(both, what="answers of both nodes")
    queues = await asyncio.to_thread(client.control.inspect(timeout=5).active_queues)
    assert {name: [queue["name"] for queue in of] for name, of in queues.items() if "one" in name} == {
        "celery-one@here": ["servicenow"],
        "celery-one-2@here": ["servicenow"],
    }
    assert int(await services.redis.get(f"{services.settings.prefix}:capacity")) == 4
    job = await submit(services, 1)
    assert (await settled(services, job.id)).state is JobState.DELIVERED
    client.close()
    await asyncio.to_thread(stop, worker)


@pytest.mark.parametrize("command", [OURS, CELERYS_OWN], ids=["afterword", "celery"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AFTERWORD_WORKER_PROCESSES": "none"}, "AFTERWORD_WORKER_PROCESSES"),
        (
            {"AFTERWORD_WORKER_PROCESSES": "3", "AFTERWORD_REDIS_URL": "redis://127.0.0.1:1/0"},
            "Redis can't be reached.",
        ),
        ({"AFTERWORD_WORKER_PROCESSES": "3", "AFTERWORD_KEYS": "c2hvcnQ="}, "32"),
    ],
    ids=["bad setting", "away for too long", "bad key"],
)
async def test_a_start_that_cant_work_says_so_once(services, command, changes, words):
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=ROOT,
        env=environment(services.settings) | {"AFTERWORD_REDIS_PATIENCE_S": "0.1"} | changes,
        capture_output=True,
        text=True,
        timeout=READY_S,
        check=False,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("afterword: ")]
    assert words in line
    assert "Traceback" not in done.stderr
