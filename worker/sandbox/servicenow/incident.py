"""Incidents, and records of the other tables of tickets, of a fresh ServiceNow instance: their columns, choices, lengths, and the rules that run on a write."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from worker.sandbox.servicenow.tables import Column, Table
from worker.sandbox.store import Store

ADMIN = "6816f79cc0a8016401c5a33be04be441"
TEXTS = {
    "short_description": 160,
    "description": 4000,
    "correlation_id": 100,
    "correlation_display": 100,
    "close_notes": 4000,
    "close_code": 40,
    "subcategory": 40,
    "cause": 4000,
    "watch_list": 4000,
    "work_notes_list": 4000,
    "due_date": 40,
    "work_start": 40,
    "work_end": 40,
    "expected_start": 40,
    "business_impact": 4000,
}
REFERENCES = {
    "assignment_group": "sys_user_group",
    "assigned_to": "sys_user",
    "caller_id": "sys_user",
    "opened_by": "sys_user",
    "closed_by": "sys_user",
    "resolved_by": "sys_user",
    "reopened_by": "sys_user",
    "cmdb_ci": "cmdb_ci",
    "business_service": "cmdb_ci_service",
    "service_offering": "service_offering",
    "company": "core_company",
    "location": "cmn_location",
    "problem_id": "problem",
    "rfc": "change_request",
    "caused_by": "change_request",
    "parent": "task",
    "parent_incident": "incident",
    "sys_domain": "sys_user_group",
    "contract": "ast_contract",
}
CHOICES: dict[str, tuple[str, ...]] = {
    "impact": ("1", "2", "3"),
    "urgency": ("1", "2", "3"),
    "severity": ("1", "2", "3"),
    "incident_state": ("1", "2", "3", "6", "7", "8"),
    "category": ("inquiry", "software", "hardware", "network", "database"),
    "contact_type": ("", "email", "monitoring", "phone", "self-service", "virtual_agent", "walk-in"),
    "notify": ("1", "2", "3"),
    "hold_reason": ("", "1", "3", "4", "5"),
}
JOURNALS = ("work_notes", "comments")
EMPTY = (None, "")
ENTRY = ("sys_id", "name", "element_id", "element", "value", "sys_created_on")
_SYS_ID = re.compile(r"^[0-9a-f]{32}$")
_RATING = re.compile(r"[1-9]")
_WHOLE = re.compile(r"-?\d{1,10}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")
LABELS = {
    "impact": {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"},
    "urgency": {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"},
    "priority": {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning"},
}
DEFAULTS = {
    "made_sla": "true",
    "upon_reject": "cancel",
    "upon_approval": "proceed",
    "child_incidents": "0",
    "sys_updated_by": "admin",
    "sys_created_by": "admin",
    "opened_by": ADMIN,
    "sys_domain": "global",
    "sys_domain_path": "/",
    "state": "1",
    "incident_state": "1",
    "knowledge": "false",
    "impact": "3",
    "urgency": "3",
    "severity": "3",
    "priority": "4",
    "active": "true",
    "notify": "1",
    "sys_class_name": "incident",
    "reassignment_count": "0",
    "approval": "not requested",
    "sys_mod_count": "0",
    "reopen_count": "0",
    "escalation": "0",
    "category": "inquiry",
}
OTHERS = (  # noqa: SIM905
    "activity_due additional_assignee_list approval_history approval_set business_duration business_stc "
    "calendar_duration calendar_stc closed_at comments_and_work_notes delivery_plan delivery_task follow_up group_list "
    "number opened_at order origin_id origin_table reopened_time resolved_at route_reason sla_due "
    "sys_created_on sys_id sys_tags sys_updated_on task_effective_number time_worked universal_request user_input"
).split()
SETTABLE: Mapping[str, Column] = {
    **{name: Column("text", length) for name, length in TEXTS.items()},
    **{name: Column("reference", table=table) for name, table in REFERENCES.items()},
    **{name: Column("choice", values=values) for name, values in CHOICES.items()},
    **{name: Column("journal") for name in JOURNALS},
}
COLUMNS = tuple(dict.fromkeys((*SETTABLE, *DEFAULTS, *OTHERS)))
OWN = frozenset(name for name in COLUMNS if name == "number" or (name.startswith("sys_") and name not in SETTABLE))
NAMES = {"close_code": "Resolution code", "close_notes": "Resolution notes"}


def columns_of(table: Table) -> tuple[str, ...]:
    """The columns of a table."""
    return (*(name for name in COLUMNS if name not in table.lacks), *table.columns)


def settable(table: Table) -> Mapping[str, Column]:
    """The columns of a table that a write may set, its own included."""
    return {**SETTABLE, **table.columns}


def table_of(store: Store, row: Mapping[str, str]) -> Table:
    """The table that a record is of."""
    found: Table = store.tables[row["sys_class_name"]]
    return found


def insert(store: Store, name: str, given: dict[str, Any]) -> dict[str, str]:
    """A new record of what the table takes from `given`."""
    table = store.tables[name]
    now, number = stamp(store.clock()), f"{table.prefix}{next(store.incident_numbers):07d}"
    row = {name: DEFAULTS.get(name, "") for name in columns_of(table)}
    row |= {"sys_class_name": name, "state": next(iter(table.states))}
    row |= {"sys_id": uuid.uuid4().hex, "number": number, "task_effective_number": number}
    row |= {"opened_at": now, "sys_created_on": now, "sys_updated_on": now}
    row |= dict.fromkeys(("sys_created_by", "sys_updated_by"), store.me["user_name"])
    _take(store, row, given, new=True)
    store.incidents[row["sys_id"]] = row
    return row


def update(store: Store, row: dict[str, str], given: dict[str, Any]) -> None:
    """Change a record; its modification count rises only where something changed."""
    before, notes = dict(row), len(store.journals.get(row["sys_id"], ()))
    _take(store, row, given)
    if row != before or notes != len(store.journals.get(row["sys_id"], ())):
        row["sys_mod_count"] = str(int(row["sys_mod_count"]) + 1)
        row |= {"sys_updated_on": stamp(store.clock()), "sys_updated_by": store.me["user_name"]}


def _take(store: Store, row: dict[str, str], given: dict[str, Any], *, new: bool = False) -> None:
    """Unknown columns, read-only ones and values outside a choice list are dropped without a word; texts are cut."""
    table = table_of(store, row)
    columns = settable(table)
    for name, value in given.items():
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        column = columns.get(name) if name in row and name not in table.read_only else None
        if column is not None and column.kind == "journal":
            if text:
                store.journals.setdefault(row["sys_id"], []).append((name, text))
        elif column is not None:
            row[name] = _held(store, column, text, row[name])
        elif (name == "state" and text in table.states) or (name == "opened_at" and new and text):
            row[name] = text
    if "incident_state" in row:
        row["incident_state"] = row["state"]
    row["active"] = "false" if row["state"] in table.ended else "true"
    if all(_RATING.fullmatch(row[name]) for name in ("impact", "urgency")):
        row["priority"] = str(int(row["impact"]) + int(row["urgency"]) - 1)


def _held(store: Store, column: Column, text: str, before: str) -> str:
    """What a column holds after a write of the text; what it held before, where it doesn't take that."""
    match column.kind:
        case "text":
            return text[: column.length]
        case "reference":
            return _reference(store, column.table, text)
        case "choice":
            return text if text in column.values else before
        case "true_false":
            return str(text.lower() in ("true", "1")).lower()
    shape = _WHOLE if column.kind == "integer" else _MOMENT
    return text if not text or shape.fullmatch(text) else before


def _reference(store: Store, table: str, text: str) -> str:
    """The id of the record of that id or name; empty where there is none, without a word. Tables that aren't simulated
    take any id.
    """
    if table not in store.people:
        return text if _SYS_ID.match(text) else ""
    names = ("sys_id", "user_name", "email", "name")
    return (
        next((row["sys_id"] for row in store.people[table] if text in [row.get(n) for n in names]), "") if text else ""
    )


def ended(store: Store, row: dict[str, str]) -> str:
    """Why a record takes no change; empty where it does."""
    closed = row["state"] in table_of(store, row).ended
    return "ACL Exception Update Failed due to security constraints" if closed else ""


def unfinished(store: Store, row: dict[str, str], given: dict[str, Any], *, new: bool = False) -> list[str]:
    """What a record lacks that must have a value: on insert, and where a change brings it to another state. An incident that was
    resolved may be closed without more.
    """
    table, state = table_of(store, row), str(given.get("state") or row["state"])
    demanded = table.mandatory_in.get(state, ())
    moved = new or (state != row["state"] and demanded != table.mandatory_in.get(row["state"]))
    wanted = (*(table.mandatory if new else ()), *(demanded if moved else ()))
    emptied = [name for name in table.mandatory if name in given and given[name] in EMPTY]
    lacking = [name for name in wanted if given.get(name) in EMPTY and not row.get(name)]
    return [NAMES.get(name, label(name)) for name in dict.fromkeys((*lacking, *emptied))]


def label(column: str) -> str:
    """What people call a column."""
    return column.removeprefix("u_").replace("_", " ").capitalize()


def entries(store: Store) -> list[dict[str, str]]:
    """All journal entries as rows of `sys_journal_field`, which are never changed."""
    return [
        {
            "sys_id": f"{sys_id[:24]}{number:08x}",
            "name": store.incidents.get(sys_id, {}).get("sys_class_name", "incident"),
            "element_id": sys_id,
            "element": name,
            "value": text,
        }
        for sys_id, journal in store.journals.items()
        for number, (name, text) in enumerate(journal)
    ]


def stamp(moment: float) -> str:
    """Seconds since the epoch as ServiceNow writes them: UTC without a zone."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")
