"""Each example of CommonMark 0.31 and GFM says the same in every target as on GitHub, or differs for a reason that is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.markup_tools import outline
from tests.markup_tools.differences import TARGETS, TEXTS, holds, reason_of, table, words_of
from tests.markup_tools.specification import examples

DOCS = Path(__file__).parents[2] / "docs" / "markdown.md"
EXAMPLES = examples()

pytestmark = pytest.mark.skipif(not EXAMPLES, reason="the examples aren't there: `make specification` fetches them")


@pytest.mark.parametrize("target", TARGETS)
def test_every_example_is_built_as_on_github_or_differs_for_a_reason(target):
    """Words, blocks, marks, links and images are compared, in their order."""
    assert [example for example in EXAMPLES if reason_of(example, target) is None] == []


@pytest.mark.parametrize("target", TEXTS)
def test_every_word_that_github_shows_is_in_plain_text(target):
    """Targets without GitHub's blocks have its words, in their order."""
    lacking = [
        example
        for example in EXAMPLES
        if not holds(TEXTS[target](example.markdown), words_of(outline.of_github(example.markdown)))
    ]
    assert lacking == []


def test_the_page_lists_each_reason_with_its_examples():
    """`python -m tests.markup_tools.differences` prints the list; no example is left out of what is compared."""
    page = DOCS.read_text("utf-8")
    assert table() in page
    ours = sum(example.name.startswith("CommonMark ") for example in EXAMPLES)
    assert f"the {ours} examples of CommonMark 0.31 and {len(EXAMPLES) - ours} of tables" in page
