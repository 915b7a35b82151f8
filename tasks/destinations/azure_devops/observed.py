"""What is taken over of a work item: its state, assignee and related items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.destinations.azure_devops.answers import work_item
from tasks.destinations.azure_devops.settings import ASSIGNED, STATE
from tasks.destinations.azure_devops.values import FORMS
from tasks.destinations.contract import rows_of
from tasks.destinations.tickets.status import Stage
from tasks.http.exchange import Http
from tasks.http.message import Request
from tasks.model.remote import Observed, RemoteTicket

# The states of Microsoft's own processes; one of another process has a name only.
STAGES: Mapping[str, Stage] = {
    **dict.fromkeys(("new", "proposed", "to do", "approved"), "open"),
    **dict.fromkeys(("active", "committed", "doing", "in progress"), "working"),
    "resolved": "resolved",
    **dict.fromkeys(("closed", "done", "completed", "removed"), "closed"),
}


async def items(http: Http, version: str, ids: Iterable[str]) -> dict[str, Observed]:
    """The work items of these ids, in whatever project they are, as far as the account may read them."""
    params = {"api-version": version, "ids": ",".join(ids), "$expand": "all", "errorPolicy": "omit"}
    response = await http.send(Request("GET", "/_apis/wit/workitems", "GET /wit/workitems", params=params))
    return response.parsed(_read)


def _read(answer: Mapping[str, Any]) -> dict[str, Observed]:
    """Items by id; one that was left out is null."""
    rows = rows_of({"value": [row for row in answer["value"] if row is not None]}, "value")
    return {item["id"]: _observed(item) for item in map(work_item, rows)}


def _observed(item: Mapping[str, Any]) -> Observed:
    fields = item.get("fields", {})
    assignee = fields.get(ASSIGNED) or ""
    named = assignee.get("displayName") or assignee.get("uniqueName") if isinstance(assignee, dict) else assignee
    related = [str(row.get("url") or "") for row in item.get("relations") or ()]
    state = str(fields.get(STATE) or "")
    ticket = RemoteTicket(
        number=item["id"],
        url=item["url"],
        state=state,
        stage=STAGES.get(state.casefold()),
        assignee=str(named or ""),
        links=tuple(sorted({url.rpartition("/")[2] for url in related if "/workitems/" in url.casefold()})),
    )
    reads = {"state": (STATE, state), "assignee": (ASSIGNED, assignee)}
    return Observed(ticket=ticket, reads={k: (name, FORMS.mark(name, v)) for k, (name, v) in reads.items()})
