"""One run of the stock application: the same sandbox, the same faults, the same kills, and its count at the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from bench.stock.app import TASKS, VISIBILITY_TIMEOUT_S, app
from tests.chaos.load import PATIENCE_S, Submission, plan, play
from tests.chaos.mischief import Mischief, spoil
from tests.chaos.run import Size, end
from tests.chaos.stage import Stage, staged

QUIET_S = 3.0


@dataclass(frozen=True)
class Outcome:
    """What the stock application made of its load. `unfinished` messages are those still waiting at the limit."""

    accepted: int
    objects: int
    lost: int
    duplicated: int
    unfinished: int
    seconds: float
    mischief: str

    def __str__(self) -> str:
        return (
            f"stock Celery: {self.mischief}\n"
            f"stock Celery: accepted {self.accepted}, remote objects {self.objects}, unfinished {self.unfinished}, "
            f"seconds {self.seconds:.0f}\n"
            f"stock Celery: lost {self.lost} duplicated {self.duplicated}"
        )


def run(folder: Path, size: Size, seed: int) -> Outcome:
    """One run in an empty folder. Messages are neither doubled nor deleted: here they are all there is."""
    with staged(folder, "stock", size.workers, {}, None, None) as stage:
        return asyncio.run(_run(stage, size, seed))


async def _run(stage: Stage, size: Size, seed: int) -> Outcome:
    start = time.monotonic()
    await spoil(stage, random.Random(f"{seed}/faults"))
    mischief = Mischief(stage, size.pace, str(seed), {"messages", "outages"})
    running = asyncio.create_task(mischief.run())
    submissions = plan(size.jobs, size.over_s, random.Random(f"{seed}/load"), versions=(1,))
    try:
        await submit_all(stage, submissions)
        await _rest(stage, start + size.over_s + size.mischief_s, size.jobs // 20)
    finally:
        await end(running)
    await stage.ask_sandbox("DELETE", "faults")
    unfinished = await _rest(stage, start + size.limit_s, 0)
    state = await stage.ask_sandbox("GET", "state")
    found = Counter((item["vendor"], item["title"]) for item in state["objects"])
    lost = sum(not found[given.subject.kind, given.subject.title] for given in submissions)
    return Outcome(
        accepted=len(submissions),
        objects=found.total(),
        lost=lost,
        duplicated=found.total() - len(found),
        unfinished=unfinished,
        seconds=time.monotonic() - start,
        mischief=str(mischief.done),
    )


async def submit_all(stage: Stage, submissions: list[Submission]) -> None:
    """Send a message for each of them."""
    app.conf.broker_url = stage.broker_url
    await play(submissions, _submit, time.monotonic)


async def _submit(submission: Submission) -> None:
    """Send the message; a producer that gets an error tries again."""
    subject = submission.subject
    while True:
        try:
            task = TASKS[subject.kind]
            await asyncio.to_thread(task.apply_async, (subject.title, subject.mark(1)), retry=False)
        except (OperationalError, RedisError, OSError):
            await asyncio.sleep(PATIENCE_S)
        else:
            return


async def _rest(stage: Stage, deadline: float, most: int) -> int:
    """Wait until at most so many messages wait or are held by a worker, for a while; returns how many do."""
    client = redis.asyncio.Redis.from_url(stage.broker_url)
    quiet_since, waiting = None, most + 1
    try:
        while time.monotonic() < deadline:
            try:
                waiting = await client.llen("stock") + await client.hlen("unacked")
            except (RedisError, OSError):
                waiting = most + 1
            now = time.monotonic()
            quiet_since = (quiet_since or now) if waiting <= most else None
            if quiet_since is not None and now - quiet_since >= QUIET_S:
                break
            await asyncio.sleep(0.5)
    finally:
        await client.aclose()
    return waiting


CONDITIONS = (
    f"acks_late, reject_on_worker_lost, autoretry with backoff, prefork, visibility timeout {VISIBILITY_TIMEOUT_S} s"
)
