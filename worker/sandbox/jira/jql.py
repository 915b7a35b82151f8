"""JQL, as much of it as programs send: conditions with AND, OR, NOT and brackets, and an order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from worker.sandbox.conditions import ORDERING, SECONDS, bare, read, says
from worker.sandbox.conditions import BadQuery as Unread

Row = dict[str, Any]
Test = Callable[[Row], bool]

_ORDER = re.compile(r"^\s*(\w+)(?:\s+(asc|desc))?\s*$", re.IGNORECASE)
_AGO = re.compile(r"-(\d{1,5})([wdhm])")


def _person(row: Row, name: str) -> list[str]:
    held = row["fields"].get(name) or {}
    return [str(held[key]) for key in ("accountId", "name") if held.get(key)]


_FIELDS: dict[str, Callable[[Row], list[str]]] = {
    "labels": lambda row: row["fields"].get("labels") or [],
    "project": lambda row: [row["key"].rpartition("-")[0]],
    "key": lambda row: [row["key"]],
    "issuekey": lambda row: [row["key"]],
    "issue": lambda row: [row["key"]],
    "id": lambda row: [row["id"], row["key"]],
    "issuetype": lambda row: [row["type"]],
    "type": lambda row: [row["type"]],
    "priority": lambda row: [(row["fields"].get("priority") or {}).get("name", "")],
    "status": lambda row: [row["status"]],
    "summary": lambda row: [row["fields"]["summary"]],
    "description": lambda row: [json.dumps(row["fields"].get("description") or "", ensure_ascii=False)],
    "text": lambda row: [row["fields"]["summary"], *_FIELDS["description"](row), *(map(str, row["comments"]))],
    "resolution": lambda row: [name] if (name := (row["fields"].get("resolution") or {}).get("name")) else [],
    "assignee": lambda row: _person(row, "assignee"),
    "reporter": lambda row: _person(row, "reporter"),
}
_MOMENTS = {"created", "updated"}
_ORDERS = {"created", "updated", "key", "id", "issuekey"}


class BadQuery(Exception):
    """A query that Jira refuses, in its words."""


@dataclass(frozen=True)
class World:
    """What a query may ask beside the issues: who asks (each of the account's names), the time, and a status' category by its name."""

    me: tuple[str, ...]
    now: float
    categories: Mapping[str, str]


def parse(query: str, world: World, *, bounded: bool) -> tuple[Test, bool]:
    """The condition, and whether the newest come first; `bounded` refuses a query without any condition."""
    condition, _, order = _split(query)
    if condition.strip():
        try:
            return read(condition, partial(_compared, world)), _newest_first(order)
        except Unread as wrong:
            raise BadQuery(f"Error in the JQL Query: {wrong}.") from None
    if bounded:
        raise BadQuery("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
    return (lambda _: True), _newest_first(order)


def _compared(world: World, field: str, operator: str, values: list[str]) -> Test:
    if field.lower() in _MOMENTS and operator in ORDERING:
        return _dated(field.lower(), operator, values[0], world)
    if operator in ORDERING:
        raise BadQuery(f"The operator '{operator}' is not supported by the '{field}' field.")
    return _test(field, operator, values, world)


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


def _dated(field: str, operator: str, value: str, world: World) -> Test:
    moment = _moment(bare(value), world.now)
    return lambda row: ORDERING[operator](row[field], moment)


def _moment(value: str, now: float) -> float:
    if ago := _AGO.fullmatch(value):
        return now - int(ago[1]) * SECONDS[ago[2]]
    for shape in ("%Y-%m-%d", "%Y/%m/%d", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M"):
        try:
            return datetime.strptime(value, shape).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    raise BadQuery(f"Date value '{value}' is invalid. Valid formats include: 'yyyy/MM/dd', 'yyyy-MM-dd', '-5d'.")


def _test(field: str, operator: str, values: list[str], world: World) -> Test:
    known = _FIELDS.get(field.lower())
    if field.lower() == "statuscategory":
        known = lambda row: [world.categories.get(row["status"], "")]  # noqa: E731
    if known is None:
        raise BadQuery(f"Field '{field}' does not exist or you do not have permission to view it.")
    values_of = known
    negative = operator.startswith(("!", "not", "is not"))
    nothing = {"empty", "null"} | ({"unresolved", '"unresolved"'} if field.lower() == "resolution" else set())
    if any(value.lower() in nothing for value in values):
        return lambda row: any(values_of(row)) == negative
    wanted = [name for value in values for name in (world.me if value.lower() == "currentuser()" else [bare(value)])]
    small = [name.lower() for name in wanted]
    if "~" in operator:
        return lambda row: says(values_of(row), small[0]) != negative
    return lambda row: any(text.lower() in small for text in values_of(row)) != negative
