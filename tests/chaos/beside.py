"""Another version at work beside ours: jobs that come in through its API, and what it made of the run."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from tasks.errors import StateUnavailable
from tests.chaos.load import Submission, command, content
from tests.chaos.stage import Stage
from tests.chaos.versions import Beside
from worker.runtime import Services

AWAY = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Door:
    """The other version's API, as its producers use it. Its key was made by ours."""

    url: str
    key: str

    @classmethod
    async def into(cls, beside: Beside | None, services: Services) -> Door | None:
        """The door of the version that stands beside ours, where one does."""
        if beside is None:
            return None
        _, key = await services.access.create("beside", ["submit", "read"], None, "chaos")
        return cls(beside.api_url, key)

    async def submit(self, submission: Submission) -> str:
        """The job of a submission; raises `StateUnavailable` where the same request may be made again."""
        document, issue = content(submission)
        place, given = ("documents", document) if document else ("issues", issue)
        assert given
        shown = _json(given)
        asked = command(submission.subject)
        body = {"command": asked.command, **_json(asked)}
        if submission.put_apart:
            await self._ask("PUT", f"/v1/{place}/{shown['id']}", shown)
        else:
            body[place[:-1]] = shown
        answer = await self._ask("POST", "/v1/jobs", body, {"Idempotency-Key": submission.key})
        return str(answer["job_id"])

    async def _ask(self, method: str, path: str, body: object, headers: dict[str, str] | None = None) -> Any:
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), sent, method=method)
        try:
            return await asyncio.to_thread(_answer, request)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            if error.code in AWAY:
                raise StateUnavailable(said[:300], code="away") from None
            raise RuntimeError(
                f"The other version's API answers {error.code} to {method} {path}: {said[:500]}"
            ) from None
        except OSError as error:
            raise StateUnavailable(str(error)[:300], code="away") from None


def _json(model: BaseModel) -> dict[str, Any]:
    """What a producer of either version would write: nothing that a default says."""
    return model.model_dump(mode="json", exclude_defaults=True)


def _answer(request: urllib.request.Request) -> Any:
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


async def judge_beside(beside: Beside, attempts: Counter[str]) -> list[str]:
    """What is wrong between the versions: one that did no attempt, or a trail that the other doesn't verify."""
    made = {"this version": attempts.total() - attempts["beside"], "the other version": attempts["beside"]}
    idle = [f"no attempt was made by {version}" for version, count in made.items() if not count]
    said = await asyncio.to_thread(beside.verified)
    return [*idle, *([f"the other version's `audit verify` says: {said}"] if said else [])]


async def attempts_by_version(stage: Stage, services: Services) -> Counter[str]:
    """How many attempts were begun by workers of ours (`worker`, `several`, `prefork`, and `further` processes of one) and of the
    other version (`beside`), after the trail.
    """
    found: Counter[str] = Counter()
    position = "-"
    while entries := await services.audit.after(position, 1000):
        for entry in entries:
            if entry.event == "job.claimed":
                pid = int(str(entry.data.get("worker", "")).rsplit("-", 2)[1])
                found[stage.ever.get(pid, "further").split("-")[0]] += 1
        position = entries[-1].id
    return found
