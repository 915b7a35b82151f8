"""The HTTP sessions to destinations that a process keeps open, and a client for each attempt over them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.errors import AttemptFailed
from tasks.state.clock import Clock

if TYPE_CHECKING:
    import aiohttp

    from tasks.http.authorization import Authorization
    from tasks.http.exchange import Http, Recalled, Recorder
    from tasks.http.origin import Origin
    from tasks.services import Remote


@dataclass
class Sessions:
    """One keep-alive session for each destination's origin, owned by the process and its loop."""

    clock: Clock
    open: dict[tuple[object, ...], aiohttp.ClientSession] = field(default_factory=dict)
    recalled: dict[Origin, tuple[bytes, Recalled]] = field(default_factory=dict, repr=False)

    @asynccontextmanager
    async def http(self, remote: Remote, authorization: Authorization, recorder: Recorder) -> AsyncIterator[Http]:
        """A client for one attempt over the remote side's shared session. What fails is told without what was sent."""
        # On use, as all below that a command which shows jobs doesn't need.
        from tasks.http.certificates import version_of
        from tasks.http.connector import open_session
        from tasks.http.exchange import Http, Limits, Recalled

        limits, origin = Limits(total_s=remote.total_timeout_s), remote.origin
        key = (origin, limits.total_s, *version_of(origin))
        if (session := self.open.get(key)) is None:
            session = self.open[key] = open_session(origin, limits)
        account = hashlib.sha256(repr(sorted(authorization.headers.items())).encode()).digest()
        known = self.recalled.get(origin)
        if known is None or known[0] != account:  # another account may see other things
            known = self.recalled[origin] = account, Recalled()
        http = Http(
            session,
            origin,
            authorization,
            limits,
            recorder,
            self.clock.now_s,
            remote.judge,
            known[1],
        )
        try:
            yield http
        except AttemptFailed as failure:
            failure.retell(http.sent.tell)
            raise

    async def close(self) -> None:
        """Close every session."""
        for session in self.open.values():
            await session.close()
