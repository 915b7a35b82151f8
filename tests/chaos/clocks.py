"""Wrong clocks: Debian's libfaketime tells each worker the time by a file of its own, which can change while it runs."""

from __future__ import annotations

from pathlib import Path

OFF_S = (-3600, -60, -5, 0, 5, 60, 3600)
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def environment() -> dict[str, str]:
    """What a process needs for a clock that can be set; empty where libfaketime isn't installed.

    Intervals stay true: no machine's monotonic clock goes wrong.
    """
    if LIBRARY is None:
        return {}
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": "+0s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }


def set_clock(folder: Path, name: str, off_s: int) -> None:
    """Set the clock of the worker of that name so many seconds wrong, from a second or two later on."""
    new = folder / f"{name}.clock.new"
    new.write_text(f"{off_s:+d}s\n")
    new.replace(folder / f"{name}.clock")
