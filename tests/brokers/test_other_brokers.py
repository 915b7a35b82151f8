"""The same deliveries over RabbitMQ, and over Redis with Sentinel through a failover: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from celery import Celery
from kombu import Queue
from redis.exceptions import RedisError

from config.keys import create_key_file
from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.errors import AfterwordError, StateUnavailable
from tasks.model import Document, Issue, Job, JobState, parse_command
from tests.brokers.servers import RedisServer, binary, rabbitmq, redis_server, sentinels
from tests.chaos.mischief import Pace
from tests.chaos.run import Size, run
from tests.conftest import ROOT, until
from worker.broker.queues import queue_lengths
from worker.machine.embedded import free_port
from worker.machine.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations
from worker.runtime import Services, open_services

SUBJECTS = 8
FAULTS = (
    {"operation": "create", "fault": "status", "status": 503, "share": 0.15},
    {"operation": "create", "fault": "commit_then_drop", "share": 0.1},
)


@contextmanager
def stack_of(folder: Path, **settings: object):
    """A worker and the sandbox over that Redis and broker."""
    folder.mkdir()
    with running_stack(Settings(data=folder, **settings), sandbox_port=0) as stack:
        yield stack


async def prepared(services: Services, stack: Stack, seed: int) -> None:
    """Quick destinations, and vendors that fail now and then."""
    for name, given in sandbox_destinations(str(stack.sandbox_url)).items():
        quick = {**given, "write_lag_s": 0.5, "total_timeout_s": 2, "concurrency": 16}
        await services.destinations.set(name, parse_settings(quick), FAKE_SECRET, "test")
    chance = random.Random(seed)
    for fault in FAULTS:
        body = json.dumps({**fault, "seed": chance.randrange(10**6)}).encode()
        request = urllib.request.Request(
            f"{stack.sandbox_url}/_sandbox/faults", body, {"Content-Type": "application/json"}
        )
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).close())  # noqa: B023 - used at once


async def submit_patiently(services: Services, number: int) -> list[Job]:
    """Three jobs of one subject, as a careful producer submits them: again, under the same id, where Redis was away."""
    document = Document(id=f"d{number}", title=f"Incident {number}", content_md="words", issue_id=f"i{number}")
    issue = Issue(id=f"i{number}", title=f"Incident {number}", description="words", severity=2)
    commands = (
        {"command": "publish_to_confluence", "doc_id": document.id, "space_key": "OPS"},
        {"command": "create_servicenow_incident", "issue_id": issue.id},
        {"command": "create_azuredevops_workitem", "issue_id": issue.id, "project": "Operations"},
    )
    jobs = []
    for command in commands:
        job_id = f"{command['command']}-{number}"

        async def accepted(command=command, job_id=job_id):
            try:
                return await services.submit(
                    parse_command(command), actor="test", job_id=job_id, document=document, issue=issue
                )
            except (StateUnavailable, RedisError):
                return None

        jobs.append(await until(accepted, what=f"job {job_id} to be accepted"))
    return jobs


async def all_delivered(services: Services, ids: list[str], limit_s: float = 120) -> list[Job]:
    jobs: list[Job] = []

    async def ended():
        with suppress(AfterwordError, RedisError, OSError):
            jobs[:] = [await services.ledger.require(identifier) for identifier in ids]
            return all(job.state is JobState.DELIVERED for job in jobs)

    try:
        await until(ended, limit_s, "every delivery")
    finally:
        print([job for job in jobs if job.state is not JobState.DELIVERED])  # shown where it fails
    return jobs


def objects_per_subject(stack: Stack) -> Counter:
    with urllib.request.urlopen(f"{stack.sandbox_url}/_sandbox/state", timeout=20) as answer:
        return Counter((item["vendor"], item["title"]) for item in json.load(answer)["objects"])


def test_rabbitmq_carries_the_messages_of_plain_clients_and_the_sweeper_in_quorum_queues(tmp_path):
    async def deliver(stack: Stack, broker: str, ledger: str) -> None:
        async with open_services(stack.own_settings) as services:
            await prepared(services, stack, seed=7)
            jobs = [job for number in range(SUBJECTS) for job in await submit_patiently(services, number)]
            stack.children["worker"].kill()
            stack.children["worker"].wait()
            stack.start("worker", "worker")
            plain = Celery("somebody", broker=broker, backend=ledger, set_as_current=False)
            plain.conf.task_queues = [Queue("celery", queue_arguments={"x-queue-type": "quorum"})]
            await services.contents.put_document(Document(id="p", title="Plain", content_md="words"), "test")
            page = plain.send_task("publish_to_confluence", kwargs={"doc_id": "p", "space_key": "OPS"})
            await all_delivered(services, [*(job.id for job in jobs), page.id])
            assert set((await asyncio.to_thread(page.get, timeout=60)).keys()) == {"id", "url"}
            assert (await services.audit.verify()).ok

    with (
        rabbitmq(tmp_path / "rabbitmq") as broker,
        redis_server(tmp_path / "redis") as ledger,
        stack_of(tmp_path / "data", redis_url=ledger.url, broker_url=broker) as stack,
    ):
        asyncio.run(deliver(stack, broker, ledger.url))
        lengths = queue_lengths(stack.own_settings)
        counted = objects_per_subject(stack)
    assert lengths.reachable
    assert set(lengths.messages) == {"celery", "confluence", "servicenow", "azure_devops", "jira"}
    assert len(counted) == 3 * SUBJECTS + 1
    assert set(counted.values()) == {1}


def test_the_chaos_of_killed_workers_ends_as_well_over_rabbitmq(tmp_path):
    pace = Pace(kill_s=1.5, stop_s=6.0, stopped_s=5.0, valkey_s=6.0, listener_s=4.0, messages_s=1.0)
    size = Size(jobs=30, over_s=5.0, mischief_s=5.0, limit_s=150.0, pace=pace)
    with rabbitmq(tmp_path / "rabbitmq") as broker, redis_server(tmp_path / "redis") as ledger:
        verdict = run(tmp_path / "chaos", size, seed=5, redis_url=ledger.url, broker_url=broker)
    assert verdict.good, str(verdict)
    assert verdict.objects == verdict.subjects


def test_the_chaos_ends_as_well_over_sentinel_through_a_failover(tmp_path):
    """Killed primaries come back as replicas; what was promised before stands, whatever the dead one had not passed on."""
    pace = Pace(kill_s=1.5, starts=0.5, stop_s=6.0, stopped_s=5.0, failover_s=3.0, listener_s=4.0, messages_s=0.5)
    size = Size(jobs=30, over_s=8.0, mischief_s=8.0, limit_s=150.0, pace=pace)
    with sentinels(tmp_path / "redis") as watched:
        verdict = run(tmp_path / "chaos", size, seed=4, redis_url=watched.url, fail_over=watched.fail_over)
    assert verdict.good, str(verdict)
    assert verdict.objects == verdict.subjects
    assert "primaries killed" in verdict.mischief
    assert "ended by themselves" not in verdict.mischief, verdict.mischief


@pytest.mark.parametrize("way", ["tls", "unix socket"])
def test_redis_over_tls_or_a_unix_socket_is_ledger_and_broker(tmp_path, way):
    if way == "tls":
        lines, address = encrypted(tmp_path)
    else:
        lines = [f"unixsocket {tmp_path}/redis.sock"]
        address = f"unix://:{{password}}@{tmp_path}/redis.sock?db=1"

    async def deliver(stack: Stack) -> None:
        async with open_services(stack.own_settings) as services:
            await all_delivered(services, [job.id for job in await submit_patiently(services, 0)])

    with redis_server(tmp_path / "redis", *lines) as server:
        url = address.format(password=server.password)
        with stack_of(tmp_path / "data", redis_url=url) as stack:
            asyncio.run(deliver(stack))
            lengths = queue_lengths(stack.own_settings)
    assert lengths.reachable


def encrypted(folder: Path) -> tuple[list[str], str]:
    """A certificate of its own, Redis' lines for it, and the address that trusts nothing else."""
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    made = [binary("openssl"), *command.split()[1:], "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(made, check=True, capture_output=True)
    port = free_port()
    lines = [f"tls-port {port}", f"tls-cert-file {folder}/cert.pem", f"tls-key-file {folder}/key.pem"]
    lines += [f"tls-ca-cert-file {folder}/cert.pem", "tls-auth-clients no"]
    return lines, f"rediss://:{{password}}@127.0.0.1:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={folder}/cert.pem"


def test_a_worker_lives_through_a_time_without_writes_and_another_one_starts_in_it(tmp_path):
    """Redis takes no writes while no replica is in step: nobody ends, and the next job is delivered."""

    async def deliver(stack: Stack, server: RedisServer) -> None:
        async with open_services(stack.own_settings) as services:
            await prepared(services, stack, seed=3)
            await all_delivered(services, [job.id for job in await submit_patiently(services, 0)])
            with server.client() as client:
                client.config_set("min-replicas-to-write", 1)
                with pytest.raises(StateUnavailable):
                    await services.contents.put_document(Document(id="x", title="t", content_md="w"), "test")
                stack.start("second", "worker")
                await until(lambda: trouble_was_seen(stack, "worker"), what="a worker that saw the refusal")
                await until(lambda: trouble_was_seen(stack, "second"), what="a new one that saw it")
                client.config_set("min-replicas-to-write", 0)
            await all_delivered(services, [job.id for job in await submit_patiently(services, 1)])

    with redis_server(tmp_path / "redis") as server, stack_of(tmp_path / "data", redis_url=server.url) as stack:
        asyncio.run(deliver(stack, server))
        assert [stack.children[name].poll() for name in ("worker", "second")] == [None, None]


async def trouble_was_seen(stack: Stack, name: str) -> bool:
    """Whether the consumer of that worker met the refusal."""
    assert stack.children[name].poll() is None, "the worker ended"
    log = (stack.settings.data / f"{name}.log").read_text("utf-8", errors="replace").lower()
    return "trying again" in log or "trying to reconnect" in log


async def test_without_enough_replicas_nothing_is_accepted_and_the_reason_is_said(tmp_path):
    create_key_file(tmp_path / "keys")
    document = Document(id="d", title="t", content_md="w")
    with redis_server(tmp_path / "redis") as alone:
        settings = Settings(data=tmp_path, redis_url=alone.url)
        async with open_services(settings.model_copy(update={"replicas": 1})) as services:
            with pytest.raises(StateUnavailable, match="Only 0 of 1 replicas"):
                await services.contents.put_document(document, "test")
        async with open_services(settings) as services:
            await services.contents.put_document(document, "test")
            assert (await services.audit.verify()).ok


def test_sentinels_that_are_away_are_one_clear_line(tmp_path):
    env = {
        "PATH": "/usr/bin",
        "AFTERWORD_DATA": str(tmp_path),
        "AFTERWORD_REDIS_URL": f"sentinel://:pw-planted@127.0.0.1:{free_port()}/nobody",
    }
    command = [sys.executable, "-m", "worker"]
    subprocess.run([*command, "key", "new", "--out", str(tmp_path / "keys")], cwd=ROOT, env=env, check=True)
    done = subprocess.run(
        [*command, "job", "list"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 1
    assert "can't be reached" in done.stderr
    assert "pw-planted" not in done.stderr
    assert "Traceback" not in done.stderr
