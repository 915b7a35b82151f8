"""100,000 jobs waiting for a destination that is down: the worker's memory, the first delivery when it is back, and the drain.

Beside it the same with a fiftieth and a fifth of them: what a long backlog costs is the difference.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import urllib.request
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from bench.memory import memory_kb
from bench.peers.stage import until
from config.settings import Settings
from tasks.destinations import parse_settings
from tasks.model import Issue, parse_command
from tasks.state.jobs.signatures import sign_stored
from worker.machine.stack import FAKE_SECRET, Stack, running_stack, sandbox_destinations
from worker.runtime import Services, open_services

LONG, MIDDLE, SHORT = 100_000, 20_000, 2_000
BATCH = 2_000
IDLE_S, DRAIN_S, LIMIT_S = 15.0, 15.0, 120.0
CLONE = """
args = cjson.decode(ARGV[2])
local stored = redis.call('HGETALL', job_key(args.model))
for number = args.from, args.to do
  local id, subject = args.model .. '-' .. number, string.format('%08x%024x', args.seed, number)
  redis.call('HSET', job_key(id), unpack(stored))
  redis.call('HSET', job_key(id), 'id', id, 'subject', subject, 'issue', id)
  redis.call('HDEL', job_key(id), 'signed')
  redis.call('HSET', key('subject', subject), 'order', 1, 'waiting', id)
  redis.call('ZADD', key('jobs'), int(now), id)
  redis.call('ZADD', key('ids'), 0, id)
  redis.call('ZADD', key('jobs', get(id, 'destination')), int(now), id)
  enter(id, 'queued')
  need(id)
  wait_until(id, now)
end
"""


def main() -> dict[str, float]:
    """Print memory and rates; return what has a bar."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as folder:
        settings = Settings(
            data=Path(folder), redis_url=None, broker_url=None, keys_file=None, keys=None, worker_processes=1
        )
        with running_stack(settings, sandbox_port=0) as stack:
            return asyncio.run(_measure(stack))


async def _measure(stack: Stack) -> dict[str, float]:
    async with open_services(stack.own_settings) as services:
        given = sandbox_destinations(str(stack.sandbox_url))["servicenow"] | {"concurrency": 16}
        await services.destinations.set("servicenow", parse_settings(given), FAKE_SECRET, "bench")
        first_s, rates, memory_mb = {}, {}, {}
        for count in (SHORT, MIDDLE, LONG):
            _take_down(stack)
            await _store(services, count)
            await _until_open(services)
            await asyncio.sleep(IDLE_S)
            memory_mb[count] = memory_kb(stack) // 1024
            print(f"{count} jobs waiting: the worker holds {memory_mb[count]} MB", flush=True)
            await asyncio.to_thread(_bring_back, stack)
            first_s[count], rates[count] = await _drain(services)
            print(
                f"{count} jobs waiting: the first delivery {first_s[count]:.1f} s after it was back, "
                f"then {rates[count]:.1f} a second",
                flush=True,
            )
    print(f"drain rate of {LONG} jobs ÷ of {SHORT} {rates[LONG] / rates[SHORT]:.2f}")
    return {"rss_backlog_mb": memory_mb[LONG] - memory_mb[SHORT], "backlog_first_s": first_s[MIDDLE]}


def _take_down(stack: Stack) -> None:
    stack.children["sandbox"].kill()
    stack.children["sandbox"].wait()


def _bring_back(stack: Stack) -> None:
    """At the address that it had; returns when it answers."""
    port = urlsplit(str(stack.sandbox_url)).port
    stack.start("sandbox", "sandbox", "--port", str(port))
    until(lambda: _answers(stack), "the sandbox")


def _answers(stack: Stack) -> bool:
    try:
        urllib.request.urlopen(f"{stack.sandbox_url}/_sandbox/state", timeout=5).close()
    except OSError:
        return False
    return True


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
    await sign_stored(services.redis, services.journal)
    await services.destinations.resume("servicenow", "bench")


async def _until_open(services: Services) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            if (await services.destinations.health("servicenow")).breaker != "closed":
                return
            await asyncio.sleep(0.2)


async def _drain(services: Services) -> tuple[float, float]:
    """Seconds until the first delivery, and deliveries a second from then on, in the first seconds or until all are done."""
    first, back = (await services.ledger.counts())["delivered"], time.monotonic()
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
    return at - back, (done - begun) / (time.monotonic() - at)
