"""Where the lifecycle, connection tests and logins ask for a destination's credential."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.authorization.asking import Asking
from tasks.authorization.renewable import RenewableToken, own_lease
from tasks.authorization.way import SiteOrGateway
from tasks.credentials.grants import Visit, asked_with_code
from tasks.credentials.kinds import Login, Renewable
from tasks.credentials.secret import opened
from tasks.destinations import destination_for
from tasks.http.authorization import Authorization, Fixed
from tasks.services import Services
from tasks.state.audit.entries import Event
from tasks.state.directory import DestinationRecord


async def authorize(
    services: Services, record: DestinationRecord, grant: Sequence[bytes] | None = None
) -> Authorization:
    """What the destination's requests are sent with; `grant` is what was held for it, where that was read a moment ago.

    Raises `KeyTrouble`, `DestinationTrouble` where there is no credential or its renewal is refused, and `Transient` or
    `Throttled` where it can't be had now.
    """
    secret = services.directory.secret(record)
    if isinstance(record.settings.auth, Renewable):
        token = RenewableToken(Asking(services, record, secret))
        await token.acquire(read=grant)
        return token
    headers = destination_for(record.settings).authorization(secret)
    if record.settings.gateway is None:
        return Fixed(headers, proxy_password=services.directory.proxy_password(record))
    way = SiteOrGateway(Asking(services, record, secret), headers)
    await way.look(grant)
    return way


async def accept_code(services: Services, record: DestinationRecord, visited: Visit, code: str, actor: str) -> None:
    """Make a login in the browser the destination's grant, in the place of any that it had."""
    auth, secret = record.settings.auth, services.directory.secret(record)
    if not isinstance(auth, Login):
        raise TypeError(record.name)
    asking = Asking(services, record, secret)
    lease = await own_lease(asking)
    what = asked_with_code(auth, opened(auth, secret), visited, code)
    await RenewableToken(asking).exchange(lease, what, actor, Event.CREDENTIAL_GIVEN)
