"""Remote control: a revoked task is a cancelled job, whoever revokes it (a Celery client, Flower, `celery control`)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from celery.utils.functional import maybe_list
from celery.worker import control
from redis.exceptions import RedisError

from tasks.errors import AfterwordError
from worker.attempts import Attempts
from worker.broker.options import INSTEAD_OF_TIME_LIMITS
from worker.loop import Loop
from worker.runtime import Services

log = logging.getLogger(__name__)

ACTOR = "celery"
FIXED = {"error": "This worker's pool can't grow or shrink."}  # solo


def install(loop: Loop) -> None:
    """Let `revoke` and `terminate` act on the ledger's jobs; tasks that it doesn't know are Celery's own. `time_limit` is refused,
    as the options of that name are, and so are stamps: what the ledger keeps until its turn shows none. A pool that can't grow
    says so.
    """

    def revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **options: Any) -> Any:
        asked = {str(identifier) for identifier in maybe_list(task_id) or ()}
        try:
            ours = loop.run(_cancel(loop.services, loop.attempts, asked, terminate=terminate))
        except (AfterwordError, RedisError, OSError) as trouble:
            return {"error": f"not revoked: {trouble}"}
        if asked - ours:
            return control.revoke(state, sorted(asked - ours), terminate=terminate, signal=signal, **options)
        return {"ok": f"jobs {', '.join(sorted(ours))} revoked"}

    def terminate(state: Any, signal: Any, task_id: Any, **options: Any) -> Any:
        return revoke(state, task_id, terminate=True, signal=signal, **options)

    def time_limit(_state: Any, **_: Any) -> Any:
        return {"error": f"Celery's time limits bound nothing here. {INSTEAD_OF_TIME_LIMITS}"}

    def by_stamps(_state: Any, **_: Any) -> Any:
        # Celery's client expects "ok" and ends in a KeyError for an error.
        return {"ok": "Nothing is revoked: jobs can't be found by stamps here. Revoke them by their ids."}

    def pool_grow(state: Any, n: int = 1, **_: Any) -> Any:
        return control.pool_grow(state, n) if hasattr(state.consumer.pool, "grow") else FIXED

    def pool_shrink(state: Any, n: int = 1, **_: Any) -> Any:
        return control.pool_shrink(state, n) if hasattr(state.consumer.pool, "shrink") else FIXED

    control.Panel.data |= {
        "revoke": revoke,
        "terminate": terminate,
        "time_limit": time_limit,
        "pool_grow": pool_grow,
        "pool_shrink": pool_shrink,
        "revoke_by_stamped_headers": by_stamps,
    }


async def _cancel(services: Services, attempts: Attempts, job_ids: Iterable[str], *, terminate: bool) -> set[str]:
    """Cancel jobs that wait, and with `terminate` those that run here; returns which of the ids are jobs of the ledger.

    Every worker hears of a revocation; the first one cancels, and the others find the job cancelled.
    """
    known = set()
    for job_id in job_ids:
        if await services.ledger.get(job_id) is None:
            continue
        known.add(job_id)
        if terminate:
            attempts.revoke(job_id)
        try:
            await services.ledger.cancel(job_id, ACTOR, "revoked")
        except AfterwordError as refused:
            log.info("job %s: %s", job_id, refused)
    return known
