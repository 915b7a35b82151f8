"""`make chaos`: a run of settable size; exit 1 when anything was lost, doubled, stale or not as audited."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.brokers.servers import rabbitmq, sentinels
from tests.chaos.clocks import LIBRARY
from tests.chaos.mischief import KNOWN, NOT_YET
from tests.chaos.run import Size, run


def main() -> int:
    """One run of ours, and with --compare one of the stock application; the exit status."""
    options = _options()
    size = Size(
        jobs=options.jobs,
        over_s=options.over or options.jobs / 15,
        limit_s=options.limit,
        workers=options.workers,
        without=frozenset(options.without) | (NOT_YET - set(options.with_)),
    )
    if "clocks" not in size.without and LIBRARY is None:
        print("libfaketime isn't installed: all clocks are right in this run.", flush=True)
    with tempfile.TemporaryDirectory(prefix="afterword-chaos-") as folder, ExitStack() as closing:
        over: dict[str, Any] = {"beside": options.beside.resolve()} if options.beside else {}
        if options.sentinel:
            watched = closing.enter_context(sentinels(Path(folder) / "redis", options.replicas))
            over |= {"redis_url": watched.url, "fail_over": watched.fail_over}
        if options.rabbitmq:
            over["broker_url"] = closing.enter_context(rabbitmq(Path(folder) / "rabbitmq"))
        verdict = run(options.keep or Path(folder) / "ours", size, options.seed, **over)
        print(f"seed {options.seed}\n{verdict}", flush=True)
        if options.compare:
            from bench.stock.run import CONDITIONS
            from bench.stock.run import run as run_stock

            print(
                f"\nThe same load, vendors' faults and kills for a stock Celery application ({CONDITIONS}):", flush=True
            )
            print(run_stock(Path(folder) / "stock", size, options.seed))
            print(f"Afterword:    {verdict.line}")
    return 0 if verdict.good else 1


def _options() -> argparse.Namespace:
    mischief = "\n".join(f"  {name:<10} {words}" for name, words in KNOWN.items())
    parser = argparse.ArgumentParser(
        prog="make chaos",
        description="Pass options as ARGS='--seed 7 --jobs 300'.",
        epilog=f"what goes wrong, by the names that --without takes:\n{mischief}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--jobs", type=int, default=3000, help="over three destinations (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="where all chance comes from (default %(default)s)")
    parser.add_argument("--over", type=float, help="seconds over which jobs are submitted (default: 15 jobs a second)")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--limit", type=float, default=540, help="seconds until the run counts as failed")
    parser.add_argument("--keep", type=Path, help="an empty folder for logs and data, kept afterwards")
    parser.add_argument("--sentinel", action="store_true", help="over Debian's Redis under Sentinel, with failovers")
    parser.add_argument("--replicas", type=int, default=1, help="of the primary under Sentinel (default %(default)s)")
    parser.add_argument("--rabbitmq", action="store_true", help="with Debian's RabbitMQ as broker")
    parser.add_argument(
        "--beside", type=Path, metavar="CHECKOUT", help="as many workers of another version, and its API"
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=KNOWN,
        metavar="NAME",
        help="leave this out (see below; repeatable)",
    )
    parser.add_argument("--with", dest="with_", action="append", default=[], choices=sorted(NOT_YET), help="add this")
    parser.add_argument("--compare", action="store_true", help="run the stock application, too")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
