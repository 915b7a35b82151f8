"""The tables of tickets in a fresh ServiceNow instance. All extend `task`; each has numbers and states of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """How a table numbers its records, the states by their labels (the first is a new record's), those that take no change any
    more, and the columns of an incident that it lacks.
    """

    prefix: str
    states: Mapping[str, str]
    ended: tuple[str, ...]
    lacks: frozenset[str] = field(default_factory=frozenset)


_OF_INCIDENTS = frozenset(
    "caller_id incident_state hold_reason notify severity problem_id rfc caused_by parent_incident child_incidents "  # noqa: SIM905
    "reopen_count reopened_by reopened_time business_impact cause".split()
)
TABLES: Mapping[str, Table] = {
    "incident": Table(
        "INC",
        {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"},
        ("7", "8"),
    ),
    "problem": Table(
        "PRB",
        {
            "101": "New",
            "102": "Assess",
            "103": "Root Cause Analysis",
            "104": "Fix in Progress",
            "106": "Resolved",
            "107": "Closed",
        },
        ("107",),
        _OF_INCIDENTS,
    ),
    "change_request": Table(
        "CHG",
        {
            "-5": "New",
            "-4": "Assess",
            "-3": "Authorize",
            "-2": "Scheduled",
            "-1": "Implement",
            "0": "Review",
            "3": "Closed",
            "4": "Canceled",
        },
        ("3", "4"),
        _OF_INCIDENTS,
    ),
}


def table_of(row: Mapping[str, str]) -> Table:
    """The table that a record is of."""
    return TABLES[row["sys_class_name"]]
