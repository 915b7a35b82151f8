"""The way that docs/walk.md shows: a failure is found in the console, corrected, and sent again."""

from __future__ import annotations

import pytest

from tests.browser.instance import running_instance
from tests.browser.walk import PAGE, STEPS, Walker, walk


@pytest.mark.timeout(240)
def test_the_walk_leads_from_a_failure_to_a_delivery(browser, open_page, tmp_path):
    with running_instance(tmp_path) as instance:
        instance.connect()
        gone: list[str] = []
        walk(Walker(open_page(), instance.url, instance.keys["first"]), lambda words, _picture: gone.append(words))
        (delivered,) = instance.events("job.delivered")
        (failed,) = instance.events("job.dead")
        assert delivered["job"] != failed["job"]
    assert gone == [words for words, _, _ in STEPS]


def test_the_page_shows_every_step_with_its_picture():
    text = PAGE.read_text("utf-8")
    for words, _, picture in STEPS:
        assert f"| {words} |" in text
        assert not picture or f"](images/{picture}.png)" in text
