"""The few calls of the platform that clients put into queries: `javascript:gs.getUserName()`, days and hours ago."""

from __future__ import annotations

import re
from collections.abc import Mapping

from worker.sandbox.servicenow.incident import stamp

_CALL = re.compile(r"javascript:gs\.(\w+)\((-?\d{0,6})\)")
DAY_S = 86400


def run(query: str, me: Mapping[str, str], now: float) -> str:
    """The query with what its calls give; those that aren't known stay as they are."""
    today = now - now % DAY_S

    def given(call: re.Match[str]) -> str:
        count = int(call[2] or 0)
        match call[1]:
            case "getUserName":
                return me["user_name"]
            case "getUserID":
                return me["sys_id"]
            case "now" | "nowDateTime":
                return stamp(now)
            case "beginningOfToday":
                return stamp(today)
            case "endOfToday":
                return stamp(today + DAY_S - 1)
            case "daysAgo":
                return stamp(now - count * DAY_S)
            case "daysAgoStart":
                return stamp(today - count * DAY_S)
            case "daysAgoEnd":
                return stamp(today - count * DAY_S + DAY_S - 1)
            case "hoursAgo" | "hoursAgoStart":
                return stamp(now - count * 3600)
            case "minutesAgo" | "minutesAgoStart":
                return stamp(now - count * 60)
        return call[0]

    return _CALL.sub(given, query)
