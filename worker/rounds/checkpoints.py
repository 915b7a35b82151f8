"""Checkpoints of the audit, evidence outside Redis without anybody's doing: kept every few minutes, stamped with the time by somebody
outside where that is set, and once an hour in a log.
"""

from __future__ import annotations

import asyncio
import logging

from redis.exceptions import RedisError

from tasks.errors import AfterwordError
from worker.runtime import Services

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


async def keep_checkpoints(services: Services) -> None:
    """Keep a checkpoint every `checkpoint_every_s` and have it stamped, and log one each `checkpoint_interval_s`; until cancelled."""
    settings, last_id = services.settings, ""
    while True:
        try:
            last_id = await keep_if_due(services, last_id)
        except (AfterwordError, RedisError, OSError) as trouble:
            log.warning("checkpoint: %s; trying again", trouble)
        try:
            await services.stamp_checkpoint()
        except (AfterwordError, RedisError, OSError) as trouble:
            log.warning("time stamp of a checkpoint: %s Trying again.", trouble)
        await asyncio.sleep(min(LOOK_EVERY_S, settings.checkpoint_every_s, settings.checkpoint_interval_s))


async def keep_if_due(services: Services, last_id: str = "") -> str:
    """Keep a checkpoint where the newest one is older than the interval, whichever process made it, and the trail has grown
    since the entry `last_id`; and log one if that is due. Returns the newest entry that was kept or seen to be kept.
    """
    newest = await services.audit.tail(1)
    place = services.audit.outside
    if newest and newest[0].id != last_id and place is not None:
        age_ms = await services.journal.server_ms() - await asyncio.to_thread(place.newest_ms)
        if age_ms >= 1000 * services.settings.checkpoint_every_s and await services.keep_checkpoint():
            last_id = newest[0].id
    await log_if_due(services)
    return last_id


async def log_if_due(services: Services) -> bool:
    """Log a checkpoint unless some worker did so within the interval; True where this one did.

    A worker that dies over it costs a minute, not the interval: the mark is only lent until the line is written.
    """
    interval_ms = int(1000 * services.settings.checkpoint_interval_s)
    mark = f"{services.settings.prefix}:checkpointed"
    lent_ms = min(int(1000 * LOOK_EVERY_S), interval_ms)
    if not await services.redis.set(mark, services.core.worker, nx=True, px=lent_ms):
        return False
    log.info("audit checkpoint %s", (await services.audit.checkpoint()).line())
    await services.redis.set(mark, services.core.worker, px=interval_ms)
    return True
