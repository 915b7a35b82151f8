"""`python -m bench.peers`: some rows, fewer jobs, other numbers of rounds."""

from __future__ import annotations

import argparse

from bench.peers.rows import ROWS
from bench.peers.run import measure

parser = argparse.ArgumentParser(prog="python -m bench.peers")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of jobs of each row")
parser.add_argument("--only", nargs="*", default=(), choices=sorted(ROWS), metavar="ROW", help=", ".join(ROWS))
given = parser.parse_args()
measure(given.rounds, given.scale, tuple(given.only))
