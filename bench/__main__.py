"""`python -m bench [NAME…]`: runs the benchmarks named, by default those whose figures have bars, and prints their figures.

A benchmark is a module of this package: its first docstring line says what it measures, its `main()` prints, and may return
what `bench/out/latest.json` is to hold. A file that is put beside these is found by itself.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from types import ModuleType

import bench
from bench.results import Results

BARRED = ("peers", "memory", "isolation", "backlog")  # a quarter of an hour in all; each of the others may take as long


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
        "names", nargs="*", metavar="NAME", help=f"one of the following; by default {', '.join(BARRED)}"
    )
    names = parser.parse_args().names or BARRED
    if unknown := [name for name in names if name not in found]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(found)}")
    results = Results()
    for name in names:
        print(f"== {name}", flush=True)
        results.add(found[name].main() or {})
    print(results.table())


if __name__ == "__main__":
    main()
