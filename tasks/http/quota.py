"""What an answer's headers say about how fast the destination may be called. Pure: the time comes in.

Sources: `Retry-After` (RFC 9110; Azure DevOps sends it on 200 as well), `X-RateLimit-*` (Atlassian: reset in ISO 8601;
ServiceNow and Azure DevOps: epoch seconds), `X-RateLimit-NearLimit` and `RateLimit-Reason` (Atlassian). What can't be
understood says nothing; what no working server would say is cut to an hour.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tasks.model import Frozen

THROTTLED = 429
TELLING = (
    "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-NearLimit", "RateLimit-Reason",
)  # fmt: skip
LONGEST_RETRY_AFTER_S = 24 * 3600.0
IMPLAUSIBLE_WAIT_S = 3600.0
SCARCE_SHARE = 0.2
SLOWEST_PACE_S = 20.0
NEAR_LIMIT_PACE_S, NEAR_LIMIT_FOR_S = 1.0, 10.0
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Guidance(Frozen):
    """What the destination asks of everybody. All durations in seconds from now.

    `pause_s`: no request before. `pace_s`: the least time between two requests, for `pace_for_s`. `throttled`: the
    request was refused for its rate (429). The quota fields are for people; `reset_s` is when the quota is whole again.
    """

    pause_s: float | None = None
    throttled: bool = False
    pace_s: float | None = None
    pace_for_s: float = 0.0
    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
    reason: str = ""

    @property
    def silent(self) -> bool:
        """True where the answer said nothing about limits."""
        return self == Guidance()


def guidance_of(status: int, headers: Mapping[str, str], now: float) -> Guidance:
    """What an answer says about limits; `now` in epoch seconds. `headers` are looked up as the mapping looks up.

    A moment that the answer names is a moment of its sender's clock: its `Date`, where it has one, says what that shows now.
    """
    if status != THROTTLED and not any(name in headers for name in TELLING):
        return Guidance()
    now = _moment(headers.get("Date", ""), now)
    limit = _count(headers.get("X-RateLimit-Limit"))
    remaining = _count(headers.get("X-RateLimit-Remaining"))
    reset_s = parse_reset(headers.get("X-RateLimit-Reset"), now)
    near = headers.get("X-RateLimit-NearLimit", "").strip().lower() == "true"
    pause_s = plausible(parse_retry_after(headers.get("Retry-After"), now))
    throttled = status == THROTTLED
    if pause_s is None or (throttled and not pause_s):
        pause_s = reset_s if throttled or remaining == 0 else None
    if throttled and not pause_s:  # a refusal with a moment that has passed, or with none, doesn't mean: again at once
        pause_s = None
    pace_s, pace_for_s = _pace(limit, remaining, reset_s, near=near)
    return Guidance(
        pause_s=pause_s,
        throttled=throttled,
        pace_s=pace_s,
        pace_for_s=pace_for_s,
        limit=limit,
        remaining=remaining,
        reset_s=reset_s,
        reason=_UNPRINTABLE.sub("", headers.get("RateLimit-Reason", ""))[:100],
    )


def _pace(
    limit: float | None, remaining: float | None, reset_s: float | None, *, near: bool
) -> tuple[float | None, float]:
    """The least time between requests where the quota runs low: what is left, spread over the time that is left."""
    scarce = near or (limit is not None and remaining is not None and remaining <= SCARCE_SHARE * limit)
    if not scarce:
        return None, 0.0
    if remaining and reset_s:
        return min(reset_s / remaining, SLOWEST_PACE_S), reset_s
    if near and remaining is None:
        return NEAR_LIMIT_PACE_S, NEAR_LIMIT_FOR_S
    return None, 0.0


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait from a `Retry-After` (RFC 9110: seconds or a date), between 0 and a day; None where unreadable."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _moment(value, math.nan) - now
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


def _moment(value: str, otherwise: float) -> float:
    """The epoch seconds of an HTTP date, or `otherwise` where it is none."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError, TypeError):
        return otherwise


def parse_reset(value: str | None, now: float) -> float | None:
    """Seconds until a quota's reset: epoch in seconds or milliseconds, ISO 8601, or seconds from now (below ten days)."""
    if value is None:
        return None
    try:
        moment = float(value)
        if moment >= 1e11:
            moment /= 1000
        elif moment < 864_000:
            moment += now
    except ValueError:
        try:
            parsed = datetime.fromisoformat(value.strip())
            moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if math.isnan(moment):
        return None
    return plausible(min(max(moment - now, 0.0), LONGEST_RETRY_AFTER_S))


def plausible(seconds: float | None) -> float | None:
    """The wait as it was asked for; an hour where it is a day or more, for a slip must not stop everything for a day."""
    return IMPLAUSIBLE_WAIT_S if seconds is not None and seconds >= LONGEST_RETRY_AFTER_S else seconds


def _count(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return min(max(number, 0.0), 1e9) if not math.isnan(number) else None
