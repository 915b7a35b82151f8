"""Whatever is killed, stopped or restarted: jobs go on, nothing is sent twice, nobody waits for a dead worker."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from redis.exceptions import RedisError

from tasks.destinations import parse_settings
from tasks.errors import StateUnavailable
from tasks.model import Issue, JobState, parse_command
from tests.conftest import ROOT, environment, stop, until
from tests.integration.test_lifecycle import INCIDENT, ISSUE, WORK_ITEM, run, submit
from tests.integration.test_processes import alive, settled
from worker.machine.embedded import EmbeddedValkey
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import open_services

DONE = 30
numbers = itertools.count()
UNREACHABLE = (StateUnavailable, RedisError)


@pytest.fixture
async def content(services, destinations):
    await services.contents.put_issue(ISSUE, "test")


async def submit_many(services, count):
    async def one(_):
        issue = Issue(id=f"many-{next(numbers)}", title="Incident")
        command = parse_command(INCIDENT | {"issue_id": issue.id})
        return (await services.submit(command, actor="test", issue=issue)).id

    return await asyncio.gather(*(one(number) for number in range(count)))


async def all_delivered(services, ids):
    async def every():
        jobs = await services.ledger.overview.jobs(ids)
        return all(job.state is JobState.DELIVERED for job in jobs)

    await until(every, 120, "the delivery of every job")


async def create_was_sent(sandbox, vendor="servicenow", times=1):
    async def sent():
        made = [r for r in (await sandbox.state())["requests"] if r["vendor"] == vendor and r["operation"] == "create"]
        return len(made) >= times

    await until(sent, what="the create request")


async def every_intent_has_one_outcome(services):
    async def closed():
        return not await services.redis.exists(f"{services.settings.prefix}:intents")

    await until(closed, what="the outcome of every intent")
    entries = await services.audit.after(count=100_000)
    intents = [f"{e.chain}/{e.seq}" for e in entries if e.event.endswith(".intent")]
    assert sorted(e.data["intent"] for e in entries if "intent" in e.data) == sorted(intents)
    report = await services.audit.verify()
    assert report.ok, report.problems


async def test_a_stopped_worker_that_goes_on_after_the_take_over_changes_nothing(
    services, sandbox, content, start_worker
):
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=2)
    stopped = start_worker()
    job = await services.submit(parse_command(INCIDENT), actor="test")
    await create_was_sent(sandbox)
    stopped.send_signal(signal.SIGSTOP)
    start_worker()
    assert (await settled(services, job.id)).state is JobState.DELIVERED
    delivered = await services.ledger.require(job.id)
    stopped.send_signal(signal.SIGCONT)
    await every_intent_has_one_outcome(services)

    async def beats_again():
        return await services.redis.zcard(f"{services.settings.prefix}:workers") == 2

    await until(beats_again, what="the heartbeat of the worker that goes on")
    assert await services.ledger.require(job.id) == delivered
    assert (delivered.crashes, delivered.attempts) == (1, 1)
    assert len(await sandbox.objects("servicenow")) == 1


async def test_sigterm_gives_back_what_does_not_finish_in_time_and_another_worker_takes_it(
    services, sandbox, content, start_worker, monkeypatch
):
    monkeypatch.setenv("AFTERWORD_DRAIN_S", "0.2")
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=2.5, times=1)
    first = start_worker()
    job = await services.submit(parse_command(INCIDENT), actor="test")
    await create_was_sent(sandbox)
    first.terminate()
    assert await asyncio.to_thread(first.wait, DONE) == 0
    given_back = await services.ledger.require(job.id)
    assert given_back.state is JobState.RETRYING
    assert given_back.last_error.code == "worker_stopped"
    assert (given_back.attempts, given_back.crashes) == (0, 0)
    assert await services.redis.zcard(f"{services.settings.prefix}:workers") == 0
    start_worker()
    assert (await settled(services, job.id)).state is JobState.DELIVERED
    assert len(await sandbox.objects("servicenow")) == 1
    await every_intent_has_one_outcome(services)


async def test_a_second_sigterm_hastens_the_first(services, sandbox, content, start_worker, monkeypatch):
    monkeypatch.setenv("AFTERWORD_DRAIN_S", "600")
    await services.destinations.set(
        "servicenow",
        parse_settings({**sandbox_destinations(sandbox.url)["servicenow"], "total_timeout_s": 300}),
        FAKE_SECRET,
        "test",
    )
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=300)
    worker = start_worker()
    job = await services.submit(parse_command(INCIDENT), actor="test")
    await create_was_sent(sandbox)
    log = services.settings.data / "worker-0.log"
    worker.terminate()

    async def said():
        return "Warm shutdown" in log.read_text()

    await until(said, what="the beginning of the shutdown")
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, DONE) == 0
    assert (await services.ledger.require(job.id)).last_error.code == "worker_stopped"


async def test_a_stop_signal_before_the_worker_is_ready_ends_it_too(services, start_worker):
    for number in range(3):
        worker = start_worker()
        log = services.settings.data / f"worker-{number}.log"

        async def handles_signals(log=log):
            return "[queues]" in log.read_text()

        await until(handles_signals, what="the worker's banner")
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, DONE) == 0
    assert await services.redis.zcard(f"{services.settings.prefix}:workers") == 0


async def test_rolling_restarts_under_load_lose_nothing_and_double_nothing(services, sandbox, content, start_worker):
    workers = [start_worker(), start_worker()]
    await alive(services, 2)
    ids: list[str] = []
    for turn in range(3):
        ids += [(await services.submit(_incident(f"roll-{turn}-{n}"), actor="test", issue=_issue(f"roll-{turn}-{n}"))).id
                for n in range(40)]  # fmt: skip
        old = workers.pop(0)
        old.terminate()
        assert await asyncio.to_thread(old.wait, DONE) == 0
        workers.append(start_worker())
        await alive(services, 2)
    await all_delivered(services, ids)
    jobs = await services.ledger.overview.jobs(ids)
    assert {job.crashes for job in jobs} == {0}
    assert len(await sandbox.objects("servicenow")) == len(ids)
    await every_intent_has_one_outcome(services)


def _issue(name: str) -> Issue:
    return Issue(id=name, title=f"Incident {name}")


def _incident(name: str):
    return parse_command(INCIDENT | {"issue_id": name})


async def test_doubled_and_deleted_messages_are_harmless(services, sandbox, content, start_worker):
    start_worker()
    await alive(services)
    ids = await submit_many(services, 30)
    for _ in range(20):
        raw = await services.redis.lindex("servicenow", 0)
        if raw is not None:
            await services.redis.lpush("servicenow", raw, raw)
        await services.redis.lpop("servicenow")
        await asyncio.sleep(0.01)
    await all_delivered(services, ids)
    assert len(await sandbox.objects("servicenow")) == len(ids)
    await every_intent_has_one_outcome(services)


# -- Redis goes away


@pytest.fixture
async def own(tmp_path, settings, sandbox, monkeypatch):
    """An instance with a Valkey of its own, which a test may kill."""
    with EmbeddedValkey(tmp_path / "own") as server:
        mine = settings.model_copy(update={"redis_url": server.url})
        async with open_services(mine) as services:
            for name, given in sandbox_destinations(sandbox.url).items():
                quick = {**given, "write_lag_s": 0.2, "total_timeout_s": 3}
                await services.destinations.set(name, parse_settings(quick), FAKE_SECRET, "test")
            yield server, services


@pytest.fixture
def own_worker(own, start_worker, monkeypatch):
    server, _ = own
    monkeypatch.setattr("tests.conftest.environment", with_redis(server.url))
    return start_worker


def with_redis(url: str):
    return lambda settings: environment(settings) | {"AFTERWORD_REDIS_URL": url}


def kill(server: EmbeddedValkey) -> None:
    server._process.kill()
    server._process.wait()


async def test_workers_go_on_by_themselves_after_redis_was_killed_and_started_again(own, own_worker, sandbox):
    server, services = own
    worker = own_worker()
    await alive(services)
    ids = await submit_many(services, 30)
    for _ in range(2):
        kill(server)
        server.start()
        ids += [
            (await services.submit(_incident(f"after-{len(ids)}"), actor="t", issue=_issue(f"after-{len(ids)}"))).id
        ]
    await all_delivered(services, ids)
    assert worker.poll() is None
    assert len(await sandbox.objects("servicenow")) == len(ids)
    await every_intent_has_one_outcome(services)


CELERYS_OWN = (sys.executable, "-m", "celery", "-A", "worker", "worker")


def log_of(services) -> str:
    return (services.settings.data / "worker-0.log").read_text("utf-8")


async def waits_for_redis(services):
    async def said():
        return "trying again" in log_of(services)

    await until(said, what="the worker's word that Redis is away")


@pytest.mark.parametrize("command", [(), CELERYS_OWN], ids=["afterword", "celery"])
async def test_a_worker_that_starts_while_redis_is_away_goes_to_work_once_it_is_back(own, own_worker, command):
    server, services = own
    ids = await submit_many(services, 3)
    kill(server)
    worker = own_worker(*command)
    await waits_for_redis(services)
    server.start()
    await all_delivered(services, ids)
    assert worker.poll() is None


@pytest.mark.parametrize("command", [(), CELERYS_OWN], ids=["afterword", "celery"])
async def test_a_worker_that_waits_for_redis_can_be_stopped(own, own_worker, command):
    server, services = own
    kill(server)
    worker = own_worker(*command)
    await waits_for_redis(services)
    stop(worker)
    assert worker.returncode == 128 + signal.SIGTERM, "it ended by the signal, not by a fault"
    server.start()


@pytest.mark.parametrize("command", [(), CELERYS_OWN], ids=["afterword", "celery"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AFTERWORD_REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis can't be reached."),
        (
            {"AFTERWORD_REDIS_URL": "redis://:wrong@127.0.0.1:{port}/0"},
            "Redis refused the account: invalid username-password pair or user is disabled.",
        ),
        ({"AFTERWORD_REDIS_URL": "http://127.0.0.1"}, "AFTERWORD_REDIS_URL"),
        ({"AFTERWORD_KEYS": "c2hvcnQ="}, "32"),
        ({"AFTERWORD_CONCURRENCY": "many"}, "AFTERWORD_CONCURRENCY"),
    ],
    ids=["away for too long", "wrong password", "bad address", "bad key", "bad setting"],
)
async def test_a_start_that_cant_work_ends_with_one_line(services, valkey, command, changes, words):
    port = valkey.url.rpartition(":")[2].partition("/")[0]
    changed = {name: value.replace("{port}", port) for name, value in changes.items()}
    done = await asyncio.to_thread(
        subprocess.run,
        command or (sys.executable, "-m", "worker", "worker"),
        cwd=ROOT,
        env=environment(services.settings) | {"AFTERWORD_REDIS_PATIENCE_S": "0.1"} | changed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("afterword: ")
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


async def test_celerys_other_pools_deliver_as_well(services, content, start_worker):
    for pool in ("prefork", "solo"):
        worker = start_worker(*CELERYS_OWN, "--pool", pool, "--concurrency", "2")
        ids = await submit_many(services, 3)
        await all_delivered(services, ids)
        assert {job.attempts for job in await services.ledger.overview.jobs(ids)} == {1}
        stop(worker)


async def test_a_producer_gets_an_error_while_redis_is_away_and_the_same_job_afterwards(own):
    server, services = own
    kill(server)
    with pytest.raises(UNREACHABLE):
        await services.submit(_incident("x"), actor="test", issue=_issue("x"), idempotency_key="k")
    server.start()
    first = await services.submit(_incident("x"), actor="test", issue=_issue("x"), idempotency_key="k")
    again = await services.submit(_incident("x"), actor="test", issue=_issue("x"), idempotency_key="k")
    assert first.id == again.id
    assert len((await services.ledger.list())[0]) == 1


async def test_an_answer_that_came_while_redis_was_away_is_a_delivery_once_it_is_back(own, own_worker, sandbox):
    server, services = own
    await sandbox.fault(vendor="servicenow", operation="create", fault="slow_headers", seconds=1)
    own_worker()
    job = await services.submit(_incident("y"), actor="test", issue=_issue("y"))
    await create_was_sent(sandbox)
    kill(server)

    async def committed():
        return await sandbox.objects("servicenow")

    await until(committed, what="the incident")
    await asyncio.sleep(2)  # the answer arrives, and its outcome has nowhere to go
    server.start()
    ended = await settled(services, job.id)
    assert (ended.state, ended.crashes) == (JobState.DELIVERED, 0)
    assert len(await sandbox.objects("servicenow")) == 1
    await every_intent_has_one_outcome(services)


# -- what clients are told


async def test_a_client_that_waits_hears_of_a_job_that_ends_outside_a_task(services, content, start_worker, valkey):
    client = Celery("somebody", broker=valkey.url, backend=valkey.url, set_as_current=False)
    await services.destinations.pause("servicenow", "test")
    start_worker()
    older = client.send_task("create_servicenow_incident", args=["inc-1"])

    async def adopted(result=older):
        return await services.ledger.get(result.id)

    await until(adopted, what="the job of the older message")
    newer = await services.submit(parse_command(INCIDENT), actor="test", job_id="newer")
    with pytest.raises(Exception, match="took its place"):
        await asyncio.to_thread(older.get, timeout=DONE)
    await services.ledger.cancel(newer.id, "test")
    with pytest.raises(Exception, match="cancelled"):
        await asyncio.to_thread(client.AsyncResult(newer.id).get, timeout=DONE)
    client.close()


# -- how much a backlog costs


async def test_a_backlog_for_a_destination_that_is_away_costs_a_worker_no_memory(services, content, start_worker):
    await services.destinations.pause("servicenow", "test")
    worker = start_worker()
    await alive(services)
    await _deliver_one(services, "warm")
    before_kb = _resident_kb(worker.pid)
    for _ in range(5):
        await submit_many(services, 200)
    await _deliver_one(services, "after")
    assert _resident_kb(worker.pid) - before_kb < 20_000
    counted = {(c.destination, c.state.value): c.count for c in await services.ledger.statistics()}
    assert counted["servicenow", "queued"] == 1000


async def _deliver_one(services, name):
    command = parse_command(WORK_ITEM | {"issue_id": name})
    job = await services.submit(command, actor="test", issue=_issue(name))
    assert (await settled(services, job.id)).state is JobState.DELIVERED


def _resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


# -- whether an issue may have several objects


@pytest.mark.parametrize(("vendor", "command"), [("servicenow", INCIDENT), ("azure_devops", WORK_ITEM)])
@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500"])
async def test_if_exists_new_makes_one_more_object_and_never_two(services, sandbox, content, vendor, command, fault):
    async def deliver(**config):
        return await run(services, await submit(services, command | ({"config": config} if config else {})))

    await deliver()
    await sandbox.fault(vendor=vendor, operation="create", fault=fault, times=1)
    second = await deliver(if_exists="new")
    assert second.receipt.change in ("created", "found", "updated")
    assert len(await sandbox.objects(vendor)) == 2
    assert (await deliver()).receipt.id == second.receipt.id
    assert (await deliver(if_exists="skip")).receipt.change == "skipped"
    assert len(await sandbox.objects(vendor)) == 2


async def test_several_jobs_that_ask_for_a_new_object_each_get_one(services, sandbox, content):
    command = INCIDENT | {"config": {"if_exists": "new"}}
    jobs = [await submit(services, command) for _ in range(3)]
    assert (await submit(services, command, job_id=jobs[0].id)).id == jobs[0].id
    for job in jobs:
        await run(services, job)
    assert len(await sandbox.objects("servicenow")) == 3
