"""Conditions: comparisons with AND, OR, NOT and brackets, in any language (`Reading`) and as JQL and CQL write them (`read`)."""

from __future__ import annotations

import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Any], bool]
Compare = Callable[[str, str, list[str]], Test]

_TEXT = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'"
_TOKEN = re.compile(
    rf'\s*(?:(?P<text>{_TEXT})|(?P<mark>!=|!~|>=|<=|[=~<>(),])|(?P<word>[^\s"=~!<>(),]+(?:\(\s*(?:{_TEXT})?\s*\))?))'
)
DAY_S = 86400
SECONDS = {"w": 7 * DAY_S, "d": DAY_S, "h": 3600, "m": 60}
ORDERING: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
DEEPEST = 100  # brackets and NOTs within one another: reading and testing take several calls for each


class BadQuery(Exception):
    """A query that is refused, in the product's words."""


def read(condition: str, compare: Compare) -> Test:
    """The test of a condition; `compare` makes that of one field, operator and its values, which are as they were written. An
    operator is in small letters: `in`, `not in`, `is`, `is not`, `!~` and the like.
    """
    reading = _Reading(condition, compare)
    test = reading.either()
    if reading.rest():
        raise BadQuery("Expecting either 'OR' or 'AND'")
    return test


def bare(value: str) -> str:
    """A value without its quotes."""
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] in ("'", '"') else value


def says(texts: list[str], wanted: str) -> bool:
    """Whether texts have each word that `~` asks for; a `*` stands for the rest of one."""
    held = " ".join(texts).casefold()
    return all(word.strip('*"') in held for word in wanted.casefold().split())


class Reading(ABC):
    """A condition, read from left to right; a language says what its words and its comparisons are."""

    depth = 0

    @abstractmethod
    def rest(self) -> str:
        """What wasn't taken yet, or its next word or mark; empty at the end."""

    @abstractmethod
    def take(self, *wanted: str) -> str:
        """The next word or mark, where it is one of those (any, without them); else nothing is taken."""

    @abstractmethod
    def clause(self) -> Test:
        """One comparison."""

    def either(self) -> Test:
        """What AND and OR join."""
        tests = [self.both()]
        while self.take("or"):
            tests.append(self.both())
        return lambda row: any(test(row) for test in tests)

    def both(self) -> Test:
        """What AND joins."""
        tests = [self.one()]
        while self.take("and"):
            tests.append(self.one())
        return lambda row: all(test(row) for test in tests)

    def one(self) -> Test:
        """A comparison, or what stands in brackets or behind a NOT."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise BadQuery("it is nested too deeply")
        if self.take("not"):
            inner = self.one()
            test: Test = lambda row: not inner(row)  # noqa: E731
        elif self.take("("):
            test = self.either()
            self.need(")")
        else:
            test = self.clause()
        self.depth -= 1
        return test

    def need(self, mark: str) -> None:
        """Take that mark; raises `BadQuery` where another one stands."""
        if not self.take(mark):
            raise BadQuery(f"Expecting '{mark}' near '{self.rest()[:20]}'")


class _Reading(Reading):
    """A condition as Atlassian's products write it."""

    def __init__(self, condition: str, compare: Compare) -> None:
        self.condition, self.compare, self.place = condition, compare, 0

    def rest(self) -> str:
        return self.condition[self.place :].strip()

    def take(self, *wanted: str) -> str:
        found = _TOKEN.match(self.condition, self.place)
        if found is None or (wanted and found.group().strip().lower() not in wanted):
            return ""
        self.place = found.end()
        return found.group().strip()

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
            raise BadQuery(f"Expecting a value near '{self.rest()[:20]}'")
        self.place = found.end()
        return found.group().strip()
