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
from tests.chaos.load import PLAIN, Accepted, Producers, plan
from tests.chaos.mischief import Mischief, Pace, deny, spoil
from tests.chaos.plain import Clients
from tests.chaos.stage import KINDS, Stage, staged
from worker.attempts import cancel_all
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import Services, open_services

UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.RETRYING)
LOOK_EVERY_S = 1.0
PATIENCE_S = 10.0
TELL_S = 90.0  # an end that a worker died at telling is told by another one a minute later
SAY_EVERY_S = 10.0


@dataclass(frozen=True)
class Size:
    """How much: jobs, seconds over which they are submitted, workers, and seconds until the run counts as failed.

    `without` names what is left out of the mischief. The rest goes on until `mischief_s` after the last submission, or until all but one job in twenty have ended.
    """

    jobs: int = 3000
    over_s: float = 200.0
    mischief_s: float = 90.0
    limit_s: float = 540.0
    workers: int = 3
    pace: Pace = field(default_factory=Pace)
    without: frozenset[str] = frozenset()


# What a run needs: what was offered to a worker that died is offered again sooner than by default.
QUICK = {
    "AFTERWORD_RESEND_AFTER_S": "3",
    "AFTERWORD_CONCURRENCY": "24",
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
    with staged(
        folder,
        "afterword",
        size.workers,
        QUICK,
        redis_url,
        broker_url,
        fail_over=fail_over,
        beside=beside,
        wrong_clocks="clocks" not in size.without,
        prefork="prefork" not in size.without,
        several="processes" not in size.without,
    ) as stage:
        return asyncio.run(_run(stage, size, seed))


async def _run(stage: Stage, size: Size, seed: int) -> Verdict:
    start = time.monotonic()
    accepted = Accepted()
    async with open_services(stage.settings) as services:
        for name in KINDS:
            given = sandbox_destinations(stage.address_of(name))[name]
            await services.destinations.set(name, parse_settings(given | DESTINATION), FAKE_SECRET, "chaos")
        rights, plain = "rights" not in size.without, 0.0 if "plain" in size.without else PLAIN
        if rights:
            await deny(stage)
        if "vendors" not in size.without:
            await spoil(stage, random.Random(f"{seed}/faults"))
        submissions = plan(size.jobs, size.over_s, random.Random(f"{seed}/load"), plain=plain, forbidden=rights)
        door, clients = await Door.into(stage.beside, services), Clients.of(services)
        producers = Producers(services, accepted, door.submit if door else None, clients.submit)
        mischief = Mischief(stage, size.pace, str(seed), size.without, producers, accepted)
        running = asyncio.create_task(mischief.run())
        teller = asyncio.create_task(_tell(services, accepted, mischief, start))
        watching = asyncio.create_task(clients.watch(lambda: mischief.done.counts["Redis restored"] > 0))
        try:
            await producers.play(submissions)
            few = len(submissions) // 20
            await _rest(services, clients, start + size.over_s + size.mischief_s, few, running)
            await end(running)
            await stage.ask_sandbox("DELETE", "faults")
            if rights:
                await deny(stage)
            await _rest(services, clients, start + size.limit_s, 0, teller)
            await clients.told(start + size.limit_s + TELL_S)
        finally:
            for task in (running, teller, watching):
                await end(task)
        state = await stage.ask_sandbox("GET", "state")
        verdict = await judge(
            services, accepted, state["objects"], went_back=mischief.done.counts["Redis restored"] > 0
        )
        verdict.other += await clients.judge()
        verdict.plain = ", ".join(f"{name} {count}" for name, count in clients.counts.items())
        attempts = await attempts_by_version(stage, services)
        verdict.further = attempts["further"]
        if stage.beside:
            verdict.beside = dict(attempts)
            verdict.other += await judge_beside(stage.beside, attempts)
    verdict.mischief = str(mischief.done)
    verdict.seconds = time.monotonic() - start
    return verdict


async def _rest(
    services: Services, clients: Clients, deadline: float, most: int, meanwhile: asyncio.Task[None]
) -> None:
    """Wait until at most so many jobs are unfinished; raises what went wrong in `meanwhile`."""
    while time.monotonic() < deadline and await _unfinished(services) + len(clients.unknown) > most:
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


async def end(task: asyncio.Task[None]) -> None:
    """Cancel it until it has ended: a single cancellation may get lost in redis-py (`asyncio.wait_for` before Python 3.12)."""
    await cancel_all({task}, PATIENCE_S)
