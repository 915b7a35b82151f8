"""A small run of the same code, with a fixed seed."""

from __future__ import annotations

import pytest

from tests.chaos.mischief import NOT_YET, Pace
from tests.chaos.run import Size, run
from tests.chaos.versions import ROOT

SMALL = Size(
    jobs=60,
    over_s=8.0,
    mischief_s=8.0,
    limit_s=150.0,
    workers=2,
    pace=Pace(
        kill_s=1.5,
        stop_s=6.0,
        stopped_s=7.0,
        valkey_s=5.0,
        listener_s=6.0,
        messages_s=0.3,
        clocks_s=3.0,
        strangers_s=5.0,
        outages_s=6.0,
        restore_s=8.0,
        tcp_s=1.5,
    ),
    without=NOT_YET,
)


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled_or_stale_whatever_dies_meanwhile(tmp_path):
    """Half of the workers and the API stand for a second version beside ours: here it is the same checkout."""
    verdict = run(tmp_path, SMALL, seed=7, beside=ROOT)
    assert verdict.good, str(verdict)
    assert verdict.accepted >= SMALL.jobs
    assert verdict.objects == verdict.subjects
    assert "Valkey killed" in verdict.mischief
