"""`python -m bench.peers`: some rows, fewer jobs, other numbers of rounds."""

from __future__ import annotations

import argparse

from bench.peers.rows import ROWS
from bench.peers.run import ROUNDS, SCALE, measure
from bench.results import Results

parser = argparse.ArgumentParser(prog="python -m bench.peers")
parser.add_argument("--rounds", type=int, default=ROUNDS)
parser.add_argument("--scale", type=float, default=SCALE, help="multiplies the number of jobs of each row")
parser.add_argument("--only", nargs="*", default=(), choices=sorted(ROWS), metavar="ROW", help=", ".join(ROWS))
given = parser.parse_args()
results = Results()
results.add(measure(given.rounds, given.scale, tuple(given.only)))
print(results.table())
