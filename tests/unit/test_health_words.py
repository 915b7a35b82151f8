"""A destination's health in the words that an operator reads."""

from __future__ import annotations

import pytest

from tasks.state.traffic.limiter import Health
from worker.cli.health import duration, lines, verdict

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (Health(name="x"), "ready"),
        (Health(name="x", state="suspended", breaker="open"), "suspended"),
        (Health(name="x", state="paused"), "paused"),
        (Health(name="x", breaker="open", not_before_ms=NOW + 65_000), "failing, next try in 1 min 5 s"),
        (Health(name="x", breaker="half_open"), "failing, one job is trying it"),
        (Health(name="x", not_before_ms=NOW + 3_600_000), "asked us to wait 1 h 0 min"),
        (Health(name="x", not_before_ms=NOW - 1), "ready"),
    ],
)
def test_the_verdict_is_what_keeps_the_jobs_now(health, words):
    assert verdict(health, NOW) == words


def test_every_fact_that_is_known_has_its_line():
    health = Health(
        name="x",
        state="suspended",
        reason="The credential was refused.",
        next_probe_ms=NOW,
        waiting=3,
        oldest_waiting_ms=NOW - 90_000_000,
        rate_per_s=2.5,
        learned_per_s=0.5,
        room=1,
        quota_limit=100,
        quota_remaining=20,
        quota_reset_ms=NOW,
        quota_reason="burst",
        quota_at_ms=NOW,
        last_success_ms=NOW,
    )
    text = "\n".join(lines(health, NOW))
    for words in (
        "suspended (The credential was refused.)",
        "3 waiting, the oldest for 1 d 1 h",
        "2.5 requests/s at most; slowed to 0.5/s",
        "at most 1 jobs at once",
        "20 of 100 left, resets at 2027-01-15 08:00:00 UTC, burst",
        "Next test:     2027-01-15",
    ):
        assert words in text


def test_a_destination_without_history_has_no_line_about_it():
    text = "\n".join(lines(Health(name="x"), NOW))
    assert "Quota" not in text
    assert "none yet" in text
    assert duration(-5) == "0 s"
