"""`make chaos`: a run of settable size; exit 1 when anything was lost, doubled or tampered with."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.chaos.run import run

parser = argparse.ArgumentParser(prog="make chaos", description="Pass options as ARGS='--seed 7 --subjects 200'.")
parser.add_argument("--subjects", type=int, default=100, help="each gets a page, an incident and a work item")
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--kills", type=int, default=10)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=float, default=400, help="seconds until the run counts as failed")
options = parser.parse_args()
with tempfile.TemporaryDirectory(prefix="afterword-chaos-") as folder:
    counts = run(
        Path(folder),
        subjects=options.subjects,
        workers=options.workers,
        kills=options.kills,
        seed=options.seed,
        limit_s=options.limit,
    )
print(counts)
raise SystemExit(0 if counts.good else 1)
