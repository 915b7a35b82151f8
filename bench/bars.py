"""What each figure should reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """What a figure should reach: at least `least`, or at most `most`."""

    least: float | None = None
    most: float | None = None

    def met(self, figure: float) -> bool:
        """Whether the figure does."""
        return (self.least is None or figure >= self.least) and (self.most is None or figure <= self.most)

    def __str__(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


BARS: Mapping[str, Bar] = {
    "full_vs_celery_bare": Bar(least=0.8),
    "full_minus_screening_rendering_vs_celery_bare": Bar(least=0.8),
    "full_vs_celery_prefork": Bar(least=5),
    "full_vs_arq": Bar(least=0.5),
    "full_vs_dramatiq": Bar(least=0.33),
    "full_vs_taskiq": Bar(least=0.33),
    "full_vs_arq_200": Bar(least=0.8),
    "full_vs_dramatiq_200": Bar(least=0.8),
    "full_vs_taskiq_200": Bar(least=0.8),
    "full_vs_wire_200": Bar(least=0.5),
    "page_vs_celery_bare": Bar(least=0.8),
    "plain_client_vs_celery": Bar(least=0.6),
    "scale_2_workers": Bar(least=1.7),
    "submit_vs_send_task": Bar(most=2.5),
    "latency_ms_p50": Bar(most=25),
    "latency_ms_p99": Bar(most=100),
    "rss_per_inflight_kb": Bar(most=200),
    "rss_backlog_mb": Bar(most=20),
    "many_destinations": Bar(most=1.5),
    "backlog_first_s": Bar(most=15),
    "constructs_s": Bar(most=6),
    "constructs_mb": Bar(most=300),
}
