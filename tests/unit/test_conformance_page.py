"""The table of destinations and promises is whole, and the page shows it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.destinations import KINDS
from tests import conformance

ROOT = Path(__file__).resolve().parents[2]


def test_each_promise_has_a_test_or_a_reason_for_each_kind_and_never_both():
    """A kind that is added fails here until it is held to every promise."""
    tests = set(conformance.held())
    every = {(promise, kind) for promise in conformance.PROMISES for kind in KINDS}
    assert every - tests - set(conformance.EXEMPT) == set()
    assert tests & set(conformance.EXEMPT) == set()
    assert set(conformance.EXEMPT) <= every


def test_the_page_is_what_the_marks_say():
    """Written by `python -m tests.conformance > docs/conformance.md`."""
    assert (ROOT / "docs" / "conformance.md").read_text() == conformance.page()


def test_one_failed_test_fails_its_cell_and_a_cell_without_a_run_is_empty():
    words = {("files", "confluence"): conformance._word({"passed", "failed"})}
    row = next(line for line in conformance.table(words) if line.startswith("files"))
    assert row.split() == ["files", "FAILED"]


@pytest.mark.parametrize("args", [("no such promise", "jira"), ("files",), ("files", "gopher")])
def test_a_mark_that_names_no_promise_or_kind_is_an_error(args):
    with pytest.raises(ValueError, match=r"promise|kind"):
        conformance.kinds_of(pytest.mark.promise(*args).mark, {})
