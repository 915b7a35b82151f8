"""Attempts on pages, one after another: with the clock moved, cut off at any request, or with links followed up."""

from __future__ import annotations

import contextlib
import threading
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tasks import lifecycle
from tasks.cross_links import follow_up
from tasks.lifecycle import Ended
from tasks.markup.confluence import stored
from tasks.model import Document, Issue, JobState, parse_command
from tasks.state.jobs.transitions import NotClaimed

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TEXT = f"""---
labels: [rca, database]
---
# RCA: pool exhausted

The pool was **exhausted** at noon.

![graph]({PIXEL})
![error](shots/error.png)

Second paragraph.
"""
FILE = {"name": "shots/error.png", "media_type": "image/png", "content": b"\x89PNG not really"}
DOCUMENT = Document.model_validate(
    {"id": "doc-1", "issue_id": "inc-1", "title": "RCA: pool exhausted", "content_md": TEXT, "attachments": [FILE]}
)
ISSUE = Issue(id="inc-1", title="Pool exhausted", description="It was down.", severity=1)
PUBLISH = {"command": "publish_to_confluence", "doc_id": "doc-1", "space_key": "OPS"}
INCIDENT = {"command": "create_servicenow_incident", "issue_id": "inc-1"}
WORK_ITEM = {"command": "create_azuredevops_workitem", "issue_id": "inc-1", "project": "Operations"}


class Killed(BaseException):
    """The process is gone: nothing after this line runs."""


@dataclass
class Bench:
    """Services with the means to make them fail at will."""

    services: Any
    sandbox: Any
    sent: list[str] = field(default_factory=list)

    async def put(self, **changes: Any) -> None:
        document = Document.model_validate(DOCUMENT.model_dump() | changes)
        await self.services.contents.put_document(document, "test")

    async def submit(self, arguments: dict[str, Any] | None = None, **more: Any) -> Any:
        return await self.services.submit(parse_command((arguments or PUBLISH) | more), actor="test")

    async def attempt(self, job: Any, *, kill_after: int | None = None, later_ms: int = 0) -> Ended | NotClaimed:
        """One attempt. With `kill_after` the process dies right after its so-and-so-many-th request was answered."""
        prefix = self.services.settings.prefix
        await self.services.redis.zadd(f"{prefix}:due:{job.destination}", {job.id: 0})
        await self.services.redis.hset(f"{prefix}:destination:{job.destination}", "not_before_ms", 0)
        plain = self.services.core
        counting = self._counting(plain.open_http, kill_after)
        worker = f"worker-{uuid.uuid4()}"
        core = replace(plain, worker=worker, open_http=counting, clock_ms=lambda: plain.clock_ms() + later_ms)
        try:
            return await lifecycle.attempt(core, job.id)
        except Killed:
            await self.services.redis.zadd(f"{prefix}:workers", {worker: 0})
            await self.services.ledger.take_over(job.id)
            return NotClaimed("killed")

    def _counting(self, open_http: Any, kill_after: int | None) -> Any:
        self.sent = []

        @contextlib.asynccontextmanager
        async def opened(*given: Any):
            async with open_http(*given) as http:
                exchange = http._exchange

                async def counted(request: Any, *more: Any) -> Any:
                    response = await exchange(request, *more)
                    self.sent.append(f"{request.method} {request.operation}")
                    if kill_after is not None and len(self.sent) == kill_after:
                        http._recorder = Dead()
                        raise Killed
                    return response

                http._exchange = counted
                yield http

        return opened

    async def run(self, job: Any, attempts: int = 12) -> Ended:
        """Attempts until the job rests; the time between them passes at once."""
        later_ms = 0
        for _ in range(attempts):
            ended = await self.attempt(job, later_ms=later_ms)
            if isinstance(ended, NotClaimed):
                pytest.fail(f"not claimed: {ended}")
            if ended.state not in (JobState.RETRYING, JobState.QUEUED):
                return ended
            later_ms = max(ended.due_ms - self.services.core.clock_ms(), 0) + 10
        pytest.fail("the job never came to rest")

    async def publish(self, **more: Any) -> Ended:
        return await self.run(await self.submit(**more))

    async def due_follow_ups(self) -> list[str]:
        """Queue what is due, as if the quiet time were over."""
        return await follow_up(self.services.ledger, self.services.core.links, ahead_ms=15_000)

    async def follow_up(self) -> list[Ended]:
        """Run every follow-up that is due, until none is."""
        ended = []
        for _ in range(5):
            ids = await self.due_follow_ups()
            if not ids:
                return ended
            for identifier in ids:
                ended.append(await self.run(await self.services.ledger.require(identifier)))
        pytest.fail("follow-ups never end")

    async def page(self) -> dict[str, Any]:
        (made,) = await self.sandbox.objects("confluence")
        return made

    async def control(self, verb: str, **given: Any) -> dict[str, Any]:
        async with self.sandbox.session.post(f"{self.sandbox.url}/_sandbox/{verb}", json=given) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def set(self, name: str, **changes: Any) -> None:
        record = await self.services.destinations.require(name)
        settings = record.settings.model_copy(update=changes)
        await self.services.destinations.set(name, type(settings).model_validate(settings.model_dump()), None, "test")


def bodies_read_by_the_loop(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The bodies that the loop itself reads from now on; another thread's don't count."""
    found: list[str] = []
    read = stored._pieces

    def watched(body: str) -> Any:
        if threading.current_thread() is threading.main_thread():
            found.append(body)
        return read(body)

    monkeypatch.setattr(stored, "_pieces", watched)
    return found


class Dead:
    """A recorder of a process that is gone."""

    async def after(self, *_: Any, **__: Any) -> None:
        raise Killed

    async def before(self, *_: Any, **__: Any) -> None:
        raise Killed
