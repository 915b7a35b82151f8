"""Moves what is due: every worker runs one, any number of them agree through the ledger's scripts.

Each turn it takes over jobs of workers that are gone and sends a message for each job whose time has come and whose
destination has room. A turn is started by the clock or by a wake-up from the ledger. Beside that it says that this worker
lives, closes intents that were left open, tells Celery of jobs that ended outside a task, and forgets what is old.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from celery import Celery
from redis.exceptions import RedisError

from tasks.cross_links import follow_up
from tasks.errors import AfterwordError, Refused
from tasks.model import TERMINAL, Job, JobState
from tasks.state.upkeep.housekeeping import BATCH as FORGET_BATCH
from tasks.state.upkeep.housekeeping import Retention
from tasks.state.workers import About
from worker.answers import failure_of
from worker.attempts import Attempts
from worker.runtime import Services
from worker.wakes import listen

log = logging.getLogger(__name__)

BATCH = 200
FORGET_EVERY_S = 60.0
FORGET_BATCHES = 20
GOODBYE_S = 3.0
PROBE_LOOK_S = 1.0
TROUBLE_PAUSE_S = 1.0
WAKES = "afterword_wakes"  # the header of a message about a job that the ledger knows: it holds identifiers only


class Sweeper:
    """One worker's sweeper."""

    def __init__(self, services: Services, app: Celery, attempts: Attempts, capacity: int) -> None:
        self._services = services
        self._capacity = capacity
        self._app = app
        self._attempts = attempts
        self._woken = asyncio.Event()
        self._tests: set[asyncio.Task[None]] = set()
        self._about = About(
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("afterword"),
            started_ms=services.core.clock_ms(),
            concurrency=capacity,
        ).model_dump_json()

    async def run(self) -> None:
        """Sweep until cancelled, then say goodbye; trouble with Redis or the broker is logged and waited out."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(listen(self._services.redis, self._services.settings.prefix, self._woken.set))
                group.create_task(_again_and_again(self._beat))
                group.create_task(_again_and_again(self._sweep, self._woken))
                group.create_task(_again_and_again(self._link))
                group.create_task(_again_and_again(self._keep_house))
                group.create_task(_again_and_again(self.forget))
                group.create_task(_again_and_again(self._probe))
        finally:
            with contextlib.suppress(AfterwordError, RedisError, OSError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._services.upkeep.goodbye(self._services.core.worker)

    async def _beat(self) -> float:
        services, at, ttl_s = self._services, time.monotonic(), self._services.settings.heartbeat_ttl_s
        await services.ledger.heartbeat(services.core.worker, int(1000 * ttl_s), self._capacity, self._about)
        services.pulse.beat(at)
        return ttl_s / 3

    async def _sweep(self) -> float:
        await self.turn()
        return await self._services.destinations.upcoming_s(self._services.settings.sweep_interval_s)

    async def _link(self) -> float:
        """Queue the links that are missing, beside the turns: trouble with one issue's record holds up no job."""
        for job_id in await follow_up(self._services.ledger, self._services.core.links):
            log.info("job %s: queued to bring links up to date", job_id)
        return self._services.settings.sweep_interval_s

    async def _keep_house(self) -> float:
        """Close what stays open and tell what ended: nobody waits for it, so no wake-up starts it. Returns the pause."""
        await self._services.upkeep.close_orphans()
        await self._tell()
        return self._services.settings.sweep_interval_s

    async def _probe(self) -> float:
        """Test the suspended destinations that are due for it, beside everything else; returns the pause."""
        for name in await self._services.destinations.due_probes():
            test = asyncio.create_task(self._test(name))
            self._tests.add(test)
            test.add_done_callback(self._tests.discard)
        return PROBE_LOOK_S

    async def _test(self, name: str) -> None:
        """One connection test; a pass lets the destination's jobs go on."""
        try:
            report = await self._services.test_destination(name, "probe")
        except (AfterwordError, RedisError, OSError) as trouble:
            log.warning("destination %s can't be tested: %s", name, trouble)
        else:
            if not report.success:
                log.info("destination %s stays suspended: %s", name, report.message)

    async def turn(self) -> None:
        """One turn: send what is due, take over what lapsed."""
        ledger = self._services.ledger
        await self._wake_due()
        lapsed = await ledger.lapsed(BATCH)
        if any(await asyncio.gather(*(self._take_over(job_id) for job_id in lapsed))):
            await self._wake_due()

    async def _take_over(self, job_id: str) -> bool:
        try:
            state = await self._services.ledger.take_over(job_id)
        except Refused as unreadable:  # only a newer version can read it: it holds up no other
            log.warning("%s", unreadable)
            return False
        if state:
            log.warning("job %s: its worker is gone; now %s", job_id, state.value)
        return state is not None

    async def _wake_due(self) -> None:
        if self._attempts.stopping:
            return
        ledger = self._services.ledger
        due = await ledger.dispatch(int(1000 * self._services.settings.resend_after_s), BATCH)
        jobs = await ledger.overview.jobs(due)
        if jobs:
            await self._wake_for(jobs)

    async def _wake_for(self, jobs: list[Job]) -> None:
        try:
            await asyncio.to_thread(self._send, jobs)
        except Exception:
            for job in jobs:
                await self._services.upkeep.unsend(job.id)
            raise

    async def forget(self) -> float:
        """Forget what is older than the settings keep it, in batches so that no script takes long; returns the pause."""
        given = self._services.settings
        retention = Retention(
            jobs_days=given.retain_jobs_days,
            dead_days=given.retain_dead_days,
            contents_days=given.retain_contents_days,
            subjects_days=given.retain_subjects_days,
        )
        now_ms = self._services.core.clock_ms()
        for kind, age_ms in retention.ages_ms().items():
            for _ in range(FORGET_BATCHES):
                if await self._services.upkeep.forget(kind, now_ms - age_ms) < FORGET_BATCH:
                    break
        return FORGET_EVERY_S

    async def _tell(self) -> None:
        """Give waiting Celery clients the end of a job that was cancelled, superseded or quarantined."""
        upkeep = self._services.upkeep
        if job_ids := await upkeep.to_tell():
            ended = await self._services.ledger.overview.jobs(job_ids)
            await asyncio.to_thread(self._store, [job for job in ended if job.state in TERMINAL])
            gone = dict.fromkeys(job_ids, 0)
            await upkeep.told(gone | {job.id: job.updated_ms for job in ended})

    def _store(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.state is not JobState.DELIVERED:
                self._app.backend.store_result(job.id, failure_of(job.state, job.last_error), "FAILURE")

    def _send(self, jobs: list[Job]) -> None:
        with self._app.producer_pool.acquire(block=True) as producer:
            for job in jobs:
                arguments = job.command.model_dump(mode="json", exclude={"command", "config"}, exclude_none=True)
                self._app.send_task(
                    job.command.command.value,
                    kwargs=arguments,
                    headers={WAKES: job.id},
                    task_id=job.id,
                    queue=job.kind,
                    producer=producer,
                    retry=False,
                    ignore_result=False,
                    argsrepr="()",
                    kwargsrepr="{}",
                )


async def _again_and_again(work: Callable[[], Awaitable[float]], woken: asyncio.Event | None = None) -> None:
    """Do `work` for ever, with the pause in seconds that it returns, which `woken` ends early.

    Whatever goes wrong, the next time may be better.
    """
    woken = woken or asyncio.Event()
    while True:
        woken.clear()
        try:
            pause_s = await work()
        except Exception as trouble:
            words = str(trouble) if isinstance(trouble, AfterwordError) else type(trouble).__name__
            log.warning("%s: %s; trying again", work.__name__.strip("_"), words)
            await asyncio.sleep(TROUBLE_PAUSE_S)
            continue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await woken.wait()
