"""A round that serves several names: a slow one holds up nobody but itself."""

from __future__ import annotations

import asyncio
from functools import partial
from types import SimpleNamespace

from worker.rounds import follower
from worker.rounds.again import SideBySide


async def turns() -> None:
    """Let what is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_name_whose_work_still_runs_is_not_begun_again_and_others_are():
    """One task for each name at a time; what ended, well or not, begins anew."""
    begun, slow = [], asyncio.Event()

    async def work(name: str) -> None:
        begun.append(name)
        if name == "slow":
            await slow.wait()
        elif name == "broken":
            raise ValueError

    side = SideBySide("test")
    for _ in range(2):
        for name in ("slow", "broken", "fine"):
            side.begin(name, partial(work, name))
        await turns()
    assert begun == ["slow", "broken", "fine", "broken", "fine"]
    slow.set()
    await turns()
    side.begin("slow", partial(work, "slow"))
    await turns()
    assert begun[-1] == "slow"


async def test_what_runs_is_cancelled_at_the_end():
    """Nothing is left behind by a worker that stops."""
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    side = SideBySide("test")
    side.begin("a", work)
    await turns()
    await side.end()
    assert cancelled.is_set()


async def test_a_destination_that_is_slow_delays_the_tickets_of_no_other(monkeypatch):
    """The others are looked at again while it is waited for; one whose record is in doubt isn't looked at."""
    looks, again = [], asyncio.Event()

    async def follow(_, record) -> int:
        looks.append(record.name)
        if record.name == "slow":
            await asyncio.Event().wait()
        if looks.count("quick") == 2:
            again.set()
        return 0

    async def records():
        return [
            SimpleNamespace(name=name, doubt=doubt)
            for name, doubt in (("slow", None), ("quick", None), ("doubted", "tampered"))
        ]

    monkeypatch.setattr(follower, "follow", follow)
    monkeypatch.setattr(follower, "LOOK_EVERY_S", 0)
    services = SimpleNamespace(core=None, destinations=SimpleNamespace(list=records))
    running = asyncio.create_task(follower.follow_tickets(services))
    async with asyncio.timeout(60):
        await again.wait()
    running.cancel()
    await asyncio.wait([running])
    assert (looks.count("slow"), looks.count("doubted")) == (1, 0)
