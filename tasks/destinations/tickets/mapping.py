"""The operator's mapping of issues to tickets: one TOML text of defaults and rules. Values are filled in, nothing is run.

assignment_group = "Service Desk"

[fields]
u_source = "{issue.source}"

[[rule]]
when = { severity = ["P1", "P2"], tag = "database" }
assignment_group = "Database on call"
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from tasks.destinations import placeholders
from tasks.model import Issue, Link, parse_severity

LONGEST = 50_000  # characters of a mapping
SEVERITY = "severity"
LEVELS = ("", *(f"P{level}" for level in range(1, 6)))  # of an issue; empty where it has none
CONDITIONS = frozenset({SEVERITY, "category", "service", "tag", "source", "status"})
PLACEHOLDERS = frozenset({*(f"issue.{name}" for name in placeholders.ISSUE), "document.title", "document.url"})


_IS_FILLED = re.compile(r"\{\s*(?:issue|document)\.")


class BadMapping(ValueError):
    """A mapping that can't be read: the line, and what is wrong there."""


@dataclass(frozen=True)
class Keys:
    """What a mapping for one kind of ticket may hold: its plain keys, which fields can be set by name (the reason why not, or
    empty), and whether it has a table of fields for a transition's screen.
    """

    plain: frozenset[str]
    refusal: Callable[[str], str]
    transition: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of fields."""
        return ("fields", "transition") if self.transition else ("fields",)


@dataclass(frozen=True)
class Part:
    """Values and fields that are set together, under its conditions; none always."""

    when: Mapping[str, tuple[str, ...]]
    values: Mapping[str, str]
    fields: Mapping[str, str]
    transition: Mapping[str, str]


@dataclass(frozen=True)
class Chosen:
    """What the mapping says of one issue, filled in. A value that is empty is meant to be: nothing is set then."""

    values: Mapping[str, str]
    fields: Mapping[str, str]
    transition: Mapping[str, str]

    def severity(self, asked: int | None, own: int | None) -> int | None:
        """The level that counts: the one that the job asked for, else the mapping's, else the issue's own."""
        given = self.values.get("severity")
        mapped = parse_severity(given or "")
        return asked or (mapped if isinstance(mapped, int) else None if given == "" else own)


@dataclass(frozen=True)
class Rules:
    """A mapping that was read: its defaults, then its rules in order."""

    parts: tuple[Part, ...] = ()

    def chosen(
        self, issue: Issue, links: tuple[Link, ...] = (), quote: Callable[[str, str], str] | None = None
    ) -> Chosen:
        """Every part whose conditions hold, a later one over an earlier one. `quote` is given a value as it is written, and
        what is filled in there, and says how that is to read.
        """
        values: dict[str, str] = {}
        fields: dict[str, str] = {}
        transition: dict[str, str] = {}
        for part in self.parts:
            if _holds(part.when, issue):
                values |= part.values
                fields |= part.fields
                transition |= part.transition
        facts = _facts(issue, links)

        def filled(text: str) -> str:
            return placeholders.filled(text, facts, partial(quote, text) if quote else None)

        return Chosen(*({n: filled(text) for n, text in part.items()} for part in (values, fields, transition)))


def read(text: str, keys: Keys, *, stored: bool = False) -> Rules:
    """The rules in a mapping's text; raises `BadMapping` naming the line and what is wrong there. A `stored` one may say what can
    never hold: it was taken once, and is for that no reason to stop a destination.
    """
    if len(text) > LONGEST:
        raise BadMapping(f"the mapping is longer than {LONGEST} characters")
    try:
        found = tomllib.loads(text := text.removeprefix("\ufeff"))
        _ = repr(found)  # every number in it can be written
    except (ValueError, RecursionError) as error:
        if "digits" in str(error):  # Python's own words
            raise BadMapping("the mapping holds a number of thousands of digits") from None
        last = f"line {text.count(chr(10)) + 1}, the last of the text"
        words = str(error).replace("at end of document", last)
        raise BadMapping(f"the mapping is not TOML: {words}") from None
    rules = found.pop("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise BadMapping(_at(text, "rule", 0, "rules are written as [[rule]]"))
    heads = [match.start() for match in re.finditer(r"(?m)^\s*\[\[\s*rule\s*\]\]", text)]
    parts = [_part(found, text, 0, keys, stored=stored)]
    for number, rule in enumerate(rules):
        start = heads[number] if number < len(heads) else 0
        when = rule.pop("when", {})
        parts.append(_part(rule, text, start, keys, _when(when, text, start, stored=stored), stored=stored))
    return Rules(tuple(parts))


def _part(
    found: dict[str, Any],
    text: str,
    start: int,
    keys: Keys,
    when: Mapping[str, tuple[str, ...]] | None = None,
    *,
    stored: bool,
) -> Part:
    tables = {name: found.pop(name, {}) for name in keys.tables}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise BadMapping(_at(text, name, start, f"{name} is written as a table"))
    for name in found:
        if name not in keys.plain:
            known = ", ".join(sorted({*keys.plain, *keys.tables, "rule"}))
            raise BadMapping(_at(text, name, start, f"{name!r:.60} is not known here; known are: {known}"))
    for name in (name for table in tables.values() for name in table):
        if reason := keys.refusal(name):
            raise BadMapping(_at(text, name, start, f"{name!r:.60} {reason}"))
    parts = (found, tables["fields"], tables.get("transition", {}))
    values, *more = ({n: _text(n, v, text, start, stored=stored) for n, v in given.items()} for given in parts)
    level = values.get(SEVERITY, "")
    if level and not stored and "{" not in level and not isinstance(parse_severity(level), int):
        raise BadMapping(_at(text, SEVERITY, start, _no_severity(level)))
    return Part(when or {}, values, *more)


def _when(given: object, text: str, start: int, *, stored: bool) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, dict):
        raise BadMapping(_at(text, "when", start, 'when is written as a table, such as { severity = "P1" }'))
    for name, value in given.items():
        if name not in CONDITIONS:
            known = ", ".join(sorted(CONDITIONS))
            raise BadMapping(_at(text, name, start, f"{name!r:.60} is no condition; known are: {known}"))
        several = value if isinstance(value, list) else [value]
        if not several or not all(isinstance(each, str | int) and not isinstance(each, bool) for each in several):
            raise BadMapping(_at(text, name, start, f"the condition {name} takes a text or a list of texts"))
    wanted = {name: tuple(map(str, v if isinstance(v, list) else [v])) for name, v in given.items()}
    if not stored and (
        name := next((n for n, several in wanted.items() if any(map(_IS_FILLED.search, several))), None)
    ):
        raise BadMapping(
            _at(text, name, start, f"nothing is filled in in the condition {name}; write what it has to be")
        )
    if SEVERITY not in wanted:
        return wanted
    levels = tuple(map(_level, wanted[SEVERITY]))
    if not stored and (never := next((each for each in levels if not any(_fits(n, each) for n in LEVELS)), None)):
        raise BadMapping(_at(text, SEVERITY, start, f"{_no_severity(never)}, several as a list"))
    return wanted | {SEVERITY: levels}


def _level(wanted: str) -> str:
    """A severity as rules compare it: P1 for each word that an issue may have it in. What names several is none."""
    level = parse_severity(wanted) if len(re.findall(r"\d", wanted)) < 2 else None
    return f"P{level}" if isinstance(level, int) else wanted


def _no_severity(given: str) -> str:
    return f"{given!r:.60} is no severity; write P1 to P5, or a word such as critical"


def _text(name: str, value: object, text: str, start: int, *, stored: bool) -> str:
    """A value as a text with its placeholders checked; a list is joined by commas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    endless = isinstance(value, float) and not math.isfinite(value) and not stored
    if endless or not isinstance(value, str | int | float):
        raise BadMapping(_at(text, name, start, f"{name!r:.60} must be a text or a number"))
    try:
        placeholders.check(str(value), PLACEHOLDERS)
    except ValueError as error:
        raise BadMapping(_at(text, name, start, f"{name!r:.60} {error}")) from None
    return str(value)


def _at(text: str, name: str, start: int, words: str) -> str:
    """The words with the line that `name` stands in, looked for from `start`."""
    key = re.compile(rf"(?m)(?:^|[\s,{{\[.])(?:{re.escape(name)}|\"{re.escape(name)}\"|'{re.escape(name)}')\s*[=\].]")
    found = key.search(text, start) or key.search(text)
    at = found.start() + (found.group()[:1] == "\n") if found else start
    return f"line {text.count(chr(10), 0, at) + 1}: {words}"


def _holds(when: Mapping[str, tuple[str, ...]], issue: Issue) -> bool:
    level = f"P{issue.severity}" if issue.severity else ""
    held: dict[str, tuple[str, ...]] = {
        "severity": (level,),
        "category": (issue.category,),
        "service": (issue.category,),
        "tag": issue.tags,
        "source": (issue.source,),
        "status": (issue.status,),
    }
    return all(
        any(_fits(value, wanted) for value in held[name] for wanted in several) for name, several in when.items()
    )


def _fits(value: str, wanted: str) -> bool:
    """Whether a value is as a condition wants it, in any case: `*` stands for any characters, all else for itself."""
    return fnmatchcase(value.casefold(), re.sub(r"[\[?]", r"[\g<0>]", wanted.casefold()))


def _facts(issue: Issue, links: tuple[Link, ...]) -> dict[str, str]:
    page = next((link for link in links if link.kind == "confluence"), None)
    return placeholders.facts_of(issue) | {
        "document.title": page.title if page else "",
        "document.url": page.url if page else "",
    }
