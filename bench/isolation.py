"""Submit to delivered at ten healthy destinations, alone and beside fifty that hang for their whole time-out: one worker.

The hanging destinations have more jobs waiting than the worker runs at once. Times are the ledger's own: from when a job
was stored to when its delivery was.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Issue, Job, JobState, parse_command
from worker.machine.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations
from worker.runtime import Services, open_services

JOBS, WARM_UP = 150, 20
PAUSE_S = 0.15
HEALTHY = [f"healthy-{number}" for number in range(10)]
HANGING = [f"hanging-{number}" for number in range(50)]
BACKLOG = 10  # jobs of each that hangs
HANG_S = 240.0
LIMIT_S = 240.0


def main() -> dict[str, float]:
    """Print p50 and p95 of both; return the ratio of the p95."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as folder:
        settings = Settings(data=Path(folder), redis_url=None, broker_url=None, keys_file=None, keys=None)
        with running_stack(settings, sandbox_port=0) as stack:
            alone, beside, held = asyncio.run(_measure(stack))
    print(f"alone:  p50 {percentile(alone, 50)} ms, p95 {percentile(alone, 95)} ms ({len(alone)} jobs)")
    print(f"beside: p50 {percentile(beside, 50)} ms, p95 {percentile(beside, 95)} ms, {held} attempts hanging")
    return {"many_destinations": percentile(beside, 95) / max(percentile(alone, 95), 1)}


def percentile(values: list[int], share: int) -> int:
    """The value below which `share` percent of the values lie."""
    return sorted(values)[min(len(values) * share // 100, len(values) - 1)]


@asynccontextmanager
async def silent_vendor() -> AsyncIterator[str]:
    """The address of a server that takes every request and answers none."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _measure(stack: Stack) -> tuple[list[int], list[int], int]:
    async with silent_vendor() as silent, open_services(stack.own_settings) as services:
        for names, address in ((HEALTHY, str(stack.sandbox_url)), (HANGING, silent)):
            given = sandbox_destinations(address)["servicenow"] | {"total_timeout_s": HANG_S}
            for name in names:
                await services.destinations.set(name, parse_settings(given), FAKE_SECRET, "bench")
        await _latencies(services, "warm", WARM_UP)
        alone = await _latencies(services, "alone", JOBS)
        for number in range(BACKLOG):
            for name in HANGING:
                await submit(services, f"{name}-{number}", name)
        held = await until_full(services, HANGING)
        return alone, await _latencies(services, "beside", JOBS), held


async def until_full(services: Services, names: Sequence[str]) -> int:
    """Wait until the worker takes no more of what hangs: as many in two looks, two seconds apart. Returns how many."""
    before = 0
    async with asyncio.timeout(LIMIT_S):
        while True:
            await asyncio.sleep(2)
            now = sum([(await services.destinations.health(name)).running for name in names])
            if now == before > 0:
                return now
            before = now


async def submit(services: Services, name: str, destination: str) -> Job:
    """An incident of that name for that destination."""
    issue = Issue(id=name, title=f"Incident {name}", description="words")
    command = {"command": "create_servicenow_incident", "issue_id": issue.id, "destination": destination}
    return await services.submit(parse_command(command), actor="bench", issue=issue)


async def _latencies(services: Services, name: str, count: int) -> list[int]:
    """Milliseconds from stored to delivered, of jobs submitted at a steady pace to the healthy destinations in turn."""
    ids = []
    for number in range(count):
        ids.append((await submit(services, f"{name}{number}", HEALTHY[number % len(HEALTHY)])).id)
        await asyncio.sleep(PAUSE_S)
    async with asyncio.timeout(LIMIT_S):
        while True:
            jobs: list[Job] = [await services.ledger.require(job_id) for job_id in ids]
            if all(job.state is JobState.DELIVERED for job in jobs):
                return [job.updated_ms - job.created_ms for job in jobs]
            await asyncio.sleep(0.2)
