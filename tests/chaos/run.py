"""One run: put everything up, submit while everything goes wrong, let it come to rest, judge."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tasks.destinations import parse_settings
from tasks.model import JobState
from tests.chaos.beside import Door, attempts_by_version, judge_beside
from tests.chaos.judge import Verdict, judge
from tests.chaos.load import Accepted, plan, produce
from tests.chaos.mischief import Mischief, Pace, spoil
from tests.chaos.stage import Stage, staged
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import Services, open_services

UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.RETRYING)
LOOK_EVERY_S = 1.0
SAY_EVERY_S = 10.0


@dataclass(frozen=True)
class Size:
    """How much: jobs, seconds over which they are submitted, workers, and seconds until the run counts as failed.

    Mischief goes on until `mischief_s` after the last submission, or until all but one job in twenty have ended.
    """

    jobs: int = 3000
    over_s: float = 200.0
    mischief_s: float = 90.0
    limit_s: float = 540.0
    workers: int = 3
    pace: Pace = field(default_factory=Pace)


# What a run needs: lost messages are sent again sooner than by default, and no job is set aside for the company it
# keeps, since it is not the jobs that end the workers here.
QUICK = {
    "AFTERWORD_RESEND_AFTER_S": "3",
    "AFTERWORD_CONCURRENCY": "24",
    "AFTERWORD_CRASH_LIMIT": "1000",
    "AFTERWORD_API_RATE_PER_MINUTE": "100000",
}
DESTINATION = {"write_lag_s": 1.5, "total_timeout_s": 3, "concurrency": 24}


def run(
    folder: Path,
    size: Size,
    seed: int,
    *,
    redis_url: str | None = None,
    broker_url: str | None = None,
    fail_over: Callable[[float], None] | None = None,
    beside: Path | None = None,
) -> Verdict:
    """The verdict of one run in an empty folder.

    With `redis_url` the ledger lies in that Redis, which is not restarted; with a `broker_url` that isn't Redis's,
    messages are neither doubled nor deleted. `fail_over` kills a primary that Sentinel watches and brings it back, away
    for so many seconds. `beside` is a checkout of another version: as many workers of it run beside ours, and every
    second submission comes in through its API.
    """
    given = {"fail_over": fail_over, "beside": beside}
    with staged(folder, "afterword", size.workers, QUICK, redis_url, broker_url, **given) as stage:
        return asyncio.run(_run(stage, size, seed))


async def _run(stage: Stage, size: Size, seed: int) -> Verdict:
    start = time.monotonic()
    accepted = Accepted()
    async with open_services(stage.settings) as services:
        for name, given in sandbox_destinations(stage.sandbox_url).items():
            await services.destinations.set(name, parse_settings(given | DESTINATION), FAKE_SECRET, "chaos")
        await spoil(stage, random.Random(f"{seed}/faults"))
        mischief = Mischief(stage, size.pace, str(seed))
        running = asyncio.create_task(mischief.run())
        submissions = plan(size.jobs, size.over_s, random.Random(f"{seed}/load"))
        teller = asyncio.create_task(_tell(services, accepted, mischief, start))
        try:
            door = await Door.into(stage.beside, services)
            await produce(services, submissions, accepted, door.submit if door else None)
            await _rest(services, start + size.over_s + size.mischief_s, len(submissions) // 20, running)
            await _end(running)
            await stage.ask_sandbox("DELETE", "faults")
            await _rest(services, start + size.limit_s, 0, teller)
        finally:
            await _end(running)
            await _end(teller)
        state = await stage.ask_sandbox("GET", "state")
        verdict = await judge(services, accepted, state["objects"])
        if stage.beside:
            attempts = await attempts_by_version(stage, services)
            verdict.beside = dict(attempts)
            verdict.other += await judge_beside(stage.beside, attempts)
    verdict.mischief = str(mischief.done)
    verdict.seconds = time.monotonic() - start
    return verdict


async def _rest(services: Services, deadline: float, most: int, meanwhile: asyncio.Task[None]) -> None:
    """Wait until at most so many jobs are unfinished; raises what went wrong in `meanwhile`."""
    while time.monotonic() < deadline and await _unfinished(services) > most:
        if meanwhile.done():
            meanwhile.result()
        await asyncio.sleep(LOOK_EVERY_S)


async def _unfinished(services: Services) -> int:
    try:
        counts = await services.ledger.counts()
    except Exception:  # Redis is away: mischief brings it back
        return sys.maxsize
    return sum(counts[state.value] for state in UNFINISHED)


async def _tell(services: Services, accepted: Accepted, mischief: Mischief, start: float) -> None:
    """A line about how far it is, on standard error, every ten seconds."""
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        try:
            counts = await services.ledger.counts()
        except Exception:
            continue
        states = " ".join(f"{state} {count}" for state, count in counts.items() if count)
        seconds = time.monotonic() - start
        print(
            f"{seconds:4.0f} s: accepted {len(accepted.jobs)}; {states}; {mischief.done}", file=sys.stderr, flush=True
        )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
