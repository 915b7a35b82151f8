"""Configured destinations: their settings in the clear, their credential sealed, their state as workers see it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, computed_field
from redis.asyncio import Redis

from tasks.destinations import AnySettings, check_address, parse_settings
from tasks.errors import Refused
from tasks.model import Frozen
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal
from tasks.state.traffic.limiter import Health, Limiter
from tasks.state.vault import Vault


class DestinationRecord(Frozen):
    """One destination. `revision` counts changes of its settings or credential; `not_before_ms` is the end of a pause that throttling imposed."""

    name: str
    settings: AnySettings
    revision: int
    state: Literal["ready", "paused", "suspended"] = "ready"
    reason: str = ""
    not_before_ms: int = 0
    last_success_ms: int | None = None
    sealed: str | None = Field(
        default=None, repr=False, exclude=True, description="the credential, as the vault opens it"
    )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def has_credential(self) -> bool:
        """Whether a credential is stored."""
        return self.sealed is not None


class Directory:
    """Destinations by name."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault
        self._prefix = journal.prefix
        self._limiter = Limiter(journal)
        self._parsed: dict[str, tuple[str, AnySettings]] = {}

    async def set(self, name: str, settings: AnySettings, secret: str | None, actor: str) -> DestinationRecord:
        """Store a destination. Without a secret the stored one stays, as long as it would go to the same host.

        Raises `Refused` for an address that no request could go to, and where another kind of destination has the name:
        its jobs would wait for what they can't be delivered to.
        """
        check_address(settings)
        before = await self.get(name)
        if before and before.settings.kind != settings.kind:
            raise Refused(
                f"{name} is a destination of kind {before.settings.kind}, and this one would be of kind {settings.kind}.",
                code="kind_changes",
                advice=f"Choose another name, or remove it first: `afterword destination remove {name}`.",
            )
        if secret is None and before and before.has_credential:
            if before.settings.origin != settings.origin:
                raise Refused(
                    f"The address of {name} changes, and its stored credential belongs to the old one.",
                    code="credential_bound",
                    advice="Give the secret again.",
                )
            secret = self.secret(before)
        revision = (before.revision if before else 0) + 1
        fields = {
            "settings": settings.model_dump_json(exclude_none=True),
            "revision": str(revision),
            "state": "ready" if before is None or before.state == "suspended" else before.state,
            "reason": "",
            "not_before_ms": "0",
            "concurrency": str(settings.concurrency),
            "rate_per_s": str(settings.rate_per_s or 0),
            "burst": str(settings.burst),
            "breaker_failures": str(settings.breaker_failures),
            "breaker_cooldown_ms": str(int(1000 * settings.breaker_cooldown_s)),
            "probe_ms": str(int(1000 * settings.probe_interval_s)),
        }
        if secret is not None:
            fields["secret"] = self._vault.seal(
                secret, purpose="credential", owner=name, field="secret", revision=revision
            )
        args = {
            "hash": {f"destination:{name}": [part for pair in fields.items() for part in pair]},
            "add": {"destinations": name},
            "remove": [f"traffic:{name}"],
            "wake": True,
        }
        event = Event.DESTINATION_SET if secret is None else Event.CREDENTIAL_SET
        await self._journal.commit(
            "lua/record", args, event, destination=name, kind=settings.kind, revision=revision, actor=actor
        )
        return await self.require(name)

    async def get(self, name: str) -> DestinationRecord | None:
        """The destination of that name, or None."""
        return self.record_of(name, await self._redis.hgetall(self._key(name)))

    def record_of(self, name: str, stored: Mapping[bytes, bytes]) -> DestinationRecord | None:
        """The destination of that name from its record as stored; None where that is empty."""
        raw = {k.decode(): v.decode() for k, v in stored.items()}
        if "settings" not in raw:
            return None
        return DestinationRecord(
            name=name,
            settings=self._settings_of(name, raw["settings"]),
            revision=int(raw["revision"]),
            state=raw.get("state", "ready"),
            reason=raw.get("reason", ""),
            not_before_ms=int(raw.get("not_before_ms", 0)),
            last_success_ms=int(raw["last_success_ms"]) if "last_success_ms" in raw else None,
            sealed=raw.get("secret"),
        )

    def _settings_of(self, name: str, stored: str) -> AnySettings:
        """Settings as stored, parsed once for as long as they stay the same."""
        known = self._parsed.get(name)
        if known is None or known[0] != stored:
            known = self._parsed[name] = stored, parse_settings(json.loads(stored), stored=True)
        return known[1]

    async def require(self, name: str, stored: Mapping[bytes, bytes] | None = None) -> DestinationRecord:
        """The destination of that name (from its record where that was read already); raises `Refused` naming those that
        exist.
        """
        record = await self.get(name) if stored is None else self.record_of(name, stored)
        if record is None:
            known = ", ".join(await self.names()) or "none"
            raise Refused(
                f"There is no destination {name!r}; configured: {known}.",
                code="unknown_destination",
                advice=f"Add it with `afterword destination set {name} --kind …`.",
            )
        return record

    async def names(self) -> list[str]:
        """The names of all destinations, sorted."""
        return sorted(name.decode() for name in await self._redis.smembers(f"{self._prefix}:destinations"))

    async def list(self) -> list[DestinationRecord]:
        """All destinations, by name."""
        return [record for name in await self.names() if (record := await self.get(name))]

    async def choose(
        self, name: str | None, kind: str, stored: Mapping[bytes, bytes] | None = None
    ) -> DestinationRecord:
        """The destination of that name (from its record where that was read), or the only one of the kind; raises `Refused`."""
        if name is not None:
            record = await self.require(name, stored)
            if record.settings.kind != kind:
                raise Refused(
                    f"Destination {name} is of kind {record.settings.kind}; this job needs {kind}.",
                    code="wrong_kind",
                    advice="Name another destination.",
                )
            return record
        fitting = [record for record in await self.list() if record.settings.kind == kind]
        if len(fitting) != 1:
            found = ", ".join(record.name for record in fitting) or "none"
            raise Refused(
                f"The job names no destination, and there isn't exactly one of kind {kind} (found: {found}).",
                code="unknown_destination",
                advice="Name one (`--to NAME`, `destination`), or add it with `afterword destination set`.",
            )
        return fitting[0]

    def secret(self, record: DestinationRecord) -> str | None:
        """The destination's credential; raises `KeyTrouble`."""
        if record.sealed is None:
            return None
        return self._vault.open(
            record.sealed, purpose="credential", owner=record.name, field="secret", revision=record.revision
        )

    async def remove(self, name: str, actor: str) -> None:
        """Forget a destination and its credential. Its waiting jobs then end as dead, with that reason."""
        await self.require(name)
        args = {"remove": [f"destination:{name}", f"traffic:{name}"], "take": {"destinations": name}, "wake": True}
        await self._journal.commit("lua/record", args, Event.DESTINATION_REMOVED, destination=name, actor=actor)

    async def pause(self, name: str, actor: str) -> DestinationRecord:
        """Let the destination's jobs wait until it is resumed."""
        await self.require(name)
        await self._limiter.switch(name, "paused", Event.DESTINATION_PAUSED, actor=actor, reason=f"paused by {actor}")
        return await self.require(name)

    async def resume(self, name: str, actor: str) -> DestinationRecord:
        """Let the destination's jobs go on at once, whatever was learned of its limits and failures."""
        await self.require(name)
        await self._limiter.switch(name, "ready", Event.DESTINATION_RESUMED, actor=actor, forget=True)
        return await self.require(name)

    async def suspend(self, record: DestinationRecord, reason: str) -> bool:
        """Stop a destination whose credential or instance is at fault; True for the one caller who stopped it.

        Nothing happens where it was paused, suspended or configured anew since `record` was read.
        """
        return await self._limiter.switch(
            record.name,
            "suspended",
            Event.DESTINATION_SUSPENDED,
            actor="worker",
            reason=reason,
            seen=("ready", record.revision),
        )

    async def recover(self, record: DestinationRecord, actor: str) -> bool:
        """End a suspension because a test of exactly these settings passed; True where it ended."""
        seen = ("suspended", record.revision)
        return await self._limiter.switch(record.name, "ready", Event.DESTINATION_RESUMED, actor=actor, seen=seen)

    async def due_probes(self) -> Sequence[str]:
        """Suspended destinations that the caller, and nobody else, is to test now."""
        return await self._limiter.due_probes()

    async def upcoming_s(self, within_s: float) -> float:
        """Seconds until the next moment at which a waiting job could start, at most `within_s`."""
        return await self._limiter.upcoming_s(within_s)

    async def health(self, name: str) -> Health:
        """Whether the destination's jobs go out, and what keeps them; raises `Refused` for a name that isn't there."""
        await self.require(name)
        return await self._limiter.health(name)

    def _key(self, name: str) -> str:
        return f"{self._prefix}:destination:{name}"
