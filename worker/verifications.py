"""Verifications of the audit trail that run in this server: in the background, one at a time, with their progress.

A trail of a million entries takes some ten seconds of processor time; no request waits for that.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

from aiohttp import web

from tasks.errors import AfterwordError
from tasks.state.audit.trail import Audit
from tasks.state.audit.verification import AuditReport
from worker.attempts import cancel_all

REMEMBERED = 16
PATIENCE_S = 1.0


@dataclass
class Progress:
    """How many entries are checked, of how many."""

    entries: int = 0
    of: int = 0

    def tell(self, entries: int, of: int) -> None:
        """How far it is."""
        self.entries, self.of = entries, of


@dataclass(frozen=True)
class Run:
    """One verification: its progress, then its report, or what went wrong."""

    id: str
    task: asyncio.Task[AuditReport]
    progress: Progress

    async def wait(self, seconds: float) -> bool:
        """Wait for its end, for so long; True where it has ended. Whoever waits may go away: it goes on."""
        await asyncio.wait({self.task}, timeout=seconds)
        return self.task.done()

    @property
    def report(self) -> AuditReport | None:
        """What was found; None while it runs, and where it failed."""
        done = self.task.done() and not self.task.cancelled() and self.task.exception() is None
        return self.task.result() if done else None

    @property
    def trouble(self) -> str:
        """Why there is no report, and there won't be one."""
        if not self.task.done() or self.report is not None:
            return ""
        error = None if self.task.cancelled() else self.task.exception()
        return str(error) if isinstance(error, AfterwordError) else "The verification did not finish."


class Verifications:
    """Those of this process: at most one that runs, and the last ones that ended."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._runs: dict[str, Run] = {}

    def begin(self) -> Run:
        """A new one, or the one that runs."""
        for run in self._runs.values():
            if not run.task.done():
                return run
        for known in list(self._runs)[: -REMEMBERED + 1]:
            del self._runs[known]
        progress = Progress()
        task = asyncio.create_task(self._audit.verify(tell=progress.tell))
        run = Run(secrets.token_hex(8), task, progress)
        self._runs[run.id] = run
        return run

    def find(self, identifier: str) -> Run | None:
        """The one of that id, while it is remembered."""
        return self._runs.get(identifier)

    async def stop(self) -> None:
        """End the one that runs."""
        await cancel_all({run.task for run in self._runs.values() if not run.task.done()}, PATIENCE_S)


VERIFICATIONS: web.AppKey[Verifications] = web.AppKey("verifications", Verifications)
