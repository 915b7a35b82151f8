"""Memory of a worker for each attempt under way: 500 of them, at a vendor that answers none, beside the idle worker."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bench.isolation import silent_vendor, submit, until_full
from config.settings import Settings
from tasks.destinations import parse_settings
from worker.machine.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations
from worker.runtime import Services, open_services

AT_ONCE = 500
HANGING = [f"hanging-{number}" for number in range(5)]
WARM_UP = 20
HANG_S = 300.0
LIMIT_S = 60.0


def main() -> dict[str, float]:
    """Print memory; return what it is for each attempt."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as folder:
        data = Path(folder)
        settings = Settings(data=data, redis_url=None, broker_url=None, keys_file=None, keys=None, worker_processes=1)
        with running_stack(settings, sandbox_port=0) as stack:
            before, after, hanging = asyncio.run(_measure(stack))
    print(f"idle {before / 1024:.0f} MB, {hanging} attempts under way {after / 1024:.0f} MB")
    return {"rss_per_inflight_kb": (after - before) / hanging}


def memory_kb(stack: Stack) -> int:
    """Resident memory of the worker process."""
    status = Path(f"/proc/{stack.children['worker'].pid}/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


async def _measure(stack: Stack) -> tuple[int, int, int]:
    stack.children["worker"].terminate()
    stack.children["worker"].wait()
    stack.start("worker", "worker", "--concurrency", str(2 * AT_ONCE))  # a share stays free for whoever else has jobs
    async with silent_vendor() as silent, open_services(stack.own_settings) as services:
        room = {"total_timeout_s": HANG_S, "concurrency": AT_ONCE // len(HANGING)}
        for name in ("healthy", *HANGING):
            address = str(stack.sandbox_url) if name == "healthy" else silent
            given = sandbox_destinations(address)["servicenow"] | room
            await services.destinations.set(name, parse_settings(given), FAKE_SECRET, "bench")
        for number in range(WARM_UP):
            await submit(services, f"warm-{number}", "healthy")
        await _delivered(services, WARM_UP)
        before = memory_kb(stack)
        for number in range(AT_ONCE):
            await submit(services, f"job-{number}", HANGING[number % len(HANGING)])
        hanging = await until_full(services, HANGING)
        return before, memory_kb(stack), hanging


async def _delivered(services: Services, count: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            if (await services.ledger.counts())["delivered"] >= count:
                return
            await asyncio.sleep(0.2)
