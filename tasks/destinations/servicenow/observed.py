"""What is taken over of an incident, or of another table's record: its state, number, assignee and related records."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tasks.destinations.servicenow.answers import rows_in
from tasks.destinations.servicenow.incident import STAGES, address_of, table_at
from tasks.destinations.servicenow.table import path_of
from tasks.destinations.servicenow.values import FORMS
from tasks.errors import AttemptFailed
from tasks.http.exchange import Http
from tasks.http.message import Request
from tasks.model import INCIDENTS, Receipt
from tasks.model.remote import Observed, RemoteTicket

log = logging.getLogger(__name__)

RELATED = ("problem_id", "parent_incident", "rfc", "caused_by")
OF_ONE_TABLE = (400, 403, 404)  # what an instance says of a table, and of nothing else that is asked for here
COLUMNS = ("sys_id", "number", "state", "assigned_to", *RELATED)


async def records(http: Http, instance: str, receipts: Iterable[Receipt]) -> dict[str, Observed]:
    """The records of these receipts by their ids, as far as the account may read them: one request for each table.

    A table that isn't there any more, or that the account may not read, has none; the others are looked at all the same.
    """
    tables: dict[str, list[str]] = defaultdict(list)
    for receipt in receipts:
        tables[table_at(receipt.url)].append(receipt.id)
    found: dict[str, Observed] = {}
    for table, ids in tables.items():
        try:
            found |= await _of_table(http, instance, table, ids)
        except AttemptFailed as refused:
            if refused.status not in OF_ONE_TABLE:
                raise
            log.info("the tickets in the table %s can't be looked at now: %s", table, refused)
    return found


async def _of_table(http: Http, instance: str, table: str, ids: Iterable[str]) -> dict[str, Observed]:
    wanted = [quote(number) for number in ids]
    params = {"sysparm_query": f"sys_idIN{','.join(wanted)}", "sysparm_fields": ",".join(COLUMNS)}
    params |= {"sysparm_display_value": "all", "sysparm_limit": str(len(wanted))}
    params["sysparm_exclude_reference_link"] = "true"
    response = await http.send(Request("GET", path_of(table), f"GET /table/{table}", params=params))
    rows = response.parsed(lambda answer: [_observed(row, instance, table) for row in rows_in(answer)])
    return dict(rows)


def _observed(row: Mapping[str, Any], instance: str, table: str) -> tuple[str, Observed]:
    """A record by its id; raises `LookupError` or `ValueError` where it has another form."""
    stored, shown = ({name: _part(row.get(name), part) for name in COLUMNS} for part in ("value", "display_value"))
    sys_id = stored["sys_id"]
    if not sys_id:
        raise ValueError("no id")
    ticket = RemoteTicket(
        number=stored["number"],
        url=address_of(instance, table, sys_id),
        state=shown["state"],
        stage=STAGES.get(stored["state"]) if table == INCIDENTS else None,
        assignee=shown["assigned_to"],
        links=tuple(sorted({shown[name] for name in RELATED if shown[name]})),
    )
    reads = {"state": ("state", stored["state"]), "assignee": ("assigned_to", stored["assigned_to"])}
    return sys_id, Observed(ticket=ticket, reads={k: (name, FORMS.mark(name, v)) for k, (name, v) in reads.items()})


def _part(value: object, part: str) -> str:
    return str(value.get(part) or "") if isinstance(value, dict) else str(value or "")
