"""The table of attacks in docs/threat-model.md: each has its number, its outcome, and tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
ROWS = [line.strip("|").split(" | ") for line in PAGE.partition("## Attacks")[2].splitlines() if line.startswith("| ")][
    1:
]
ATTACKS = 24


def named_in(file: str) -> set[str]:
    """The tests of each file of that name."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "tests").rglob(file)]
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for tree in trees for node in tree.body if isinstance(node, kinds)}


def test_every_attack_has_its_row():
    """In order, none left out."""
    assert [int(row[0]) for row in ROWS if row[0].strip()] == list(range(1, ATTACKS + 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1].strip()[:40])
def test_every_test_that_a_row_names_is_there(row):
    """A row says what comes of the attack, and names at least one test by file and name."""
    assert len(row) == 4
    assert row[2].strip()
    named = re.findall(r"`(test_\w+\.py)`: ((?:`test_\w+`(?:, )?)+)", row[3])
    assert named, row[3]
    for file, tests in named:
        missing = set(re.findall(r"`(\w+)`", tests)) - named_in(file)
        assert not missing, f"{file} has no {missing}"


def test_every_file_that_the_page_names_is_there():
    """Above the table sentences name files only."""
    for file in set(re.findall(r"\btest_\w+\.py", PAGE)):
        assert list((ROOT / "tests").rglob(file)), file
