"""A whole instance for a browser: Valkey, sandbox, worker, API and console, and the keys of four people."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Document, Issue, JobState, parse_command
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import Services, open_services

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SANDBOXED = [] if os.getuid() else ["--no-sandbox"]
LIMIT_S = 90
QUICK = {"AFTERWORD_HEARTBEAT_TTL_S": "3", "AFTERWORD_SWEEP_INTERVAL_S": "0.2", "AFTERWORD_RESEND_AFTER_S": "2"}
PEOPLE = {"Vera": ("read",), "Petra": ("submit", "read"), "Omar": ("submit", "read", "operate"), "Ada": ("admin",)}
POST_MORTEM = """# Post-Mortem: Checkout outage

## Executive Summary
Checkout was unavailable for **42 minutes** after a connection pool ran dry.

## Timeline
| Time (UTC) | Event |
|---|---|
| 14:02 | Error rate passes 5 % |
| 14:11 | Rollback begins |
| 14:44 | Back to normal |

## Action Items
- [x] Alert on pool saturation
- [ ] Load-test the new driver

> The pool's size was halved by a default that nobody had read.
"""
HELD = (
    POST_MORTEM.replace("Checkout", "Login") + "\nWe reached it with password = Tr0ub4dor-and-3-horses on the host.\n"
)


@dataclass
class Instance:
    """What runs, and how tests reach behind the pages."""

    settings: Settings
    url: str
    sandbox_url: str
    keys: dict[str, str] = field(default_factory=dict)

    def run(self, work: Callable[[Services], Awaitable[Any]]) -> Any:
        """Run one piece of work on open services, on a loop of its own."""

        async def whole() -> Any:
            async with open_services(self.settings) as services:
                return await work(services)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, whole()).result()

    def connect(self, **changes: Any) -> None:
        """Configure the sandbox's three destinations, with a short lag."""

        async def work(services: Services) -> None:
            for name, given in sandbox_destinations(self.sandbox_url).items():
                quick = {**given, "write_lag_s": 0.2, "total_timeout_s": 5, **changes.get(name, {})}
                await services.destinations.set(name, parse_settings(quick), FAKE_SECRET, "test")

        self.run(work)

    def submit(self, title: str, text: str = POST_MORTEM, *, identifier: str = "", **command: Any) -> str:
        """Put a document and publish it; returns the job's id."""
        doc = Document(id=identifier or title.lower().replace(" ", "-"), title=title, content_md=text)
        given = {"command": "publish_to_confluence", "doc_id": doc.id, "space_key": "OPS"} | command

        async def work(services: Services) -> str:
            return (await services.submit(parse_command(given), actor="incident-bot", document=doc)).id

        return self.run(work)

    def file(self, title: str, text: str = "It broke.", *, severity: int = 2, **command: Any) -> str:
        """File an issue; returns the job's id."""
        issue = Issue(id=title.lower().replace(" ", "-"), title=title, description=text, severity=severity)
        given = {"command": "create_servicenow_incident", "issue_id": issue.id} | command

        async def work(services: Services) -> str:
            return (await services.submit(parse_command(given), actor="incident-bot", issue=issue)).id

        return self.run(work)

    def await_state(self, job_id: str, *states: JobState) -> None:
        """Wait until the job is in one of those states."""

        async def work(services: Services) -> None:
            deadline = time.monotonic() + LIMIT_S
            while (job := await services.ledger.require(job_id)).state not in states:
                assert time.monotonic() < deadline, f"{job.state}: {job.last_error}"
                await asyncio.sleep(0.05)

        self.run(work)

    def state(self, job_id: str) -> JobState:
        """The job's state now."""
        return self.run(lambda services: services.ledger.require(job_id)).state

    def fault(self, **spec: Any) -> None:
        """Let something go wrong at a vendor's."""
        request = urllib.request.Request(
            f"{self.sandbox_url}/_sandbox/faults", json.dumps(spec).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the audit says under that event, oldest first."""
        entries = self.run(lambda services: services.audit.tail(5000))
        return [entry.data for entry in entries if entry.event == name]


@contextlib.contextmanager
def running_instance(folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Instance]:
    """`afterword up` without destinations and a sandbox beside it, until the block ends; `more` are further variables."""
    with contextlib.ExitStack() as closing:
        up = closing.enter_context(_told(folder, "up", "--port", "0", more=more or {}))
        sandbox = closing.enter_context(_told(folder, "sandbox", "--port", "0"))
        settings = Settings(data=folder).model_copy(
            update={"redis_url": None, "broker_url": None, "keys_file": None, "keys": None}
        )
        instance = Instance(settings, up["api_url"], sandbox["url"], {"first": up["api_key"]})
        instance.keys |= instance.run(_keys)
        yield instance


@contextlib.contextmanager
def _told(folder: Path, *command: str, more: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """One of our own commands as a process: what it says once it is ready. It is stopped when the block ends."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AFTERWORD_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "worker", *command, "--json", "--data", str(folder)],
        cwd=ROOT,
        env=inherited | QUICK | dict(more or {}),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else b""
        assert line, f"{command} did not start"
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(60)


async def _keys(services: Services) -> dict[str, str]:
    return {name: (await services.access.create(name, scopes, None, "test"))[1] for name, scopes in PEOPLE.items()}


def log_in(page: Page, instance: Instance, name: str, path: str = "/") -> Page:
    """Log in as that person, and go on to a path."""
    page.goto(f"{instance.url}/login?next={urllib.parse.quote(path, safe='')}")
    page.get_by_label("API key").fill(instance.keys[name])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    return page
