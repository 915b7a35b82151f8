"""Audit and health: what operators and their tools look at."""

from __future__ import annotations

import asyncio
from typing import cast

from redis.exceptions import RedisError

from config.settings import ConfigError
from tasks.errors import AfterwordError, StateUnavailable
from tasks.state.audit.search import Search, following
from tasks.state.canary import check_keys
from tasks.state.outages import unavailable
from worker.api.outputs import Alive, AuditPage, AuditProgress, Check, Readiness
from worker.api.problems import ProblemError
from worker.api.queries import AuditQuery, VerifyQuery
from worker.api.route import Answer, Call
from worker.metrics import CONTENT_TYPE, render
from worker.runtime import Services
from worker.verifications import VERIFICATIONS, Run

PROBE_TTL_MS = 60_000
PROBE = "return redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])"
READY_S = 1.5  # for Redis to answer all of it
LOOKED_AT = 20_000


async def read_audit(call: Call) -> Answer:
    """Audit entries that fit, after a position, oldest first.

    With a filter a page looks at a bounded number of entries, so it may be short, or empty, before the end: it is the end where
    `next` is the `after` of the question.
    """
    query = cast(AuditQuery, call.query)
    search = Search(**query.model_dump(include=set(Search.model_fields)))
    services = call.services
    entries, position = await following(
        services.audit, search, services.ledger.about, after=query.after or "-", count=query.limit, most=LOOKED_AT
    )
    return Answer(AuditPage(entries=tuple(entries), next=query.after if position == "-" else position))


async def verify_audit(call: Call) -> Answer:
    """Check every entry, chain and head of the audit trail, and compare them with what is known outside Redis.

    Begins a verification, or follows the `run` that is named. The report comes where it ends within `wait` seconds;
    otherwise 202 with the progress and, in `Location`, where to ask on. 200 says that there is a report, not that all is well:
    see `verdict`.
    """
    query = cast(VerifyQuery, call.query)
    runs = call.request.app[VERIFICATIONS]
    run = runs.find(query.run) if query.run else runs.begin()
    if run is None:
        raise ProblemError(404, "not_found", "There is no such verification.", "Begin one without `run`.")
    await run.wait(min(query.wait, call.services.settings.api_longest_wait_s))
    return _of_run(run)


async def begin_verification(call: Call) -> Answer:
    """Begin to verify the audit trail in the background, where none is being verified; `Location` is where to ask on."""
    return _of_run(call.request.app[VERIFICATIONS].begin())


def _of_run(run: Run) -> Answer:
    if run.task.done():
        return Answer(run.task.result())
    content = AuditProgress(run=run.id, entries=run.progress.entries, of=run.progress.of)
    headers = {"Location": f"/v1/audit/verify?run={run.id}", "Retry-After": "1"}
    return Answer(content, status=202, headers=headers)


async def get_look_first(call: Call) -> Answer:
    """Whether every attempt looks at the remote side before it writes, because the ledger went back in time. Times are epoch
    milliseconds: what Redis stored between `after_ms` and `until_ms` may be missing.
    """
    return Answer(await call.services.look_first.read())


async def set_look_first(call: Call) -> Answer:
    """Have every attempt look first, for a loss of Redis' data that no process could notice."""
    return Answer(await call.services.look_first.raise_by_hand(call.actor, call.reason))


async def clear_look_first(call: Call) -> Answer:
    """Let first attempts write straight away again, once nothing is missing any more."""
    return Answer(await call.services.look_first.clear(call.actor, call.reason))


async def healthz(_: Call) -> Answer:
    """The process answers; nothing else is looked at."""
    return Answer(Alive())


async def readyz(call: Call) -> Answer:
    """Whether jobs can be stored and delivered: Redis takes writes, the keys fit, a worker lives."""
    services = call.services
    checks: list[Check] = []
    try:
        async with asyncio.timeout(READY_S):
            for check in (_writable, _keeps_records, _keys_fit, _worker_lives):
                checks.append(await check(services))
                if not checks[0].ok:
                    break
    except (RedisError, OSError, StateUnavailable) as error:  # a time-out is an OSError
        trouble = error if isinstance(error, StateUnavailable) else unavailable(error)
        checks.append(Check(name="redis", ok=False, detail=str(trouble)))
    ready = all(check.ok for check in checks)
    return Answer(Readiness(ready=ready, checks=tuple(checks)), status=200 if ready else 503)


async def _writable(services: Services) -> Check:
    # By a script, as everything is written: an account may lack that right.
    probe = services.redis.register_script(PROBE)
    await probe(keys=[f"{services.settings.prefix}:probe"], args=[PROBE_TTL_MS])
    wanted = services.settings.replicas_wanted()
    if wanted and (there := (await services.redis.info("replication")).get("connected_slaves", 0)) < wanted:
        return Check(name="redis", ok=False, detail=f"{there} of {wanted} replicas are connected; nothing is accepted")
    return Check(name="redis", ok=True, detail="takes writes")


async def _keeps_records(services: Services) -> Check:
    trouble = await services.eviction.trouble(holds_s=0)
    return Check(name="memory", ok=trouble is None, detail=str(trouble) if trouble else "no record is deleted")


async def _keys_fit(services: Services) -> Check:
    try:
        await check_keys(services.redis, services.vault, services.settings.prefix)
    except (AfterwordError, ConfigError) as error:
        return Check(name="keys", ok=False, detail=str(error))
    return Check(name="keys", ok=True, detail="fit what is stored")


async def _worker_lives(services: Services) -> Check:
    seconds, micros = await services.redis.time()
    now_ms = seconds * 1000 + micros // 1000
    alive = await services.redis.zcount(f"{services.settings.prefix}:workers", now_ms, "+inf")
    detail = f"{alive} alive" if alive else "none is alive; start one with `afterword worker`. Jobs are kept meanwhile."
    return Check(name="workers", ok=bool(alive), detail=detail)


async def metrics(call: Call) -> Answer:
    """Prometheus metrics."""
    return Answer(await render(call.services), media_type=CONTENT_TYPE)
