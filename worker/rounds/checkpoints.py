"""Every hour one worker puts a checkpoint of the audit into its log: evidence outside Redis, without anybody's doing."""

from __future__ import annotations

import asyncio
import logging

from redis.exceptions import RedisError

from worker.runtime import Services

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


async def log_checkpoints(services: Services) -> None:
    """Log one checkpoint each `checkpoint_interval_s`, whichever worker comes first; until cancelled."""
    while True:
        try:
            await log_if_due(services)
        except (RedisError, OSError) as trouble:
            log.warning("checkpoint: %s; trying again", trouble)
        await asyncio.sleep(min(LOOK_EVERY_S, services.settings.checkpoint_interval_s))


async def log_if_due(services: Services) -> bool:
    """Log a checkpoint unless some worker did so within the interval; True where this one did.

    A worker that dies over it costs a minute, not the interval: the mark is only lent until the line is written.
    """
    interval_ms = int(1000 * services.settings.checkpoint_interval_s)
    mark = f"{services.settings.prefix}:checkpointed"
    lent_ms = min(int(1000 * LOOK_EVERY_S), interval_ms)
    if not await services.redis.set(mark, services.core.worker, nx=True, px=lent_ms):
        return False
    log.info("audit checkpoint %s", (await services.audit.checkpoint()).model_dump_json())
    await services.redis.set(mark, services.core.worker, px=interval_ms)
    return True
