"""When a worker starts further processes, and how many."""

from __future__ import annotations

import asyncio
import os

import pytest

from config.settings import Settings
from worker import siblings
from worker.siblings import MOST, Siblings, cores


@pytest.fixture
def begun(monkeypatch) -> list[int]:
    """The processes that were begun, by number; none is really started."""
    numbers: list[int] = []
    monkeypatch.setattr(Siblings, "_keep", lambda _, number: numbers.append(number))
    monkeypatch.setattr(siblings, "BUSY_FOR_S", 0.01)
    monkeypatch.setattr(siblings, "cores", lambda: 16)
    return numbers


async def test_a_worker_that_uses_up_a_core_gets_the_others_and_keeps_its_share(begun):
    kept, looks = [], iter([0.0, 0.0, 0.0, 5.0, 10.0])
    await Siblings(Settings(), 10, []).run(kept.append, lambda: next(looks))
    assert (begun, kept) == ([2, 3, 4], [4]), "4 of its own, 2 for each of the others"
    assert list(looks) == [10.0], "it looked once while it had nothing to do, and once while it had"


async def test_a_worker_with_little_to_do_stays_one_process(begun):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await Siblings(Settings(), 10, []).run(lambda _: None, lambda: 0.0)
    assert begun == []


async def test_a_number_that_was_set_begins_at_once_and_one_stays_alone(begun):
    kept: list[int] = []
    await Siblings(Settings(worker_processes=1), 10, []).run(kept.append, lambda: 0.0)
    assert (begun, kept) == ([], [])
    await Siblings(Settings(worker_processes=6), 12, []).run(kept.append, lambda: 0.0)
    assert (begun, kept) == ([2, 3, 4, 5, 6], [2])


async def test_a_worker_that_stops_gets_no_further_processes(begun):
    kept: list[int] = []
    siblings = Siblings(Settings(), 10, [])
    siblings.stop()
    await siblings.run(kept.append, iter([0.0, 5.0]).__next__)
    assert (begun, kept) == ([], [])


def test_the_default_is_what_the_process_may_use(tmp_path):
    may = cores(tmp_path, tmp_path / "none")
    assert may == len(os.sched_getaffinity(0))
    (tmp_path / "own").write_text("1:cpu:/elsewhere\n0::/system.slice/a.service\n")
    group = tmp_path / "groups" / "system.slice" / "a.service"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("max 100000\n")
    assert cores(tmp_path / "groups", tmp_path / "own") == may
    for quota in ("150000", "50000"):
        (group.parent / "cpu.max").write_text(f"{quota} 100000\n")
        assert cores(tmp_path / "groups", tmp_path / "own") == 1
    assert MOST > 1
