"""How a destination stands, and its health in the words that an operator reads."""

from __future__ import annotations

import pytest

from tasks.model import ConnectionStep
from tasks.state.traffic.limiter import Health
from tasks.state.traffic.standing import STANDINGS, Evidence, LastTest, standing_of
from worker.cli.health import duration, lines

NOW = 1_800_000_000_000
AT = "2027-01-15 08:00:00 UTC"
REFUSED = LastTest(
    at_ms=NOW,
    actor="ada",
    passed=False,
    steps=(
        ConnectionStep(name="reached", ok=True),
        ConnectionStep(name="credential", ok=False, detail="The credential was refused (401)."),
    ),
)
HEALTHY = {"proved": "healthy", "proved_ms": NOW}
FAILING = {"proved": "failing", "proved_ms": NOW, "proved_step": "credential", "test": REFUSED}
DOWN = {"breaker_open": True, "failures": 10, "proved": "failing", "proved_ms": NOW, "proved_step": "delivery"}
THROTTLED = {"not_before_ms": NOW + 60_000}
SUSPENDED = {"state": "suspended", "reason": "The credential was refused (401)."}
PAUSED = {"state": "paused", "reason": "paused by ada"}


@pytest.mark.parametrize(
    ("known", "name", "words"),
    [
        ({}, "untested", "untested"),
        (HEALTHY, "healthy", f"healthy since {AT}"),
        (FAILING, "failing", f"failing since {AT} at step credential"),
        (DOWN, "failing", f"failing since {AT} at step delivery"),
        ({"breaker_open": True}, "failing", "failing at step delivery"),
        (THROTTLED, "throttled", "throttled until 2027-01-15 08:01:00 UTC"),
        ({"not_before_ms": NOW}, "untested", "untested"),
        (SUSPENDED, "suspended", "suspended because The credential was refused (401)"),
        ({"state": "suspended"}, "suspended", "suspended"),
        (PAUSED, "paused", "paused by ada"),
        (HEALTHY | THROTTLED, "throttled", "throttled until 2027-01-15 08:01:00 UTC"),
        (FAILING | THROTTLED, "failing", f"failing since {AT} at step credential"),
        (DOWN | THROTTLED, "failing", f"failing since {AT} at step delivery"),
        (FAILING | SUSPENDED, "suspended", "suspended because The credential was refused (401)"),
        (HEALTHY | PAUSED, "paused", "paused by ada"),
        (DOWN | THROTTLED | PAUSED, "paused", "paused by ada"),
    ],
)
def test_a_destination_stands_in_exactly_one_way(known, name, words):
    """What a person decided comes first, then what stops its jobs, then what was seen last."""
    standing = standing_of(Evidence(now_ms=NOW, **known))
    assert (standing.name, standing.words) == (name, words)
    assert standing.name in STANDINGS


def test_only_evidence_makes_a_destination_good():
    """Nothing known is neither good nor bad: green is for what was seen to work."""
    good = {
        name: standing_of(Evidence(now_ms=NOW, **known)).good
        for name, known in {
            "untested": {},
            "healthy": HEALTHY,
            "failing": FAILING,
            "throttled": THROTTLED,
            "suspended": SUSPENDED,
            "paused": PAUSED,
        }.items()
    }
    assert good == {
        "untested": None,
        "healthy": True,
        "failing": False,
        "throttled": True,
        "suspended": False,
        "paused": False,
    }


def test_a_failing_destination_says_what_the_test_said():
    """The reason is that of the step that fails; a breaker's is the number of its failures."""
    assert standing_of(Evidence(**FAILING)).reason == "The credential was refused (401)."
    assert "10 attempts" in standing_of(Evidence(**DOWN)).reason


def test_every_fact_that_is_known_has_its_line():
    """Whatever the limiter knows of a destination is told."""
    health = Health(
        name="x",
        state="suspended",
        standing=standing_of(Evidence(state="suspended", reason="The credential was refused.")),
        last_test=REFUSED,
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
        "suspended because The credential was refused",
        "Last test:     failed at 2027-01-15 08:00:00 UTC, by ada",
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
