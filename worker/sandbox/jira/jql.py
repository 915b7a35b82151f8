"""JQL, as much of it as programs send: conditions joined with AND, and an order."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Test = Callable[[Row], bool]

_VALUE = r'"(?:[^"\\]|\\.)*"|[^\s",()]+'
_CLAUSE = re.compile(
    rf"\s*(?P<field>\w+)\s*(?P<operator>!=|=|~|\bnot\s+in\b|\bin\b)\s*(?P<value>\((?:\s*(?:{_VALUE})\s*,?)+\)|{_VALUE})\s*",
    re.IGNORECASE,
)
_ORDER = re.compile(r"^\s*(\w+)(?:\s+(asc|desc))?\s*$", re.IGNORECASE)
_FIELDS: dict[str, Callable[[Row], list[str]]] = {
    "labels": lambda row: row["fields"].get("labels") or [],
    "project": lambda row: [row["key"].rpartition("-")[0]],
    "key": lambda row: [row["key"]],
    "issuekey": lambda row: [row["key"]],
    "id": lambda row: [row["id"], row["key"]],
    "issuetype": lambda row: [row["type"]],
    "type": lambda row: [row["type"]],
    "priority": lambda row: [(row["fields"].get("priority") or {}).get("name", "")],
    "status": lambda row: [row["status"]],
    "summary": lambda row: [row["fields"]["summary"]],
}
_ORDERS = {"created", "updated", "key", "id", "issuekey"}


class BadQuery(Exception):
    """A query that Jira refuses, in its words."""


def parse(query: str, *, bounded: bool) -> tuple[Test, bool]:
    """The condition, and whether the newest come first; `bounded` refuses a query without any condition."""
    condition, _, order = _split(query)
    tests: list[Test] = []
    place = 0
    while condition.strip() and place < len(condition):
        clause = _CLAUSE.match(condition, place)
        if clause is None:
            raise BadQuery(
                f"Error in the JQL Query: Expecting operator near '{condition[place : place + 20].strip()}'."
            )
        tests.append(_test(clause["field"], clause["operator"].lower(), clause["value"]))
        place = clause.end()
        joint = re.compile(r"and\b", re.IGNORECASE).match(condition, place)
        if joint is None and place < len(condition):
            raise BadQuery("Error in the JQL Query: Expecting either 'OR' or 'AND'.")
        place = joint.end() if joint else place
    if bounded and not tests:
        raise BadQuery("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
    return (lambda row: all(test(row) for test in tests)), _newest_first(order)


def _split(query: str) -> tuple[str, str, str]:
    found = re.search(r"\border\s+by\b(?=[^\"]*$)", query, re.IGNORECASE)
    return (query[: found.start()], "order by", query[found.end() :]) if found else (query, "", "")


def _newest_first(order: str) -> bool:
    if not order.strip():
        return True
    first = order.partition(",")[0].strip()
    found = _ORDER.match(first)
    if found is None or found[1].lower() not in _ORDERS:
        raise BadQuery(f"Field '{first}' does not exist or you do not have permission to view it.")
    return (found[2] or "desc").lower() == "desc"


def _test(field: str, operator: str, value: str) -> Test:
    values_of = _FIELDS.get(field.lower())
    if values_of is None:
        raise BadQuery(f"Field '{field}' does not exist or you do not have permission to view it.")
    wanted = [_bare(part).lower() for part in re.findall(_VALUE, value.strip("()"))]
    if operator == "~":
        return lambda row: any(word in text.lower() for text in values_of(row) for word in wanted)
    negative = operator == "!=" or operator.startswith("not")
    return lambda row: any(text.lower() in wanted for text in values_of(row)) != negative


def _bare(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
