"""Who is logged in. A session lives in Redis under a keyed digest of a random id that only the browser holds.

Reading Redis therefore gives nobody a session, and writing to it neither: whom it belongs to and its beginning are signed with
its digest. One that was ended is remembered outside Redis for as long as it could last: put back, it stays ended.

It ends after two idle hours (when it was used last is signed as well), after twelve hours in any case (a sign-in's after the operator's limit), at logout, as
soon as the API key that it was opened with is revoked or expires, and where the settings of the sign-in are other ones.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any, Literal

from redis.asyncio import Redis

from tasks.errors import KeyTrouble
from tasks.model import Frozen
from tasks.state.access.keys import Access
from tasks.state.access.rights import ApiKey, Scope
from tasks.state.newest import Newest
from tasks.state.stored import number
from tasks.state.vault import Vault
from tasks.state.wrong_types import all_of
from worker.console.addresses import bucket
from worker.signin.policy import Person, Policy

IDLE_MS = 2 * 3600 * 1000
SEEN_EVERY_MS = 60 * 1000  # how often it is written down that a session is used
LOGIN_MS = 10 * 60 * 1000
ABSOLUTE_MS = 12 * 3600 * 1000
FAILURES = 10
FAILURES_WITHIN_S = 60
TURN_MS = 1000

Role = Literal["viewer", "producer", "operator", "admin"]
# What is counted by address: keys and answers that were refused; and answers that the provider was asked about in vain.
Tried = Literal["logins", "signins"]


class Session(Frozen):
    """One logged-in browser, of somebody with an API key or of a person who signed in. `csrf` is the token that every form
    carries.
    """

    digest: str
    csrf: str
    who: ApiKey | Person

    @property
    def name(self) -> str:
        """The API key's name, or the person's."""
        return self.who.name

    @property
    def actor(self) -> str:
        """Who acts, as the audit names them: the API key's name, or the person by id and name."""
        return self.who.actor if isinstance(self.who, Person) else self.who.name

    @property
    def key_id(self) -> str | None:
        """The API key; None for a person who signed in."""
        return None if isinstance(self.who, Person) else self.who.id

    @property
    def owner(self) -> str:
        """What people's own things are kept under: the API key's id, or a person's id at that provider: ids of two may be the same."""
        return f"oidc:{self.who.issuer} {self.who.subject}" if isinstance(self.who, Person) else self.who.id

    @property
    def role(self) -> Role:
        """The role in a word."""
        if self.may("admin"):
            return "admin"
        return "operator" if self.may("operate") else "producer" if self.may("submit") else "viewer"

    def may(self, scope: str) -> bool:
        """Whether key or person has this right."""
        return self.who.may(Scope(scope))


class SessionFacts(Frozen):
    """What a session's record says and its proof covers: an API key's id, or a person and the settings they signed in under."""

    key: str = ""
    person: Person | None = None
    settings: str = ""
    created_ms: int


class Sessions:
    """Opens, finds and ends sessions. Times in epoch milliseconds."""

    def __init__(
        self, redis: Redis, vault: Vault, access: Access, prefix: str, ended: Newest, sign_in: Policy | None = None
    ) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._vault = vault
        self._access = access
        self._prefix = prefix
        self._ended = ended
        self._sign_in = sign_in

    async def open(self, key: ApiKey, now_ms: int) -> str:
        """A new session for this key; returns the id for the browser's cookie, which is stored nowhere."""
        return await self._open(SessionFacts(key=key.id, created_ms=now_ms))

    async def open_for(self, person: Person, policy: Policy, now_ms: int) -> str:
        """A new session for somebody who signed in, under these settings."""
        return await self._open(SessionFacts(person=person, settings=policy.fingerprint, created_ms=now_ms))

    async def _open(self, facts: SessionFacts) -> str:
        identifier = secrets.token_urlsafe(32)
        digest = self._digest(identifier)
        record = facts.model_dump(exclude_defaults=True) | {
            "proof": self._vault.digest("session", _proved(digest, facts))
        }
        await self._redis.set(self._key(digest), json.dumps(record), px=IDLE_MS)
        await self._saw(digest, facts.created_ms)
        return identifier

    async def find(self, identifier: str, now_ms: int) -> Session | None:
        """The session of that id, kept alive by this look; None where it ended, or who opened it may no longer have one."""
        digest = self._digest(identifier)
        asked = self._redis.pipeline(transaction=False).getex(self._key(digest), px=IDLE_MS).get(self._seen(digest))
        raw, seen = all_of(await asked.execute(raise_on_error=False), None)
        if raw is None:
            return None
        facts = await self._proven(digest, raw)
        who = await self._who(facts, now_ms) if facts else None
        if facts is None or who is None or now_ms - (seen_ms := self._last_ms(digest, seen, facts)) > IDLE_MS:
            await self._remove(digest)
            return None
        if now_ms - seen_ms >= SEEN_EVERY_MS:
            await self._saw(digest, now_ms)
        return Session(digest=digest, csrf=self._vault.mac("csrf", digest.encode()).hex(), who=who)

    async def _who(self, facts: SessionFacts, now_ms: int) -> ApiKey | Person | None:
        """Whose session it is, where they may have one now."""
        age_ms = now_ms - facts.created_ms
        if facts.person is not None:
            policy = self._sign_in
            same = policy is not None and policy.fingerprint == facts.settings
            return facts.person if policy and same and age_ms <= policy.session_ms else None
        key = await self._access.get(facts.key)
        if key is None or key.revoked or key.changed or age_ms > ABSOLUTE_MS:
            return None
        return key if key.expires_ms is None or key.expires_ms > now_ms else None

    async def _proven(self, digest: str, raw: bytes) -> SessionFacts | None:
        """What the session was opened with; None where its record doesn't prove it, and where it was ended."""
        facts, proof = _read(raw)
        if facts and self._vault.matches(proof, "session", _proved(digest, facts)):
            if not self._ended.of(digest):
                return facts
            if await self._redis.delete(self._key(digest)):  # gone already: it was read while it ended
                words = "Somebody put a console session back in Redis that had ended."
                await self._access.refuse_record(f"session:{digest[:16]}", "record_older", words)
            return None
        if proof:  # a session of version 0.1 has none: whoever has one logs in again
            words = "A console session was changed in Redis by somebody who has no key."
            await self._access.refuse_record(f"session:{digest[:16]}", "record_changed", words)
        return None

    async def of_people(self) -> AsyncIterator[tuple[str, Person, int]]:
        """Every open session of somebody who signed in: its digest, whose it is, and since when (milliseconds)."""
        start = self._key("")
        async for name in self._redis.scan_iter(f"{start}*", count=1000):
            digest = name.decode().removeprefix(start)
            raw = await self._redis.get(name) if ":" not in digest else None
            facts = await self._proven(digest, raw) if raw else None
            if facts and facts.person:
                yield digest, facts.person, facts.created_ms

    async def close(self, digest: str, now_ms: int) -> None:
        """End a session for good, also where Redis is away."""
        try:
            await self._remove(digest)
        finally:
            self._ended.learn(digest, now_ms)

    async def _remove(self, digest: str) -> None:
        await self._redis.delete(
            self._key(digest), self._key(digest, "notes"), self._key(digest, "login"), self._seen(digest)
        )

    async def _saw(self, digest: str, now_ms: int) -> None:
        """Write down, signed, that the session was used: put back after its idle time, it isn't one any more."""
        proof = self._vault.digest("session-used", _used(digest, now_ms))
        await self._redis.set(self._seen(digest), f"{now_ms} {proof}", px=IDLE_MS)

    def _last_ms(self, digest: str, seen: bytes | None, facts: SessionFacts) -> int:
        """When the session was used last, as far as it is proven; its beginning where nothing says more."""
        moment, _, proof = (seen or b"").decode("utf-8", "replace").partition(" ")
        seen_ms = number(moment)
        return (
            seen_ms
            if seen_ms and self._vault.matches(proof, "session-used", _used(digest, seen_ms))
            else facts.created_ms
        )

    def _seen(self, digest: str) -> str:
        return f"{self._prefix}:seen:{digest}"

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
            return self._vault.open(sealed, purpose="login", owner=session.digest)
        except KeyTrouble:
            return None

    async def take_notes(self, session: Session) -> list[tuple[str, str]]:
        """What was left to say; said once."""
        key = self._key(session.digest, "notes")
        notes = [json.loads(raw) for raw in await self._redis.lrange(key, 0, -1)]
        if notes:
            await self._redis.delete(key)
        return [(kind, text) for kind, text in notes]

    async def too_many_failures(self, address: str, of: Tried = "logins") -> bool:
        """Whether so many were refused from this address within a minute that others have to wait."""
        return int(await self._redis.get(self._failures(address, of)) or 0) >= FAILURES

    async def count_failure(self, address: str, of: Tried = "logins") -> None:
        """Count one that was refused, for the next minute."""
        key = self._failures(address, of)
        await self._redis.set(key, 0, ex=FAILURES_WITHIN_S, nx=True)
        await self._redis.incr(key)

    async def takes_turn(self, address: str, of: Tried) -> bool:
        """Whether somebody at an address with too many failures may try now: one a second."""
        return bool(await self._redis.set(f"{self._failures(address, of)}:turn", 1, nx=True, px=TURN_MS))

    def _digest(self, identifier: str) -> str:
        return self._vault.mac("sessions", identifier.encode("utf-8", "surrogatepass")).hex()

    def _failures(self, address: str, of: Tried) -> str:
        return f"{self._prefix}:{of}:{self._vault.mac('sessions', bucket(address).encode()).hex()[:32]}"

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, "session", *parts))


def _read(raw: bytes) -> tuple[SessionFacts | None, str]:
    """Facts and proof of a record; no facts where it is none of ours."""
    try:
        record = json.loads(raw)
        proof = str(record.pop("proof", ""))
        return SessionFacts.model_validate(record), proof
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None, "-"


def _proved(digest: str, facts: SessionFacts) -> bytes:
    """What a session's proof covers, in one form. That of a key's session is as version 0.2 writes it."""
    if facts.person is None:
        return json.dumps([digest, facts.key, facts.created_ms]).encode()
    return json.dumps([digest, facts.person.model_dump(), facts.settings, facts.created_ms]).encode()


def _used(digest: str, moment_ms: int) -> bytes:
    """What proves that a session was used at that moment, in one form."""
    return json.dumps([digest, moment_ms]).encode()
