"""WIQL, as much of it as programs send: SELECT … FROM WorkItems WHERE … ORDER BY …, with AND, OR, NOT and brackets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from worker.sandbox.azure_devops.patch import Refused
from worker.sandbox.azure_devops.process import Field, known
from worker.sandbox.conditions import DAY_S, ORDERING, BadQuery, Reading
from worker.sandbox.store import iso, tags_of

Item = dict[str, Any]
Test = Callable[[Item], bool]

_TOKEN = re.compile(r"\s*(\[[^\]]+\]|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|<>|<=|>=|[=<>(),]|@?[\w.+-]+)")
_SHAPE = re.compile(r"^\s*select\s+(?P<columns>.+?)\s+from\s+workitems\b(?P<rest>.*)$", re.IGNORECASE | re.DOTALL)


def parse(
    query: str, project: str | None, fields: Mapping[str, Field], now: float
) -> tuple[list[str], Test, list[tuple[str, bool]]]:
    """Columns, the condition, and the order as (field, descending). `project` is what `@project` stands for, `fields` can be
    named, and `@today` is the day of `now`.
    """
    shape = _SHAPE.match(query)
    if shape is None:
        raise _wrong("Expecting SELECT … FROM WorkItems")
    columns = [_field(part.strip(), fields) for part in shape["columns"].split(",")]
    condition, _, order = _split_order(shape["rest"])
    where = re.sub(r"^\s*where\b", "", condition, flags=re.IGNORECASE)
    parser = _Parser(_tokens(where), project, fields, now)
    try:
        test = parser.either() if parser.tokens else (lambda _: True)
    except BadQuery as wrong:
        raise _wrong(str(wrong)) from None
    if parser.tokens:
        raise _wrong(f"{parser.tokens[0]} was not expected")
    sort = [
        (_field(part.split()[0], fields), part.lower().split()[-1] == "desc")
        for part in order.split(",")
        if part.strip()
    ]
    return columns, test, sort


def _split_order(text: str) -> tuple[str, str, str]:
    found = re.search(r"\border\s+by\b(?=[^']*$)", text, re.IGNORECASE)
    return (text[: found.start()], "order by", text[found.end() :]) if found else (text, "", "")


def value_of(item: Item, field: str) -> Any:
    """The field's value; empty where it has none."""
    return item["id"] if field == "System.Id" else item["fields"].get(field, "")


def _wrong(text: str) -> Refused:
    return Refused(400, "SyntaxErrorException", f"VS402337: The query is not valid. {text}.")


def _field(token: str, fields: Mapping[str, Field]) -> str:
    name = token.strip("[]")
    short = {"id": "System.Id", "title": "System.Title", "tags": "System.Tags"}
    found = known(fields, short.get(name.lower(), name))
    if found is None:
        raise Refused(
            400, "FieldReferenceException", f"TF51005: The query references a field that does not exist: {name}."
        )
    return found.name


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    text = text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _wrong(f"Unexpected text at {place}")
        found.append(match.group(1))
        place = match.end()
    return found


class _Parser(Reading):
    """A condition, from its tokens."""

    def __init__(self, tokens: list[str], project: str | None, fields: Mapping[str, Field], now: float) -> None:
        self.now = now
        self.tokens = tokens
        self.project = project
        self.fields = fields

    def rest(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self, *wanted: str) -> str:
        return self.tokens.pop(0) if self.tokens and (not wanted or self.tokens[0].lower() in wanted) else ""

    def next(self) -> str:
        if not self.tokens:
            raise _wrong("It ends too early")
        return self.take()

    def clause(self) -> Test:
        field = _field(self.next(), self.fields)
        negated = self.take("not")
        test = self.comparison(field, self.next().lower())
        return (lambda item: not test(item)) if negated else test

    def comparison(self, field: str, operator: str) -> Test:
        if operator == "in":
            wanted = self.list()
            return lambda item: _text(value_of(item, field)) in wanted
        if operator == "contains":
            self.take("words")
        value = _text(self.value())
        if operator == "contains":
            # The real index compares whole tags in some versions and parts in others: the looser one is shown.
            return lambda item: _contains(item, field, value)
        if operator == "under":
            return lambda item: (_text(value_of(item, field)) + "\\").startswith(value + "\\")
        if operator in ORDERING:
            return lambda item: ORDERING[operator](_order(value_of(item, field)), _order(value))
        tests: dict[str, Test] = {
            "=": lambda item: _text(value_of(item, field)) == value,
            "<>": lambda item: _text(value_of(item, field)) != value,
        }
        if operator not in tests:
            raise _wrong(f"{operator} is no operator")
        return tests[operator]

    def list(self) -> set[str]:
        if not self.take("("):
            raise _wrong("IN needs a list")
        values = {_text(self.value())}
        while self.take(","):
            values.add(_text(self.value()))
        self.need(")")
        return values

    def value(self) -> str:
        token = self.next()
        if token[0] in "'\"":
            return token[1:-1].replace(token[0] * 2, token[0])
        if token.lower() == "@project":
            if self.project is None:
                raise _wrong("@project needs a project in the address")
            return self.project
        if today := re.fullmatch(r"@today([+-]\d{1,5})?", token, re.IGNORECASE):
            return self.day(today[1] or "")
        return token

    def day(self, days: str) -> str:
        """A day from today on: `@today - 7`, with or without blanks."""
        if not days and self.tokens and re.fullmatch(r"[+-]\d{0,5}", self.tokens[0]):
            sign = self.next()
            days = sign if sign[1:] else sign + self.next()
        if not re.fullmatch(r"([+-]\d{1,5})?", days):
            raise _wrong(f"{days} is no number of days")
        return iso(self.now - self.now % DAY_S + int(days or 0) * DAY_S)


def _contains(item: Item, field: str, value: str) -> bool:
    held = tags_of(item) if field == "System.Tags" else [str(value_of(item, field))]
    return any(value in text.lower() for text in held)


def _text(value: object) -> str:
    return str(value).lower()


def _order(value: object) -> tuple[int, float, str]:
    text = _text(value)
    return (0, float(text), "") if text.replace(".", "", 1).isdigit() else (1, 0.0, text)
