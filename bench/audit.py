"""Verifying an audit trail of a million entries: entries per second of processor time, and the memory that it takes.

`AUDIT_ENTRIES` in the environment sets another number. It is measured at a quarter of it as well: the time is linear where both
figures agree.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
import time
from pathlib import Path

from config.keys import create_key_file
from config.settings import Settings
from tasks.state.audit.entries import Event
from worker.machine.embedded import EmbeddedValkey
from worker.runtime import open_services

ENTRIES, BATCH = 1_000_000, 2_000
MEGABYTE_KB = 1024
FACTS = {
    "job": "3f2a0c5e-1111-4222-8333-444455556666",
    "destination": "confluence",
    "operation": "PUT /wiki/api/v2/pages/{id}",
    "status": 200,
    "duration_ms": 123,
    "sent": 5123,
    "received": 2311,
    "intent": "0123456789abcdef/123",
}


def main() -> None:
    """Print one line for each size."""
    entries = int(os.environ.get("AUDIT_ENTRIES", ENTRIES))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        create_key_file(data / "keys")
        with EmbeddedValkey(data / "valkey") as valkey:
            settings = Settings(data=data, redis_url=valkey.url, prefix="bench", log_level="ERROR")
            for wanted in (entries // 4, entries):
                asyncio.run(_write(settings, wanted))
                asyncio.run(_verify(settings))


async def _write(settings: Settings, wanted: int) -> None:
    async with open_services(settings) as services:
        there = await services.redis.xlen(f"{settings.prefix}:audit")
        while there < wanted:
            batch = min(BATCH, wanted - there)
            await asyncio.gather(*(services.ledger.record(Event.DELIVERY_OK, FACTS) for _ in range(batch)))
            there += batch


async def _verify(settings: Settings) -> None:
    async with open_services(settings) as services:
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began_s = time.process_time()
        report = await services.audit.verify()
        took_s = time.process_time() - began_s
        more_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    print(
        f"{report.entries} entries: {report.verdict}, {took_s:.1f} s of processor time, {report.entries / took_s:,.0f} a second, "
        f"{more_kb / MEGABYTE_KB:.0f} MB more memory",
        flush=True,
    )
