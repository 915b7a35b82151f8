"""What a process has seen of the ledger, so that it notices when the ledger went back in time.

It remembers the moment of the newest audit entry that a heartbeat told (by Redis' clock), with a file also for the next start.
A ledger without that entry, or with an older head of the process's own chain, was restored, flushed, or failed over with loss.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tasks.model import JobState, LastError
from tasks.state.clock import moment
from tasks.state.newest import Newest

log = logging.getLogger(__name__)

LEDGER = "ledger"
GIVEN_BACK = LastError(
    code="ledger_went_back",
    message="The ledger went back to an earlier state during this attempt.",
    advice="Nothing has to be done: the next attempt looks at the remote side first.",
).model_dump_json()


class Memory:
    """One process's memory. `loss` is what it noticed and couldn't put into the audit yet. Times in epoch milliseconds."""

    def __init__(self, newest: Newest, process: str) -> None:
        self._newest = newest
        self._process = process
        self._seen_ms = newest.of(LEDGER)
        self._said_ms = 0
        self.loss: dict[str, Any] | None = None

    @property
    def seen(self) -> str:
        """The newest entry's moment as scripts compare it; `0` where nothing was seen."""
        return str(self._seen_ms)

    def saw(self, newest_ms: int) -> None:
        """Remember the newest entry."""
        if newest_ms > self._seen_ms:
            self._seen_ms = newest_ms
            self._newest.learn(LEDGER, newest_ms)

    def lose(self, own_ms: int = 0, **facts: Any) -> dict[str, Any]:
        """Note that the ledger doesn't have what was seen; `own_ms` is the moment of this process's own newest entry."""
        known = self.loss or {"by": self._process, "until_ms": max(self._seen_ms, own_ms)}
        self.loss = {**known, **facts}
        return self.loss

    def told(self, newest_ms: int, since_ms: int, by: str, after_ms: int) -> None:
        """The audit says it, and the flag is raised: by us, which is said aloud once, or by a process that noticed the same.

        `after_ms` is the newest entry that the ledger had, `newest_ms` that it has now.
        """
        loss, self.loss = self.loss, None
        self._seen_ms = newest_ms
        self._newest.restart(LEDGER, newest_ms)
        if loss and by == self._process and since_ms != self._said_ms:
            self._said_ms = since_ms
            log.error("%s", _words(loss["until_ms"], after_ms))


def arguments(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the script that raises the flag takes."""
    known = {name: facts[name] for name in ("by", "reason", "until_ms") if facts.get(name)}
    return known | {"to": JobState.RETRYING, "last_error": GIVEN_BACK}


def _words(until_ms: int, after_ms: int) -> str:
    """What happened and what to do, in one line."""
    since = f"between {moment(after_ms)} and {moment(until_ms)}" if after_ms else f"until {moment(until_ms)}"
    return (
        f"THE LEDGER WENT BACK IN TIME: Redis was restored, flushed or failed over with loss. What it stored {since} is "
        "missing, submissions included. From now on every attempt looks at the remote side before it writes, so that "
        "nothing is made twice. Let producers submit again what is missing, then run `afterword lookfirst clear`; see "
        "docs/recovery.md"
    )
