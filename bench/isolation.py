"""Submit to delivered at a healthy destination, alone and beside two destinations that hang for their whole time-out.

One worker with its usual threads; the hanging destinations have more jobs waiting than the worker has threads. Times are
the ledger's own: from when a job was stored to when its delivery was.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import urllib.request
from pathlib import Path

from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Document, Issue, Job, JobState, parse_command
from worker.machine.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations
from worker.runtime import Services, open_services

JOBS, WARM_UP = 150, 20
PAUSE_S = 0.15
BACKLOG = 60
HANG_S = 240.0
LIMIT_S = 240.0


def main() -> None:
    """Print p50 and p95 of both, and their ratio."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as folder:
        settings = Settings(data=Path(folder), redis_url=None, broker_url=None, keys_file=None, keys=None)
        with running_stack(settings, sandbox_port=0) as stack:
            alone, beside, held = asyncio.run(_measure(stack))
    print(f"alone:  p50 {percentile(alone, 50)} ms, p95 {percentile(alone, 95)} ms ({len(alone)} jobs)")
    print(f"beside: p50 {percentile(beside, 50)} ms, p95 {percentile(beside, 95)} ms, {held} attempts hanging")
    print(f"ratio of p95: {percentile(beside, 95) / max(percentile(alone, 95), 1):.2f} (target: at most 1.5)")


def percentile(values: list[int], share: int) -> int:
    """The value below which `share` percent of the values lie."""
    return sorted(values)[min(len(values) * share // 100, len(values) - 1)]


async def _measure(stack: Stack) -> tuple[list[int], list[int], int]:
    settings = stack.settings.model_copy(update={"redis_url": stack.redis_url})
    async with open_services(settings) as services:
        for name, given in sandbox_destinations(str(stack.sandbox_url)).items():
            wide = {**given, "concurrency": 16, "total_timeout_s": HANG_S}
            await services.destinations.set(name, parse_settings(wide), FAKE_SECRET, "bench")
        await _latencies(services, "warm", WARM_UP)
        alone = await _latencies(services, "alone", JOBS)
        for vendor in ("confluence", "azure_devops"):
            fault = {
                "vendor": vendor,
                "fault": "slow_headers",
                "seconds": HANG_S,
                "times": 10 * BACKLOG,
                "commit": False,
            }
            await asyncio.to_thread(_post, f"{stack.sandbox_url}/_sandbox/faults", fault)
        for number in range(BACKLOG):
            await _submit(services, number)
        await _until_full(services)
        beside = await _latencies(services, "beside", JOBS)
        return alone, beside, await _hanging(services)


async def _hanging(services: Services) -> int:
    return sum([(await services.destinations.health(name)).running for name in ("confluence", "azure_devops")])


async def _until_full(services: Services) -> None:
    """Wait until the worker takes no more of what hangs: as many in two looks, two seconds apart."""
    before = 0
    async with asyncio.timeout(LIMIT_S):
        while True:
            await asyncio.sleep(2)
            now = await _hanging(services)
            if now == before > 0:
                return
            before = now


async def _submit(services: Services, number: int) -> None:
    document = Document(id=f"d{number}", title=f"Page {number}", content_md="words")
    publish = {"command": "publish_to_confluence", "doc_id": document.id, "space_key": "OPS"}
    await services.submit(parse_command(publish), actor="bench", document=document)
    issue = Issue(id=f"w{number}", title=f"Item {number}", description="words")
    item = {"command": "create_azuredevops_workitem", "issue_id": issue.id, "project": "Operations"}
    await services.submit(parse_command(item), actor="bench", issue=issue)


async def _latencies(services: Services, name: str, count: int) -> list[int]:
    """Milliseconds from stored to delivered, of jobs submitted at a steady pace."""
    ids = []
    for number in range(count):
        issue = Issue(id=f"{name}{number}", title=f"Incident {name} {number}", description="words")
        command = parse_command({"command": "create_servicenow_incident", "issue_id": issue.id})
        ids.append((await services.submit(command, actor="bench", issue=issue)).id)
        await asyncio.sleep(PAUSE_S)
    async with asyncio.timeout(LIMIT_S):
        while True:
            jobs: list[Job] = [await services.ledger.require(job_id) for job_id in ids]
            if all(job.state is JobState.DELIVERED for job in jobs):
                return [job.updated_ms - job.created_ms for job in jobs]
            await asyncio.sleep(0.2)


def _post(url: str, body: dict[str, object]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


if __name__ == "__main__":
    main()
