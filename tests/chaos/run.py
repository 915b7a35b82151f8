"""One run: jobs over three destinations with mixed faults, workers killed by SIGKILL, and the count at the end."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Document, Issue, Job, JobState, parse_command
from worker.runtime import Services, open_services
from worker.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations

FAULTS = (
    {"operation": "create", "fault": "status", "status": 503, "share": 0.10},
    {"operation": "create", "fault": "commit_then_drop", "share": 0.05},
    {"operation": "create", "fault": "commit_then_500", "share": 0.03},
    {"operation": "create", "fault": "rate_limit", "retry_after": "1", "share": 0.02},
)
KILL_EVERY_S = 1.5
LAG_S = 1.0


@dataclass(frozen=True)
class Counts:
    """What a run ended with."""

    jobs: int
    delivered: int
    lost: int
    duplicated: int
    kills: int
    audit: tuple[str, ...]

    @property
    def good(self) -> bool:
        """True when nothing was lost or doubled and the audit holds."""
        return not (self.lost or self.duplicated or self.audit)

    def __str__(self) -> str:
        audit = "verified" if not self.audit else "; ".join(self.audit)
        return f"jobs {self.jobs} delivered {self.delivered} kills {self.kills} lost {self.lost} duplicated {self.duplicated} audit {audit}"


def run(folder: Path, *, subjects: int, workers: int, kills: int, seed: int, limit_s: float) -> Counts:
    """Submit three jobs a subject, kill workers, wait for the end, count."""
    settings = Settings(data=folder, redis_url=None, broker_url=None, keys_file=None, keys=None)
    with running_stack(settings, sandbox_port=0) as stack:
        for number in range(1, workers):
            stack.start(f"worker-{number}", "worker")
        return asyncio.run(_run(stack, subjects=subjects, kills=kills, chance=random.Random(seed), limit_s=limit_s))


async def _run(stack: Stack, *, subjects: int, kills: int, chance: random.Random, limit_s: float) -> Counts:
    settings = stack.settings.model_copy(update={"redis_url": stack.redis_url})
    address = str(stack.sandbox_url)
    async with open_services(settings) as services:
        for name, given in sandbox_destinations(address).items():
            quick = {**given, "write_lag_s": LAG_S, "total_timeout_s": 3, "concurrency": 16}
            await services.destinations.set(name, parse_settings(quick), FAKE_SECRET, "chaos")
        for fault in FAULTS:
            await asyncio.to_thread(_post, f"{address}/_sandbox/faults", {**fault, "seed": chance.randrange(10**6)})
        ids = [job.id for n in range(subjects) for job in await _submit(services, n)]
        killer = asyncio.create_task(_kill(stack, kills, chance))
        jobs = await _ended(services, ids, time.monotonic() + limit_s)
        killed = await killer
        report = await services.audit.verify()
        objects = json.loads(await asyncio.to_thread(_get, f"{address}/_sandbox/state"))["objects"]
    per_subject = Counter((item["vendor"], item["title"]) for item in objects)
    delivered = sum(job.state is JobState.DELIVERED for job in jobs)
    return Counts(
        jobs=len(ids),
        delivered=delivered,
        lost=len(ids) - delivered,
        duplicated=sum(count - 1 for count in per_subject.values()),
        kills=killed,
        audit=report.problems,
    )


async def _submit(services: Services, number: int) -> list[Job]:
    title = f"Incident {number}"
    document = Document(id=f"d{number}", title=title, content_md="words", issue_id=f"i{number}")
    issue = Issue(id=f"i{number}", title=title, description="words", severity=2)
    commands = (
        {"command": "publish_to_confluence", "doc_id": document.id, "space_key": "OPS"},
        {"command": "create_servicenow_incident", "issue_id": issue.id},
        {"command": "create_azuredevops_workitem", "issue_id": issue.id, "project": "Operations"},
    )
    return [
        await services.submit(parse_command(command), actor="chaos", document=document, issue=issue)
        for command in commands
    ]


async def _kill(stack: Stack, kills: int, chance: random.Random) -> int:
    """Kill a worker at random, start another in its place, and so on."""
    for _ in range(kills):
        await asyncio.sleep(KILL_EVERY_S)
        name = chance.choice([name for name in stack.children if name.startswith("worker")])
        child: subprocess.Popen[bytes] = stack.children[name]
        child.kill()
        child.wait()
        stack.start(name, "worker")
    return kills


async def _ended(services: Services, ids: list[str], deadline: float) -> list[Job]:
    while True:
        jobs = [await services.ledger.require(identifier) for identifier in ids]
        unfinished = [job for job in jobs if job.state in (JobState.QUEUED, JobState.RUNNING, JobState.RETRYING)]
        if not unfinished or time.monotonic() > deadline:
            return jobs
        await asyncio.sleep(0.5)


def _post(url: str, body: dict[str, object]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bytes(answer.read())
