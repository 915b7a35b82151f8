"""Whether a worker that runs here is seen to live."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Pulse:
    """Whether others can see that this worker lives: its last heartbeat is younger than the time they wait."""

    ttl_s: float
    last: float | None = None
    tried: float | None = None
    stalled: bool = False

    def tries(self, at: float) -> None:
        """A heartbeat is sent at that moment (monotonic clock, seconds). A process that doesn't even try for so long that others
        take it for dead has stalled: that isn't Redis' doing.
        """
        self.stalled = self.stalled or (self.tried is not None and at - self.tried >= self.ttl_s)
        self.tried = at

    def beat(self, at: float) -> None:
        """A heartbeat that was sent at that moment has arrived."""
        self.last, self.stalled = at, False

    def alive(self) -> bool:
        """True also before the first heartbeat: who never says that he lives isn't missed."""
        return self.last is None or time.monotonic() - self.last < self.ttl_s
