"""Configured destinations: their settings in the clear, their credential sealed, their state as workers see it."""

from __future__ import annotations

import json
from typing import Any, Literal

from redis.asyncio import Redis

from tasks.destinations import AnySettings, parse_settings
from tasks.errors import Refused
from tasks.model import Frozen
from tasks.state.audit import Event
from tasks.state.journal import Journal
from tasks.state.vault import Vault


class DestinationRecord(Frozen):
    """One destination. `revision` counts changes of its settings or credential; `not_before_ms` is set by throttling."""

    name: str
    settings: AnySettings
    revision: int
    state: Literal["ready", "paused", "suspended"] = "ready"
    reason: str = ""
    not_before_ms: int = 0
    last_success_ms: int | None = None
    has_credential: bool = False


class Directory:
    """Destinations by name."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault
        self._prefix = journal.prefix

    async def set(self, name: str, settings: AnySettings, secret: str | None, actor: str) -> DestinationRecord:
        """Store a destination. Without a secret the stored one stays, as long as it would go to the same host."""
        before = await self.get(name)
        if secret is None and before and before.has_credential:
            if before.settings.origin != settings.origin:
                raise Refused(
                    f"The address of {name} changes, and its stored credential belongs to the old one.",
                    code="credential_bound",
                    advice="Give the secret again.",
                )
            secret = await self.secret(before)
        revision = (before.revision if before else 0) + 1
        fields = {
            "settings": settings.model_dump_json(exclude_none=True),
            "revision": str(revision),
            "state": "ready" if before is None or before.state == "suspended" else before.state,
            "reason": "",
            "not_before_ms": "0",
            "concurrency": str(settings.concurrency),
        }
        if secret is not None:
            fields["secret"] = self._vault.seal(
                secret, purpose="credential", owner=name, field="secret", revision=revision
            )
        args = {
            "hash": {f"destination:{name}": [part for pair in fields.items() for part in pair]},
            "add": {"destinations": name},
            "wake": True,
        }
        event = Event.DESTINATION_SET if secret is None else Event.CREDENTIAL_SET
        await self._journal.commit(
            "record", args, event, destination=name, kind=settings.kind, revision=revision, actor=actor
        )
        return await self.require(name)

    async def get(self, name: str) -> DestinationRecord | None:
        """The destination of that name, or None."""
        raw = {k.decode(): v.decode() for k, v in (await self._redis.hgetall(self._key(name))).items()}
        if "settings" not in raw:
            return None
        return DestinationRecord.model_validate(
            {
                "name": name,
                "settings": parse_settings(json.loads(raw["settings"])),
                "revision": raw["revision"],
                "state": raw.get("state", "ready"),
                "reason": raw.get("reason", ""),
                "not_before_ms": raw.get("not_before_ms", 0),
                "last_success_ms": raw.get("last_success_ms"),
                "has_credential": "secret" in raw,
            }
        )

    async def require(self, name: str) -> DestinationRecord:
        """The destination of that name; raises `Refused` naming those that exist."""
        record = await self.get(name)
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

    async def choose(self, name: str | None, kind: str) -> DestinationRecord:
        """The destination of that name, or the only one of the kind; raises `Refused`."""
        if name is not None:
            record = await self.require(name)
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

    async def secret(self, record: DestinationRecord) -> str | None:
        """The destination's credential; raises `KeyTrouble`."""
        raw = await self._redis.hget(self._key(record.name), "secret")
        if raw is None:
            return None
        return self._vault.open(
            raw.decode(), purpose="credential", owner=record.name, field="secret", revision=record.revision
        )

    async def remove(self, name: str, actor: str) -> None:
        """Forget a destination and its credential. Its waiting jobs then end as dead, with that reason."""
        await self.require(name)
        args = {"remove": [f"destination:{name}"], "take": {"destinations": name}, "wake": True}
        await self._journal.commit("record", args, Event.DESTINATION_REMOVED, destination=name, actor=actor)

    async def pause(self, name: str, actor: str) -> DestinationRecord:
        """Let the destination's jobs wait until it is resumed."""
        return await self._switch(name, "paused", f"paused by {actor}", Event.DESTINATION_PAUSED, actor)

    async def resume(self, name: str, actor: str) -> DestinationRecord:
        """Let the destination's jobs go on."""
        return await self._switch(name, "ready", "", Event.DESTINATION_RESUMED, actor)

    async def _switch(self, name: str, state: str, reason: str, event: Event, actor: str) -> DestinationRecord:
        await self.require(name)
        fields = ["state", state, "reason", reason, "not_before_ms", "0"]
        args = {"hash": {f"destination:{name}": fields}, "wake": True}
        await self._journal.commit("record", args, event, destination=name, actor=actor)
        return await self.require(name)

    def _key(self, name: str) -> str:
        return f"{self._prefix}:destination:{name}"
