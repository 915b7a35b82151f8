"""`make chaos`: a run of settable size; exit 1 when anything was lost, doubled, stale or not as audited."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.chaos.run import Size, run


def main() -> int:
    """One run of ours, and with --compare one of the stock application; the exit status."""
    options = _options()
    size = Size(
        jobs=options.jobs, over_s=options.over or options.jobs / 15, limit_s=options.limit, workers=options.workers
    )
    with tempfile.TemporaryDirectory(prefix="afterword-chaos-") as folder:
        verdict = run(options.keep or Path(folder) / "ours", size, options.seed)
        print(f"seed {options.seed}\n{verdict}", flush=True)
        if options.compare:
            from bench.stock.run import CONDITIONS
            from bench.stock.run import run as run_stock

            print(f"\nThe same load, faults and kills for a stock Celery application ({CONDITIONS}):", flush=True)
            print(run_stock(Path(folder) / "stock", size, options.seed))
            print(f"Afterword:    {verdict.line}")
    return 0 if verdict.good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description="Pass options as ARGS='--seed 7 --jobs 300'.")
    parser.add_argument("--jobs", type=int, default=3000, help="over three destinations (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="where all chance comes from (default %(default)s)")
    parser.add_argument("--over", type=float, help="seconds over which jobs are submitted (default: 15 jobs a second)")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--limit", type=float, default=540, help="seconds until the run counts as failed")
    parser.add_argument("--keep", type=Path, help="an empty folder for logs and data, kept afterwards")
    parser.add_argument("--compare", action="store_true", help="run the stock application, too")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
