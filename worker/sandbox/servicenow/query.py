"""ServiceNow's encoded queries, with their forgiveness: a part that can't be read is ignored and the rest runs.

`^` is AND and binds weaker than `^OR`, which adds an alternative to the condition before it; `^NQ` starts a new query
whose rows are added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Row = dict[str, str]
Test = Callable[[Row], bool]
Reach = Callable[[str, str], Callable[[Row], str] | None]


def _nowhere(_: str, __: str) -> None:
    """No reference leads anywhere."""


_CONDITION = re.compile(
    r"^(?P<field>[a-z][a-z0-9_.]*)"
    r"(?P<operator>ISNOTEMPTY|ISEMPTY|ANYTHING|BETWEEN|ON|STARTSWITH|ENDSWITH|NOT LIKE|NOTLIKE|LIKE|NOT IN|IN|>=|<=|!=|=|>|<)"
    r"(?P<value>.*)$",
    re.DOTALL,
)
_ORDER = re.compile(r"^ORDERBY(?P<down>DESC)?(?P<field>[a-z][a-z0-9_]*)$")


def select(rows: Iterable[Row], query: str, columns: Iterable[str], reach: Reach = _nowhere) -> list[Row]:
    """The rows that meet the query, in its order. `reach` follows a reference to a column of its record (`caller_id.name`)."""
    known = frozenset(columns)
    orders = [found for part in re.split(r"\^(?:NQ)?", query) if (found := _ORDER.match(part))]
    groups = [_conditions(group, known, reach) for group in query.split("^NQ")]
    chosen = [row for row in rows if any(all(any(t(row) for t in tests) for tests in group) for group in groups)]
    for order in reversed(orders):
        if order["field"] in known:
            chosen.sort(key=lambda row: row.get(order["field"], ""), reverse=bool(order["down"]))
    return chosen


def _conditions(group: str, known: frozenset[str], reach: Reach) -> list[list[Test]]:
    """Alternatives that must each be met; what can't be read is in none of them."""
    found: list[list[Test]] = []
    for part in group.split("^"):
        alternative = part.startswith("OR") and not part.startswith("ORDERBY")
        match = _CONDITION.match(part.removeprefix("OR") if alternative else part)
        value_of = _value_of(match["field"], known, reach) if match else None
        if match is None or value_of is None:
            continue
        test = _test(value_of, match["operator"], match["value"])
        if alternative and found:
            found[-1].append(test)
        else:
            found.append([test])
    return found


def _value_of(field: str, known: frozenset[str], reach: Reach) -> Callable[[Row], str] | None:
    """How a row's value is read; None for a column that there isn't."""
    if field in known:
        return lambda row: row.get(field, "")
    reference, _, column = field.partition(".")
    return reach(reference, column) if reference in known and column else None


def _test(value_of: Callable[[Row], str], operator: str, value: str) -> Test:
    wanted, several = value.lower(), value.lower().split(",")
    first, last = ["", *wanted.split("@")][-2:]  # of a range; before them may be what people call it (`Today@…@…`)
    tests: dict[str, Callable[[str], bool]] = {
        "=": lambda held: held == wanted,
        "!=": lambda held: held != wanted,
        "LIKE": lambda held: wanted in held,
        "NOTLIKE": lambda held: wanted not in held,
        "STARTSWITH": lambda held: held.startswith(wanted),
        "ENDSWITH": lambda held: held.endswith(wanted),
        "IN": lambda held: held in several,
        "NOTIN": lambda held: held not in several,
        "ISEMPTY": lambda held: not held,
        "ISNOTEMPTY": bool,
        ">": lambda held: held > wanted,
        "<": lambda held: held < wanted,
        ">=": lambda held: held >= wanted,
        "<=": lambda held: held <= wanted,
        "BETWEEN": lambda held: first <= held <= last,
        "ON": lambda held: first <= held <= last,
        "ANYTHING": lambda _: True,
    }
    meets = tests[operator.replace(" ", "")]
    return lambda row: meets(value_of(row).lower())
