"""An access token that is renewed ahead of its end, and when it is refused: by one process at a time, and kept before use."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.audited import OUTCOME_S
from tasks.authorization.asking import Asking
from tasks.credentials.answers import Tokens
from tasks.credentials.grants import Asked, Moment, asked
from tasks.credentials.kinds import Password, Renewable
from tasks.destinations import destination_for
from tasks.errors import AttemptFailed, DestinationTrouble, Throttled, Transient
from tasks.http.origin import Origin
from tasks.state.audit.entries import Event
from tasks.state.grants.grants import Held, Lease, Look
from tasks.state.outages import patiently

log = logging.getLogger(__name__)

MARGIN_SHARE, MARGIN_MS = 0.15, 300_000  # of a token's life, before its end: time to renew it, and to try that again
SPENT_SHARE, SPENT_MS = 0.03, 10_000  # what is left of a token that isn't sent any more
LOOK_S = 0.1
LEASE_EXTRA_S = 5.0
AGAIN_MS = 2_000
REFUSED = frozenset({"credential_refused", "sign_in_page"})


@dataclass
class RenewableToken:
    """One destination's access token, for one attempt."""

    asking: Asking
    held: Held = field(default_factory=Held, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    renewed: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """The parts of the secret, and the tokens."""
        return self.asking.secrets(self.held)

    @property
    def proxy_password(self) -> str:
        """The password at the destination's proxy."""
        return self.asking.proxy_password

    @property
    def origin(self) -> Origin | None:
        """The gateway's, where the vendor has one."""
        return self.asking.gateway(self.held)

    async def renew(self, refused: AttemptFailed) -> bool:
        """Once: another token, ours or one that somebody else was given meanwhile."""
        if refused.code not in REFUSED or self.renewed:
            return False
        before, self.renewed = self.held.access_token, True
        await self.acquire(refused=before)
        return self.held.access_token != before

    async def acquire(self, refused: str | None = None, read: Sequence[bytes] | None = None) -> None:
        """A token that lives long enough for an attempt, and isn't the one that was refused. `read` is what was held a moment ago."""
        grants, name, bound = self.asking.grants, self.asking.name, self.asking.bound
        deadline = asyncio.get_running_loop().time() + _lease_s(self.asking)
        while True:
            look, read = await grants.look(name, bound, read), None
            usable = _left_ms(look) > _part_ms(look.held, SPENT_SHARE, SPENT_MS) and look.held.access_token != refused
            if usable and _left_ms(look) > _part_ms(look.held, MARGIN_SHARE, MARGIN_MS):
                return self._use(look.held)
            lease = await grants.lease(name, bound, int(1000 * _lease_s(self.asking)))
            if isinstance(lease, Lease):
                if lease.seen.version == look.version:
                    return await self._renewed(lease, look if usable else None)
                await grants.release(name, lease)  # somebody was faster
            elif usable:
                return self._use(look.held)
            elif asyncio.get_running_loop().time() > deadline:
                raise Throttled(
                    f"The credential of {name} is being renewed.", code="renewing", until_ms=look.now_ms + AGAIN_MS
                )
            else:
                await asyncio.sleep(min(lease, LOOK_S))

    async def _renewed(self, lease: Lease, usable: Look | None) -> None:
        """Renew it; where the server can't be asked now, one that is `usable` goes on."""
        # An attempt may be cancelled meanwhile: that must not leave behind a token that nobody stored.
        renewing = asyncio.ensure_future(self._renew(lease))
        renewing.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left to hear it
        try:
            self._use(await asyncio.shield(renewing))
        except Transient as trouble:
            if usable is None:
                raise
            log.info("destination %s: its token can't be renewed now: %s", self.asking.name, trouble)
            self._use(usable.held)

    def _use(self, held: Held) -> None:
        self.held = held
        self.headers = destination_for(self.asking.settings).bearer(held.access_token)

    async def _renew(self, lease: Lease) -> Held:
        asking, held = self.asking, lease.seen.held
        try:
            return await self.exchange(lease, self._next(lease, held.refresh_token))
        except DestinationTrouble as refused:
            look = await asking.grants.look(asking.name, asking.bound)
            if (
                look.version != lease.seen.version
            ):  # it may be refused because of what somebody else was given meanwhile
                return look.held
            # An account's password goes on where its refresh token has ended.
            if refused.code != "grant_refused" or not (
                held.refresh_token and isinstance(asking.settings.auth, Password)
            ):
                raise
        again = await own_lease(asking)
        return await self.exchange(again, self._next(again, None))

    def _next(self, lease: Lease, refresh_token: str | None) -> Asked:
        asking = self.asking
        auth = asking.settings.auth
        if not isinstance(auth, Renewable):
            raise TypeError(asking.name)
        return asked(
            auth,
            asking.settings.endpoints,
            asking.parts,
            account=asking.settings.account_name,
            refresh_token=refresh_token,
            moment=Moment(lease.seen.now_ms // 1000, uuid.uuid4().hex, lambda path: Path(path).read_text("utf-8")),
        )

    async def exchange(
        self, lease: Lease, what: Asked, actor: str = "worker", event: Event = Event.CREDENTIAL_RENEWED
    ) -> Held:
        """What the server gives, once it is stored. Ends the lease whatever happens."""
        asking, seen = self.asking, lease.seen.held
        try:
            # Asked for first: nothing may fail between what the server gives, which can't be had twice, and its keeping.
            cloud_id = seen.cloud_id or await asking.cloud_id() if asking.settings.gateway else None
            held = _held(await asking.tokens(what, seen), lease, cloud_id, anew=event is Event.CREDENTIAL_GIVEN)
            kept = await patiently(
                lambda: asking.grants.keep(asking.name, asking.bound, lease, held, event, actor), OUTCOME_S
            )
        except BaseException:
            await asking.grants.release(asking.name, lease)
            raise
        if not kept:
            return (await asking.grants.look(asking.name, asking.bound)).held
        return held


async def own_lease(asking: Asking) -> Lease:
    """The right to change what is held, once nobody else has it."""
    while True:
        lease = await asking.grants.lease(asking.name, asking.bound, int(1000 * _lease_s(asking)))
        if isinstance(lease, Lease):
            return lease
        await asyncio.sleep(min(lease, LOOK_S))


def _held(tokens: Tokens, lease: Lease, cloud_id: str | None, *, anew: bool) -> Held:
    """Tokens as they are held: what the server didn't say again stays as it was, but for a grant made anew."""
    seen, now_ms = Held() if anew else lease.seen.held, lease.seen.now_ms
    ends_ms = now_ms + 1000 * tokens.refresh_lives_s if tokens.refresh_lives_s else None
    return Held(
        access_token=tokens.access_token,
        obtained_ms=now_ms,
        expires_ms=now_ms + 1000 * tokens.lives_s,
        scopes=tokens.scopes or seen.scopes,
        refresh_token=tokens.refresh_token or seen.refresh_token,
        refresh_expires_ms=ends_ms if tokens.refresh_token else seen.refresh_expires_ms,
        gateway=cloud_id is not None,
        cloud_id=cloud_id,
    )


def _left_ms(look: Look) -> int:
    return look.held.expires_ms - look.now_ms


def _part_ms(held: Held, share: float, most_ms: int) -> int:
    return min(int(share * (held.expires_ms - held.obtained_ms)), most_ms)


def _lease_s(asking: Asking) -> float:
    return asking.settings.total_timeout_s + LEASE_EXTRA_S
