"""Moves what is due: every worker runs one, any number of them agree through the ledger's scripts.

Each turn it says that this worker lives, takes over jobs of workers that don't, and sends a message for each job whose
time has come and whose destination has room. A turn is started by the clock or by a wake-up from the ledger.
"""

from __future__ import annotations

import asyncio
import logging

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks.errors import AfterwordError, Refused, StateUnavailable
from tasks.model import Job
from worker.runtime import Services

log = logging.getLogger(__name__)

BATCH = 200
PROBE_LOOK_S = 1.0


class Sweeper:
    """One worker's sweeper."""

    def __init__(self, services: Services, app: Celery, capacity: int) -> None:
        self._services = services
        self._capacity = capacity
        self._app = app
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Sweep until cancelled; trouble with Redis or the broker is logged once and waited out."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._beat())
            group.create_task(self._sweep())
            group.create_task(self._probe())

    async def _beat(self) -> None:
        settings = self._services.settings
        while True:
            try:
                await self._services.ledger.heartbeat(
                    self._services.core.worker, int(1000 * settings.heartbeat_ttl_s), self._capacity
                )
            except StateUnavailable as trouble:
                log.warning("heartbeat: %s", trouble)
            await asyncio.sleep(settings.heartbeat_ttl_s / 3)

    async def _sweep(self) -> None:
        interval_s = self._services.settings.sweep_interval_s
        while True:
            self._woken.clear()
            pause_s = interval_s
            try:
                await self.turn()
                pause_s = await self._services.destinations.upcoming_s(interval_s)
            except (AfterwordError, RedisError, OSError, OperationalError) as trouble:
                log.warning("sweep: %s; trying again", trouble)
                await asyncio.sleep(interval_s)
            try:
                await asyncio.wait_for(self._woken.wait(), pause_s)
            except TimeoutError:
                continue

    async def _probe(self) -> None:
        """Test suspended destinations from time to time; a pass lets their jobs go on."""
        async with asyncio.TaskGroup() as tests:
            while True:
                try:
                    for name in await self._services.destinations.due_probes():
                        tests.create_task(self._test(name))
                except (AfterwordError, RedisError, OSError) as trouble:
                    log.warning("probe: %s; trying again", trouble)
                await asyncio.sleep(PROBE_LOOK_S)

    async def _test(self, name: str) -> None:
        try:
            report = await self._services.test_destination(name, "probe")
        except (AfterwordError, RedisError, OSError) as trouble:
            log.warning("destination %s can't be tested: %s", name, trouble)
        else:
            if not report.success:
                log.info("destination %s stays suspended: %s", name, report.message)

    async def turn(self) -> None:
        """One turn: take over what lapsed, send what is due."""
        ledger = self._services.ledger
        for job_id in await ledger.lapsed(BATCH):
            try:
                state = await ledger.take_over(job_id)
            except Refused as unreadable:
                log.warning("%s", unreadable)
                continue
            if state:
                log.warning("job %s: its worker is gone; now %s", job_id, state.value)
        due = await ledger.dispatch(int(1000 * self._services.settings.resend_after_s), BATCH)
        jobs = [job for job_id in due if (job := await self._readable(job_id))]
        if jobs:
            await asyncio.to_thread(self._send, jobs)

    async def _readable(self, job_id: str) -> Job | None:
        """The job, or None for one that only a newer version can read: it holds up no other."""
        try:
            return await self._services.ledger.get(job_id)
        except Refused as unreadable:
            log.warning("%s", unreadable)
            return None

    def _send(self, jobs: list[Job]) -> None:
        with self._app.producer_pool.acquire(block=True) as producer:
            for job in jobs:
                arguments = job.command.model_dump(mode="json", exclude={"command"}, exclude_none=True)
                self._app.send_task(
                    job.command.command.value,
                    kwargs=arguments,
                    task_id=job.id,
                    queue=job.kind,
                    producer=producer,
                    retry=False,
                    ignore_result=False,
                    argsrepr="()",
                    kwargsrepr="{}",
                )

    async def _listen(self) -> None:
        channel = f"{self._services.settings.prefix}:wake"
        while True:
            try:
                async with self._services.redis.pubsub() as pubsub:
                    await pubsub.subscribe(channel)
                    while True:
                        if await pubsub.get_message(ignore_subscribe_messages=True, timeout=5):
                            self._woken.set()
            except (RedisError, OSError):
                await asyncio.sleep(1)
