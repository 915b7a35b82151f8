"""Names of groups, people and other records, looked up before they are sent: an instance stores a name that it doesn't know
as nothing, and says 201.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from tasks.destinations.servicenow.answers import stored_rows
from tasks.destinations.servicenow.values import SYS_ID
from tasks.errors import AttemptFailed, Permanent
from tasks.http.exchange import Http
from tasks.http.message import Request

HOLDS_S = 600.0
# The table of each reference field, and the columns that may name a record of it.
USER = ("sys_user", ("user_name", "email", "name"))
TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "assignment_group": ("sys_user_group", ("name",)),
    "assigned_to": USER,
    "caller_id": USER,
    "opened_by": USER,
    "cmdb_ci": ("cmdb_ci", ("name",)),
    "business_service": ("cmdb_ci_service", ("name",)),
    "service_offering": ("service_offering", ("name",)),
    "company": ("core_company", ("name",)),
    "location": ("cmn_location", ("name",)),
    "problem_id": ("problem", ("number",)),
    "parent_incident": ("incident", ("number",)),
    "rfc": ("change_request", ("number",)),
    "caused_by": ("change_request", ("number",)),
}


@dataclass(frozen=True)
class Resolved:
    """The fields with ids in place of names, and what is to be told of those that were left out."""

    fields: dict[str, str]
    warnings: tuple[str, ...] = ()
    dropped: frozenset[str] = frozenset()


async def resolved(
    http: Http, fields: Mapping[str, str], unknown: Literal["refuse", "warn"], soft: Collection[str]
) -> Resolved:
    """The fields as they may be sent; raises `Permanent` for a name that several records have, or none.

    With `warn` a field whose name isn't known is left out, and so is one of `soft` in any case. Where the account may not
    look, the name is sent as it is.
    """
    found, warnings = dict(fields), []
    for name, (table, columns) in TABLES.items():
        value = fields.get(name, "").strip()
        if not value or SYS_ID.match(value):
            continue
        ids = await _ids(http, table, columns, value)
        if ids is None:
            continue
        if len(ids) == 1:
            found[name] = ids[0]
            continue
        trouble = _trouble(name, value, table, len(ids))
        if unknown == "refuse" and name not in soft:
            raise trouble
        del found[name]
        warnings.append(f"{trouble.message.rstrip('.')}; {name} was left as it is")
    return Resolved(found, tuple(warnings), frozenset(fields) - frozenset(found))


async def _ids(http: Http, table: str, columns: tuple[str, ...], value: str) -> list[str] | None:
    """The ids of the records of that name, by the first column that has any; None where the account may not look.

    An instance ignores what it can't read of a query, so what it answers with is compared.
    """
    if "^" in value:  # it would end the condition
        return []
    query = "^OR".join(f"{column}={value}" for column in columns)
    shown = ("sys_id", *columns)
    params = {"sysparm_query": query, "sysparm_fields": ",".join(shown), "sysparm_limit": "10"}
    params["sysparm_exclude_reference_link"] = "true"
    request = Request("GET", f"/api/now/table/{table}", f"GET /table/{table}", params=params)

    try:
        response = await http.recall(request, lambda answer: bool(stored_rows(answer)), for_s=HOLDS_S)
    except AttemptFailed as refused:
        if getattr(refused, "status", None) in (400, 401, 403, 404):
            return None
        raise
    for column in columns:
        named = [r for r in stored_rows(response) if str(r.get(column, "")).strip().casefold() == value.casefold()]
        if named:
            return list(dict.fromkeys(str(row["sys_id"]) for row in named))
    if response.headers.get("X-Total-Count", "0").strip() not in ("", "0") and not stored_rows(response):
        return None
    return []


def _trouble(name: str, value: str, table: str, count: int) -> Permanent:
    if count:
        return Permanent(
            f"{name}: {count} records of {table} are named {value!r:.80}.",
            code="ambiguous_reference",
            advice="Give the sys_id of the one that is meant, then submit again.",
        )
    return Permanent(
        f"{name}: the instance has no record of {table} named {value!r:.80}, or doesn't show it to this account.",
        code="unknown_reference",
        advice="Correct the name (in the job or in the destination's mapping), then `afterword job retry`. "
        "With `--set unknown_reference=warn` the field is left out instead.",
    )
