"""One action on every job that matches a filter, or on those that were chosen: confirmed with its count, followed while it
runs, stoppable.

The action runs in this server; its progress is in Redis, so that any server can show it and anybody may stop it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from aiohttp import web

from tasks.errors import AfterwordError, Refused
from tasks.model import Frozen
from tasks.operator import operations
from tasks.operator.bulk import Verb
from tasks.operator.filters import check_filter
from tasks.state.jobs.asked import asked_of, understood
from tasks.state.jobs.overview import JobFilter
from worker.console.jobs import possible
from worker.console.visit import Route, Visit

log = logging.getLogger(__name__)

REMEMBER_S = 24 * 3600
SILENT_MS = 60_000


class Bulk(Frozen):
    """A bulk action, on all that are `chosen` by a filter, or on some of them that were picked one by one. `state` becomes
    `silent` for readers when its server said nothing for a minute.
    """

    id: str
    verb: Verb
    chosen: JobFilter
    actor: str
    reason: str = ""
    started_ms: int
    told_ms: int
    done: int = 0
    failed: int = 0
    total: int = 0
    state: Literal["running", "finished", "stopped", "broken", "silent"] = "running"
    trouble: str = ""
    picked: bool = False


async def ask(visit: Visit) -> web.StreamResponse:
    """How many jobs it would be, before anything happens."""
    verb, chosen = _wanted(visit.asked)
    await check_filter(visit.services.core, chosen)
    total = await visit.services.ledger.overview.size(chosen)
    return await visit.page("bulk_ask.html", verb=verb, chosen=chosen, total=total, picked=())


async def ask_of_picked(visit: Visit) -> web.StreamResponse:
    """The same for jobs that were picked from the list."""
    verb, chosen = _wanted(visit.said)
    picked = _picked(visit)
    if not picked:
        raise Refused("No job is chosen.", code="bad_arguments", advice="Go back and tick the jobs first.")
    return await visit.page("bulk_ask.html", verb=verb, chosen=chosen, total=len(picked), picked=picked)


async def start(visit: Visit) -> web.StreamResponse:
    """Begin, and go on to the page that follows it."""
    verb, chosen = _wanted(visit.said)
    await check_filter(visit.services.core, chosen)
    picked = _picked(visit)
    if verb == "release" and not visit.said("reason"):
        raise Refused("Give a reason for the release.", code="no_reason", advice="The audit records it.")
    now_ms = visit.now_ms
    bulk = Bulk(
        id=secrets.token_hex(8),
        verb=verb,
        chosen=chosen,
        actor=visit.actor,
        reason=visit.said("reason")[:500],
        started_ms=now_ms,
        told_ms=now_ms,
        total=len(picked) or await visit.services.ledger.overview.size(chosen),
        picked=bool(picked),
    )
    await _tell(visit, bulk)
    task = asyncio.create_task(_run(visit, bulk, picked))
    visit.console.running.add(task)
    task.add_done_callback(visit.console.running.discard)
    return await visit.go(f"/bulk/{bulk.id}")


async def _run(visit: Visit, bulk: Bulk, picked: Sequence[str]) -> None:
    """Act on all, telling of progress; ends early where somebody asked for that."""
    core, by = visit.services.core, {"actor": bulk.actor, "reason": bulk.reason}
    if picked:
        steps = operations.act_on_chosen(core, bulk.verb, picked, **by)
    else:
        steps = operations.act_on_all(core, bulk.verb, bulk.chosen, **by)
    try:
        async for progress in steps:
            stopped = bool(await visit.services.redis.exists(_key(visit, bulk.id, "stop")))
            update = {"done": progress.done, "failed": progress.failed, "total": progress.total}
            state = "finished" if progress.finished else "stopped" if stopped else "running"
            bulk = bulk.model_copy(update={**update, "state": state, "told_ms": visit.now_ms})
            await _tell(visit, bulk)
            if stopped:
                break
    except asyncio.CancelledError:
        bulk = bulk.model_copy(update={"state": "stopped", "trouble": "The server stopped."})
        with contextlib.suppress(Exception):
            await asyncio.shield(_tell(visit, bulk))
        raise
    except AfterwordError as error:
        await _tell(visit, bulk.model_copy(update={"state": "broken", "trouble": str(error)}))
    except Exception as error:  # whatever it was, the page must not say "running" for ever
        log.error("bulk %s: %s", bulk.id, type(error).__name__)
        await _tell(visit, bulk.model_copy(update={"state": "broken", "trouble": "A fault in Afterword itself."}))


async def show(visit: Visit) -> web.StreamResponse:
    """How far it is."""
    bulk = await find(visit, visit.part("id"))
    if bulk is None:
        raise web.HTTPNotFound
    return await visit.page("bulk.html", bulk=bulk)


async def stop(visit: Visit) -> web.StreamResponse:
    """Ask it to stop; what was done stays done."""
    identifier = visit.part("id")
    if await find(visit, identifier) is None:
        raise web.HTTPNotFound
    await visit.services.redis.set(_key(visit, identifier, "stop"), visit.actor, ex=REMEMBER_S)
    return await visit.go(
        f"/bulk/{identifier}", "It stops after the jobs that it is working on. What is done stays done."
    )


async def find(visit: Visit, identifier: str) -> Bulk | None:
    """The bulk action of that id, as it was told last."""
    raw = await visit.services.redis.get(_key(visit, identifier)) if identifier.isalnum() else None
    if raw is None:
        return None
    bulk = Bulk.model_validate_json(raw)
    silent = bulk.state == "running" and visit.now_ms - bulk.told_ms > SILENT_MS
    return bulk.model_copy(update={"state": "silent"}) if silent else bulk


def _wanted(asked: Callable[[str], str]) -> tuple[Verb, JobFilter]:
    chosen, troubles = understood(asked_of({name: asked(name) for name in ("state", "destination", "cause")}))
    if troubles:
        raise Refused(" ".join(troubles), code="bad_arguments", advice="Choose the jobs again.")
    known = next((each for each in get_args(Verb) if each == asked("verb")), None)
    if known is None or not possible(known, chosen.state):
        raise Refused("That can't be done with these jobs.", code="bad_arguments", advice="Choose a state first.")
    return known, chosen


def _picked(visit: Visit) -> tuple[str, ...]:
    """The jobs that a form names, each once."""
    return tuple(dict.fromkeys(each for each in visit.form.getall("job", []) if isinstance(each, str)))


async def _tell(visit: Visit, bulk: Bulk) -> None:
    # What is as usual is left out, so that a server of the version before can show it, too.
    told = bulk.model_dump_json(exclude_defaults=True)
    await visit.services.redis.set(_key(visit, bulk.id), told, ex=REMEMBER_S)


def _key(visit: Visit, *parts: str) -> str:
    return ":".join((visit.services.settings.prefix, "bulk", *parts))


ROUTES = (
    Route("GET", "/bulk", ask, "operate"),
    Route("POST", "/bulk", start, "operate"),
    Route("POST", "/bulk/ask", ask_of_picked, "operate"),
    Route("GET", "/bulk/{id}", show),
    Route("POST", "/bulk/{id}/stop", stop, "operate"),
)
