"""How a worker begins what is due."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import AsyncMock

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
