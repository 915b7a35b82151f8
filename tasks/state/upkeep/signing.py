"""Signing what isn't signed: once, when the first process of this version meets the records of version 0.1; later only by an operator.

What tells the one from the other is the canary: a key made it, so nobody who only writes to Redis can bring back the time in
which records needed no signature. (Whoever kept a copy of the canary from that time can: see docs/threat-model.md.)
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import Redis

from tasks.errors import AfterwordError, KeyTrouble
from tasks.model import Frozen
from tasks.state.access.keys import Access
from tasks.state.canary import FORMER, renew
from tasks.state.directory import Directory
from tasks.state.jobs.signatures import sign_stored
from tasks.state.journal import Journal

log = logging.getLogger(__name__)

Adopt = Callable[[str], Awaitable[bool]]


class InDoubt(Frozen):
    """A record that nothing is done by until an operator confirms it: what it is, why, and what confirming it makes hold."""

    kind: str
    name: str
    why: str
    says: str


class Signing:
    """Signs destinations and API keys, and after an upgrade jobs."""

    def __init__(self, redis: Redis, journal: Journal, directory: Directory, access: Access) -> None:
        self._redis = redis
        self._journal = journal
        self._directory = directory
        self._access = access

    async def upgrade(self, song: str) -> str:
        """Sign as it stands what the version of that song didn't sign, and say what; what can't be opened stays in doubt.

        Returns the new song.
        """
        if song == FORMER:
            for name in await self._directory.names():
                await self._adopt("destination", name, self._directory.adopt)
            for key in await self._access.ids():
                await self._adopt("API key", key, self._access.adopt)
        if jobs := await sign_stored(self._redis, self._journal):
            log.warning("%d jobs of an older version were signed as they stood.", jobs)
        now_ms = await self._journal.server_ms()
        return await renew(self._redis, self._journal.vault, self._journal.prefix, now_ms)

    async def _adopt(self, kind: str, name: str, adopt: Adopt) -> None:
        try:
            if await adopt(name):
                log.warning("%s %s of version 0.1 was signed as it stood.", kind, name)
        except (KeyTrouble, ValueError) as trouble:
            log.error("%s %s can't be signed: %s", kind, name, trouble)

    async def doubts(self) -> Sequence[InDoubt]:
        """Every record in doubt."""
        found = []
        for name, doubt in (await self._directory.doubts()).items():
            says = await self._directory.in_words(name)
            found.append(InDoubt(kind="destination", name=name, why=doubt.message, says=says))
        for key, doubt in (await self._access.doubts()).items():
            says = await self._access.in_words(key)
            found.append(InDoubt(kind="apikey", name=key, why=doubt.message, says=says))
        return found

    async def sign(self, record: InDoubt, actor: str) -> str:
        """Make one record good; empty, or why it can't be."""
        try:
            sign = self._directory.sign if record.kind == "destination" else self._access.sign
            await sign(record.name, actor)
        except AfterwordError as trouble:
            return str(trouble)
        return ""
