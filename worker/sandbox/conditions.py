"""Conditions as Atlassian's products write them, in JQL and CQL: comparisons with AND, OR, NOT and brackets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Test = Callable[[Any], bool]
Compare = Callable[[str, str, list[str]], Test]

_TEXT = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'"
_TOKEN = re.compile(
    rf'\s*(?:(?P<text>{_TEXT})|(?P<mark>!=|!~|>=|<=|[=~<>(),])|(?P<word>[^\s"=~!<>(),]+(?:\(\s*(?:{_TEXT})?\s*\))?))'
)
SECONDS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60}
ORDERING = (">=", "<=", ">", "<")


class BadQuery(Exception):
    """A query that is refused, in the product's words."""


def read(condition: str, compare: Compare) -> Test:
    """The test of a condition; `compare` makes that of one field, operator and its values, which are as they were written. An
    operator is in small letters: `in`, `not in`, `is`, `is not`, `!~` and the like.
    """
    reading = _Reading(condition, compare)
    try:
        test = reading.either()
    except RecursionError:
        raise BadQuery("it is nested too deeply") from None
    if reading.next():
        raise BadQuery("Expecting either 'OR' or 'AND'")
    return test


def bare(value: str) -> str:
    """A value without its quotes."""
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] in ("'", '"') else value


class _Reading:
    """A condition, read from left to right."""

    def __init__(self, condition: str, compare: Compare) -> None:
        self.condition, self.compare, self.place = condition, compare, 0

    def next(self) -> str:
        """The next word or mark, without taking it; empty at the end."""
        found = _TOKEN.match(self.condition, self.place)
        return found.group().strip() if found else self.condition[self.place :].strip()

    def take(self, *wanted: str) -> str:
        """The next word or mark, where it is one of those (any, without them); else nothing is taken."""
        found = _TOKEN.match(self.condition, self.place)
        if found is None or (wanted and found.group().strip().lower() not in wanted):
            return ""
        self.place = found.end()
        return found.group().strip()

    def either(self) -> Test:
        tests = [self.both()]
        while self.take("or"):
            tests.append(self.both())
        return lambda row: any(test(row) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.take("and"):
            tests.append(self.one())
        return lambda row: all(test(row) for test in tests)

    def one(self) -> Test:
        if self.take("not"):
            test = self.one()
            return lambda row: not test(row)
        if self.take("("):
            test = self.either()
            self.need(")")
            return test
        return self.clause()

    def need(self, mark: str) -> None:
        if not self.take(mark):
            raise BadQuery(f"Expecting '{mark}' near '{self.next()[:20]}'")

    def clause(self) -> Test:
        begun, field = self.place, self.take()
        operator = self.operator() if re.fullmatch(r"[\w.]+", field) else ""
        if not operator:
            near = self.condition[begun : begun + 20].strip()
            raise BadQuery(f"Expecting operator near '{near}'")
        return self.compare(field, operator, self.values(operator))

    def operator(self) -> str:
        if mark := self.take("=", "!=", "~", "!~", *ORDERING, "in"):
            return mark.lower()
        if self.take("not"):
            self.need("in")
            return "not in"
        if self.take("is"):
            return "is not" if self.take("not") else "is"
        return ""

    def values(self, operator: str) -> list[str]:
        """The value, or those between brackets, as they were written."""
        several = operator in ("in", "not in") and self.take("(")
        found = [self.value()]
        while several and self.take(","):
            found.append(self.value())
        if several:
            self.need(")")
        return found

    def value(self) -> str:
        found = _TOKEN.match(self.condition, self.place)
        if found is None or found["mark"]:
            raise BadQuery(f"Expecting a value near '{self.next()[:20]}'")
        self.place = found.end()
        return found.group().strip()
