"""A destination's health in words: what lets its jobs out, and what keeps them. Times in epoch milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.state.clock import moment

if TYPE_CHECKING:
    from tasks.state.traffic.limiter import Health


def duration(ms: int) -> str:
    """A length of time in its two largest units."""
    seconds = max(ms, 0) // 1000
    for name, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            return f"{seconds // size} {name} {seconds % size // part} {smaller}"
    return f"{seconds} s"


def lines(health: Health, now_ms: int) -> list[str]:
    """What an operator asks of a destination, one fact a line."""
    standing, test = health.standing, health.last_test
    found = [f"State:         {standing.words}"]
    if standing.name == "failing" and standing.reason:
        found.append(f"Reason:        {standing.reason}")
    result = "passed" if test and test.passed else "failed"
    found.append(f"Last test:     {f'{result} at {moment(test.at_ms)}, by {test.actor}' if test else 'none yet'}")
    if health.next_probe_ms:
        found.append(f"Next test:     {moment(health.next_probe_ms)}")
    since = f", the oldest for {duration(now_ms - health.oldest_waiting_ms)}" if health.oldest_waiting_ms else ""
    found.append(f"Jobs:          {health.running} running, {health.waiting} waiting{since}")
    found.append(f"Last success:  {moment(health.last_success_ms) if health.last_success_ms else 'none yet'}")
    found.append(f"Breaker:       {health.breaker}" + (f", {health.failures} failures" if health.failures else ""))
    found.append(f"Rate:          {_rate(health)}")
    if quota := _quota(health):
        found.append(f"Quota:         {quota}")
    return found


def _rate(health: Health) -> str:
    parts = [f"{health.rate_per_s:g} requests/s at most" if health.rate_per_s else "no limit set"]
    if health.learned_per_s:
        parts.append(f"slowed to {health.learned_per_s:.3g}/s, as its quota runs low")
    if health.room:
        parts.append(f"at most {health.room} jobs at once since it answered 429")
    return "; ".join(parts)


def _quota(health: Health) -> str:
    if health.quota_at_ms is None:
        return ""
    of = f" of {health.quota_limit:g}" if health.quota_limit is not None else ""
    parts = [f"{health.quota_remaining:g}{of} left"] if health.quota_remaining is not None else []
    if health.quota_reset_ms:
        parts.append(f"resets at {moment(health.quota_reset_ms)}")
    if health.quota_reason:
        parts.append(health.quota_reason)
    return ", ".join([*parts, f"as of {moment(health.quota_at_ms)}"]) if parts else ""
