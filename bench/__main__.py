"""`python -m bench [NAME…]`: runs the benchmarks named, or all that measure a bar, and prints their figures.

A benchmark is a module of this package: its first docstring line says what it measures, its `main()` prints. A file
that is put beside these is found by itself.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from types import ModuleType

import bench

SWEEPS = frozenset({"constructs", "mixes"})
"""Thousands of documents of 1 MB: they look for the slowest one, take a quarter of an hour, and run by name only."""


def benchmarks() -> dict[str, ModuleType]:
    """Every benchmark by name, in the order of their names."""
    names = sorted(found.name for found in pkgutil.iter_modules(bench.__path__))
    modules = {name: importlib.import_module(f"bench.{name}") for name in names if name != "__main__"}
    return {name: module for name, module in modules.items() if hasattr(module, "main")}


def main() -> None:
    """Run those that were asked for."""
    found = benchmarks()
    table = "\n".join(
        f"  {name:<12} {(module.__doc__ or '').strip().splitlines()[0]}" for name, module in found.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m bench", epilog=table, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"one of the following; by default all but {' and '.join(sorted(SWEEPS))}",
    )
    names = parser.parse_args().names or [name for name in found if name not in SWEEPS]
    if unknown := [name for name in names if name not in found]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(found)}")
    for name in names:
        print(f"== {name}", flush=True)
        found[name].main()


if __name__ == "__main__":
    main()
