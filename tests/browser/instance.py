"""A whole instance for a browser: Valkey, sandbox, worker, API and console, and the keys of three people."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import JobState, parse_command
from worker.embedded import free_port
from worker.runtime import Services, open_services
from worker.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations

LIMIT_S = 90
QUICK = {"AFTERWORD_HEARTBEAT_TTL_S": "3", "AFTERWORD_SWEEP_INTERVAL_S": "0.2", "AFTERWORD_RESEND_AFTER_S": "2"}
PEOPLE = {"Vera": ("read",), "Omar": ("submit", "read", "operate"), "Ada": ("admin",)}
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
HELD = POST_MORTEM.replace("Checkout", "Login") + "\nWe reached it with password = Tr0ub4dor-and-3-horses on the host.\n"


@dataclass
class Instance:
    """What runs, and how tests reach behind the pages."""

    stack: Stack
    sandbox_url: str
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The console's address."""
        return str(self.stack.api_url)

    def run(self, work: Callable[[Services], Awaitable[Any]]) -> Any:
        """Run one piece of work on open services, on a loop of its own."""

        async def whole() -> Any:
            async with open_services(self.stack.own_settings) as services:
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
        from tasks.model import Document

        doc = Document(id=identifier or title.lower().replace(" ", "-"), title=title, content_md=text)
        given = {"command": "publish_to_confluence", "doc_id": doc.id, "space_key": "OPS"} | command

        async def work(services: Services) -> str:
            return (await services.submit(parse_command(given), actor="incident-bot", document=doc)).id

        return self.run(work)

    def file(self, title: str, text: str = "It broke.", *, severity: int = 2, **command: Any) -> str:
        """File an issue; returns the job's id."""
        from tasks.model import Issue

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
def running_instance(folder: Path) -> Iterator[Instance]:
    """An instance without destinations, until the block ends."""
    kept = {name: os.environ.get(name) for name in QUICK}
    os.environ.update(QUICK)
    try:
        settings = Settings(data=folder).model_copy(
            update={"redis_url": None, "broker_url": None, "keys_file": None, "keys": None}
        )
        with running_stack(settings, api_port=0) as stack:
            port = free_port()
            stack.start("sandbox", "sandbox", "--port", str(port))
            instance = Instance(stack, f"http://127.0.0.1:{port}")
            instance.keys = instance.run(_keys)
            _wait(f"{instance.sandbox_url}/_sandbox/state")
            yield instance
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


async def _keys(services: Services) -> dict[str, str]:
    return {
        name: (await services.access.create(name, scopes, None, "test"))[1] for name, scopes in PEOPLE.items()
    }


def _wait(url: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
        else:
            return
