"""The audit trail: search it, verify it, take it with you."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version

from aiohttp import web

from tasks.state.audit.entries import AuditEntry, Event
from tasks.state.audit.export import lines
from tasks.state.audit.ocsf import api_activity, line_of
from tasks.state.audit.opening import AFTER, SEEN
from tasks.state.audit.search import Search, newest, oldest
from tasks.state.clock import LAST_MS
from worker.console.rendering import milliseconds
from worker.console.visit import Route, Visit
from worker.verifications import VERIFICATIONS

PAGE = 50
LOOKED_AT = 20_000
FIRST_MOMENT_MS = 1_000_000_000_000  # in 2001: what is less is a length of time
FIRST_WAIT_S = 2.0  # a short trail is verified before its page is shown
FIELDS = ("event", "job", "destination", "actor", "about")


async def trail(visit: Visit) -> web.StreamResponse:
    """The newest entries that fit, and the verification that somebody began."""
    search, problem = _search(visit)
    before = visit.asked("before") if _is_position(visit.asked("before")) else None
    audit, about = visit.services.audit, visit.services.ledger.about
    entries, older = await newest(audit, search, about, before=before, count=PAGE, most=LOOKED_AT)
    return await visit.page(
        "audit.html",
        entries=[(entry, _facts(entry)) for entry in entries],
        older=older,
        paged=bool(visit.asked("before")),
        search=search,
        given={name: visit.asked(name) for name in (*FIELDS, "since", "until")},
        problem=problem,
        groups=sorted({event.value.partition(".")[0] for event in Event}),
        events=sorted(event.value for event in Event),
        destinations=await visit.services.destinations.names(),
        run=visit.request.app[VERIFICATIONS].find(visit.asked("run")),
        looked_at=LOOKED_AT,
    )


async def verify(visit: Visit) -> web.StreamResponse:
    """Check every entry, chain and head in the background; the page follows it."""
    run = visit.request.app[VERIFICATIONS].begin()
    await run.wait(FIRST_WAIT_S)
    return await visit.go(f"/audit?run={run.id}")


async def export(visit: Visit) -> web.StreamResponse:
    """What the search finds, oldest first, one OCSF event a line. The whole trail carries signed checkpoints as well,
    so that `afterword audit verify --export FILE` can check it.
    """
    search, _ = _search(visit)
    name = f"audit-{datetime.fromtimestamp(visit.now_ms / 1000, UTC):%Y%m%dT%H%M%SZ}.jsonl"
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/x-ndjson",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    await response.prepare(visit.request)
    services, product = visit.services, version("afterword")
    whole = search == Search()
    found = lines(services.audit, services.vault, product) if whole else _fitting(visit, search, product)
    count = 0
    async for line in found:
        count += 1
        await response.write(f"{line}\n".encode())
    await services.ledger.record(Event.AUDIT_EXPORTED, {"entries": count, "actor": visit.actor, "whole": whole})
    await response.write_eof()
    return response


async def _fitting(visit: Visit, search: Search, product: str) -> AsyncIterator[str]:
    async for identifier, fields in oldest(visit.services.audit, search, visit.services.ledger.about):
        yield line_of(api_activity(identifier, fields, product))


def _search(visit: Visit) -> tuple[Search, str]:
    """What the address asks for, and what of it makes no sense."""
    times: dict[str, int] = {}
    problem = ""
    for name in ("since", "until"):
        try:
            if given := visit.asked(name):
                moment = datetime.fromisoformat(given)
                moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                times[f"{name}_ms"] = max(0, int(moment.timestamp() * 1000))
        except (ValueError, OverflowError):
            problem = "A time is written as 2026-03-01T14:30 (UTC)."
    words = {name: visit.asked(name)[:200] for name in FIELDS}
    return Search(**words, **times), problem


def _facts(entry: AuditEntry) -> list[tuple[str, str, int | None]]:
    """What an entry says, but for what has a column of its own: name, words, and the moment (epoch milliseconds) if it is one."""
    hidden = {"job", "destination", "actor", "subject", "intent", "body", SEEN, AFTER}
    return [_fact(name, value) for name, value in entry.data.items() if name not in hidden]


def _fact(name: str, value: object) -> tuple[str, str, int | None]:
    if name.endswith("_ms") and isinstance(value, int | float) and abs(value) <= LAST_MS:
        plain = name.removesuffix("_ms")
        return (plain, "", int(value)) if value > FIRST_MOMENT_MS else (plain, milliseconds(value), None)
    return name, ", ".join(map(str, value)) if isinstance(value, list) else str(value), None


def _is_position(value: str) -> bool:
    return re.fullmatch(r"[0-9]{1,15}-[0-9]{1,15}", value, re.ASCII) is not None


ROUTES = (
    Route("GET", "/audit", trail),
    Route("POST", "/audit/verify", verify),
    Route("GET", "/audit/export.jsonl", export),
)
