"""What is packed in a text is read in bounds, however often it is packed. Secrets are made up."""

from __future__ import annotations

import base64
import gzip

import pytest

from tasks.screening import Policy, ScreeningFailed, screen
from tasks.screening.normalise import MOST_UNPACKED, UNPACKED, Reading, readings

SECRET = "password=" + "Tr0ub4dor" + "&3x"


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def test_a_secret_that_is_packed_twice_is_found():
    assert screen(f"see {packed(packed(SECRET))}", Policy()).action == "block"


def test_what_was_packed_again_and_again_unpacks_to_no_more_than_what_was_packed_once():
    text = packed(packed("a line of words\n" * 1_000_000))
    assert sum(len(reading.text) for reading in readings(Reading(text))) < 2 * UNPACKED * len(text)


def test_a_text_that_holds_megabytes_packed_is_held_with_the_reason():
    run = packed("password=abc " * 3000)
    text = f"{run}\n" * (MOST_UNPACKED // (UNPACKED * len(run)) * 2)
    with pytest.raises(ScreeningFailed, match="holds packed is more than 3 MB"):
        screen(text, Policy())
    half = text[: MOST_UNPACKED // UNPACKED // 2]
    assert screen(half, Policy()).action == "pass"
