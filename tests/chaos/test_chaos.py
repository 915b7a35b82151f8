"""A small run of the same code, with a fixed seed."""

from __future__ import annotations

from tests.chaos.run import run


def test_killed_workers_and_failing_vendors_lose_and_double_nothing(tmp_path):
    counts = run(tmp_path, subjects=12, workers=2, kills=3, seed=7, limit_s=120)
    assert counts.good, str(counts)
    assert counts.delivered == 36
