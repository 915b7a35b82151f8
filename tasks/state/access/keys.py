"""API keys: who may call the HTTP API, and how often.

A key's text is `id.secret` with 256 random bits of secret. It is shown once; what stays is its HMAC-SHA-256, under a
key of its own that is sealed beside it: neither Redis alone nor a backup of it lets anybody in, and a rotated key ring
takes API keys along like every other sealed record. In the same sealed record stands the secret that signs the outcomes
posted to the callback addresses of the key's jobs.
"""

from __future__ import annotations

import base64
import hmac
import math
import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import Field
from redis.asyncio import Redis

from tasks.errors import Refused
from tasks.model import Frozen
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal
from tasks.state.vault import Vault

SECRET_BYTES = 32
TOUCH_EVERY_MS = 60_000
_FORM = re.compile(r"^(ak_[0-9a-f]{16})\.([A-Za-z0-9_-]{43})$", re.ASCII)
_NAME = re.compile(r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]{1,100}$")


class Scope(StrEnum):
    """What a key may do. `admin` holds every other, `operate` holds `read`."""

    SUBMIT = "submit"
    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


class ApiKey(Frozen):
    """A key without its secret. Times are epoch milliseconds; `last_used_ms` is at most a minute old."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_ms: int
    expires_ms: int | None = None
    last_used_ms: int | None = None
    revoked: bool = False

    def may(self, scope: Scope) -> bool:
        """Whether the key holds this scope, by itself or through a wider one."""
        wider = {Scope.ADMIN} | ({Scope.OPERATE} if scope is Scope.READ else set())
        return bool({scope, *wider} & set(self.scopes))


class Sealed(Frozen):
    """What is stored sealed for a key: the key of its HMAC, and the secret of its callbacks."""

    pepper: str = Field(repr=False)
    callback_secret: str = Field(repr=False)


@dataclass(frozen=True)
class Admission:
    """Whether a request fits the key's rate: how many are left, or after how many seconds to come back."""

    left: int = 0
    retry_after_s: int = 0


class Access:
    """API keys by id."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault, clock_ms: Callable[[], int]) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault
        self._clock_ms = clock_ms
        self._prefix = journal.prefix

    async def create(self, name: str, scopes: Iterable[str], expires_ms: int | None, actor: str) -> tuple[ApiKey, str]:
        """A new key and its text, which is stored nowhere; raises `Refused` for a bad name, scope or expiry."""
        key = ApiKey(
            id=f"ak_{secrets.token_hex(8)}",
            name=_checked_name(name),
            scopes=_checked_scopes(scopes),
            created_ms=self._clock_ms(),
            expires_ms=expires_ms,
        )
        if expires_ms is not None and expires_ms <= key.created_ms:
            raise Refused("The key would have expired already.", code="bad_expiry", advice="Give a time to come.")
        text = f"{key.id}.{secrets.token_urlsafe(SECRET_BYTES)}"
        fields = {
            "name": key.name,
            "scopes": ",".join(key.scopes),
            "created_ms": str(key.created_ms),
            "expires_ms": str(expires_ms or ""),
            **self._proof(key.id, text),
        }
        args = {
            "hash": {f"apikey:{key.id}": [part for pair in fields.items() for part in pair]},
            "add": {"apikeys": key.id},
        }
        facts = {"apikey": key.id, "name": key.name, "scopes": list(key.scopes), "actor": actor}
        await self._journal.commit("lua/record", args, Event.APIKEY_CREATED, **facts)
        return key, text

    async def authenticate(self, text: str) -> ApiKey | None:
        """The key of that text, or None where it is unknown, wrong, expired or revoked; raises `KeyTrouble`."""
        form = _FORM.match(text)
        if form is None:
            return None
        raw = await self._raw(form[1])
        if not raw:
            return None
        known = hmac.compare_digest(_mac(self._opened(form[1], raw).pepper, text), raw["mac"])
        key = _key(form[1], raw)
        expired = key.expires_ms is not None and key.expires_ms <= self._clock_ms()
        return key if known and not key.revoked and not expired else None

    async def admit(self, key: ApiKey, per_minute: int) -> Admission:
        """Count one request against the key's rate, the same for every process of the API."""
        args = {"id": key.id, "per_minute": per_minute, "touch_ms": TOUCH_EVERY_MS}
        status, number = await self._journal.query("access/admit", args)
        if status == b"ok":
            return Admission(left=int(number))
        return Admission(retry_after_s=max(1, math.ceil(int(number) / 1000)))

    async def get(self, key_id: str) -> ApiKey | None:
        """The key of that id, or None."""
        raw = await self._raw(key_id)
        return _key(key_id, raw) if raw else None

    async def list(self) -> list[ApiKey]:
        """All keys, the oldest first."""
        ids = [name.decode() for name in await self._redis.smembers(f"{self._prefix}:apikeys")]
        found = [key for key_id in ids if (key := await self.get(key_id))]
        return sorted(found, key=lambda key: (key.created_ms, key.id))

    async def revoke(self, key_id: str, actor: str) -> ApiKey:
        """Refuse the key from now on; raises `Refused` where there is none of that id."""
        if await self.get(key_id) is None:
            raise Refused(
                f"There is no API key {key_id!r:.60}.",
                code="unknown_apikey",
                advice="`afterword apikey list` shows them.",
            )
        args = {"hash": {f"apikey:{key_id}": ["revoked", "1"]}}
        await self._journal.commit("lua/record", args, Event.APIKEY_REVOKED, apikey=key_id, actor=actor)
        revoked = await self.get(key_id)
        if revoked is None:
            raise Refused(f"API key {key_id} was removed meanwhile.", code="unknown_apikey", advice="See the audit.")
        return revoked

    async def callback_secret(self, key_id: str) -> str | None:
        """The `whsec_…` secret that signs this key's callbacks, or None for an unknown key; raises `KeyTrouble`."""
        raw = await self._raw(key_id)
        return self._opened(key_id, raw).callback_secret if raw else None

    def _proof(self, key_id: str, text: str) -> dict[str, str]:
        sealed = Sealed(pepper=secrets.token_hex(SECRET_BYTES), callback_secret=_new_callback_secret())
        record = self._vault.seal(sealed.model_dump_json(), purpose="apikey", owner=key_id)
        return {"mac": _mac(sealed.pepper, text), "sealed": record}

    def _opened(self, key_id: str, raw: dict[str, str]) -> Sealed:
        return Sealed.model_validate_json(self._vault.open(raw["sealed"], purpose="apikey", owner=key_id))

    async def _raw(self, key_id: str) -> dict[str, str]:
        raw = await self._redis.hgetall(self._redis_key(key_id))
        return {name.decode(): value.decode() for name, value in raw.items()}

    def _redis_key(self, key_id: str) -> str:
        return f"{self._prefix}:apikey:{key_id}"


def _checked_name(name: str) -> str:
    if not _NAME.match(name.strip()):
        raise Refused(
            "A key's name has 1 to 100 characters and no control characters.", code="bad_name", advice="Choose another."
        )
    return name.strip()


def _checked_scopes(scopes: Iterable[str]) -> tuple[Scope, ...]:
    wanted = {str(scope) for scope in scopes}
    known = tuple(scope for scope in Scope if scope in wanted)
    if not known or len(known) != len(wanted):
        choice = ", ".join(Scope)
        raise Refused(f"Scopes are {choice}.", code="bad_scope", advice="Name at least one of them.")
    return known


def _mac(pepper: str, text: str) -> str:
    return hmac.digest(bytes.fromhex(pepper), text.encode(), "sha256").hex()


def _new_callback_secret() -> str:
    return "whsec_" + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def _key(key_id: str, raw: dict[str, str]) -> ApiKey:
    return ApiKey(
        id=key_id,
        name=raw["name"],
        scopes=tuple(Scope(scope) for scope in raw["scopes"].split(",")),
        created_ms=int(raw["created_ms"]),
        expires_ms=int(raw["expires_ms"]) if raw.get("expires_ms") else None,
        last_used_ms=int(raw["last_used_ms"]) if raw.get("last_used_ms") else None,
        revoked="revoked" in raw,
    )
