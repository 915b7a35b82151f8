"""From measurements to ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Round:
    """One row in one round. For each job: the worker's and Valkey's milliseconds of the processor, and Redis commands."""

    jobs: int
    jobs_s: float
    processor_ms: float
    valkey_ms: float
    commands: float
    lost: int
    doubled: int


# Our row, the row that it is divided by, and the vendor's delay in milliseconds.
RATIOS: Mapping[str, tuple[str, str, int]] = {
    "full_vs_celery_bare": ("full", "celery_bare", 50),
    "full_minus_screening_rendering_vs_celery_bare": ("full_minus_screening_rendering", "celery_bare", 50),
    "full_vs_celery_prefork": ("full", "celery_prefork", 50),
    "full_vs_arq": ("full", "arq", 50),
    "full_vs_dramatiq": ("full", "dramatiq", 50),
    "full_vs_taskiq": ("full", "taskiq", 50),
    "full_vs_arq_200": ("full", "arq", 200),
    "full_vs_dramatiq_200": ("full", "dramatiq", 200),
    "full_vs_taskiq_200": ("full", "taskiq", 200),
    "full_vs_wire_200": ("full", "wire", 200),
    "page_vs_celery_bare": ("full_pages", "celery_pages", 50),
    "plain_client_vs_celery": ("plain_client", "celery_bare", 50),
    "scale_2_workers": ("full_2_workers", "full_1_process", 50),
}

Measured = Mapping[tuple[str, int], Sequence[Round]]


def medians(rounds: Sequence[Round]) -> Round:
    """The median of each figure; of what was lost or doubled the sum."""
    return Round(
        jobs=sum(each.jobs for each in rounds),
        jobs_s=statistics.median(each.jobs_s for each in rounds),
        processor_ms=statistics.median(each.processor_ms for each in rounds),
        valkey_ms=statistics.median(each.valkey_ms for each in rounds),
        commands=statistics.median(each.commands for each in rounds),
        lost=sum(each.lost for each in rounds),
        doubled=sum(each.doubled for each in rounds),
    )


def ratios(measured: Measured) -> dict[str, float]:
    """The median, over the rounds, of the ratio within a round; rows that weren't measured are left out."""
    found = {}
    for key, (ours, theirs, delay_ms) in RATIOS.items():
        if (ours, delay_ms) in measured and (theirs, delay_ms) in measured:
            pairs = zip(measured[ours, delay_ms], measured[theirs, delay_ms], strict=True)
            found[key] = statistics.median(one.jobs_s / other.jobs_s for one, other in pairs)
    return found


def processor_ratios(measured: Measured) -> dict[str, float]:
    """For each ratio, how many times the other worker's processor time a job of ours takes: a busy machine moves it less."""
    return {
        key.replace("_vs_", "_processor_vs_"): medians(measured[ours, delay_ms]).processor_ms
        / max(medians(measured[theirs, delay_ms]).processor_ms, 0.01)
        for key, (ours, theirs, delay_ms) in RATIOS.items()
        if (ours, delay_ms) in measured and (theirs, delay_ms) in measured
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies (0 to 1)."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
