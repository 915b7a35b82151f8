"""The audit trail: search it, verify it, take it with you."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version

from aiohttp import web

from tasks.model import Frozen
from tasks.state.audit.entries import AuditEntry, Event, entry_of
from tasks.state.audit.export import lines
from tasks.state.audit.ocsf import api_activity
from worker.console.visit import Route, Visit

PAGE = 50
LOOKED_AT = 20_000
GROUP = 1000
NEWEST = 2**64 - 1  # the last number that a Redis stream gives within one millisecond


class Search(Frozen):
    """What to look for; empty means anything. `since_ms` and `until_ms` in epoch milliseconds."""

    event: str = ""
    job: str = ""
    destination: str = ""
    actor: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    def fits(self, entry: AuditEntry) -> bool:
        """Whether the entry is looked for, but for its time."""
        data = entry.data
        return (
            (not self.event or entry.event == self.event or entry.event.startswith(f"{self.event}."))
            and all(
                not wanted or wanted.lower() in str(data.get(name) or "").lower()
                for name, wanted in (("job", self.job), ("actor", self.actor))
            )
            and (not self.destination or data.get("destination") == self.destination)
        )


async def trail(visit: Visit) -> web.StreamResponse:
    """The newest entries that fit."""
    return await _page(visit, None)


async def verify(visit: Visit) -> web.StreamResponse:
    """Check every entry, chain and head, now."""
    return await _page(visit, await visit.services.audit.verify())


async def _page(visit: Visit, report: object) -> web.Response:
    search, problem = await _search(visit)
    entries, older = await _find(visit, search, visit.asked("before"))
    return await visit.page(
        "audit.html",
        entries=[(entry, _facts(entry)) for entry in entries],
        older=older,
        paged=bool(visit.asked("before")),
        search=search,
        given={name: visit.asked(name) for name in ("event", "job", "destination", "actor", "since", "until")},
        problem=problem,
        groups=sorted({event.value.partition(".")[0] for event in Event}),
        events=sorted(event.value for event in Event),
        destinations=await visit.services.destinations.names(),
        report=report,
        looked_at=LOOKED_AT,
    )


async def export(visit: Visit) -> web.StreamResponse:
    """What the search finds, oldest first, one OCSF event a line. The whole trail carries signed checkpoints as well,
    so that `afterword audit verify --export FILE` can check it.
    """
    search, _ = await _search(visit)
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
    after = "-" if search.since_ms is None else f"{max(search.since_ms, 1) - 1}-{NEWEST}"
    before_ms = None if search.until_ms is None else search.until_ms + 1
    async for identifier, fields in visit.services.audit.rows(after, before_ms):
        if search.fits(entry_of(identifier, fields)):
            event = api_activity(identifier, fields, product)
            yield json.dumps(event, ensure_ascii=False, separators=(",", ":"))


async def _find(visit: Visit, search: Search, before: str) -> tuple[list[AuditEntry], str | None]:
    """A page of entries that fit, newest first, and where the next page begins; looks at a bounded number."""
    found: list[AuditEntry] = []
    start = before if _is_position(before) else None
    if start is None and search.until_ms is not None:
        start = f"{search.until_ms + 1}-0"
    looked = 0
    while looked < LOOKED_AT:
        entries = await visit.services.audit.before(start, GROUP)
        for entry in entries:
            if search.since_ms is not None and _at(entry) < search.since_ms:
                return found, None
            start = entry.id
            if search.fits(entry):
                found.append(entry)
                if len(found) == PAGE:
                    return found, start
        if len(entries) < GROUP:
            return found, None
        looked += len(entries)
    return found, start


async def _search(visit: Visit) -> tuple[Search, str]:
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
    words = {name: visit.asked(name)[:200] for name in ("event", "job", "destination", "actor")}
    if words["job"]:
        words["job"] = await visit.services.ledger.whole_id(words["job"])
    return Search(**words, **times), problem


def _facts(entry: AuditEntry) -> list[tuple[str, str]]:
    """What an entry says, but for what has a column of its own."""
    hidden = {"job", "destination", "actor", "subject", "intent", "body"}
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in entry.data.items()
        if name not in hidden
    ]


def _at(entry: AuditEntry) -> int:
    return int(entry.id.partition("-")[0])


def _is_position(value: str) -> bool:
    return re.fullmatch(r"[0-9]{1,15}-[0-9]{1,15}", value, re.ASCII) is not None


ROUTES = (
    Route("GET", "/audit", trail),
    Route("POST", "/audit/verify", verify),
    Route("GET", "/audit/export.jsonl", export),
)
