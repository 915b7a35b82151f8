"""`bench/out/latest.json`: what the last run measured, by key, and which figures reach their bars."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.bars import BARS

OUT = Path(__file__).resolve().parent / "out"
LATEST = OUT / "latest.json"


@dataclass
class Results:
    """One run. It is written after each benchmark, so that one that fails costs no other its figures."""

    place: Path = LATEST
    found: dict[str, object] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def add(self, found: Mapping[str, object]) -> None:
        """Keep what a benchmark returned: figures by their keys, and whatever they were made of."""
        self.found |= found
        facts = self.found | {
            "bars": {
                key: {"figure": figure, "bar": str(BARS[key]), "met": BARS[key].met(figure)}
                for key, figure in self.figures.items()
                if key in BARS
            },
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "load_average": os.getloadavg(),
            "seconds": round(time.monotonic() - self.began),
        }
        self.place.parent.mkdir(exist_ok=True)
        self.place.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")

    @property
    def figures(self) -> dict[str, float]:
        """The figures alone."""
        return {key: value for key, value in self.found.items() if isinstance(value, int | float)}

    def table(self) -> str:
        """Every figure beside its bar."""
        lines = ["key                                                         figure     bar  met"]
        for key, figure in self.figures.items():
            bar = BARS.get(key)
            met = "" if bar is None else "yes" if bar.met(figure) else "NO"
            lines.append(f"{key:<57} {figure:>8.2f} {bar or ''!s:>7}  {met}".rstrip())
        return "\n".join([*lines, f"{time.monotonic() - self.began:.0f} s; all figures are in {self.place}"])
