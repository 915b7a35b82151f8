"""Recovery: from SIGKILL of a worker in the middle of an attempt to the next claim of its job, and to its delivery."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from tasks.destinations import parse_settings
from tasks.model import Issue, Job, JobState, parse_command
from tests.chaos.stage import Stage, staged
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import Services, open_services

KILLS = 30
WORKERS = 3
ANSWER_S = 1.0
TIMEOUT_S = 5
LAG_S = 2
LIMIT_S = 60.0
LOOK_EVERY_S = 0.005


def main() -> None:
    """Kill, measure, print."""
    with tempfile.TemporaryDirectory(prefix="afterword-recovery-") as folder:  # noqa: SIM117 - the stage needs it
        with staged(Path(folder), "afterword", WORKERS, {}, None, None) as stage:
            times = asyncio.run(_measure(stage))
    print(
        f"{KILLS} kills at a random moment of an attempt whose vendor answers after {ANSWER_S:g} s; {WORKERS} workers with "
        f"default settings, destination with time-out {TIMEOUT_S} s and lag {LAG_S} s"
    )
    for name, place in (("kill to next claim", 0), ("kill to delivery", 1)):
        print(f"{name}: {spread([pair[place] for pair in times])}")


def spread(seconds: list[float]) -> str:
    """min, p50, p99 and max; p99 of fewer than a hundred is the largest."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    median = statistics.median(ordered)
    return f"min {ordered[0]:.2f} s, p50 {median:.2f} s, p99 {p99:.2f} s, max {ordered[-1]:.2f} s"


async def _measure(stage: Stage) -> list[tuple[float, float]]:
    chance = random.Random(1)
    slow = {"vendor": "servicenow", "operation": "create", "fault": "slow_headers", "share": 1, "seconds": ANSWER_S}
    await stage.ask_sandbox("POST", "faults", slow)
    given = sandbox_destinations(stage.sandbox_url)["servicenow"]
    async with open_services(stage.settings) as services:
        settings = parse_settings(given | {"total_timeout_s": TIMEOUT_S, "write_lag_s": LAG_S})
        await services.destinations.set("servicenow", settings, FAKE_SECRET, "bench")
        return [await _one(stage, services, number, chance) for number in range(KILLS)]


async def _one(stage: Stage, services: Services, number: int, chance: random.Random) -> tuple[float, float]:
    """Seconds from one kill to the next claim and to the delivery of the job that it hit."""
    await stage.all_at_work(WORKERS)
    issue = Issue(id=f"incident-{number}", title=f"Outage {number}", description="Down.", severity=2)
    command = parse_command({"command": "create_servicenow_incident", "issue_id": issue.id})
    submitted = await services.submit(command, actor="bench", issue=issue)
    job = await _seen(services, submitted.id, lambda job: job.state is JobState.RUNNING)
    await asyncio.sleep(chance.uniform(0, 0.9 * ANSWER_S))
    victim = next(name for name, pid in stage.pids.items() if f"-{pid}-" in str(job.worker))
    stage.kill(victim)
    killed = time.monotonic()
    await _seen(services, job.id, lambda now: now.token > job.token or now.state is JobState.DELIVERED)
    claimed = time.monotonic()
    stage.start(victim)
    await _seen(services, job.id, lambda now: now.state is JobState.DELIVERED)
    return claimed - killed, time.monotonic() - killed


async def _seen(services: Services, job_id: str, condition: object) -> Job:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        job = await services.ledger.require(job_id)
        if callable(condition) and condition(job):
            return job
        await asyncio.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"job {job_id} stands as {job.state.value} after {LIMIT_S:g} s")
