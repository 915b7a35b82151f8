"""Moments as people type them: a date, a time, or how long ago."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

UNITS_MS = {"s": 1000, "m": 60_000, "min": 60_000, "h": 3600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_AGE = re.compile(r"([0-9]{1,6}) ?(s|min|m|h|d|w)")


@dataclass(frozen=True)
class Moment:
    """A moment in epoch milliseconds, or so many milliseconds before now."""

    at_ms: int | None = None
    age_ms: int = 0

    def epoch_ms(self, now_ms: int) -> int:
        """The moment in epoch milliseconds."""
        return now_ms - self.age_ms if self.at_ms is None else self.at_ms


class MomentType(click.ParamType[Moment]):
    """An option that takes `2026-11-28`, `2026-11-28T14:00Z` (UTC where no zone is given), or an age such as `24h`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        """The moment that was typed."""
        text = str(value).strip()
        if found := _AGE.fullmatch(text):
            return Moment(age_ms=int(found[1]) * UNITS_MS[found[2]])
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r:.60} is no time; write 2026-11-28, 2026-11-28T14:00Z or an age such as 24h", param, ctx)
        return Moment(at_ms=int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))


MOMENT = MomentType()
