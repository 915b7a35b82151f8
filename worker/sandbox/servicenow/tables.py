"""The tables of tickets in a ServiceNow instance. All extend `task`; each has numbers, states, rules and columns of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "choice", "reference", "journal", "true_false", "integer", "date_time"]


@dataclass(frozen=True)
class Column:
    """A column that a write may set: a text of a length, one of `values`, a record of `table`, or what its kind says."""

    kind: Kind
    length: int = 4000
    values: tuple[str, ...] = ()
    table: str = ""


@dataclass(frozen=True)
class Table:
    """How a table numbers its records, the states by their labels (the first is a new record's), those that take no change any
    more, and the columns of an incident that it lacks; columns of its own; those that must have a value, always and in a state;
    and those that no write sets.
    """

    prefix: str
    states: Mapping[str, str]
    ended: tuple[str, ...] = ()
    lacks: frozenset[str] = field(default_factory=frozenset)
    columns: Mapping[str, Column] = field(default_factory=dict)
    mandatory: tuple[str, ...] = ()
    mandatory_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    read_only: tuple[str, ...] = ()


_OF_INCIDENTS = frozenset(
    "caller_id incident_state hold_reason notify severity problem_id rfc caused_by parent_incident child_incidents "  # noqa: SIM905
    "reopen_count reopened_by reopened_time business_impact cause".split()
)
_END = ("close_code", "close_notes")
TABLES: Mapping[str, Table] = {
    "incident": Table(
        "INC",
        {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"},
        ("7", "8"),
        mandatory_in={"6": _END, "7": _END},
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


def of_somebody(prefix: str, states: Mapping[str, str], ended: tuple[str, ...]) -> Table:
    """A table that somebody made: it extends `task`, so it has what a problem has."""
    return Table(prefix, states, ended, _OF_INCIDENTS)
