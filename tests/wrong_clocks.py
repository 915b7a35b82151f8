"""Programs on a machine whose clock is wrong: Debian's libfaketime tells them another time.

Only the clock that can be set is wrong. The monotonic one is right on every machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def afterword(off_s: float, *arguments: str) -> tuple[str, ...]:
    """The command line of `afterword` with a clock that is `off_s` seconds ahead, or behind where that is negative."""
    clock = (f"LD_PRELOAD={LIBRARY}", f"FAKETIME={off_s:+}", "FAKETIME_DONT_FAKE_MONOTONIC=1")
    return ("env", *(clock if off_s else ()), sys.executable, "-m", "worker", *arguments)
