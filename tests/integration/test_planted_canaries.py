"""Credentials, content and people's data are planted, every path is walked, and all that an instance leaves is searched for them.

One whole instance (`afterword up`, its log at DEBUG) with Flower beside it does jobs for vendors that repeat what they are
sent, in every form and part of an answer. Then its logs, files, Redis, processes, API, console, metrics, callbacks,
notifications, Celery results and exports are searched for the canaries in every form.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import re
import shutil
import subprocess
import sys
from itertools import cycle, product
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio
from celery import Celery

from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Document, Issue, JobState
from tasks.state.jobs.overview import JobFilter
from tests.conftest import ROOT, until
from tests.integration.canaries import CANARIES, CONTENT, CREDENTIAL, PERSON, REQUESTER, TITLE, found_in
from tests.integration.repeating_vendor import MANNERS, Case, RepeatingVendor, serving
from tests.integration.test_cli_up import LINUX, processes, start  # noqa: F401 - a fixture
from tests.integration.test_messages import envelope
from tests.integration.test_notifications import receiver, webhook  # noqa: F401 - a fixture
from tests.unit.test_echoes import FORMS
from worker.machine.embedded import EmbeddedValkey
from worker.runtime import open_services

KINDS = {
    "cloud": {"kind": "confluence", "address": "base_url", "email": "planted@example.com", "space": "OPS"},
    "datacenter": {"kind": "confluence", "address": "base_url", "flavor": "datacenter", "space": "OPS"},
    "servicenow": {"kind": "servicenow", "address": "instance_url", "username": "planted"},
    "azure": {"kind": "azure_devops", "address": "org_url", "project": "Operations"},
    "jira": {"kind": "jira", "address": "base_url", "email": "planted@example.com", "project": "OPS"},
}
COMMANDS = {
    "confluence": ("publish_to_confluence", {"space_key": "OPS"}),
    "servicenow": ("create_servicenow_incident", {}),
    "azure_devops": ("create_azuredevops_workitem", {"project": "Operations"}),
    "jira": ("create_jira_issue", {"project": "OPS"}),
}
TESTS = {"cloud": "confluence", "servicenow": "servicenow", "azure": "azuredevops"}
# Each part of an answer repeats the credential, and the content; all forms get their turn, and each kind what was made.
REPEATED = [*product(MANNERS, ("", CONTENT)), *product(["what was made"] * 4, ("", CONTENT))]
CASES = [Case(manner, form, said) for (manner, said), form in zip(REPEATED, cycle(FORMS.values()))]
BAD = [
    envelope({"doc_id": CREDENTIAL}),
    envelope([[CREDENTIAL], {"config": CONTENT}, {}], eta=CREDENTIAL),
    envelope(f"{CREDENTIAL} {CONTENT}", whole_body=CREDENTIAL),
    envelope([[], {CREDENTIAL: CONTENT}, {}, {}]),
    envelope([["x"], {}, {}], headers=CREDENTIAL),
    envelope([["x"], {"credentials": CREDENTIAL}, {}], task=[CONTENT, CREDENTIAL]),
    envelope([["x"], {}, {}], task=CREDENTIAL),
    envelope([["x"], {}, {}], task=bytes(CREDENTIAL, "utf-8").hex()),
    envelope([["x"], {}, {}], content_type=CREDENTIAL, content_encoding=CREDENTIAL),
    envelope([["x"], {}, {}], stamps=CREDENTIAL, lang=[CREDENTIAL], origin=CREDENTIAL, argsrepr=CREDENTIAL),
    envelope([["x"], {}, {"chain": [{"task": CREDENTIAL, "kwargs": CONTENT}]}]),
    envelope([["x"], {}, {}], delivery_info={"exchange": CREDENTIAL, "routing_key": CREDENTIAL, "x": [CONTENT]}, retries=CREDENTIAL),
]  # fmt: skip
# Where a canary rightly stands, each for whoever may read it.
RIGHTLY = {
    "title": r"GET /v1/jobs|afterword job list|page /",  # what a job is about: the list names it
    "content": r"page /jobs/",  # the preview of a job's document
    "requester": r"page /jobs/",
    "person": r"page /jobs/",
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("written", [str, html.escape, json.dumps, lambda text: json.dumps(html.escape(text))])
def test_the_search_finds_a_canary_in_each_form(name, written):
    """Otherwise the walk below would find nothing whatever there is."""
    for canary, planted in CANARIES.items():
        assert canary in found_in(written(f"a line {FORMS[name](planted)} of a log").encode())
    assert not found_in(written("a line of a log that says nothing of them").encode())


class Walk:
    """One instance and the places that it leaves something in."""

    def __init__(self, up, facts: dict, session: aiohttp.ClientSession) -> None:
        self.up, self.facts, self.session = up, facts, session
        self.places: dict[str, bytes] = {}

    def keep(self, place: str, said: bytes | str) -> None:
        raw = said.encode() if isinstance(said, str) else said
        assert raw, f"there is nothing in {place}"
        self.places[place] = raw

    async def api(self, method: str, path: str, body: object = None) -> bytes:
        own = {"Authorization": f"Bearer {self.facts['api_key']}"}
        async with self.session.request(method, self.facts["api_url"] + path, json=body, headers=own) as answer:
            raw = await answer.read()
            assert answer.status < 300, (path, answer.status, raw[:300])
            return raw

    async def command(self, *arguments: str) -> None:
        done = await asyncio.to_thread(self.up.run, *arguments)
        self.keep(" ".join(["afterword", *arguments]), done.stdout + done.stderr)

    def found(self) -> dict[str, dict[str, list[str]]]:
        """The places in which a canary stands wrongly, with the forms."""
        wrongly = {
            place: {name: forms for name, forms in found_in(raw).items() if not re.match(RIGHTLY.get(name, "$"), place)}
            for place, raw in self.places.items()
        }
        return {place: found for place, found in wrongly.items() if found}


async def connect(services, vendor: RepeatingVendor, name: str, kind: str) -> str:
    """Configure a destination of that kind at the vendor; the kind of its commands."""
    given = {**KINDS[kind], "allow_http": True, "allow_private": ("127.0.0.0/8",), "total_timeout_s": 5}
    given[given.pop("address")] = vendor.url
    await services.destinations.set(name, parse_settings(given), CREDENTIAL, "test")
    return given["kind"]


def content_of(number: int) -> tuple[Document, Issue]:
    """A document and an issue that hold every canary but the credential."""
    name, said = f"case-{number}", f"So {CONTENT}. Written by {PERSON}."
    page = Document(id=name, issue_id=name, title=f"{TITLE} {name}", content_md=f"# A\n\n{said}\n\nFor {REQUESTER}.")
    return page, Issue(id=name, title=f"{TITLE} {name}", description=said, assigned_to=REQUESTER)


async def hand_in(walk: Walk, services, vendor, number: int, kind: str, callback: str) -> str:
    """The job of one case, handed in over HTTP with its content."""
    command, more = COMMANDS[await connect(services, vendor, f"d{number}", kind)]
    page, issue = content_of(number)
    body = {"command": command, "destination": f"d{number}", "callback_url": callback, **more}
    if command == "publish_to_confluence":
        body |= {"doc_id": page.id, "document": page.model_dump(mode="json")}
    else:
        body |= {"issue_id": issue.id, "issue": issue.model_dump(mode="json")}
    return json.loads(await walk.api("POST", "/v1/jobs", body))["job_id"]


async def by_messages(walk: Walk, services, vendor: RepeatingVendor) -> dict[str, str]:
    """What producers send by Celery, good and bad, until it has its results: the ids of one job of each kind, and of a
    connection test that has the credential in the clear.
    """
    sent, url = {}, walk.facts["broker_url"]
    with Celery("somebody", broker=url, backend=url, set_as_current=False) as plain:
        for number, kind in enumerate(("cloud", "servicenow", "azure", "jira")):
            name = f"d-celery-{kind}"
            command, more = COMMANDS[await connect(services, vendor, name, kind)]
            for content in content_of(number):
                await services.put(content, "test")
            subject = {"doc_id" if kind == "cloud" else "issue_id": f"case-{number}"}
            sent[kind] = plain.send_task(command, kwargs={**subject, **more, "destination": name}).id
            if kind in TESTS:
                arguments = [vendor.url, CREDENTIAL]
                sent[f"test of {kind}"] = plain.send_task(f"test_{TESTS[kind]}_connection", args=arguments).id
        with plain.connection_for_write() as connection:
            for entry in BAD:
                connection.default_channel.client.lpush("celery", json.dumps(entry))

        async def set_aside():
            return await services.dead_list.held() == len(BAD)

        async def results():  # of tests, and of a job whose vendor was understood to refuse it
            return sum(plain.AsyncResult(ticket).ready() for ticket in sent.values()) > len(TESTS)

        for condition in (set_aside, results):
            await until(condition, 90, what=condition.__name__)
        for name, ticket in sent.items():
            walk.keep(f"result: {name}", repr(plain.backend.get_task_meta(ticket)))
    return sent


async def look_at_pages(walk: Walk, jobs: list[str]) -> None:
    """The API's answers and the console's pages."""
    for path in ("/v1/jobs", "/v1/audit?limit=1000", "/v1/destinations/d0", "/v1/audit/verify", "/metrics", "/readyz"):
        walk.keep(f"GET {path}", await walk.api("GET", path))
    for job in jobs:
        walk.keep(f"GET /v1/jobs/{job}", await walk.api("GET", f"/v1/jobs/{job}"))
        walk.keep(f"GET /v1/jobs/{job}/events", await walk.api("GET", f"/v1/jobs/{job}/events"))
    url = walk.facts["api_url"]
    pages = ["/", "/jobs", "/jobs?state=dead", "/audit", "/audit/export.jsonl", "/settings", "/workers"]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.post(f"{url}/login", data={"key": walk.facts["api_key"], "next": "/"}) as answer:
            assert answer.status == 200
        for path in [*pages, "/settings/destinations/d0", *(f"/jobs/{job}" for job in jobs[::4])]:
            async with browser.get(url + path) as answer:
                assert answer.status == 200, path
                walk.keep(f"page {path}", await answer.read())


@contextlib.contextmanager
def copied(up: Path, folder: Path):
    """A server that began with the files of the instance's own, on which we may do everything."""
    shutil.copytree(up / "valkey", folder)
    with EmbeddedValkey(folder) as server:
        yield server


async def look_into_redis(walk: Walk, url: str) -> None:
    """Every key's value. The server's files are made anew: what producers pushed into their queue stood there in the clear."""
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.save()
        await client.bgrewriteaof()

        async def rewritten():
            facts = await client.info("persistence")
            return not (facts["aof_rewrite_in_progress"] or facts["aof_rewrite_scheduled"])

        await until(rewritten, 60, what="the server's new file")
        values = []
        async for key in client.scan_iter(count=1000):
            kind = (await client.type(key)).decode()
            read = {
                "string": client.get,
                "hash": client.hgetall,
                "list": lambda k: client.lrange(k, 0, -1),
                "set": client.smembers,
                "zset": lambda k: client.zrange(k, 0, -1),
                "stream": client.xrange,
            }
            if kind in read:  # else it ended since
                values.append((key, await read[kind](key)))
    walk.keep("Redis", repr(values))


def look_at_files(walk: Walk, folder: Path, when: str = "at the end", but: Path | None = None) -> None:
    """All of a folder but one in it: the server's files, logs, keys, checkpoints, exports."""
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # it was replaced meanwhile
            if path.is_file() and but not in path.parents and (raw := path.read_bytes()):
                walk.keep(f"{path.relative_to(folder)} {when}", raw)


def look_at_processes(walk: Walk, *more: int) -> None:
    """Arguments and environment of every process of the instance."""
    parents = {pid: parent for pid, (parent, _) in processes().items()}
    family = {walk.up.process.pid, *more}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    assert len(family) > 3
    for pid in family:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, AssertionError):  # it ended meanwhile
            walk.keep(f"arguments of {pid}", Path(f"/proc/{pid}/cmdline").read_bytes())
            walk.keep(f"environment of {pid}", Path(f"/proc/{pid}/environ").read_bytes())


@pytest.fixture
def flower():
    """Starts Flower beside an instance."""
    with contextlib.ExitStack() as closing:

        def run(up, port: int) -> subprocess.Popen:
            log = closing.enter_context((up.data / "flower.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "worker", "flower", f"--port={port}", "--address=127.0.0.1"],
                cwd=ROOT,
                env=up.environment | {"AFTERWORD_DATA": str(up.data), "FLOWER_UNAUTHENTICATED_API": "true"},
                stdout=log,
                stderr=log,
            )
            closing.callback(process.wait)
            closing.callback(process.kill)
            return process

        yield run


async def all_cases(walk: Walk, services, vendor: RepeatingVendor, told) -> list[str]:
    """The jobs of all cases, once each of the vendor's manners had its turn and callbacks and notifications went out."""
    await services.receivers.set("ops", webhook(told), "test")
    jobs = [
        await hand_in(walk, services, vendor, number, kind, f"{told.url}/outcome")
        for number, kind in zip(range(len(CASES)), cycle(KINDS))
    ]

    async def answered():
        return len(set(vendor.answered)) == len(CASES)

    async def dead():
        return JobState.DEAD in [(await services.ledger.require(job)).state for job in jobs]

    async def called_back_and_notified():
        return {path for _, _, path in told.got} >= {"/outcome", "/hook"}

    for condition in (answered, dead, called_back_and_notified):
        await until(condition, 90, what=condition.__name__)
    return jobs


async def look_at_commands(walk: Walk, services) -> None:
    """What the command line prints and writes."""
    dead, _ = await services.ledger.list(JobFilter(state=JobState.DEAD))
    await walk.command("publish", "case-0", "--space", "OPS", "--to", "d0", "--dry-run")
    await walk.command("destination", "test", "d2")
    await walk.command("doctor")
    await walk.command("job", "list", "--limit", "1000")
    await walk.command("job", "show", dead[0].id)
    await walk.command("message", "list")
    await walk.command("audit", "export", "--out", str(walk.up.data / "exported.jsonl"))


class Flower:
    """Flower beside an instance, asked over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session, self._url = session, f"http://127.0.0.1:{port}"

    async def text(self, path: str) -> str:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with self._session.get(self._url + path) as answer:
                return await answer.text() if answer.status == 200 else ""
        return ""

    async def ready(self) -> None:
        async def knows_a_worker():
            return await self.text("/workers?json=1")

        await until(knows_a_worker, 60, what="Flower")


@LINUX
async def test_no_planted_canary_stands_anywhere_but_sealed(start, flower, receiver, unused_tcp_port, tmp_path):  # noqa: F811
    """Whatever an instance leaves is looked at after vendors, producers and operators have done their worst."""
    allowed = {"AFTERWORD_CALLBACK_ORIGINS": receiver.url, "AFTERWORD_CALLBACK_PRIVATE": "127.0.0.0/8"}
    up = start("--port", "0", AFTERWORD_LOG_LEVEL="DEBUG", **allowed)
    facts = await asyncio.to_thread(up.ready)
    beside = flower(up, unused_tcp_port)
    async with (
        aiohttp.ClientSession() as session,
        open_services(Settings(data=up.data)) as services,
        serving(RepeatingVendor(CASES)) as vendor,
    ):
        walk, asked = Walk(up, facts, session), Flower(session, unused_tcp_port)
        await asked.ready()
        jobs = await all_cases(walk, services, vendor, receiver)
        look_at_files(walk, up.data, "before any message")
        sent = await by_messages(walk, services, vendor)
        vendor.reads = Case("403", FORMS["HTML, numbered"], "")
        await look_at_commands(walk, services)
        await look_at_pages(walk, jobs)
        walk.keep("callbacks and notifications", repr(receiver.got))
        for path in ("/api/tasks?limit=10000", "/tasks", f"/task/{sent['jira']}"):
            walk.keep(f"Flower's {path}", await asked.text(path))
        look_at_files(walk, up.data, but=up.data / "valkey" / "appendonlydir")
        look_at_processes(walk, beside.pid)
        with copied(up.data, tmp_path / "copy") as server:
            await look_into_redis(walk, server.url)
            look_at_files(walk, tmp_path / "copy")
            assert not walk.found()
            await plant(server.url)
            look_at_files(walk, tmp_path / "copy", "with a canary")
        assert any("aof" in place for place in walk.found()), (
            "the search doesn't find what stands in the server's files"
        )


async def plant(url: str) -> None:
    """What must be found, in the clear."""
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.set("planted", f"{CREDENTIAL} {CONTENT}")
