"""A token made by hand for a vendor that takes some at its gateway only: which way it goes is found out once, and kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.authorization.asking import Asking
from tasks.authorization.renewable import own_lease
from tasks.errors import AttemptFailed, DestinationTrouble, Permanent
from tasks.http.origin import Origin
from tasks.state.audit.entries import Event
from tasks.state.grants.grants import Held

log = logging.getLogger(__name__)


@dataclass
class SiteOrGateway:
    """The site's own address until it refuses the token for its scopes and the gateway takes it."""

    asking: Asking
    headers: Mapping[str, str] = field(repr=False)
    held: Held = field(default_factory=Held, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The headers say it all."""
        return ()

    @property
    def proxy_password(self) -> str:
        """The password at the destination's proxy."""
        return self.asking.proxy_password

    @property
    def origin(self) -> Origin | None:
        """The gateway's, where that is the way."""
        return self.asking.gateway(self.held)

    async def look(self, read: Sequence[bytes] | None = None) -> None:
        """Take the way that is known (as it was `read`, where it was); the gateway where the operator says so."""
        if read is None or read[0]:  # where nothing is held, to whom it would belong needn't be worked out
            self.held = (await self.asking.grants.look(self.asking.name, self.asking.bound, read)).held
        if self._always and not self.held.gateway:
            await self._find()

    async def renew(self, refused: AttemptFailed) -> bool:
        """Try the gateway where the site refuses a token for its scopes; what that shows holds for every process."""
        if refused.code != "scope_missing" or refused.status != 401 or self.held.gateway:
            return False
        self.held = (await self.asking.grants.look(self.asking.name, self.asking.bound)).held
        if not self.held.gateway and not self.held.site_only:
            try:
                await self._find()
            except (DestinationTrouble, Permanent) as trouble:  # the refusal is what has to be told
                log.info("destination %s: the way through the gateway can't be found: %s", self.asking.name, trouble)
        return self.held.gateway

    @property
    def _always(self) -> bool:
        return getattr(self.asking.settings, "through_gateway", None) is True

    async def _find(self) -> None:
        """Find the cloud id, try the token there, and keep what that shows."""
        asking = self.asking
        lease = await own_lease(asking)
        try:
            if lease.seen.held.gateway or lease.seen.held.site_only:  # somebody else has just found out
                self.held = lease.seen.held
                await asking.grants.release(asking.name, lease)
                return
            found = Held(gateway=True, cloud_id=await asking.cloud_id())
            origin = asking.gateway(found)
            if origin is not None and not self._always:
                try:
                    await asking.probe(origin, self.headers)
                except DestinationTrouble as trouble:
                    log.info("destination %s: the gateway refuses its token, too: %s", asking.name, trouble.code)
                    found = Held(site_only=True)
            await asking.grants.keep(asking.name, asking.bound, lease, found, Event.CREDENTIAL_GIVEN, "worker")
        except BaseException:
            await asking.grants.release(asking.name, lease)
            raise
        self.held = found
