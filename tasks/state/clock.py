"""The one clock: the Redis server's time, carried on between two looks at it.

No other module reads this machine's clock. Scripts use the server's TIME itself; a process that decides about a stored
moment, or makes one, does so by `Clock`. Between two looks a clock that nobody sets carries the time on, one that goes
on while the machine sleeps. The machine's own time is only compared, so that people hear when it is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

STALE_S = 1.0
SKEW_LIMIT_S = 2.0  # from here on people are told
LAST_MS = 253_402_300_799_999  # the last moment that has a date, in the year 9999
CORRECT_IT = "Correct it (NTP): times in its log and in Celery's events are wrong, and certificates may look expired."
STEADY = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
)  # Linux' monotonic clock stands still in a suspended machine


def steady_s() -> float:
    """Seconds since some moment, which nobody sets and sleep doesn't stop."""
    return time.clock_gettime(STEADY)


class Clock:
    """The Redis server's time in this process, as exact as the quickest answer to it was on its way."""

    def __init__(self, steady: Callable[[], float] = steady_s, machine: Callable[[], float] = time.time) -> None:
        self._steady = steady
        self._machine = machine
        self._ahead_s: float | None = None
        self._heard_s = 0.0

    def asking(self) -> float:
        """The moment before the server is asked, for `heard`."""
        return self._steady()

    def heard(self, server_s: float, asked: float) -> None:
        """The server told its time (epoch seconds) after `asked`.

        It read its clock at some moment between the question and the answer. Where what we knew lies between them it
        stays: an answer that took long teaches little.
        """
        self._heard_s = self._steady()
        least, most = server_s - self._heard_s, server_s - asked
        known = (least + most) / 2 if self._ahead_s is None else self._ahead_s
        self._ahead_s = min(max(known, least), most)

    @property
    def stale(self) -> bool:
        """Whether the server is to be asked again: its time may have been set, or another server may be the primary."""
        return self._ahead_s is None or self._steady() - self._heard_s >= STALE_S

    def now_s(self) -> float:
        """The server's time in epoch seconds; raises `RuntimeError` before it was heard once."""
        if self._ahead_s is None:
            raise RuntimeError("Redis was never asked what time it is.")
        return self._steady() + self._ahead_s

    def now_ms(self) -> int:
        """The same in epoch milliseconds."""
        return int(1000 * self.now_s())

    def skew_s(self) -> float:
        """How far this machine's own clock is ahead of the server's; negative where it is behind."""
        return self._machine() - self.now_s()


def in_words(skew_s: float) -> str:
    """A skew for people: how far, and which way."""
    return f"{abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'} the Redis server's"


def moment(ms: float) -> str:
    """A moment as people read it, in UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def rfc3339(ms: int) -> str:
    """A moment as programs read it (RFC 3339), in UTC with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
