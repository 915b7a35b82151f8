"""Rounds of all rows in turn, and the table of what came of them."""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import redis

from bench.peers import environments
from bench.peers.figures import Measured, Round, medians, processor_ratios, ratios
from bench.peers.rows import AT_ONCE, ROWS, Place, Row
from bench.peers.stage import Spent, Vendor, child, spent, vendor_at_work
from bench.peers.submitting import submitting
from worker.machine.embedded import EmbeddedValkey

ROUNDS, SCALE = 3, 0.6
FEWEST = 4 * AT_ONCE  # jobs of a row: more than are delivered at one moment
DELAYS_MS = (50, 200)
LOOK_EVERY_S = 0.02
LIMIT_S = 120.0
QUIET_S = 15.0  # nothing more comes after so long
AFTER_S = 0.5  # for what comes twice


def measure(rounds: int = ROUNDS, scale: float = SCALE, only: tuple[str, ...] = ()) -> dict[str, object]:
    """Measure, print the rows, and return figures and rows. `scale` multiplies the number of jobs, `only` names some rows."""
    measured: dict[tuple[str, int], list[Round]] = {}
    for peer in environments.PEERS:
        environments.environment_of(peer)
    with (
        tempfile.TemporaryDirectory(prefix="afterword-peers-") as folder,
        vendor_at_work(Path(folder)) as vendor,
    ):
        for number in range(rounds):
            for delay_ms in DELAYS_MS:
                for name, row in ROWS.items():
                    if delay_ms not in row.jobs or (only and name not in only):
                        continue
                    jobs = max(round(row.jobs[delay_ms] * scale), min(row.jobs[delay_ms], FEWEST))
                    one = _round(row, vendor, delay_ms, jobs)
                    measured.setdefault((name, delay_ms), []).append(one)
                    print(f"round {number + 1}, {delay_ms} ms, {name}: {_words(one)}", flush=True)
        others = {} if only else submitting(vendor, scale)
    _print(measured)
    return {
        **ratios(measured),
        **others,
        **processor_ratios(measured),
        "rows": [{"row": name, "delay_ms": delay, **asdict(medians(of))} for (name, delay), of in measured.items()],
        "rounds": {f"{name}/{delay}": [asdict(each) for each in of] for (name, delay), of in measured.items()},
        "versions": environments.versions(),
    }


def _round(row: Row, vendor: Vendor, delay_ms: int, jobs: int) -> Round:
    """Send all jobs, then start the worker; what counts is from the first tenth of the deliveries to the ninth."""
    vendor.reset(delay_ms)
    with contextlib.ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="afterword-peers-")))
        valkey = closing.enter_context(EmbeddedValkey(folder / "valkey"))
        place = Place(folder, valkey.url, vendor.url)
        row.send(place, jobs)
        client = closing.enter_context(redis.Redis.from_url(valkey.url))
        log = folder / "worker.log"
        sessions = {
            closing.enter_context(child(row.worker(jobs), row.folder, log, {**place.variables, **row.variables})).pid
            for _ in range(row.workers)
        }

        def reached(share: float) -> tuple[float, int, Spent]:
            """Time, deliveries and what was spent once so many are delivered, or nothing comes any more."""
            wanted, last, since = share * jobs, -1, time.monotonic()
            while True:
                count, now = vendor.counts().distinct, time.monotonic()
                if count != last:
                    last, since = count, now
                if count >= wanted or now - since > (QUIET_S if count else LIMIT_S):
                    return now, count, spent(sessions, client)
                time.sleep(LOOK_EVERY_S)

        first, last = reached(0.1), reached(0.9)
        reached(1.0)
        time.sleep(AFTER_S)
        counts = vendor.counts()
        done = last[1] - first[1]
        if not done:
            words = log.read_text("utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{counts.distinct} of {jobs} jobs were delivered. The worker's log ends with\n{words}")
        return Round(
            jobs=jobs,
            jobs_s=done / (last[0] - first[0]),
            processor_ms=(last[2].processor_ms - first[2].processor_ms) / done,
            valkey_ms=(last[2].valkey_ms - first[2].valkey_ms) / done,
            commands=(last[2].commands - first[2].commands) / done,
            lost=jobs - counts.distinct,
            doubled=counts.objects - counts.distinct,
        )


def _words(one: Round) -> str:
    return (
        f"{one.jobs_s:.0f} jobs/s, a job {one.processor_ms:.1f} ms (Valkey {one.valkey_ms:.1f}) and {one.commands:.1f} commands, "
        f"lost {one.lost}, doubled {one.doubled}"
    )


def _print(measured: Measured) -> None:
    print("\nmedians                              ms   jobs/s  worker ms  Valkey ms  commands  lost  doubled")
    for (name, delay), of in measured.items():
        one = medians(of)
        print(
            f"{name:<34} {delay:>4} {one.jobs_s:>8.0f} {one.processor_ms:>10.1f} {one.valkey_ms:>10.1f} {one.commands:>9.1f}"
            f" {one.lost:>5} {one.doubled:>8}"
        )
