"""What happened over an hour, a day or a week, from the ledger's slots: counts, delivery times, and lines to draw. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tasks.model import Frozen
from tasks.state.jobs.overview import SLOT_MS, Slot

HOUR_MS = 3600_000
STEPS_MS: Mapping[str, tuple[int, int]] = {
    "1h": (HOUR_MS, SLOT_MS),
    "24h": (24 * HOUR_MS, 6 * SLOT_MS),
    "7d": (7 * 24 * HOUR_MS, 24 * SLOT_MS),
}
ENDINGS = ("delivered", "dead", "held")
TOOK = "took "


class Figures(Frozen):
    """What happened in a stretch of time: how often, and the times that half and 95 in a hundred deliveries stayed
    within, in milliseconds (None without any; `inf` where only a longer time would do).
    """

    submitted: int = 0
    delivered: int = 0
    dead: int = 0
    held: int = 0
    retrying: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None

    @classmethod
    def of(cls, counts: Iterable[Mapping[str, int]]) -> Figures:
        """From counts by what happened."""
        total: dict[str, int] = {}
        for each in counts:
            for what, count in each.items():
                total[what] = total.get(what, 0) + count
        took = {float(what.removeprefix(TOOK)): count for what, count in total.items() if what.startswith(TOOK)}
        known = {name: total.get(name, 0) for name in ("submitted", "delivered", "dead", "held", "retrying")}
        return cls(**known, p50_ms=within(took, 0.5), p95_ms=within(took, 0.95))


class Point(Frozen):
    """One step of a line: when it begins (epoch milliseconds), and how many jobs ended how."""

    at_ms: int
    delivered: int = 0
    dead: int = 0
    held: int = 0

    @property
    def ended(self) -> int:
        """All of them."""
        return self.delivered + self.dead + self.held


def within(took: Mapping[float, int], share: float) -> float | None:
    """The bound that this share of the deliveries stayed within; None without any."""
    left = share * sum(took.values())
    for bound, count in sorted(took.items()):
        left -= count
        if left <= 0:
            return bound
    return None


def points(slots: Sequence[Slot], destination: str | None, since_ms: int, until_ms: int, step_ms: int) -> list[Point]:
    """Steps from `since_ms` on, of one destination or of all; a step without anything is there as well."""
    first = since_ms - since_ms % step_ms
    totals = {at_ms: dict.fromkeys(ENDINGS, 0) for at_ms in range(first, until_ms, step_ms)}
    for slot in slots:
        total = totals.get(slot.at_ms - slot.at_ms % step_ms)
        if total is None:
            continue
        for name, counts in slot.counts.items():
            if destination in (None, name):
                for ending in ENDINGS:
                    total[ending] += counts.get(ending, 0)
    return [Point(at_ms=at_ms, **total) for at_ms, total in totals.items()]


def polyline(values: Sequence[int], width: int, height: int) -> str:
    """The points of an SVG line through these values, the highest at the top edge."""
    highest = max([*values, 1])
    step = width / max(len(values) - 1, 1)
    return " ".join(f"{place * step:.1f},{height - height * value / highest:.1f}" for place, value in enumerate(values))
