"""A vendor's words are told without what was sent, and otherwise as they were said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.http.echoes import MARK, RUN, without_echoes

BODY = "The pool of connections was exhausted\nbecause a deploy raised the time-out to an hour."


def test_what_was_sent_is_left_out_and_the_vendors_words_stay():
    said = "Error parsing xhtml near: was exhausted because a deploy raised the at [row,col]: [27,48]"
    assert without_echoes(said, [BODY]) == f"Error parsing xhtml near:{MARK}at [row,col]: [27,48]"


def test_short_matches_are_the_vendors_own_words():
    assert without_echoes("The deploy of connections failed", [BODY]) == "The deploy of connections failed"


@given(st.text(max_size=300), st.text(min_size=RUN, max_size=300), st.integers(0, 300))
def test_no_run_of_a_text_survives_wherever_it_stands(around, sent, place):
    whole = " ".join(sent.split())
    told = without_echoes(f"{around[:place]}{whole}{around[place:]}", [sent])
    assert len(whole) < RUN or whole not in told


def test_a_text_of_five_megabytes_is_looked_through():
    sent = "".join(f"line {number} of the log " for number in range(250_000))
    assert without_echoes(f"no: {sent[2_000_001:2_000_200]}", [sent]) == f"no: {MARK}"
