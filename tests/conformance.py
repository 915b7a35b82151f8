"""What every kind of destination promises, which tests hold it to that, and which promises a kind can't have.

A test names its promise by `@pytest.mark.promise(NAME)`; the kind is its parameter `vendor` or `kind`, or is named behind the
promise. A run prints the table of what it tried; `python -m tests.conformance > docs/conformance.md` writes the page.
"""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.destinations import KINDS

INTEGRATION = Path(__file__).resolve().parent / "integration"
PARAMETERS = ("vendor", "kind")
PROMISES = {
    "delivered once": "Whatever happens to the write, to its answer or to the worker, the subject has one object.",
    "updated in place": "A later job of the subject changes its object and makes no second one.",
    "unchanged is not written": "Content that the object shows already sends no write.",
    "looked up after doubt": "After a write whose end is unknown, the destination is asked before anything is written again.",
    "lag is waited out": "An object that the look-up doesn't show yet gets no double.",
    "hidden gets no double": "An object that the account can't see stops the job, and gets no double.",
    "people's changes are kept": "What people changed is kept, held or overwritten as `on_drift` says, and told.",
    "ended by people": "What people closed, archived or put into the trash is not written over without a word.",
    "follows its issue": "A ticket's state follows a change of its issue's status, and is else people's own.",
    "a stranger ends no job": "An answer that is not the vendor's lets the jobs wait.",
    "the vendor's words": "What the vendor refuses for good ends the job at once, with the vendor's words and advice.",
    "throttling waits": "A 429 lets the jobs wait and counts no attempt.",
    "credential suspends": "A refused credential suspends the destination and ends no job.",
    "missing right": "A right that the account lacks is named, and stops only the jobs that need it.",
    "files": "Files are attached once for each content.",
    "links": "The object leads to the other objects of its issue.",
    "echoes": "What an answer repeats of credential or content stands in no record, log line or error.",
    "test as whom": "The connection test goes step by step and says as whom it is accepted.",
    "test writes nothing": "The connection test makes and changes nothing.",
}
# Cells without a test: what this kind can't be asked for.
EXEMPT = {
    ("lag is waited out", "servicenow"): "Table queries are answered by the primary database, which has no lag.",
    ("follows its issue", "confluence"): "A page has no state that an issue's status would change.",
}
Cell = tuple[str, str]


def kinds_of(mark: pytest.Mark, parameters: dict[str, object]) -> list[str]:
    """The kinds that a marked test, with these parameters, holds to the promise; raises where nothing names one."""
    promise, *named = mark.args
    if promise not in PROMISES:
        raise ValueError(f"no such promise: {promise!r}")
    given = next((parameters[name] for name in PARAMETERS if name in parameters), None)
    kinds = named or ([given] if given is not None else [])
    if not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"a test of {promise!r} names no kind of destination: {kinds}")
    return kinds


def cells_of(marks: list[pytest.Mark], parameters: dict[str, object]) -> list[Cell]:
    """Every promise and kind that one test is about."""
    return [(mark.args[0], kind) for mark in marks if mark.name == "promise" for kind in kinds_of(mark, parameters)]


# -- a run's table ---------------------------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test's cells where its report carries them, through processes too."""
    for item in items:
        spec = getattr(item, "callspec", None)
        cells = cells_of(list(item.iter_markers("promise")), spec.params if spec else {})
        item.user_properties += [("promise", cell) for cell in cells]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the run says of each promise and kind."""
    found: dict[Cell, set[str]] = defaultdict(set)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "promise":
                    found[tuple(value)].add(outcome)
    if not found:
        return
    terminalreporter.section("destinations and what they promise")
    for line in table({cell: _word(outcomes) for cell, outcomes in found.items()}):
        terminalreporter.line(line)


def _word(outcomes: set[str]) -> str:
    if outcomes & {"failed", "error"}:
        return "FAILED"
    return "yes" if "passed" in outcomes else "skipped"


def table(words: dict[Cell, str]) -> list[str]:
    """The lines of a run's table. A cell of which the run had no test is empty, a `-` is exempt."""
    width = max(map(len, PROMISES)) + 2
    lines = [" " * width + "".join(f"{kind:14}" for kind in KINDS)]
    for promise in PROMISES:
        cells = (words.get((promise, kind), "-" if (promise, kind) in EXEMPT else "") for kind in KINDS)
        lines.append((f"{promise:{width}}" + "".join(f"{cell:14}" for cell in cells)).rstrip())
    return lines


# -- the page --------------------------------------------------------------------------------------------------------


def held() -> dict[Cell, list[str]]:
    """The tests of each cell, as `file.py::test`, by the marks in the test files."""
    found: dict[Cell, list[str]] = defaultdict(list)
    for file in sorted(INTEGRATION.glob("test_*.py")):
        if "mark.promise(" not in file.read_text():
            continue
        module = importlib.import_module(f"tests.integration.{file.stem}")
        for name, function in vars(module).items():
            marks = getattr(function, "pytestmark", None)
            if not name.startswith("test_") or marks is None or function.__module__ != module.__name__:
                continue
            for cell in dict.fromkeys(cell for given in _rows(marks) for cell in cells_of(marks, given)):
                found[cell].append(f"{file.name}::{name}")
    return found


def _rows(marks: list[pytest.Mark]) -> Iterator[dict[str, object]]:
    """The values of the parameter that names the kind; one empty row where there is none."""
    for mark in marks:
        if mark.name != "parametrize":
            continue
        names = [name.strip() for name in mark.args[0].split(",")] if isinstance(mark.args[0], str) else [*mark.args[0]]
        for wanted in PARAMETERS:
            if wanted in names:
                place = names.index(wanted)
                for row in mark.args[1]:
                    yield {wanted: row if len(names) == 1 else row[place]}
                return
    yield {}


def page() -> str:
    """The page `docs/conformance.md`."""
    tests = held()
    reasons = list(dict.fromkeys(EXEMPT.values()))
    lines = [
        "# What every destination promises",
        "",
        "Each kind of destination is held to the same promises, by the same tests against its simulated vendor. `make test` prints",
        "this table for the run. A kind that is added gets its column by itself, and needs a test or a reason for each row:",
        "[adding a destination](adding-a-destination.md). This page is written by `python -m tests.conformance`.",
        "",
        "| Promise | " + " | ".join(f"`{kind}`" for kind in KINDS) + " |",
        "|---|" + "---|" * len(KINDS),
    ]
    for promise in PROMISES:
        cells = [_cell(promise, kind, tests, reasons) for kind in KINDS]
        lines.append(f"| {promise} | " + " | ".join(cells) + " |")
    lines += ["", "A number says why a kind can't be asked for it:", ""]
    lines += [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    lines += ["", "## The promises and their tests", "", "The files are in `tests/integration/`.", ""]
    for promise, means in PROMISES.items():
        names = dict.fromkeys(name for kind in KINDS for name in tests.get((promise, kind), []))
        lines += [f"**{promise}**: {means}", "", *(f"* `{name}`" for name in names), ""]
    return "\n".join(lines)


def _cell(promise: str, kind: str, tests: dict[Cell, list[str]], reasons: list[str]) -> str:
    reason = EXEMPT.get((promise, kind))
    if reason is not None:
        return f"no ({reasons.index(reason) + 1})"
    return "yes" if tests.get((promise, kind)) else "**not tested**"


if __name__ == "__main__":
    sys.stdout.write(page())
