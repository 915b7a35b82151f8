"""Processor time of a worker for each attempt: incidents and pages of 4 kB in one process, at a vendor that takes 50 ms."""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.peers.rows import Place, pages_submitted, submitted
from bench.peers.stage import ROOT, vendor_at_work
from config.logging import configure_logging
from config.settings import Settings
from tasks import progress
from tasks.lifecycle import Ended
from tasks.model import Job, JobState
from worker.loop import Loop
from worker.machine.embedded import EmbeddedValkey
from worker.processes.warm import keep, warm_up
from worker.rounds.runner import Runner
from worker.rounds.sweeper import Sweeper
from worker.rounds.teller import Teller

JOBS, ROUNDS, DELAY_MS, CAPACITY = 800, 3, 50, 200
SENDERS = {"incident": submitted, "page": pages_submitted}


def main() -> dict[str, float]:
    """Print milliseconds of the processor for each job: the worker's, and Valkey's with the commands that it ran."""
    for name, what in (("incident", "incidents"), ("page", "pages")):
        rounds = [measured(name, JOBS) for _ in range(ROUNDS)]
        told = {key: statistics.median(round_[key] for round_ in rounds) for key in rounds[0]}
        least = min(round_["worker_ms"] for round_ in rounds)
        print(
            f"{what}: worker {told['worker_ms']:.2f} ms (least {least:.2f}), Valkey {told['valkey_ms']:.2f} ms, "
            f"{told['commands']:.0f} commands a job"
        )
    return {}


def measured(name: str, jobs: int) -> dict[str, float]:
    """One round: all jobs are there, then one process begins to run them."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as folder, vendor_at_work(Path(folder)) as vendor:
        vendor.reset(DELAY_MS)
        with EmbeddedValkey(Path(folder) / "valkey") as valkey:
            place = Place(Path(folder), valkey.url, vendor.url)
            SENDERS[name](place, jobs)
            command = [sys.executable, "-m", "bench.attempts", str(jobs)]
            done = subprocess.run(
                command, cwd=ROOT, env=place.variables | {"PATH": ""}, check=True, capture_output=True, text=True
            )
            made = vendor.counts()
            if made.objects != made.distinct:
                raise RuntimeError(f"{made.distinct} jobs made {made.objects} objects")
        told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return told


class Counting(Teller):
    """A teller that notes what was spent when a tenth and nine tenths of the jobs had ended."""

    jobs = ended_jobs = 0

    def begin(self, jobs: int) -> None:
        """Count so many."""
        self.jobs, self.over = jobs, asyncio.Event()
        self.spent: list[dict[str, float]] = []

    def ended(self, job: Job, ended: Ended, took_s: float) -> None:
        """As told, and counted."""
        super().ended(job, ended, took_s)
        self.ended_jobs += ended.state is JobState.DELIVERED
        if ended.state is JobState.DELIVERED and self.ended_jobs in (self.jobs // 10, self.jobs * 9 // 10):
            asyncio.get_running_loop().create_task(self._note())

    async def _note(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        server: Any = self._services.redis
        cpu, commands = await server.info("cpu"), await server.info("commandstats")
        self.spent.append({
            "jobs": self.ended_jobs,
            "worker_ms": 1000 * (used.ru_utime + used.ru_stime),
            "valkey_ms": 1000 * (cpu["used_cpu_user"] + cpu["used_cpu_sys"]),
            "commands": sum(each["calls"] for each in commands.values()),
        })  # fmt: skip
        if len(self.spent) == 2:
            self.over.set()


def work(jobs: int) -> None:
    """A worker without Celery's consumer and events: prints what a job took of it."""
    from worker.celery import app

    settings = Settings()
    configure_logging(settings, progress.facts)
    warm_up()
    keep()
    loop = Loop(settings)
    loop.start()
    services = loop.services
    teller = Counting(services, app, lambda *_: None)

    async def run() -> None:
        teller.begin(jobs)
        parts = (
            teller.run(),
            Runner(services, loop.attempts, teller, CAPACITY).run(),
            Sweeper(services, CAPACITY).run(),
        )
        running = [asyncio.create_task(part) for part in parts]
        await teller.over.wait()
        await loop.attempts.drain(30)
        for task in running:
            task.cancel()

    loop.run(run())
    loop.stop()
    first, last = teller.spent
    count = last["jobs"] - first["jobs"]
    print(json.dumps({key: (last[key] - first[key]) / count for key in ("worker_ms", "valkey_ms", "commands")}))


if __name__ == "__main__":
    work(int(sys.argv[1]))
