"""`make chaos`: a run of settable size; exit 1 when anything was lost, doubled, stale or not as audited."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.chaos.run import Size, run

parser = argparse.ArgumentParser(prog="make chaos", description="Pass options as ARGS='--seed 7 --jobs 300'.")
parser.add_argument("--jobs", type=int, default=3000, help="over three destinations (default %(default)s)")
parser.add_argument("--seed", type=int, default=1, help="where all chance comes from (default %(default)s)")
parser.add_argument("--over", type=float, help="seconds over which jobs are submitted (default: 15 jobs a second)")
parser.add_argument("--workers", type=int, default=3)
parser.add_argument("--limit", type=float, default=540, help="seconds until the run counts as failed")
parser.add_argument("--keep", type=Path, help="an empty folder for logs and data, kept afterwards")
options = parser.parse_args()
size = Size(jobs=options.jobs, over_s=options.over or options.jobs / 15, limit_s=options.limit, workers=options.workers)
with tempfile.TemporaryDirectory(prefix="afterword-chaos-") as folder:
    verdict = run(options.keep or Path(folder), size, options.seed)
print(f"seed {options.seed}\n{verdict}")
raise SystemExit(0 if verdict.good else 1)
