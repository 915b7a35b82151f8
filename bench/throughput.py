"""Throughput without faults: delivered jobs a second, beside the stock Celery application with the same sandbox."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import redis.asyncio

from bench.stock import run as stock
from tasks.destinations import parse_settings
from tasks.model import JobState
from tests.chaos.load import Accepted, Producers, plan
from tests.chaos.stage import Stage, staged
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import open_services

JOBS = 600
WORKERS = 2
ROUNDS = 3
LIMIT_S = 300.0


def main() -> None:
    """Rounds of both, in turn."""
    rates: dict[str, list[float]] = {"afterword": [], "stock": []}
    for _ in range(ROUNDS):
        for kind, found in rates.items():
            with (
                tempfile.TemporaryDirectory(prefix="afterword-throughput-") as folder,
                staged(Path(folder), kind, 0, {}, None, None) as stage,
            ):
                found.append(asyncio.run(_ours(stage) if kind == "afterword" else _stock(stage)))
    print(
        f"{JOBS} jobs waiting, a third for each destination, then {WORKERS} workers; jobs a second while the second to the "
        f"ninth tenth are delivered; {ROUNDS} rounds"
    )
    for kind, found in rates.items():
        print(f"{kind}: min {min(found):.0f}/s, median {statistics.median(found):.0f}/s, max {max(found):.0f}/s")
    ratios = [ours / theirs for ours, theirs in zip(rates["afterword"], rates["stock"], strict=True)]
    print(f"ratio: min {min(ratios):.2f}, median {statistics.median(ratios):.2f}, max {max(ratios):.2f}")


async def _ours(stage: Stage) -> float:
    """Three exchanges with audit entries around each for a page, one for an incident or a work item."""
    async with open_services(stage.settings) as services:
        for name, given in sandbox_destinations(stage.sandbox_url).items():
            await services.destinations.set(name, parse_settings(given), FAKE_SECRET, "bench")
        await Producers(services, Accepted()).again(plan(JOBS, 0, random.Random(1), versions=(1,)))

        async def delivered() -> int:
            return (await services.ledger.counts())[JobState.DELIVERED.value]

        return await _rate(stage, delivered)


async def _stock(stage: Stage) -> float:
    """One exchange for each."""
    await stock.submit_all(stage, plan(JOBS, 0, random.Random(1), versions=(1,)))
    client = redis.asyncio.Redis.from_url(stage.broker_url)
    try:

        async def delivered() -> int:
            return JOBS - await client.llen("stock") - await client.hlen("unacked")

        return await _rate(stage, delivered)
    finally:
        await client.aclose()


async def _rate(stage: Stage, delivered: Callable[[], Awaitable[int]]) -> float:
    """Start the workers and look on; the first and the last tenth don't count."""
    for number in range(WORKERS):
        stage.start(f"worker-{number}")
    deadline = time.monotonic() + LIMIT_S
    first: tuple[float, int] | None = None
    while time.monotonic() < deadline:
        count, now = await delivered(), time.monotonic()
        if first is None and count >= JOBS // 10:
            first = (now, count)
        if first is not None and count >= 9 * JOBS // 10:
            return (count - first[1]) / (now - first[0])
        await asyncio.sleep(0.02)
    raise TimeoutError(f"only {count} of {JOBS} jobs were delivered in {LIMIT_S:g} s; see {stage.settings.data}")
