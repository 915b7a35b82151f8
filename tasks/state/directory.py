"""Configured destinations: their settings in the clear, their credential sealed, their state as workers see it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from pydantic import Field
from redis.asyncio import Redis

from tasks.credentials.secret import as_stored, needs_secret
from tasks.destinations import AnySettings, check_settings
from tasks.errors import KeyTrouble, Refused, StateUnavailable
from tasks.model import ConnectionReport, Frozen
from tasks.state.audit.entries import Event
from tasks.state.choosing import Choosing
from tasks.state.destination_record import check_same_place, parsed, state_of
from tasks.state.journal import Journal
from tasks.state.newest import Newest
from tasks.state.outages import WRONG_TYPE
from tasks.state.pauses import PAUSE_CHANGED, Pauses, paused_of
from tasks.state.signed import FIELD, NO_RECORD, Doubt, Signer
from tasks.state.stored import number, text, texts
from tasks.state.traffic.limiter import Health, Limiter
from tasks.state.traffic.standing import Evidence, standing_of
from tasks.state.vault import Vault
from tasks.state.wrong_types import all_of, read

log = logging.getLogger(__name__)

SWITCH_TRIES = 20

_NO_PROXY_LOGIN: Mapping[str, str] = {
    "code": "bad_secret",
    "advice": "Give both: `--proxy-username` and its password at the prompt or as `--proxy-secret-file`.",
}


class DestinationRecord(Frozen):
    """One destination. `revision` counts changes of its settings or credential; `not_before_ms` is the end of a pause that throttling imposed.

    `state` is as the scripts keep it; `paused` says who paused it, and is signed.
    """

    name: str
    settings: AnySettings
    revision: int
    state: Literal["ready", "paused", "suspended"] = "ready"
    reason: str = ""
    not_before_ms: int = 0
    last_success_ms: int | None = None
    has_credential: bool = False
    paused: str = Field(default="", exclude=True)
    stored: Mapping[str, str] = Field(default_factory=dict, repr=False, exclude=True)
    doubt: Doubt | None = Field(default=None, exclude=True)

    @property
    def closed(self) -> str:
        """That no job goes out, and who said so: suspended, or paused by somebody; empty where jobs go out."""
        return "" if self.state == "ready" else (self.reason or self.state) if self.state == "paused" else self.state


class Secrets(NamedTuple):
    """What is sealed with a destination: its credential, and the password at its proxy."""

    own: str | None = None
    proxy: str | None = None


class Directory(Choosing[DestinationRecord]):
    """Destinations by name."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault, newest: Newest) -> None:
        super().__init__()
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault
        self._prefix = journal.prefix
        self._limiter = Limiter(journal)
        self._signer = Signer(vault, newest, "destination")
        self._pauses = Pauses(newest)
        self._parsed: dict[str, tuple[str, AnySettings]] = {}
        self._known: list[str] = []

    async def set(
        self, name: str, settings: AnySettings, secret: str | None, actor: str, *, proxy_password: str | None = None
    ) -> DestinationRecord:
        """Store a destination. Without a secret the stored one stays, as long as it would go to the same place; and so does
        the password at its proxy.

        Raises `Refused` for a secret that this kind of credential can't be made of, for an address that no request could go to, and where another kind of destination has the name:
        its jobs would wait for what they can't be delivered to.
        """
        check_settings(settings)
        stored = await self._stored(name)
        before = self._readable(name, stored)
        if before and before.settings.kind != settings.kind:
            raise Refused(
                f"{name} is a destination of kind {before.settings.kind}, and this one would be of kind {settings.kind}.",
                code="kind_changes",
                advice=f"Choose another name, or remove it first: `afterword destination remove {name}`.",
            )
        if secret is not None:
            secret = as_stored(settings.auth, secret)
        elif before and before.has_credential and (secret := self.secret(before)) is not None:
            check_same_place(name, before.settings, settings)
        if settings.proxy_username is None and proxy_password:
            raise Refused("There is a password for the proxy, and no user name.", **_NO_PROXY_LOGIN)
        if settings.proxy_username is not None and not proxy_password:
            same = before and (before.settings.proxy_url, before.settings.proxy_username) == (
                settings.proxy_url,
                settings.proxy_username,
            )
            proxy_password = self.proxy_password(before) if before and same else None
            if not proxy_password:
                raise Refused(f"The password of {settings.proxy_username} at the proxy is missing.", **_NO_PROXY_LOGIN)
        raw = texts(stored)
        revision, paused = number(raw.get("revision")) + 1, before.paused if before else paused_of(None, raw)
        return await self._store(name, settings, Secrets(secret, proxy_password), revision, paused, actor)

    async def _store(
        self, name: str, settings: AnySettings, secrets: Secrets, revision: int, paused: str, actor: str
    ) -> DestinationRecord:
        text = settings.model_dump_json(exclude_none=True)
        secret, now_ms = secrets.own, await self._journal.server_ms()
        said = {"settings": text, **self._pauses.said(name, paused, now_ms)}
        signed = self._signer.sign(name, revision, said, secret, now_ms, secrets.proxy)
        fields = {
            "settings": text,
            FIELD: signed.token,
            "revision": str(revision),
            "state": "paused" if paused else "ready",
            "reason": paused,
            "not_before_ms": "0",
            "concurrency": str(settings.concurrency),
            "rate_per_s": str(settings.rate_per_s or 0),
            "burst": str(settings.burst),
            "breaker_failures": str(settings.breaker_failures),
            "breaker_cooldown_ms": str(int(1000 * settings.breaker_cooldown_s)),
            "probe_ms": str(int(1000 * settings.probe_interval_s)),
        }
        if secret is not None:  # for workers of version 0.1; this one reads the signed whole only
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
        facts = {"destination": name, "kind": settings.kind, "host": settings.origin.netloc, "revision": revision}
        await self._journal.commit("lua/record", args, event, **facts, signed_ms=signed.signed_ms, actor=actor)
        self._signer.learn(name, signed.signed_ms)
        self._pauses.learn(name, said)
        return await self.require(name)

    async def sign(self, name: str, actor: str) -> DestinationRecord:
        """Make a record good that is in doubt: what was signed holds again, and where nothing was signed what it says is.

        Raises `Refused` where there is none of that name, and `KeyTrouble` where its credential can't be opened.
        """
        raw = await self._raw(name)
        settings, secrets, paused = self._to_be_signed(name, raw)
        return await self._store(name, settings, secrets, number(raw.get("revision")) + 1, paused, actor)

    async def adopt(self, name: str) -> bool:
        """Sign a record of version 0.1 as it stands; False where it is signed. Raises `KeyTrouble` as `sign`."""
        raw = await self._raw(name)
        if FIELD in raw or "settings" not in raw:
            return False
        _, secrets, paused = self._to_be_signed(name, raw)
        revision, now_ms = number(raw.get("revision")), await self._journal.server_ms()
        facts = {"settings": raw["settings"], **self._pauses.said(name, paused, now_ms)}
        signed = self._signer.sign(name, revision, facts, secrets.own, now_ms)
        args = {"hash": {f"destination:{name}": [FIELD, signed.token]}}
        await self._journal.commit("lua/record", args, Event.RECORD_SIGNED, destination=name, revision=revision)
        return True

    async def in_words(self, name: str) -> str:
        """What signing a record would make hold: where the destination's credential goes."""
        try:
            settings, secrets, paused = self._to_be_signed(name, await self._raw(name))
        except (KeyTrouble, Refused, ValueError) as trouble:
            return f"can't be signed: {trouble}"
        more = f"{'' if secrets.own else ', without a credential'}{f', {paused}' if paused else ''}"
        return f"{settings.kind} at {settings.address}{more}"

    def _to_be_signed(self, name: str, raw: Mapping[str, str]) -> tuple[AnySettings, Secrets, str]:
        try:
            whole = self._signer.whole(name, raw)
            secrets = Secrets(whole.secret, whole.proxy_password)
            return parsed(whole.facts["settings"]), secrets, paused_of(whole.facts, raw)
        except (KeyTrouble, KeyError, ValueError):
            settings = self._settings_of(name, raw.get("settings", ""))
        if "secret" not in raw:
            return settings, Secrets(), paused_of(None, raw)
        revision = number(raw.get("revision"))
        opened = self._vault.open(raw["secret"], purpose="credential", owner=name, field="secret", revision=revision)
        return settings, Secrets(opened), paused_of(None, raw)

    async def get(self, name: str) -> DestinationRecord | None:
        """The destination of that name, or None."""
        return self.record_of(name, await self._redis.hgetall(self._key(name)))

    async def _stored(self, name: str) -> Mapping[bytes, bytes]:
        """The record as stored; where it is of another type, one that can't be read."""
        found: Mapping[bytes, bytes] = await read(self._redis.hgetall(self._key(name)), NO_RECORD)
        return found

    async def _raw(self, name: str) -> dict[str, str]:
        return texts(await self._stored(name))

    def record_of(self, name: str, stored: Mapping[bytes, bytes]) -> DestinationRecord | None:
        """The destination of that name from its record as stored; None where that is empty. Where the record is in doubt the
        settings are those that were signed, as far as they are known. Raises `KeyTrouble` where nothing in it can be read.
        """
        raw = texts(stored)
        if "settings" not in raw and FIELD not in raw:
            return None
        known, doubt = self._signer.read(name, raw, {"settings": raw.get("settings", "")})
        try:
            settings = self._settings_of(name, str(known.facts["settings"]) if known else raw.get("settings", ""))
        except (Refused, ValueError, KeyError):
            if doubt is None:
                raise
            raise doubt.trouble() from None
        facts = known.facts if known else None
        return DestinationRecord(
            name=name,
            settings=settings,
            revision=number(raw.get("revision")),
            has_credential=(known.has_secret if known else "secret" in raw) or not needs_secret(settings.auth),
            paused=paused_of(facts, raw),
            stored=raw,
            doubt=doubt or self._pauses.doubt(name, facts, raw),
            **state_of(raw),
        )

    def _settings_of(self, name: str, stored: str) -> AnySettings:
        """Settings as stored, parsed once for as long as they stay the same."""
        known = self._parsed.get(name)
        if known is None or known[0] != stored:
            known = self._parsed[name] = stored, parsed(stored)
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
        return sorted(text(name) for name in await self._redis.smembers(f"{self._prefix}:destinations"))

    async def list(self) -> list[DestinationRecord]:
        """All destinations that can be read, by name."""
        found = [self._readable(name, stored) for name, stored in sorted((await self._all()).items())]
        return [record for record in found if record]

    def _readable(self, name: str, stored: Mapping[bytes, bytes]) -> DestinationRecord | None:
        """The record; None where there is none, and where nothing in it can be read: `doubts` tells of that."""
        try:
            return self.record_of(name, stored)
        except KeyTrouble as trouble:
            log.warning("%s", trouble)
            return None

    async def _all(self) -> dict[str, Mapping[bytes, bytes]]:
        """Every destination's record as stored: in one trip, where the names are those of the last time."""
        expected = self._known
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.smembers(f"{self._prefix}:destinations")
        for name in expected:
            pipeline.hgetall(self._key(name))
        names, *records = await pipeline.execute(raise_on_error=False)
        held = dict(zip(expected, all_of(records, NO_RECORD), strict=True))
        if isinstance(names, Exception):
            raise names
        known = self._known = [text(name) for name in names]
        return {name: held[name] if name in held else await self._stored(name) for name in known}

    async def doubts(self) -> Mapping[str, Doubt]:
        """The destinations that nothing is sent to, because their records are in doubt, and why."""
        found = {}
        for name in await self.names():
            try:
                record = self.record_of(name, await self._stored(name))
            except KeyTrouble as trouble:
                found[name] = Doubt(code=trouble.code, message=trouble.message, advice=trouble.advice)
            else:
                if record and record.doubt:
                    found[name] = record.doubt
        return found

    def secret(self, record: DestinationRecord) -> str | None:
        """The destination's credential, None where it has none; raises `KeyTrouble`, also where the record is in doubt.

        It was signed with the settings that it belongs to, so with no others it opens.
        """
        if record.doubt is not None:
            raise record.doubt.trouble()
        return self._signer.whole(record.name, record.stored).secret

    def proxy_password(self, record: DestinationRecord) -> str:
        """The password at the destination's proxy, empty where it has none; raises `KeyTrouble` as `secret`."""
        if record.settings.proxy_username is None:
            return ""
        if record.doubt is not None:
            raise record.doubt.trouble()
        return self._signer.whole(record.name, record.stored).proxy_password or ""

    async def remove(self, name: str, actor: str) -> None:
        """Forget a destination and its credential, also one that can't be read. Its waiting jobs then end as dead, with that
        reason.
        """
        stored = await self._stored(name)
        record = self._readable(name, stored) if stored else await self.require(name)
        args = {
            "remove": [f"destination:{name}", f"traffic:{name}", f"grant:{name}", f"followed:{name}"],
            "take": {"destinations": name},
            "wake": True,
        }
        await self._journal.commit("lua/record", args, Event.DESTINATION_REMOVED, destination=name, actor=actor)
        if record and record.doubt is None:
            self._signer.gone(name)

    async def pause(self, name: str, actor: str) -> DestinationRecord:
        """Let the destination's jobs wait until it is resumed."""
        return await self._switch(name, Event.DESTINATION_PAUSED, actor, f"paused by {actor}")

    async def resume(self, name: str, actor: str) -> DestinationRecord:
        """Let the destination's jobs go on at once, whatever was learned of its limits and failures."""
        return await self._switch(name, Event.DESTINATION_RESUMED, actor, "")

    async def _switch(self, name: str, event: Event, actor: str, paused: str) -> DestinationRecord:
        """Sign anew what a person said last. A record that is in doubt otherwise stays in doubt: that isn't what was asked."""
        to: Literal["paused", "ready"] = "paused" if paused else "ready"
        for _ in range(SWITCH_TRIES):
            record, wholes = await self.require(name), None
            said = self._pauses.said(name, paused, await self._journal.server_ms())
            if record.doubt is None or record.doubt.code == PAUSE_CHANGED:
                with suppress(KeyTrouble):  # a pause holds also where it can't be signed now
                    wholes = record.stored[FIELD], self._signer.anew(name, record.stored, said)
            if await self._limiter.switch(
                name, to, event, actor=actor, reason=paused, forget=not paused, wholes=wholes
            ):
                if wholes:
                    self._pauses.learn(name, said)
                return await self.require(name)
        raise Refused(
            f"Destination {name} is being changed by somebody else.", code="busy", advice="Try again in a moment."
        )

    async def suspend(self, record: DestinationRecord, reason: str, *, soon: bool = False) -> bool:
        """Stop a destination whose credential or instance is at fault; True for the one caller who stopped it. With `soon`
        it is tested again within seconds: it may mend by itself.

        Nothing happens where it was paused, suspended or configured anew since `record` was read.
        """
        return await self._limiter.switch(
            record.name,
            "suspended",
            Event.DESTINATION_SUSPENDED,
            actor="worker",
            reason=reason,
            seen=("ready", record.revision),
            soon=soon,
        )

    async def suspect(
        self, record: DestinationRecord, since_ms: int | None, lease_ms: int
    ) -> tuple[Literal["test", "wait", "passed", "moved"], int]:
        """Who tests a destination that refused a job. See `Limiter.suspect`."""
        return await self._limiter.suspect(record.name, record.revision, since_ms, lease_ms)

    async def tested(self, record: DestinationRecord, *, passed: bool) -> None:
        """A test that `suspect` asked for has ended."""
        await self._limiter.tested(record.name, passed=passed)

    async def report(self, record: DestinationRecord, report: ConnectionReport, actor: str) -> None:
        """Keep what a connection test of exactly these settings found: the destination's standing follows from it."""
        await self._limiter.report(record.name, record.revision, report, actor)

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

    async def shown_health(self, name: str) -> Health:
        """The same for people and lists: where what is kept of the destination is of another type, it is suspended for that
        reason.
        """
        try:
            return await self.health(name)
        except StateUnavailable as trouble:
            if trouble.code != WRONG_TYPE:
                raise
            why = trouble.message
        standing = standing_of(Evidence(state="suspended", reason=why))
        return Health(name=name, state="suspended", reason=why, standing=standing)

    def _key(self, name: str) -> str:
        return f"{self._prefix}:destination:{name}"
