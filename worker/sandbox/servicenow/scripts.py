"""The few calls of the platform that clients put into queries: `javascript:gs.getUserName()`, days and hours ago."""

from __future__ import annotations

import re
from collections.abc import Mapping

from worker.sandbox.conditions import DAY_S
from worker.sandbox.servicenow.incident import stamp

_CALL = re.compile(r"javascript:gs\.(\w+)\((-?\d{1,6})?\)")


def run(query: str, me: Mapping[str, str], now: float) -> str:
    """The query with what its calls give, no moment before the epoch; calls that aren't known stay as they are."""
    today = now - now % DAY_S

    def given(call: re.Match[str]) -> str:
        count = int(call[2] or 0)
        moments = {
            "now": now,
            "nowDateTime": now,
            "beginningOfToday": today,
            "endOfToday": today + DAY_S - 1,
            "daysAgo": now - count * DAY_S,
            "daysAgoStart": today - count * DAY_S,
            "daysAgoEnd": today - count * DAY_S + DAY_S - 1,
            "hoursAgo": now - count * 3600,
            "hoursAgoStart": now - count * 3600,
            "minutesAgo": now - count * 60,
            "minutesAgoStart": now - count * 60,
        }
        if call[1] in moments:
            return stamp(max(moments[call[1]], 0))
        return {"getUserName": me["user_name"], "getUserID": me["sys_id"]}.get(call[1], call[0])

    return _CALL.sub(given, query)
