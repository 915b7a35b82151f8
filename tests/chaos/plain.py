"""Producers that are plain Celery clients, without a line of our code: tasks sent by name, with what hangs on them.

What such a client is told has to be true at the end: the result's state, and each callback or next step of a chain.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

from celery import Celery, chain
from celery.states import READY_STATES
from kombu import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config.redis_address import is_redis
from config.settings import Settings
from tasks.model import JobState
from tests.chaos.load import TASKS, Submission, arguments, put
from worker.connections import celery_address, transport_options
from worker.runtime import Services

# A message that a worker takes from a list of Redis is lost if it dies in that moment, as with any Celery application:
# a client that needs certainty sends it again under its id. RabbitMQ loses none.
AGAIN_S = 30.0
ENDS = "chaos-ends"  # the queue of what hangs on deliveries; nobody takes from it before the end
TOLD = {JobState.DELIVERED: "SUCCESS", JobState.CANCELLED: "REVOKED"}


@dataclass
class Clients:
    """The clients, who send through one Celery application."""

    services: Services
    app: Celery
    again: bool
    sent: dict[str, tuple[Submission, float]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, services: Services) -> Clients:
        """Clients on the broker and result backend of these services."""
        settings = services.settings
        broker, results = settings.broker_address(), settings.redis_address()
        app = Celery("plain", broker=celery_address(broker), backend=celery_address(results), set_as_current=False)
        app.conf.broker_transport_options = _options(settings, broker)
        app.conf.result_backend_transport_options = _options(settings, results)
        if not is_redis(broker):
            app.conf.task_queues = [Queue("celery", queue_arguments={"x-queue-type": "quorum"})]
            app.conf.broker_transport_options = {"confirm_publish": True}
        return cls(services, app, is_redis(broker))

    async def submit(self, submission: Submission) -> str:
        """Send the task of a submission; its id, which is the job's."""
        await put(self.services, submission)
        job_id = str(uuid.uuid5(uuid.NAMESPACE_URL, submission.key))
        await self._send(submission, job_id)
        self.unknown.add(job_id)
        return job_id

    async def _send(self, submission: Submission, job_id: str) -> None:
        await asyncio.to_thread(self._send_now, submission, job_id)
        self.sent[job_id] = (submission, time.monotonic())

    def _send_now(self, submission: Submission, job_id: str) -> None:
        """One in three has a callback, one in three goes on as a chain."""
        task = self.app.signature(
            TASKS[submission.subject.kind], kwargs=arguments(submission.subject), task_id=job_id, immutable=True
        )
        end = self.app.signature("chaos.ended", queue=ENDS)
        match submission.subject.number % 3:
            case 0:
                task.apply_async(link=end, link_error=end.clone(), retry=False)
            case 1:
                task.set(link_error=end.clone())
                chain(task, end.clone(), app=self.app).apply_async(retry=False)
            case _:
                task.apply_async(retry=False)

    async def watch(self, went_back: Callable[[], bool]) -> None:
        """Send again what no worker has put into the ledger for a while, where the broker may lose it, or the ledger `went_back`: it
        forgot a job whose message another broker had been told that it is done.
        """
        while True:
            await asyncio.sleep(2.0)
            try:
                jobs = await self.services.ledger.overview.jobs(list(self.sent))
                self.unknown = set(self.sent) - {job.id for job in jobs}  # a restore makes known ones unknown again
                for job_id in list(self.unknown) if self.again or went_back() else []:
                    submission, at = self.sent[job_id]
                    if time.monotonic() - at > AGAIN_S:
                        await self._send(submission, job_id)
                        self.counts["plain messages sent again"] += 1
            except Exception:  # Redis is away, or the broker: the next round looks again
                continue

    async def told(self, deadline: float) -> None:
        """Wait until each of them has been told of its end."""
        waiting = set(self.sent)
        while waiting and time.monotonic() < deadline:
            try:
                states = await asyncio.to_thread(self._states, waiting)
            except (RedisError, OperationalError, OSError):
                states = {}
            waiting -= {job_id for job_id, state in states.items() if state in READY_STATES}
            await asyncio.sleep(1.0 if waiting else 0)

    def _states(self, job_ids: set[str]) -> dict[str, str]:
        return {job_id: self.app.AsyncResult(job_id).state for job_id in job_ids}

    async def judge(self) -> list[str]:
        """What they were told wrongly, or not."""
        states = await asyncio.to_thread(self._states, set(self.sent))
        ends = await asyncio.to_thread(self._ends)
        offences = []
        for job_id, (submission, _) in self.sent.items():
            job = await self.services.ledger.get(job_id)
            right = TOLD.get(job.state, "FAILURE") if job else "an end"
            if states[job_id] != right:
                offences.append(f"celery: the result of {job_id} is {states[job_id]}, not {right}")
            if submission.subject.number % 3 != 2 and not ends[job_id]:
                offences.append(f"celery: what hangs on {job_id} ({submission.key}) was not sent")
        self.counts["plain tasks"] = len(self.sent)
        self.counts["callbacks and chains gone on"] = len(ends)
        self.counts["of them twice, by a worker that died at it"] = sum(count > 1 for count in ends.values())
        return offences

    def _ends(self) -> Counter[str]:
        """How often each job's end was passed on to what hangs on it."""
        found: Counter[str] = Counter()
        with self.app.connection_for_read() as connection, connection.SimpleQueue(ENDS) as queue:
            while True:
                try:
                    message = queue.get(block=True, timeout=1)
                except Empty:
                    return found
                found[str(message.headers.get("parent_id"))] += 1
                message.ack()


def _options(settings: Settings, address: str) -> dict[str, Any]:
    return transport_options(settings, address) if is_redis(address) else {}
