"""Posts the outcomes that wait in the outbox: every worker does, each origin by itself, a few posts at a time."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import aiohttp
from redis.exceptions import RedisError

from tasks.callbacks import LEASE_MS, POST_LIMIT_S, AuditedPost, request_of
from tasks.errors import AfterwordError, AttemptFailed
from tasks.http.authorization import Fixed
from tasks.http.connector import open_session
from tasks.http.exchange import Http, Limits
from tasks.http.origin import Origin
from tasks.state.audit.entries import Event
from tasks.state.followups.outbox import Outcome
from worker.rounds.again import SideBySide
from worker.runtime import Services
from worker.wakes import Wakes

log = logging.getLogger(__name__)

AT_ONCE = 4
ANY_SUCCESS = frozenset(range(200, 300))
LIMITS = Limits(total_s=POST_LIMIT_S, connect_s=5.0, max_response_bytes=100_000)


class Callbacks:
    """One worker's part in posting outcomes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._wakes = Wakes(services.redis, services.settings.prefix)
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._served = SideBySide("callbacks to")

    async def run(self) -> None:
        """Post until cancelled. A slow receiver holds up nobody but itself."""
        try:
            async with self._wakes.listening():
                while True:
                    changed = self._wakes.next()
                    try:
                        await self.turn()
                    except (AfterwordError, RedisError, OSError) as trouble:
                        log.warning("callbacks: %s; trying again", trouble)
                    await self._wakes.wait(changed, self._services.settings.sweep_interval_s)
        finally:
            try:
                await self._wakes.close()
                await self._served.end()
            finally:
                for session in self._sessions.values():
                    await session.close()

    async def turn(self) -> None:
        """Start what is due, for each origin that isn't being served already."""
        for origin in await self._services.outbox.origins():
            self._served.begin(origin, partial(self._serve, origin))

    async def _serve(self, origin: str) -> None:
        while due := await self._services.outbox.take(origin, AT_ONCE, LEASE_MS):
            await asyncio.gather(*(self.post(outcome) for outcome in due))

    async def post(self, outcome: Outcome) -> None:
        """Post one outcome and settle it; raises `StateUnavailable` where that can't be recorded."""
        services = self._services
        recorder = AuditedPost(services.outbox, outcome, services.core.clock_ms, services.core.chance)
        origin = services.callbacks.allows(outcome.origin)
        if origin is None:
            await recorder.failed(Event.CALLBACK_FAILED, None, {"detail": "origin not allowed"})
            return
        try:
            secret = await services.access.callback_secret(outcome.apikey)
            if secret is None:
                await recorder.failed(Event.CALLBACK_FAILED, None, {"detail": "unknown API key"})
                return
        except AfterwordError as trouble:
            await recorder.failed(Event.CALLBACK_FAILED, None, {"detail": trouble.code})
            return
        request = request_of(outcome, secret, services.core.clock_ms())
        http = Http(self._session(origin), origin, Fixed(), LIMITS, recorder, services.journal.clock.now_s)
        try:
            await http.send(request, accept=ANY_SUCCESS)
        except AttemptFailed as failure:
            log.warning("job %s: its callback failed (attempt %d): %s", outcome.job, outcome.attempts, failure.code)

    def _session(self, origin: Origin) -> aiohttp.ClientSession:
        if origin.base_url not in self._sessions:
            self._sessions[origin.base_url] = open_session(origin, LIMITS)
        return self._sessions[origin.base_url]
