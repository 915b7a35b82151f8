"""API keys: who may call the HTTP API, and how often.

A key's text is `id.secret` with 256 random bits of secret. It is shown once; what stays is its HMAC-SHA-256, under a
key of its own that is sealed beside it: neither Redis alone nor a backup of it lets anybody in, and a rotated key ring
takes API keys along like every other sealed record. In the same sealed record stands the secret that signs the outcomes
posted to the callback addresses of the key's jobs. What a key may do, and whether it was revoked, is signed with it
(`state.signed`): a key that was changed in Redis is no key.
"""

from __future__ import annotations

import base64
import builtins
import hashlib
import hmac
import logging
import math
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from redis.asyncio import Redis

from tasks.errors import KeyTrouble, Refused
from tasks.model import Frozen
from tasks.state.access.rights import ApiKey, Scope
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal
from tasks.state.marks import mark_of
from tasks.state.newest import Newest
from tasks.state.signed import FIELD, NO_RECORD, Doubt, Known, Signer
from tasks.state.stored import number, texts
from tasks.state.vault import Vault
from tasks.state.wrong_types import read

log = logging.getLogger(__name__)

SECRET_BYTES = 32
MOST_TOLD = 1000
CLEAR = ("name", "scopes", "created_ms", "expires_ms", "mac", "revoked")  # what a key says, beside its secret
SAYS = (*CLEAR, "revision", FIELD)  # all that a key's record says but when it was used
TOUCH_EVERY_MS = 60_000
_FORM = re.compile(r"^(ak_[0-9a-f]{16})\.([A-Za-z0-9_-]{43})$", re.ASCII)
_NAME = re.compile(r"^(?!(?i:oidc|cli):)[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]{1,100}$")


class Sealed(Frozen):
    """What is stored sealed for a key: the key of its HMAC, and the secret of its callbacks."""

    pepper: str = Field(repr=False)
    callback_secret: str = Field(repr=False)


@dataclass(frozen=True)
class Admission:
    """Whether a request fits the key's rate: how many are left, or after how many seconds to come back."""

    left: int = 0
    retry_after_s: int = 0


@dataclass(frozen=True)
class Caller:
    """Whoever calls with a key that was right before. The transition that he asks for lets him in itself: it is refused where
    the key's record isn't what it was then, or the key's rate has no room (`arguments` are what its script takes).
    """

    key: ApiKey
    arguments: Mapping[str, Any]


class Access:
    """API keys by id."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault, newest: Newest) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault
        self._prefix = journal.prefix
        self._signer = Signer(vault, newest, "apikey")
        self._right: dict[str, tuple[str, str, str]] = {}  # by key: the text that was right, for which record
        self._records: dict[str, dict[str, str]] = {}  # of those keys, as they were read last
        self._told: set[tuple[str, str]] = set()

    async def create(self, name: str, scopes: Iterable[str], expires_ms: int | None, actor: str) -> tuple[ApiKey, str]:
        """A new key and its text, which is stored nowhere; raises `Refused` for a bad name, scope or expiry."""
        key = ApiKey(
            id=f"ak_{secrets.token_hex(8)}",
            name=_checked_name(name),
            scopes=_checked_scopes(scopes),
            created_ms=self._journal.clock.now_ms(),
            expires_ms=expires_ms,
        )
        if expires_ms is not None and expires_ms <= key.created_ms:
            raise Refused("The key would have expired already.", code="bad_expiry", advice="Give a time to come.")
        text = f"{key.id}.{secrets.token_urlsafe(SECRET_BYTES)}"
        sealed = Sealed(pepper=secrets.token_hex(SECRET_BYTES), callback_secret=new_signing_secret())
        facts = {
            "name": key.name,
            "scopes": ",".join(key.scopes),
            "created_ms": str(key.created_ms),
            "expires_ms": str(expires_ms or ""),
            "mac": _mac(sealed.pepper, text),
        }
        told = {"apikey": key.id, "name": key.name, "scopes": list(key.scopes), "actor": actor}
        await self._store(key.id, 1, facts, sealed.model_dump_json(), Event.APIKEY_CREATED, told)
        return key, text

    async def _store(
        self, key_id: str, revision: int, facts: dict[str, str], secret: str, event: Event, told: dict[str, Any]
    ) -> None:
        """Write the whole record, signed."""
        signed = self._signer.sign(key_id, revision, facts, secret, await self._journal.server_ms())
        former = self._vault.seal(secret, purpose="apikey", owner=key_id)  # as version 0.1 reads it
        fields = {**facts, "sealed": former, "revision": str(revision), FIELD: signed.token}
        args = {
            "hash": {f"apikey:{key_id}": [part for pair in fields.items() for part in pair]},
            "add": {"apikeys": key_id},
        }
        await self._journal.commit("lua/record", args, event, **told, revision=revision, signed_ms=signed.signed_ms)
        self._signer.learn(key_id, signed.signed_ms)

    async def authenticate(self, text: str) -> ApiKey | None:
        """The key of that text, or None where it is unknown, wrong, expired, revoked or was changed in Redis; raises
        `KeyTrouble` where its key is gone.
        """
        form = _FORM.match(text)
        return await self._standing(form[1], text, await self._raw(form[1])) if form else None

    async def enter(self, text: str, per_minute: int) -> tuple[ApiKey | None, Admission]:
        """The key of that text as `authenticate` finds it, and one request counted against its rate (see `admit`).

        A text that was right before is counted and looked up in one trip. Any other is looked up first: whoever guesses uses
        up nobody's rate.
        """
        form = _FORM.match(text)
        if form is None:
            return None, Admission()
        if self._right.get(form[1], ("",))[0] != _digest(text):
            key = await self.authenticate(text)
            return key, await self.admit(key, per_minute) if key else Admission()
        admission, raw = await self._admit(form[1], per_minute)
        return await self._standing(form[1], text, raw), admission

    async def recall(self, text: str, per_minute: int) -> Caller | None:
        """Who calls with that text, by what is known of its key without asking Redis; None where `enter` has to look."""
        key_id = text.partition(".")[0]
        raw = self._records.get(key_id)
        if raw is None or self._right[key_id][0] != _digest(text):
            return None
        key = await self._standing(key_id, text, raw)
        if key is None:
            return None
        asked = {"id": key_id, "per_minute": per_minute, "touch_ms": TOUCH_EVERY_MS}
        return Caller(key, {**asked, "says": SAYS, "mark": mark_of(raw, SAYS)})

    async def _standing(self, key_id: str, text: str, raw: dict[str, str]) -> ApiKey | None:
        """The key of that record, where the text is its own and it may be used."""
        key = await self._checked(key_id, raw) if raw else None
        if key is None or key.changed or key.revoked or key.is_over(self._journal.clock.now_ms()):
            self._records.pop(key_id, None)
            return None
        if not self._is_of(text, key_id, raw):
            return None
        self._records[key_id] = raw
        return key

    def _is_of(self, text: str, key_id: str, raw: dict[str, str]) -> bool:
        """Whether the text is that of the record, which is opened once for as long as both stay the same."""
        seen = (_digest(text), raw["mac"], raw.get(FIELD, ""))
        if self._right.get(key_id) != seen:
            if not hmac.compare_digest(_mac(self._opened(key_id, raw).pepper, text), raw["mac"]):
                return False
            self._right[key_id] = seen
        return True

    async def admit(self, key: ApiKey, per_minute: int) -> Admission:
        """Count one request against the key's rate, the same for every process of the API."""
        return (await self._admit(key.id, per_minute))[0]

    async def _admit(self, key_id: str, per_minute: int) -> tuple[Admission, dict[str, str]]:
        """The same, and the key's record as it stands."""
        args = {"id": key_id, "per_minute": per_minute, "touch_ms": TOUCH_EVERY_MS}
        status, number, flat = await self._journal.query("access/admit", args)
        raw = texts(dict(zip(flat[::2], flat[1::2], strict=True)))
        if status == b"ok":
            return Admission(left=int(number)), raw
        return Admission(retry_after_s=max(1, math.ceil(int(number) / 1000))), raw

    async def get(self, key_id: str) -> ApiKey | None:
        """The key of that id, or None."""
        raw = await self._raw(key_id)
        return await self._checked(key_id, raw) if raw else None

    async def list(self) -> list[ApiKey]:
        """All keys, the oldest first."""
        found = [key for key_id in await self.ids() if (key := await self.get(key_id))]
        return sorted(found, key=lambda key: (key.created_ms, key.id))

    async def revoke(self, key_id: str, actor: str) -> ApiKey:
        """Refuse the key from now on; raises `Refused` where there is none of that id."""
        raw = await self._raw(key_id)
        if not raw:
            raise Refused(
                f"There is no API key {key_id!r:.60}.",
                code="unknown_apikey",
                advice="`afterword apikey list` shows them.",
            )
        told = {"apikey": key_id, "actor": actor}
        try:
            whole = self._signer.whole(key_id, raw)
        except KeyTrouble:  # nobody gets in by it as it is; what it says stays as it was found
            args = {"hash": {f"apikey:{key_id}": ["revoked", "1"]}}
            await self._journal.commit("lua/record", args, Event.APIKEY_REVOKED, **told)
        else:
            facts, revision = {**whole.facts, "revoked": "1"}, number(raw.get("revision")) + 1
            await self._store(key_id, revision, facts, whole.secret or "", Event.APIKEY_REVOKED, told)
        revoked = await self.get(key_id)
        if revoked is None:
            raise Refused(f"API key {key_id} was removed meanwhile.", code="unknown_apikey", advice="See the audit.")
        return revoked

    async def callback_secret(self, key_id: str) -> str | None:
        """The `whsec_…` secret that signs this key's callbacks, or None for an unknown key; raises `KeyTrouble`."""
        raw = await self._raw(key_id)
        if not raw:
            return None
        _, doubt = self._read(key_id, raw)
        if doubt:
            raise doubt.trouble()
        return self._opened(key_id, raw).callback_secret

    async def sign(self, key_id: str, actor: str) -> ApiKey:
        """Make a key good that is in doubt: what was signed holds again, and where nothing was signed what it says is.

        Raises `Refused` where there is none of that id, and `KeyTrouble` where its secret can't be opened.
        """
        raw = await self._raw(key_id)
        facts, secret = self._to_be_signed(key_id, raw)
        told = {"apikey": key_id, "name": facts.get("name"), "scopes": facts.get("scopes"), "actor": actor}
        await self._store(key_id, number(raw.get("revision")) + 1, facts, secret, Event.RECORD_SIGNED, told)
        return await self._checked(key_id, await self._raw(key_id))

    async def adopt(self, key_id: str) -> bool:
        """Sign a key of version 0.1 as it stands; False where it is signed. Raises `KeyTrouble`."""
        raw = await self._raw(key_id)
        if FIELD in raw or "sealed" not in raw:
            return False
        facts, secret = self._to_be_signed(key_id, raw)
        await self._store(key_id, 1, facts, secret, Event.RECORD_SIGNED, {"apikey": key_id})
        return True

    async def doubts(self) -> Mapping[str, Doubt]:
        """The keys that let nobody in, because their records are in doubt, and why."""
        found = {}
        for key_id in await self.ids():
            raw = await self._raw(key_id)
            _, doubt = self._read(key_id, raw) if raw else (None, None)
            if doubt:
                found[key_id] = doubt
        return found

    async def in_words(self, key_id: str) -> str:
        """What signing a key would make hold: its name and what it may do."""
        try:
            facts, _ = self._to_be_signed(key_id, await self._raw(key_id))
        except KeyTrouble as trouble:
            return f"can't be signed: {trouble.message}"
        revoked = ", revoked" if "revoked" in facts else ""
        return f"{facts.get('name', '')} may {facts.get('scopes', 'do nothing')}{revoked}"

    def _to_be_signed(self, key_id: str, raw: dict[str, str]) -> tuple[dict[str, str], str]:
        try:
            whole = self._signer.whole(key_id, raw)
            return {name: str(value) for name, value in whole.facts.items()}, whole.secret or ""
        except KeyTrouble:
            former = self._vault.open(raw.get("sealed", ""), purpose="apikey", owner=key_id)
            return _shown(raw), former

    def _read(self, key_id: str, raw: dict[str, str]) -> tuple[Known | None, Doubt | None]:
        """What was signed, and why it isn't to be acted on; what the clear half leaves out counts as changed, too."""
        return self._signer.read(key_id, raw, {name: raw.get(name) for name in CLEAR})

    async def _checked(self, key_id: str, raw: dict[str, str]) -> ApiKey:
        """A key as it may be used. One in doubt is told of, once for each process and reason."""
        known, doubt = self._read(key_id, raw)
        if doubt and doubt.code == "key_unavailable":
            raise doubt.trouble()
        if doubt is None and known is not None:
            return _key(key_id, {**raw, **{name: str(value) for name, value in known.facts.items()}})
        if doubt:
            await self.refuse_record(f"apikey:{key_id}", doubt.code, str(doubt.message))
        return _changed(key_id, raw)

    async def refuse_record(self, record: str, code: str, words: str) -> None:
        """Put a record that was refused into log and audit, once for each process and reason."""
        if (record, code) not in self._told:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            self._told.add((record, code))
            log.error("%s It is refused.", words)
            await self._journal.commit("lua/record", {}, Event.RECORD_REFUSED, record=record, reason=code)

    async def ids(self) -> builtins.list[str]:
        """The ids of all keys."""
        return sorted(name.decode("utf-8", "replace") for name in await self._redis.smembers(f"{self._prefix}:apikeys"))

    def _opened(self, key_id: str, raw: dict[str, str]) -> Sealed:
        return Sealed.model_validate_json(self._signer.whole(key_id, raw).secret or "{}")

    async def _raw(self, key_id: str) -> dict[str, str]:
        return texts(await read(self._redis.hgetall(self._redis_key(key_id)), NO_RECORD))

    def _redis_key(self, key_id: str) -> str:
        return f"{self._prefix}:apikey:{key_id}"


def _checked_name(name: str) -> str:
    if not _NAME.match(name.strip()):  # oidc: and cli: are people, in the audit
        raise Refused(
            "A key can't be named so.",
            code="bad_name",
            advice="Use 1 to 100 characters, without oidc: or cli: in front.",
        )
    return name.strip()


def _checked_scopes(scopes: Iterable[str]) -> tuple[Scope, ...]:
    wanted = {str(scope) for scope in scopes}
    known = tuple(scope for scope in Scope if scope in wanted)
    if not known or len(known) != len(wanted):
        choice = ", ".join(Scope)
        raise Refused(f"Scopes are {choice}.", code="bad_scope", advice="Name at least one of them.")
    return known


def _digest(text: str) -> str:
    """What a process remembers a key's text by."""
    return hashlib.sha256(text.encode()).hexdigest()


def _mac(pepper: str, text: str) -> str:
    return hmac.digest(bytes.fromhex(pepper), text.encode(), "sha256").hex()


def new_signing_secret() -> str:
    """A `whsec_…` secret, as Standard Webhooks has them."""
    return "whsec_" + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def _key(key_id: str, raw: dict[str, str]) -> ApiKey:
    return ApiKey(
        id=key_id,
        name=raw["name"],
        scopes=tuple(Scope(scope) for scope in raw["scopes"].split(",")),
        created_ms=int(raw["created_ms"]),
        expires_ms=int(raw["expires_ms"]) if raw.get("expires_ms") else None,
        last_used_ms=number(raw.get("last_used_ms")) or None,
        revoked="revoked" in raw,
    )


def _shown(raw: Mapping[str, str]) -> dict[str, str]:
    return {name: raw[name] for name in CLEAR if name in raw}


def _changed(key_id: str, raw: Mapping[str, str]) -> ApiKey:
    """A key in doubt, as it is shown: whatever it says, it holds no right."""
    scopes = tuple(scope for scope in Scope if scope in raw.get("scopes", "").split(","))
    return ApiKey(
        id=key_id,
        name=raw.get("name", "")[:100] or key_id,
        scopes=scopes,
        created_ms=number(raw.get("created_ms")),
        expires_ms=number(raw.get("expires_ms")) or None,
        last_used_ms=number(raw.get("last_used_ms")) or None,
        revoked="revoked" in raw,
        changed=True,
    )
