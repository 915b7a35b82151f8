"""Waiting has an end: a job that is older than it may become ends as dead, whatever it waits for. Held jobs wait for people."""

from __future__ import annotations

import logging

from tasks.errors import Refused
from tasks.model import Job
from tasks.retry import expired
from tasks.services import Services
from tasks.state.traffic.limiter import Health

log = logging.getLogger(__name__)

BATCH = 200


async def expire_overdue(services: Services) -> list[str]:
    """End the waiting jobs whose time is over; returns their ids. Several workers may do it at once."""
    ended = []
    for job_id in await services.ledger.overdue(BATCH):
        try:
            job = await services.ledger.get(job_id)
        except Refused as unreadable:  # only a newer version can read it, and end it
            log.warning("%s", unreadable)
            continue
        if job is None:
            continue
        try:
            health = await services.directory.health(job.destination)
        except Refused:
            health = None
        error = expired(job, waited_for(job, health, services.clock_ms()))
        if await services.ledger.expire(job, error):
            log.warning("job %s: expired: %s", job.id, error.message)
            ended.append(job.id)
    return ended


def waited_for(job: Job, health: Health | None, now_ms: int) -> str:
    """What a job waited for, in a sentence; no `health` where its destination isn't there. Pure."""
    name, last = job.destination, job.last_error
    met = f"It last met this: {last.message}" if last else ""
    if health is None:
        return f"Its destination {name} is not configured."
    if health.state == "suspended":
        return f"Its destination {name} is suspended: {health.reason}"
    if health.state == "paused":
        return f"Its destination {name} is {health.reason or 'paused'}."
    if health.breaker != "closed":
        return f"Its destination {name} kept failing. {met}".strip()
    if health.not_before_ms > now_ms and last is None:
        return f"Its destination {name} asked everybody to wait."
    return met or f"It waited for its turn at {name}: for a worker, or for its limits."
