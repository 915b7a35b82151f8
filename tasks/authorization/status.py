"""What may be told of a destination's credential: how it logs in, for what, and when that ends. Never a secret."""

from __future__ import annotations

from datetime import UTC, datetime, time

from tasks.credentials.kinds import Grant, Login
from tasks.credentials.secret import end_of_certificate_ms, needs_secret, opened
from tasks.destinations import AnySettings
from tasks.errors import KeyTrouble, StateUnavailable
from tasks.model import Frozen
from tasks.services import Services
from tasks.state.directory import DestinationRecord
from tasks.state.grants.grants import Held, Look, bound_to
from tasks.state.outages import WRONG_TYPE


class CredentialStatus(Frozen):
    """A credential without what is secret about it. Moments in epoch milliseconds.

    `ends_ms` is when somebody has to do something: the day that the operator named, or the certificate's end.
    `token_expires_ms` is the end of an access token, which is renewed by itself; `grant_expires_ms` that of a refresh token,
    where the server told it: most servers put it off with each renewal.
    """

    type: str
    stored: bool
    client_id: str | None = None
    scopes: tuple[str, ...] = ()
    token_obtained_ms: int | None = None
    token_expires_ms: int | None = None
    grant_expires_ms: int | None = None
    ends_ms: int | None = None
    logged_in: bool | None = None
    through_gateway: bool = False


async def look_at(services: Services, record: DestinationRecord) -> Look:
    """What is held for a destination, and the moment of that look; nothing is asked for. Raises `KeyTrouble`."""
    secret = services.directory.secret(record)
    return await services.grants.look(record.name, bound_to(record.settings, secret))


async def status_of(services: Services, record: DestinationRecord) -> CredentialStatus:
    """What may be told of a destination's credential now."""
    settings = record.settings
    auth = settings.auth
    held, parts = Held(), dict[str, str]()
    try:
        parts = opened(auth, services.directory.secret(record))
        held = (await look_at(services, record)).held
    except (KeyTrouble, StateUnavailable) as trouble:  # `doctor` tells of it; the settings can be told all the same
        if isinstance(trouble, StateUnavailable) and trouble.code != WRONG_TYPE:
            raise
    grant = isinstance(auth, Grant)
    given = bool(held.refresh_token or parts.get("refresh_token"))
    ends = [named_end_ms(settings), end_of_certificate_ms(parts)]
    return CredentialStatus(
        type=type_of(settings),
        stored=bool(parts) or not needs_secret(auth),
        client_id=auth.client_id if isinstance(auth, Grant) else None,
        scopes=held.scopes or (settings.endpoints.scopes if grant else ()),
        token_obtained_ms=held.obtained_ms or None,
        token_expires_ms=held.expires_ms or None,
        grant_expires_ms=held.refresh_expires_ms,
        ends_ms=min((end for end in ends if end is not None), default=None),
        logged_in=given if isinstance(auth, Login) else None,
        through_gateway=held.gateway,
    )


def type_of(settings: AnySettings) -> str:
    """The kind of credential, also where the operator didn't name one."""
    if settings.auth is not None:
        return settings.auth.type
    return "basic" if getattr(settings, "account", settings.account_name) else "token"


def named_end_ms(settings: AnySettings) -> int | None:
    """The beginning (UTC) of the day on which the credential ends, where the operator named it."""
    day = settings.credential_expires
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000) if day else None
