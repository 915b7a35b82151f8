"""The rows of the table: what each one sends, and the worker that delivers it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.peers.apps import incident
from bench.peers.environments import environment_of
from bench.peers.stage import ROOT
from config.keys import create_key_file
from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Document, Issue, parse_command
from worker.runtime import Services, open_services

APPS = Path(__file__).resolve().parent / "apps"
AT_ONCE = incident.AT_ONCE
CORES = os.cpu_count() or 1
SUBMIT_AT_ONCE = 16
FAKE_SECRET = "bench-not-a-secret"


@dataclass(frozen=True)
class Place:
    """Where a round happens: its folder, its Redis and the vendor."""

    folder: Path
    redis_url: str
    vendor_url: str

    @property
    def settings(self) -> Settings:
        """Afterword's, all by default."""
        return Settings(data=self.folder, redis_url=self.redis_url, broker_url=None, keys_file=None, keys=None)

    @property
    def variables(self) -> dict[str, str]:
        """What the processes of the round find in their environment."""
        ours = {"AFTERWORD_DATA": str(self.folder), "AFTERWORD_REDIS_URL": self.redis_url}
        return {"PEERS_REDIS": self.redis_url, "PEERS_VENDOR": self.vendor_url, **ours}


@dataclass(frozen=True)
class Row:
    """One contender. `jobs` by the vendor's delay in milliseconds: as many as make some seconds; `send` puts them there.

    `workers` is how many of its workers run at once, `variables` what they find in their environment besides the place's.
    """

    jobs: Mapping[int, int]
    send: Callable[[Place, int], None]
    worker: Callable[[int], list[str]]
    folder: Path
    workers: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)


def _peer(peer: str, jobs: Mapping[int, int], sender: list[str], worker: list[str]) -> Row:
    def send(place: Place, count: int) -> None:
        run_app(place, peer, *sender, count)

    def command(_: int) -> list[str]:
        bin_folder = environment_of(peer)
        return [str(bin_folder / worker[0]), *worker[1:]]

    return Row(jobs, send, command, APPS)


def run_app(place: Place, peer: str, *arguments: object) -> str:
    """Run a peer's program in its environment; returns what it printed."""
    command = [str(environment_of(peer) / "python"), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=APPS, env=os.environ | place.variables, check=True, capture_output=True, text=True
    )
    return done.stdout


def _ours(jobs: Mapping[int, int], send: Callable[[Place, int], None], *module: str) -> Row:
    return Row(jobs, send, lambda _: [sys.executable, "-m", *module], ROOT)


def set_up(place: Place) -> None:
    """Keys, and destinations that lead to the vendor with more room than by default."""
    create_key_file(place.folder / "keys")

    async def configure() -> None:
        async with open_services(place.settings) as services:
            room = {"allow_http": True, "allow_private": ("127.0.0.0/8",), "concurrency": AT_ONCE}
            for given in (
                {"kind": "servicenow", "instance_url": place.vendor_url, "username": "bench"},
                {"kind": "confluence", "base_url": place.vendor_url, "email": "bench@example.com", "space": "OPS"},
            ):
                await services.destinations.set(given["kind"], parse_settings(given | room), FAKE_SECRET, "bench")

    asyncio.run(configure())


def issue(number: int) -> Issue:
    """The incident as producers hand it over."""
    return Issue(id=f"case-{number}", title=incident.title(number), description=incident.DESCRIPTION, severity=2)


def submitted(place: Place, count: int) -> None:
    """Jobs with their content."""

    async def submit(services: Services, number: int) -> None:
        given = issue(number)
        command = parse_command({"command": "create_servicenow_incident", "issue_id": given.id})
        await services.submit(command, actor="bench", issue=given)

    _many(place, count, submit)


def pages_submitted(place: Place, count: int) -> None:
    """The same text as a page of each incident."""

    async def submit(services: Services, number: int) -> None:
        document = Document(id=f"case-{number}", title=incident.title(number), content_md=incident.DESCRIPTION)
        command = parse_command({"command": "publish_to_confluence", "doc_id": document.id, "space_key": "OPS"})
        await services.submit(command, actor="bench", document=document)

    _many(place, count, submit)


def sent_by_a_plain_client(place: Place, count: int) -> None:
    """Content first, as producers of this kind do; then messages from a Celery client without our code."""

    async def put(services: Services, number: int) -> None:
        await services.contents.put_issue(issue(number), "bench")

    _many(place, count, put)
    run_app(place, "celery", "celery_app.py", "plain", count)


def _many(place: Place, count: int, one: Callable[[Services, int], Awaitable[None]]) -> None:
    async def all_of_them() -> None:
        numbers = iter(range(count))
        async with open_services(place.settings) as services:

            async def lane() -> None:
                for number in numbers:
                    await one(services, number)

            await asyncio.gather(*(lane() for _ in range(SUBMIT_AT_ONCE)))

    set_up(place)
    asyncio.run(all_of_them())


CELERY = ["celery", "-A", "celery_app", "worker", "--loglevel", "WARNING"]
FAST = {50: 1500, 200: 1000}
LONG = 3000  # a worker of ours has as many processes as it can use after some seconds
ONE_PROCESS = {"AFTERWORD_WORKER_PROCESSES": "1"}

ROWS: Mapping[str, Row] = {
    "wire": Row({50: 2000, 200: 1000}, lambda *_: None, lambda n: [sys.executable, "wire.py", str(n)], APPS),
    "celery_bare": _peer(
        "celery", {50: 800, 200: 800}, ["celery_app.py", "bare"], [*CELERY, "-P", "threads", "-c", str(AT_ONCE)]
    ),
    "celery_prefork": _peer(
        "celery", {50: 160}, ["celery_app.py", "prefork"], [*CELERY, "-P", "prefork", "-c", str(CORES)]
    ),
    "arq": _peer("arq", FAST, ["arq_app.py"], ["arq", "arq_app.WorkerSettings"]),
    "dramatiq": _peer(
        "dramatiq", FAST, ["dramatiq_app.py"], ["dramatiq", "dramatiq_app", "-p", "1", "-t", str(AT_ONCE)]
    ),
    "taskiq": _peer(
        "taskiq",
        FAST,
        ["taskiq_app.py"],
        ["taskiq", "worker", "taskiq_app:broker", "--workers", "1", "--max-async-tasks", str(AT_ONCE)],
    ),
    "full": _ours({50: LONG, 200: LONG}, submitted, "worker", "worker"),
    "plain_client": _ours({50: LONG}, sent_by_a_plain_client, "worker", "worker"),
    "celery_pages": _peer(
        "celery", {50: 400}, ["celery_app.py", "pages"], [*CELERY, "-P", "threads", "-c", str(AT_ONCE)]
    ),
    "full_pages": _ours({50: LONG}, pages_submitted, "worker", "worker"),
    "full_1_process": replace(_ours({50: 800}, submitted, "worker", "worker"), variables=ONE_PROCESS),
    "full_2_workers": replace(_ours({50: 1200}, submitted, "worker", "worker"), workers=2, variables=ONE_PROCESS),
    "full_minus_screening_rendering": _ours({50: LONG}, submitted, "bench.peers.stubbed"),
}
