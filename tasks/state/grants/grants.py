"""Tokens of renewable credentials, sealed, each bound to the very settings and secret that it was given for.

One process at a time renews them (a lease), and what it got takes the place only of what it was made from (a version): a
process that was slow overwrites nothing, and whatever it was given is kept as long as nobody else was given something newer.
All moments are Redis's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field, ValidationError

from tasks.destinations import AnySettings
from tasks.errors import KeyTrouble, StateUnavailable
from tasks.model import Frozen
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal
from tasks.state.vault import Vault

PURPOSE = "grant"


class Held(Frozen):
    """What is held for a destination: an access token with its end, the refresh token to go on with, and the way to go.

    Moments in epoch milliseconds. `obtained_ms` is the moment before the request that gave the token. With `gateway` requests
    go to the vendor's gateway, with `site_only` that was tried in vain.
    """

    access_token: str = Field(default="", repr=False)
    obtained_ms: int = 0
    expires_ms: int = 0
    scopes: tuple[str, ...] = ()
    refresh_token: str | None = Field(default=None, repr=False)
    refresh_expires_ms: int | None = None
    gateway: bool = False
    site_only: bool = False
    cloud_id: str | None = None


@dataclass(frozen=True)
class Look:
    """What was held at a moment, and its version."""

    held: Held
    version: str
    now_ms: int


@dataclass(frozen=True)
class Lease:
    """The right to renew what was held, for a while."""

    seen: Look
    holder: str


class Grants:
    """Tokens by destination."""

    def __init__(self, journal: Journal, vault: Vault) -> None:
        self._journal = journal
        self._vault = vault

    async def look(self, name: str, bound: str, read: Sequence[bytes] | None = None) -> Look:
        """What is held now for the credential that `bound` names (see `bound_to`); where it was `read` a moment ago, as
        `grants/look` tells it, what was held then.
        """
        held, version, now = read or await self._journal.query("grants/look", {"name": name})
        return self._look(name, bound, held, version, now)

    async def lease(self, name: str, bound: str, lease_ms: int) -> Lease | float:
        """The right to renew it, or the seconds after which another's ends at the latest."""
        holder = uuid.uuid4().hex
        args = {"name": name, "holder": holder, "lease_ms": lease_ms}
        held, version, now, left = await self._journal.query("grants/lease", args)
        if int(left):
            return int(left) / 1000
        return Lease(self._look(name, bound, held, version, now), holder)

    async def keep(self, name: str, bound: str, lease: Lease, held: Held, event: Event, actor: str) -> bool:
        """Store what was given; False where something else was stored since the lease was taken."""
        sealed = self._vault.seal(held.model_dump_json(), purpose=PURPOSE, owner=name, field=bound)
        args = {"name": name, "holder": lease.holder, "version": lease.seen.version, "held": sealed}
        facts = {"destination": name, "scopes": list(held.scopes) or None, "actor": actor}
        reply = await self._journal.commit("grants/keep", args, event, expires_ms=held.expires_ms or None, **facts)
        return reply.ok

    async def release(self, name: str, lease: Lease) -> None:
        """End a lease that nothing came of. Where Redis is away, it ends by itself."""
        with contextlib.suppress(StateUnavailable):
            await self._journal.query("grants/release", {"name": name, "holder": lease.holder})

    async def warn(self, name: str, mark: str, days: int) -> bool:
        """Put into the audit that a credential ends within so many days; True for the one caller who did."""
        args = {"name": name, "mark": mark}
        reply = await self._journal.commit(
            "grants/warn", args, Event.CREDENTIAL_EXPIRING, destination=name, days=days, actor="worker"
        )
        return reply.ok

    def _look(self, name: str, bound: str, held: bytes, version: bytes, now: bytes) -> Look:
        return Look(self._opened(name, bound, held), version.decode(), int(now))

    def _opened(self, name: str, bound: str, sealed: bytes) -> Held:
        """What doesn't open, or was given for another credential, counts for nothing: it is asked for anew."""
        try:
            text = self._vault.open(sealed, purpose=PURPOSE, owner=name, field=bound) if sealed else "{}"
            return Held.model_validate_json(text, extra="ignore")
        except (KeyTrouble, ValidationError):
            return Held()


def bound_to(settings: AnySettings, secret: str | None) -> str:
    """What a token belongs to: where it goes, how it is asked for, and the secret; another one has no use for it."""
    auth = settings.auth.model_dump(mode="json") if settings.auth else None
    parts = [
        settings.kind,
        settings.origin.model_dump(mode="json", exclude={"proxy_username"}),
        auth,
        settings.account_name,
        secret,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
