"""Who is logged in. A session lives in Redis under a keyed digest of a random id that only the browser holds.

Reading Redis therefore gives nobody a session, and writing to it neither: the key that it belongs to and its beginning are
signed with its digest. It ends after two idle hours, after twelve hours in any case, at logout,
and as soon as the API key that it was opened with is revoked or expires.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Literal

from redis.asyncio import Redis

from tasks.errors import KeyTrouble
from tasks.model import Frozen
from tasks.state.access.keys import Access, ApiKey, Scope
from tasks.state.vault import Vault
from worker.console.addresses import bucket

IDLE_MS = 2 * 3600 * 1000
LOGIN_MS = 10 * 60 * 1000
ABSOLUTE_MS = 12 * 3600 * 1000
FAILURES = 10
FAILURES_WITHIN_S = 60

Role = Literal["viewer", "operator", "admin"]


class Session(Frozen):
    """One logged-in browser. `csrf` is the token that every form carries."""

    digest: str
    csrf: str
    key: ApiKey

    @property
    def name(self) -> str:
        """The API key's name: the audit's actor."""
        return self.key.name

    @property
    def role(self) -> Role:
        """The role in a word."""
        if self.may("admin"):
            return "admin"
        return "operator" if self.may("operate") or self.may("submit") else "viewer"

    def may(self, scope: str) -> bool:
        """Whether the key gives this right."""
        return self.key.may(Scope(scope))


class Sessions:
    """Opens, finds and ends sessions. Times in epoch milliseconds."""

    def __init__(self, redis: Redis, vault: Vault, access: Access, prefix: str) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._vault = vault
        self._access = access
        self._prefix = prefix

    async def open(self, key: ApiKey, now_ms: int) -> str:
        """A new session for this key; returns the id for the browser's cookie, which is stored nowhere."""
        identifier = secrets.token_urlsafe(32)
        digest = self._digest(identifier)
        proof = self._vault.digest("session", _facts(digest, key.id, now_ms))
        record = json.dumps({"key": key.id, "created_ms": now_ms, "proof": proof})
        await self._redis.set(self._key(digest), record, px=IDLE_MS)
        return identifier

    async def find(self, identifier: str, now_ms: int) -> Session | None:
        """The session of that id, kept alive by this look; None where it ended or its key is no longer good."""
        digest = self._digest(identifier)
        raw = await self._redis.getex(self._key(digest), px=IDLE_MS)
        if raw is None:
            return None
        key_id, created_ms = await self._proven(digest, raw)
        key = await self._access.get(key_id) if key_id else None
        late = now_ms - created_ms > ABSOLUTE_MS
        gone = key is None or key.revoked or key.changed
        if late or key is None or gone or (key.expires_ms is not None and key.expires_ms <= now_ms):
            await self.close(digest)
            return None
        return Session(digest=digest, csrf=self._vault.mac("csrf", digest.encode()).hex(), key=key)

    async def _proven(self, digest: str, raw: bytes) -> tuple[str, int]:
        """The key and the beginning that the session was opened with; nothing where its record doesn't prove them."""
        try:
            record = json.loads(raw)
            key_id, created_ms, proof = str(record["key"]), int(record["created_ms"]), str(record.get("proof", ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            key_id, created_ms, proof = "", 0, "-"
        if self._vault.matches(proof, "session", _facts(digest, key_id, created_ms)):
            return key_id, created_ms
        if proof:  # a session of version 0.1 has none: whoever has one logs in again
            words = "A console session was changed in Redis by somebody who has no key."
            await self._access.refuse_record(f"session:{digest[:16]}", "record_changed", words)
        return "", 0

    async def close(self, digest: str) -> None:
        """End a session."""
        await self._redis.delete(self._key(digest), self._key(digest, "notes"), self._key(digest, "login"))

    async def leave_note(self, session: Session, kind: Literal["good", "bad"], text: str) -> None:
        """Something to say on the next page that this browser shows."""
        key = self._key(session.digest, "notes")
        await self._redis.rpush(key, json.dumps([kind, text]))
        await self._redis.pexpire(key, IDLE_MS)

    async def keep_login(self, session: Session, pending: str) -> None:
        """Keep, sealed, what the answer of a login at a vendor is compared with, for ten minutes; an earlier one is forgotten."""
        sealed = self._vault.seal(pending, purpose="login", owner=session.digest)
        await self._redis.set(self._key(session.digest, "login"), sealed, px=LOGIN_MS)

    async def take_login(self, session: Session) -> str | None:
        """What was kept, once; None where nothing was, where it is too old, and where the session may not answer it."""
        sealed = await self._redis.getdel(self._key(session.digest, "login"))
        if sealed is None or not session.may("admin"):
            return None
        try:
            return self._vault.open(sealed.decode(), purpose="login", owner=session.digest)
        except KeyTrouble:
            return None

    async def take_notes(self, session: Session) -> list[tuple[str, str]]:
        """What was left to say; said once."""
        key = self._key(session.digest, "notes")
        notes = [json.loads(raw) for raw in await self._redis.lrange(key, 0, -1)]
        if notes:
            await self._redis.delete(key)
        return [(kind, text) for kind, text in notes]

    async def too_many_failures(self, address: str) -> bool:
        """Whether keys that are refused from this address have to wait for their answer."""
        return int(await self._redis.get(self._failures(address)) or 0) >= FAILURES

    async def count_failure(self, address: str) -> None:
        """Count a key that was refused, for the next minute."""
        key = self._failures(address)
        await self._redis.set(key, 0, ex=FAILURES_WITHIN_S, nx=True)
        await self._redis.incr(key)

    def _digest(self, identifier: str) -> str:
        return self._vault.mac("sessions", identifier.encode("utf-8", "surrogatepass")).hex()

    def _failures(self, address: str) -> str:
        return f"{self._prefix}:logins:{self._vault.mac('sessions', bucket(address).encode()).hex()[:32]}"

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, "session", *parts))


def _facts(digest: str, key_id: str, created_ms: int) -> bytes:
    """What a session's proof covers, in one form."""
    return json.dumps([digest, key_id, created_ms]).encode()
