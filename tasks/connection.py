"""A connection test in steps: proxy, address, TLS, vendor, credential, permissions, then what the jobs need. Writes nothing.

Each step depends on those before it, so the first that fails is the one to mend: those before it have passed, and those after
it were not looked at. What stopped a request says which step it was (`step_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.destinations.contract import Destination, Needs
from tasks.errors import AttemptFailed, DestinationTrouble, KeyTrouble, Permanent
from tasks.http.exchange import Http
from tasks.http.verdict import REFUSED, TOO_LARGE
from tasks.model import ConnectionReport, ConnectionStep

REACHED, PROXY, TLS, VENDOR, CREDENTIAL, PERMISSIONS = "reached", "proxy", "TLS", "vendor", "credential", "permissions"
TABLE = "table"
ORDER = (PROXY, REACHED, TLS, VENDOR, CREDENTIAL, PERMISSIONS, TABLE)
STEP_OF_CODE = {
    **dict.fromkeys(("no_such_host", "no_connection", "address_refused", "http_refused", "proxy_failed"), REACHED),
    **dict.fromkeys(("credential_refused", "captcha", "no_credential", "login_refused", "not_logged_in"), CREDENTIAL),
    **dict.fromkeys(("not_permitted", "scope_missing"), PERMISSIONS),
    "no_such_table": TABLE,
    "too_large": VENDOR,  # a small question isn't
}

# What comes after a correction, for who reads a job's error and for who has just run a test.
RETRY, TEST = "`afterword job retry`", "run `afterword destination test`"
NOT_TAKEN = f"Correct what it names in the settings of the destination (`afterword destination set`), then {TEST}."
AGAIN = "Test again in a while: until then its jobs wait, and then they go on by themselves."


@dataclass(frozen=True)
class Look:
    """What was found on the way to the vendor, and what stopped it, where anything was raised."""

    steps: tuple[ConnectionStep, ...]
    failure: AttemptFailed | None = None

    @property
    def passed(self) -> bool:
        """Whether the vendor itself answers and takes the credential."""
        return all(step.ok is not False for step in self.steps)

    @property
    def report(self) -> ConnectionReport:
        """The steps, for people."""
        return ConnectionReport(steps=self.steps)


def without_credential(trouble: AttemptFailed | KeyTrouble) -> Look:
    """The look of a test that had no credential to send: nothing was asked."""
    failure = (
        DestinationTrouble(trouble.message, code=trouble.code, advice=trouble.advice)
        if isinstance(trouble, KeyTrouble)
        else trouble
    )
    return Look((ConnectionStep(name=CREDENTIAL, ok=False, detail=str(failure)),), failure)


def not_opened(destination: Destination[Any], failure: AttemptFailed) -> Look:
    """The look of a test that had no client to ask with: a certificate's file can't be used."""
    return Look((ConnectionStep(name=step_of(destination, failure), ok=False, detail=str(failure)),), failure)


async def reach(destination: Destination[Any], http: Http) -> Look:
    """Whether the vendor itself answers, and as whom."""
    try:
        found = told(await destination.reach(http), http)
    except AttemptFailed as failure:
        _retold(failure, http)
        step = step_of(destination, failure)
        advice = "" if failure.advice else AGAIN
        failed = ConnectionStep(name=step, ok=False, detail=f"{failure} {advice}".strip())
        return Look((*_before(step, destination, http), failed), failure)
    vendor = ConnectionStep(name=VENDOR, ok=True, detail=destination.vendor)
    return Look((*_way(http), vendor, *found))


async def rights(destination: Destination[Any], http: Http, needs: Needs) -> tuple[ConnectionStep, ...]:
    """Whether the account may do what is needed, once the vendor was reached."""
    try:
        return told(await destination.rights(http, needs), http)
    except AttemptFailed as failure:
        _retold(failure, http)
        return (ConnectionStep(name=PERMISSIONS, ok=False, detail=str(failure)),)


def told(steps: Sequence[ConnectionStep], http: Http) -> tuple[ConnectionStep, ...]:
    """The steps, which may name what the vendor says, such as whose the account is, without the credential."""
    return tuple(step.model_copy(update={"detail": http.sent.tell(step.detail.replace(RETRY, TEST))}) for step in steps)


def _retold(failure: AttemptFailed, http: Http) -> None:
    """Tell what stopped a test without the credential, and with what can be done where no job was under way."""
    refused = isinstance(failure, Permanent) and failure.code in (REFUSED.code, TOO_LARGE.code)
    failure.advice = NOT_TAKEN if refused else failure.advice.replace(RETRY, TEST)
    failure.retell(http.sent.tell)


def step_of(destination: Destination[Any], failure: AttemptFailed) -> str:
    """The step that a failure speaks of."""
    code = failure.code
    if code in STEP_OF_CODE:
        return STEP_OF_CODE[code]
    if code.startswith(("proxy_", "tls_")):
        return PROXY if code.startswith("proxy_") else TLS
    if code == "sign_in_page" and destination.signs_in_by_page:
        return CREDENTIAL
    if isinstance(failure, Permanent) or (isinstance(failure, DestinationTrouble) and failure.passing == "job"):
        return PERMISSIONS
    return VENDOR


def _before(step: str, destination: Destination[Any], http: Http) -> Sequence[ConnectionStep]:
    """What must have passed for this step to be the one that failed."""
    passed = [each for each in _way(http) if ORDER.index(each.name) < ORDER.index(step)]
    if step == CREDENTIAL:
        passed.append(ConnectionStep(name=VENDOR, ok=None, detail="can't be told before it takes the credential"))
    if step in (PERMISSIONS, TABLE):
        named = "a permission" if step == PERMISSIONS else "a table"
        passed.append(ConnectionStep(name=VENDOR, ok=True, detail=destination.vendor))
        passed.append(ConnectionStep(name=CREDENTIAL, ok=None, detail=f"it may be good: the refusal names {named}"))
    return passed


def _way(http: Http) -> list[ConnectionStep]:
    """The steps below HTTP, as they are where an answer came."""
    way = [ConnectionStep(name=REACHED, ok=True, detail=http.where)]
    if http.proxy:
        way.insert(0, ConnectionStep(name=PROXY, ok=True, detail=http.proxy))
    if http.tls is None:
        plain = "not used: the address is plain http"
        return [*way, ConnectionStep(name=TLS, ok=None, detail=plain)]
    return [*way, ConnectionStep(name=TLS, ok=True, detail=http.tls)]
