"""The compose file's Redis, started by its own script, with a worker and Flower under the users made for them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import redis
import yaml
from celery import Celery

from config.keys import create_key_file
from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Document, JobState, parse_command
from tasks.state.jobs.asked import Asked
from tasks.state.receivers.settings import receiver_of
from tasks.state.views.registry import Person
from tests.brokers.account_rounds import all_that_producers_may_send, plain_client, used_by_somebody
from tests.brokers.servers import binary, process, wait_until
from tests.conftest import ROOT, environment, until
from worker.broker.queues import queue_lengths
from worker.machine.embedded import free_port, server_binary
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.metrics import render
from worker.runtime import open_services

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PASSWORD, FLOWER_PASSWORD = "planted-redis-1", "planted-flower-2"
OTHERS = {"api": "planted-api-3", "producer": "planted-producer-4", "reader": "planted-reader-5"}
JUDGE = "judge"
PLANTED = "S3cret-" + "planted-43"
PAGES = ("/workers", "/tasks", "/broker", "/api/workers?refresh=1&status=1", "/api/workers", "/api/tasks", "/metrics")


@dataclass
class Redis:
    """The server, as compose would run it."""

    port: int

    def url(self, user: str, password: str) -> str:
        return f"redis://{user}:{password}@127.0.0.1:{self.port}/0"

    def refusals(self) -> set[tuple[str, str]]:
        """Whom the server refused what since the last look, inside scripts, too; without a client's name for itself."""
        with self.client("judge", JUDGE) as judge:
            found = {(entry["username"], entry["object"]) for entry in judge.acl_log()}
            judge.acl_log_reset()
        return {(user, what) for user, what in found if what != "client|setinfo"}

    def client(self, user: str | None = None, password: str | None = None) -> redis.Redis:
        return redis.Redis(port=self.port, username=user, password=password, decode_responses=True)


@contextmanager
def started(folder, program, *, everybody=True):
    """Redis by the compose file's entrypoint, command and environment, with its paths and port moved here."""
    service = COMPOSE["services"]["redis"]
    deploy = shutil.copytree(ROOT / "deploy" / "redis", folder / "deploy")
    with (deploy / "users.acl").open("a") as users:
        users.write(f"user judge on >{JUDGE} ~* &* +@all\n")  # reads what the server refused
    entry = [part.replace("/deploy", str(deploy)) for part in service["entrypoint"]]
    command = [part.replace("/data", str(folder)) for part in service["command"]]
    optional = {f"{name.upper()}_REDIS_PASSWORD": password for name, password in OTHERS.items()}
    assert set(service["environment"]) == {"REDIS_PASSWORD", "FLOWER_REDIS_PASSWORD", *optional}
    port = free_port()
    env = os.environ | {
        "REDIS_PASSWORD": PASSWORD,
        "FLOWER_REDIS_PASSWORD": FLOWER_PASSWORD,
        **(optional if everybody else {}),
        "USERS_FILE": str(folder / "users.acl"),
        "REDIS_SERVER": program,
    }
    log = folder / "server.log"
    with process([*entry, *command, "--port", str(port), "--bind", "127.0.0.1"], log, env=env):
        found = Redis(port)

        def answers():
            try:
                return found.client("afterword", PASSWORD).ping()
            except redis.RedisError:
                return False

        wait_until(answers, "the server with its users")
        assert PASSWORD not in (folder / "users.acl").read_text()
        yield found


@pytest.fixture(params=["redis-server", "valkey-server"])
def server(request, tmp_path):
    program = str(server_binary()) if request.param == "valkey-server" else binary("redis-server")
    with started(tmp_path, program) as found:
        yield found


@pytest.fixture
async def services_here(server, tmp_path, sandbox):
    """Services, destinations and a worker process, all of them as the user `afterword`."""
    create_key_file(tmp_path / "keys")
    settings = Settings(data=tmp_path, redis_url=server.url("afterword", PASSWORD), sweep_interval_s=0.2)
    async with open_services(settings) as services:
        for name, given in sandbox_destinations(sandbox.url).items():
            await services.destinations.set(name, parse_settings({**given, "total_timeout_s": 3}), FAKE_SECRET, "test")
        command = [sys.executable, "-m", "worker", *COMPOSE["services"]["worker-1"]["command"]]
        with process(command, tmp_path / "worker.log", env=environment(settings), cwd=ROOT):
            yield services


async def delivered(services, plain: Celery | None = None) -> str:
    """One page from content put before, by our own submission or by a plain Celery client's message."""
    number = uuid.uuid4().hex[:8]
    document = Document(id=f"doc-{number}", title=f"Title {PLANTED[:9]} {number}", content_md=f"Body {PLANTED[:9]}")
    await services.contents.put_document(document, "test")
    arguments = {"doc_id": document.id, "space_key": "OPS"}
    if plain is None:
        command = parse_command({"command": "publish_to_confluence", **arguments})
        job_id = (await services.submit(command, actor="test")).id
    else:
        job_id = plain.send_task("publish_to_confluence", kwargs=arguments).id

    async def done():
        job = await services.ledger.get(job_id)
        return job is not None and job.state is JobState.DELIVERED

    await until(done, what="a delivery under the user's rights")
    return job_id


async def test_a_worker_delivers_with_no_more_rights_than_the_users_file_gives(server, services_here):
    await delivered(services_here)
    plain = plain_client(server.url("afterword", PASSWORD))
    await delivered(services_here, plain)
    await all_that_producers_may_send(services_here, plain)

    def watched() -> list[str]:
        """Whoever runs the workers asks them, and takes a task back."""
        workers = plain.control.inspect(timeout=20, limit=1)
        assert all((workers.ping(), workers.stats(), workers.registered(), workers.conf()))
        later = plain.send_task("create_jira_issue", kwargs={"issue_id": "i1"}, countdown=600)
        later.revoke()
        later.get(timeout=40, propagate=False)
        return later.state

    assert await asyncio.to_thread(watched) == "REVOKED"
    assert (await services_here.audit.verify()).ok
    assert server.refusals() == set()
    with server.client("afterword", PASSWORD) as own:
        for forbidden in (
            ("FLUSHALL",),
            ("KEYS", "*"),
            ("CONFIG", "GET", "*"),
            ("ACL", "LIST"),
            ("SHUTDOWN",),
            ("MODULE", "LIST"),
            ("GET", "somebody-elses"),
            ("PUBLISH", "somebody-elses", "x"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                own.execute_command(*forbidden)
    with server.client() as nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()


def refused(client: redis.Redis, *commands: tuple[str, ...]) -> None:
    """Each of them is refused for the account's rights, and for nothing else."""
    for command in commands:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)


async def test_a_producer_pushes_messages_and_reads_results_and_does_nothing_else(server, services_here):
    plain = plain_client(server.url("producer", OTHERS["producer"]))
    await services_here.contents.put_document(Document(id="d1", title="T", content_md="words"), "test")
    arguments = {"doc_id": "d1", "space_key": "OPS"}
    for options in ({}, {"queue": "confluence"}, {"priority": 6}):
        result = plain.send_task("publish_to_confluence", kwargs=arguments, **options)
        assert set(await asyncio.to_thread(result.get, timeout=40)) == {"id", "url"}
    await all_that_producers_may_send(services_here, plain)
    assert server.refusals() == set()
    with server.client("producer", OTHERS["producer"]) as client:
        refused(
            client,
            ("RPOP", "celery"),
            ("LRANGE", "celery", "0", "-1"),
            ("DEL", "celery"),
            ("SET", "celery-task-meta-x", "y"),
            ("SET", "celery", "y"),
            ("GET", "celery-taskset-meta-x"),
            ("LPUSH", "afterword:x", "y"),
            ("HGETALL", "afterword:destination:confluence"),
            ("HSET", "afterword:apikey:x", "scopes", "admin"),
            ("HGETALL", "unacked"),
            ("PUBLISH", "/0.celery.pidbox", "x"),
            ("PUBLISH", "afterword:wake", "1"),
            ("SUBSCRIBE", "/0.celeryev/*"),
            ("EVAL", "return 1", "0"),
            ("SCAN", "0"),
            ("KEYS", "*"),
            ("INFO",),
            ("FLUSHALL",),
            ("CONFIG", "GET", "*"),
            ("ACL", "LIST"),
        )
    plain.close()


async def died(services, sandbox) -> None:
    """One job that its destination refuses."""
    await sandbox.fault(vendor="confluence", operation="create", fault="status", status=400)
    document = Document(id="refused", title="Refused", content_md="Body")
    await services.contents.put_document(document, "test")
    command = parse_command({"command": "publish_to_confluence", "doc_id": document.id, "space_key": "OPS"})
    job = await services.submit(command, actor="test")

    async def dead():
        return (await services.ledger.require(job.id)).state is JobState.DEAD

    await until(dead, what="a dead job")


async def test_the_api_serves_and_submits_and_reaches_no_queue(server, services_here, sandbox):
    settings = services_here.settings.model_copy(update={"redis_url": server.url("api", OTHERS["api"])})
    async with open_services(settings) as services:
        await delivered(services)
        lengths = await asyncio.to_thread(queue_lengths, settings)
        assert lengths.reachable
        assert (await services.audit.verify()).ok
        assert b"afterword_jobs" in await render(services)
        await services.destinations.pause("jira", "test")
        assert (await services.destinations.resume("jira", "test")).state == "ready"
        view = await services.views.save(Person(id="ak_1", name="Olga", actor="Olga"), "Dead", Asked(state="dead"))
        hook = {"kind": "slack", "url": "https://hooks.example.com/services/T/B/x"}
        await services.receivers.set("ops", receiver_of("ops", hook), "test")
        assert (await services.receivers.view("ops")).standing == "untested"
        assert [found.name for found in await services.views.list(Person(id="ak_1", name="O", actor="O"))] == [
            view.name
        ]
        await died(services, sandbox)
        await used_by_somebody(services)
    assert server.refusals() == set()
    with server.client("api", OTHERS["api"]) as client:
        refused(
            client,
            ("LPUSH", "celery", "x"),
            ("RPOP", "confluence"),
            ("GET", "celery-task-meta-x"),
            ("HGETALL", "unacked"),
            ("PUBLISH", "/0.celery.pidbox", "x"),
            ("FLUSHALL",),
            ("KEYS", "*"),
            ("CONFIG", "GET", "*"),
            ("SHUTDOWN",),
        )


async def test_a_reader_verifies_the_audit_and_writes_nothing(server, services_here):
    await delivered(services_here)
    settings = services_here.settings.model_copy(update={"redis_url": server.url("reader", OTHERS["reader"])})
    async with open_services(settings) as services:
        assert (await services.audit.verify()).ok
        assert [entry.event for entry in await services.audit.tail(5)]
    assert server.refusals() == set()
    with server.client("reader", OTHERS["reader"]) as client:
        refused(
            client,
            ("SET", "afterword:x", "y"),
            ("HSET", "afterword:destination:confluence", "state", "ready"),
            ("DEL", "afterword:audit"),
            ("XADD", "afterword:audit", "*", "a", "b"),
            ("LPUSH", "celery", "x"),
            ("GET", "celery-task-meta-x"),
            ("EVAL", "return 1", "0"),
            ("PUBLISH", "afterword:wake", "1"),
            ("KEYS", "*"),
            ("CONFIG", "GET", "*"),
        )


def test_users_without_a_password_are_off(tmp_path):
    with started(tmp_path, str(server_binary()), everybody=False) as server:
        for name, password in OTHERS.items():
            for given in (password, "", "off"):
                with server.client(name, given) as client, pytest.raises(redis.exceptions.AuthenticationError):
                    client.ping()


async def test_flower_may_neither_read_our_records_nor_send_or_listen(server):
    with server.client("flower", FLOWER_PASSWORD) as flower:
        for forbidden in (
            ("HGETALL", "afterword:destination:confluence"),
            ("XRANGE", "afterword:audit", "-", "+"),
            ("GET", "celery-task-meta-x"),
            ("LPUSH", "confluence", "x"),
            ("SUBSCRIBE", "afterword:wake"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                flower.execute_command(*forbidden)


async def test_flower_shows_tasks_and_nothing_else_of_ours(server, services_here, tmp_path):
    port = free_port()
    service = COMPOSE["services"]["flower"]
    options = [part.replace("5555", str(port)).replace("0.0.0.0", "127.0.0.1") for part in service["command"]]
    env = os.environ | {"AFTERWORD_REDIS_URL": server.url("flower", FLOWER_PASSWORD), "FLOWER_BASIC_AUTH": "ops:fake"}
    command = [sys.executable, "-m", *service["entrypoint"], *options]
    with process(command, tmp_path / "flower.log", env=env, cwd=ROOT):
        site = Site(port)
        await until(site.answers, what="Flower")
        for path in ("/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers"):
            assert site.status(path) == 401, f"{path} is open"
        plain = Celery("somebody", broker=server.url("afterword", PASSWORD), set_as_current=False)

        async def watches():
            """Flower hears of a task only once it listens."""
            job_id = plain.send_task("test_servicenow_connection", args=["https://x.example", PLANTED]).id
            await asyncio.sleep(0.2)
            return job_id in site.json("/api/tasks")

        await until(watches, what="Flower's first task")
        job_id = await delivered(services_here, plain)

        async def succeeded():
            return site.json("/api/tasks").get(job_id, {}).get("state") == "SUCCESS"

        await until(succeeded, what="SUCCESS in Flower")
        task = site.json("/api/tasks")[job_id]
        assert task["name"] == "publish_to_confluence"
        assert (task["args"], task["kwargs"]) == ("()", "{}")

        async def workers():
            return list(site.json("/api/workers?refresh=1"))

        (worker,) = await until(workers, what="a worker in Flower")
        pages = {}
        for path in (*PAGES, f"/task/{job_id}"):
            assert site.status(path, known=True) == 200, path
            pages[path] = site.read(path)

        assert site.status(f"/worker/{worker}", known=True) == 200
        pages["/worker"] = site.read(f"/worker/{worker}")
        assert "broker_url" in pages["/worker"]
        assert "servicenow" in pages["/broker"]
        assert server.refusals() == set()
    for path, text in pages.items():
        for secret in (PLANTED, PLANTED[:9], PASSWORD, FLOWER_PASSWORD, FAKE_SECRET, "ops:fake"):
            assert secret not in text, f"{path} shows a secret"
    for log in ("flower.log", "worker.log", "server.log"):
        text = (tmp_path / log).read_text()
        assert not [secret for secret in (PLANTED, PASSWORD, FLOWER_PASSWORD, FAKE_SECRET) if secret in text], log


class Site:
    """Flower's pages, with the right password or without."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    async def answers(self) -> bool:
        try:
            return self.status("/healthcheck") == 200
        except OSError:
            return False

    def status(self, path: str, *, known: bool = False) -> int:
        try:
            with self.open(path, known=known) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code

    def read(self, path: str) -> str:
        with self.open(path, known=True) as answer:
            return answer.read().decode()

    def open(self, path: str, *, known: bool):
        account = base64.b64encode(b"ops:fake").decode()
        headers = {"Authorization": f"Basic {account}"} if known else {}
        return urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=20)

    def json(self, path: str) -> dict:
        return json.loads(self.read(path))
