"""100,000 jobs waiting for a destination that is down: the worker's memory, and how fast they drain when it is back.

Beside it the same drain with a backlog of one fiftieth: what a long backlog costs is the difference.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from importlib import resources
from pathlib import Path

from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Issue, parse_command
from worker.machine.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations
from worker.runtime import Services, open_services

LONG, SHORT = 100_000, 2_000
BATCH = 2_000
IDLE_S, DRAIN_S, LIMIT_S = 15.0, 15.0, 120.0
CLONE = """
args = cjson.decode(ARGV[2])
local stored = redis.call('HGETALL', job_key(args.model))
for number = args.from, args.to do
  local id, subject = args.model .. '-' .. number, string.format('%08x%024x', args.seed, number)
  redis.call('HSET', job_key(id), unpack(stored))
  redis.call('HSET', job_key(id), 'id', id, 'subject', subject, 'issue', id)
  redis.call('HSET', key('subject', subject), 'order', 1, 'waiting', id)
  redis.call('ZADD', key('jobs'), int(now), id)
  redis.call('ZADD', key('ids'), 0, id)
  redis.call('ZADD', key('jobs', get(id, 'destination')), int(now), id)
  enter(id, 'queued')
  need(id)
  wait_until(id, now)
end
"""


def main() -> None:
    """Print memory and rates."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as folder:
        settings = Settings(data=Path(folder), redis_url=None, broker_url=None, keys_file=None, keys=None)
        with running_stack(settings, sandbox_port=0) as stack:
            asyncio.run(_measure(stack))


async def _measure(stack: Stack) -> None:
    settings = stack.settings.model_copy(update={"redis_url": stack.redis_url})
    async with open_services(settings) as services:
        await _lead(services, stack, "http://127.0.0.1:1")
        rates, memory = {}, {}
        for count in (SHORT, LONG):
            await _store(services, count)
            await _until_open(services)
            await asyncio.sleep(IDLE_S)
            memory[count] = _memory_mb(stack)
            print(f"{count} jobs waiting: the worker holds {memory[count]} MB", flush=True)
            await _lead(services, stack, str(stack.sandbox_url))
            rates[count] = await _drain(services)
            print(f"{count} jobs waiting: {rates[count]:.1f} delivered a second once it was back", flush=True)
            await _lead(services, stack, "http://127.0.0.1:1")
        print(f"long to short: {memory[LONG] - memory[SHORT]:+d} MB, drain rate {rates[LONG] / rates[SHORT]:.2f} times")


async def _lead(services: Services, stack: Stack, address: str) -> None:
    given = sandbox_destinations(str(stack.sandbox_url))["servicenow"] | {"instance_url": address, "concurrency": 16}
    await services.destinations.set("servicenow", parse_settings(given), FAKE_SECRET, "bench")


async def _store(services: Services, count: int) -> None:
    """As many submissions would leave it, without their time: one job is submitted, and stored again under other ids."""
    issue = Issue(id=f"of-{count}", title="Pool exhausted", description="words")
    command = parse_command({"command": "create_servicenow_incident", "issue_id": issue.id})
    await services.destinations.pause("servicenow", "bench")
    model = await services.submit(command, actor="bench", issue=issue)
    script = (resources.files("tasks.state") / "lua" / "prelude.lua").read_text("utf-8") + CLONE
    for start in range(1, count, BATCH):
        args = {"model": model.id, "from": start, "to": min(start + BATCH, count) - 1, "seed": count}
        await services.redis.eval(script, 0, services.settings.prefix, json.dumps(args))
    await services.destinations.resume("servicenow", "bench")


async def _until_open(services: Services) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            if (await services.destinations.health("servicenow")).breaker != "closed":
                return
            await asyncio.sleep(0.2)


async def _drain(services: Services) -> float:
    """Deliveries a second, from the first one on, over the drain's first seconds or until it ends."""
    first = (await services.ledger.counts())["delivered"]
    async with asyncio.timeout(LIMIT_S):
        while True:
            begun, at = (await services.ledger.counts())["delivered"], time.monotonic()
            if begun > first:
                break
            await asyncio.sleep(0.05)
    done = begun
    while time.monotonic() < at + DRAIN_S and (await services.destinations.health("servicenow")).waiting:
        await asyncio.sleep(0.2)
        done = (await services.ledger.counts())["delivered"]
    return (done - begun) / (time.monotonic() - at)


def _memory_mb(stack: Stack) -> int:
    """Resident memory of the worker process."""
    status = Path(f"/proc/{stack.children['worker'].pid}/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main()
