"""How a worker begins what is due."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest

from worker.rounds import runner


async def test_attempts_begin_a_few_at_a_time(monkeypatch):
    """Rendered all together, they would all wait for their vendors together, with the processor idle."""
    begun, begun_before_each_pause = [], []
    due = [f"job-{number}" for number in range(2 * runner.TOGETHER + 1)]
    services = SimpleNamespace(
        pulse=SimpleNamespace(last=1),
        settings=SimpleNamespace(sweep_interval_s=1.0, resend_after_s=1.0),
        eviction=SimpleNamespace(trouble=AsyncMock(return_value=None)),
        ledger=SimpleNamespace(dispatch=AsyncMock(return_value=due)),
    )
    one = runner.Runner(services, runner.Attempts(), None, capacity=len(due))
    monkeypatch.setattr(one, "begin", begun.append)

    async def pause(_: float) -> None:
        begun_before_each_pause.append(len(begun))

    monkeypatch.setattr(runner.asyncio, "sleep", pause)
    await one._take()
    assert begun == due
    assert begun_before_each_pause == [runner.TOGETHER, 2 * runner.TOGETHER]


async def test_a_fault_that_ends_an_attempt_is_one_line_without_its_words(monkeypatch, caplog):
    """Nobody asks an attempt for its exception: the loop would print it, in many lines, when it is forgotten."""
    monkeypatch.setattr(runner.lifecycle, "attempt", AsyncMock(side_effect=KeyError("somebody's words")))
    attempts = runner.Attempts()
    one = runner.Runner(SimpleNamespace(core=None), attempts, None, capacity=1)
    one.begin("job-1")
    await attempts.drain(5.0)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("job job-1: a fault of ours ended its attempt (KeyError at ")
    assert "somebody" not in caplog.text
    assert len(attempts) == 0


def hearing(monkeypatch, *, kinds=None, beat=1, fine=True, busy=0, stopping=False):
    """A runner that heard nothing yet, and what it begins."""
    services = SimpleNamespace(pulse=SimpleNamespace(last=beat), eviction=SimpleNamespace(is_fine=fine))
    attempts, begun = runner.Attempts(), []
    attempts.stopping = stopping
    attempts._running = dict.fromkeys(map(str, range(busy)))
    one = runner.Runner(services, attempts, None, capacity=8, kinds=kinds)
    monkeypatch.setattr(one, "begin", begun.append)
    return one, begun


@pytest.mark.parametrize("kinds", [None, frozenset({"servicenow"})])
def test_a_worker_with_nothing_to_do_begins_the_job_that_a_wake_up_names(monkeypatch, kinds):
    one, begun = hearing(monkeypatch, kinds=kinds)
    one.hear("servicenow job 1")
    assert begun == ["job 1"]
    assert not one._woken.is_set()


@pytest.mark.parametrize(
    ("word", "given"),
    [
        ("1", {}),
        ("", {}),
        ("servicenow ", {}),
        ("nowhere job-1", {}),
        ("servicenow job-1:events", {}),
        ("servicenow job-1", {"kinds": frozenset({"confluence"})}),
        ("servicenow job-1", {"busy": 1}),
        ("servicenow job-1", {"beat": None}),
        ("servicenow job-1", {"fine": False}),
        ("servicenow job-1", {"stopping": True}),
    ],
)
def test_any_other_wake_up_has_it_look_what_is_due(monkeypatch, word, given):
    one, begun = hearing(monkeypatch, **given)
    one.hear(word)
    assert begun == []
    assert one._woken.is_set()
