"""What is taken over of an incident: its state, number, assignee and related records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tasks.destinations.contract import rows_of
from tasks.destinations.servicenow.incident import STAGES, address_of
from tasks.destinations.servicenow.table import TABLE
from tasks.destinations.servicenow.values import FORMS
from tasks.http.exchange import Http, Request
from tasks.model.remote import Observed, RemoteTicket

RELATED = ("problem_id", "parent_incident", "rfc", "caused_by")
COLUMNS = ("sys_id", "number", "state", "assigned_to", *RELATED)


async def incidents(http: Http, instance: str, ids: Iterable[str]) -> dict[str, Observed]:
    """The incidents of these ids, as far as the account may read them."""
    wanted = [quote(number) for number in ids]
    params = {"sysparm_query": f"sys_idIN{','.join(wanted)}", "sysparm_fields": ",".join(COLUMNS)}
    params |= {"sysparm_display_value": "all", "sysparm_limit": str(len(wanted))}
    params["sysparm_exclude_reference_link"] = "true"
    response = await http.send(Request("GET", TABLE, "GET /table/incident", params=params))
    rows = response.parsed(lambda answer: [_observed(row, instance) for row in rows_of(answer, "result")])
    return dict(rows)


def _observed(row: Mapping[str, Any], instance: str) -> tuple[str, Observed]:
    """An incident by its id; raises `LookupError` or `ValueError` where it has another form."""
    stored, shown = ({name: _part(row.get(name), part) for name in COLUMNS} for part in ("value", "display_value"))
    sys_id = stored["sys_id"]
    if not sys_id:
        raise ValueError("no id")
    ticket = RemoteTicket(
        number=stored["number"],
        url=address_of(instance, sys_id),
        state=shown["state"],
        stage=STAGES.get(stored["state"]),
        assignee=shown["assigned_to"],
        links=tuple(sorted({shown[name] for name in RELATED if shown[name]})),
    )
    reads = {"state": ("state", stored["state"]), "assignee": ("assigned_to", stored["assigned_to"])}
    return sys_id, Observed(ticket=ticket, reads={k: (name, FORMS.mark(name, v)) for k, (name, v) in reads.items()})


def _part(value: object, part: str) -> str:
    return str(value.get(part) or "") if isinstance(value, dict) else str(value or "")
