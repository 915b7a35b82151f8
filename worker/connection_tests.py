"""Connection tests asked for by a message: which credential may go to which address."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tasks.destinations import destination_for, parse_settings
from tasks.errors import KeyTrouble, Refused
from tasks.model import ConnectionReport
from tasks.operator import operations
from tasks.state.directory import DestinationRecord
from tasks.state.vault import PREFIX, unseal
from worker.broker.envelope import HALVES
from worker.runtime import Services

ADDRESS_FIELD = {"confluence": "base_url", "servicenow": "instance_url", "azure_devops": "org_url", "jira": "base_url"}
ACCOUNT_FIELD = {"confluence": "email", "servicenow": "username", "azure_devops": None, "jira": "email"}
ACCOUNT_KEYS = ("email", "username", "user")
SECRET_KEYS = ("token", "api_token", "password", "pat", "secret", "personal_access_token")
HOW_TO_SEAL = (
    "Pass the name of a configured destination, or a token from `tasks.state.vault.seal`; "
    "a password or token itself must never travel in a message."
)


class TestRoom:
    """The few threads of a worker that tests may hold: any number of tests of hanging addresses delays no delivery."""

    __test__ = False  # not one of pytest's

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = threading.BoundedSemaphore(limit)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Room for one test; raises `Refused` where there is none."""
        if not self._free.acquire(blocking=False):
            raise Refused(
                f"{self.limit} connection tests run on this worker already.",
                code="busy",
                advice="Try again when they have ended.",
            )
        try:
            yield
        finally:
            self._free.release()


async def test_by_message(
    services: Services, kind: str, address: str, credentials: object, destination: str | None
) -> ConnectionReport:
    """Test `address` with what `credentials` names or seals; raises `Refused`, never showing what was given."""
    for given, what in ((address or "", "address"), (credentials, "credential"), (destination, "destination")):
        if not _is_text(given):
            raise Refused(f"The message's {what} is no text.", code="bad_message", advice=HOW_TO_SEAL)
    sealed = _sealed(credentials)
    if sealed is None:
        name = credentials if isinstance(credentials, str) else destination
        return await _stored(services, kind, address, name)
    try:
        content = unseal(sealed, services.vault)
    except KeyTrouble as trouble:
        raise Refused("The sealed credential doesn't open here.", code="not_sealed", advice=HOW_TO_SEAL) from trouble
    account, secret = _parts(content, credentials)
    ours = await _as_configured(services, kind, address)
    # What was sealed is an account's secret, however a destination at this address logs in itself.
    settings = ours | {"kind": kind, ADDRESS_FIELD[kind]: address, "auth": None}
    account_field = ACCOUNT_FIELD[kind]
    if account and account_field:
        settings[account_field] = account
    return await operations.test_connection(
        services.core, destination_for(parse_settings(settings)), secret, None, "celery"
    )


def _is_text(given: object) -> bool:
    """Whether it is, or may be left out; a credential may be several texts. What can't be encoded would be told of with its words."""
    if isinstance(given, Mapping):
        return all(map(_is_text, given.values()))
    return given is None or (isinstance(given, str) and not HALVES.search(given))


def _sealed(credentials: object) -> str | None:
    if isinstance(credentials, str):
        return credentials if credentials.startswith(f"{PREFIX}.") else None
    if isinstance(credentials, Mapping):
        secrets = [credentials[key] for key in SECRET_KEYS if credentials.get(key)]
        if len(secrets) == 1 and isinstance(secrets[0], str) and secrets[0].startswith(f"{PREFIX}."):
            return secrets[0]
    if credentials is None:
        return None
    raise Refused("The message holds a bare credential.", code="bare_credential", advice=HOW_TO_SEAL)


def _parts(content: str | dict[str, str], credentials: object) -> tuple[str | None, str]:
    outer = {str(k): v for k, v in credentials.items()} if isinstance(credentials, Mapping) else {}
    if isinstance(content, str):
        account = next((str(outer[key]) for key in ACCOUNT_KEYS if outer.get(key)), None)
        if account is None and ":" in content:
            account, content = content.split(":", 1)
        return account, content
    both = outer | content
    account = next((str(both[key]) for key in ACCOUNT_KEYS if both.get(key)), None)
    secret = next((content[key] for key in SECRET_KEYS if content.get(key)), None)
    if secret is None:
        raise Refused("The sealed credential holds no secret.", code="not_sealed", advice=HOW_TO_SEAL)
    return account, secret


async def _stored(services: Services, kind: str, address: str, name: str | None) -> ConnectionReport:
    record = await services.destinations.get(name) if name else None
    if record is None and name is None:
        record = await services.destinations.choose(None, kind)
    if record is None:
        raise Refused("No stored credential has the name that was given.", code="bare_credential", advice=HOW_TO_SEAL)
    if record.settings.kind != kind or not _same_address(record, address):
        raise Refused(
            f"The credential of {record.name} belongs to another address and is not sent to this one.",
            code="credential_bound",
            advice="Test the address that the destination is configured with, or configure another destination.",
        )
    return await services.test_destination(record.name, "celery")


def _same_address(record: DestinationRecord, address: str) -> bool:
    return record.settings.origin.base_url.rstrip("/") == address.rstrip("/") or record.settings.address.rstrip(
        "/"
    ) == address.rstrip("/")


async def _as_configured(services: Services, kind: str, address: str) -> dict[str, object]:
    """What the operator said of a destination at this very address: permissions, flavor, where to look, the account."""
    for record in await services.destinations.list():
        if record.settings.kind == kind and _same_address(record, address):
            return record.settings.model_dump()
    return {}
