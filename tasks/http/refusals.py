"""What a verdict, a web page or a connection that can't be opened means for a job: one error of ours for each."""

from __future__ import annotations

from typing import Any

import aiohttp

from tasks.errors import AttemptFailed, DestinationTrouble, Permanent, Transient
from tasks.http.verdict import Verdict

SERVER_ERROR = 500


def error_of(verdict: Verdict, status: int, words: str, wait_s: float | None, *, wrote: bool) -> AttemptFailed:
    """The error of a refusal. After a write a 5xx is uncertain, and so is an answer that isn't the vendor's: it may have
    been carried out.
    """
    said = f' It said: "{words}"' if words else ""
    facts: dict[str, Any] = {
        "code": verdict.code,
        "advice": verdict.advice,
        "status": status,
        "excerpt": words,
    }
    message = f"{verdict.message} ({status}).{said}"
    match verdict.whose:
        case "throttled":
            return Transient(message, retry_after=wait_s, throttled=True, answered=True, **facts)
        case "transient":
            certain = not (wrote and status >= SERVER_ERROR)
            return Transient(message, retry_after=wait_s, answered=True, certain=certain, **facts)
        case "job":
            return Permanent(message, **facts)
    foreign = verdict.strange or status >= SERVER_ERROR
    return DestinationTrouble(message, passing=verdict.passing, answered=True, certain=not (wrote and foreign), **facts)


def page_instead(status: int, words: str, *, certain: bool) -> DestinationTrouble:
    """The error of a web page where an answer of the API was due."""
    asleep = "hibernat" in words.lower()
    return DestinationTrouble(
        "The instance is hibernating."
        if asleep
        else f"A sign-in or other web page came instead of an answer ({status}).",
        code="hibernating" if asleep else "sign_in_page",
        advice="Wake the instance, then run `afterword destination test`."
        if asleep
        else "The credential is wrong or expired, or the address is not the API's: check both with `afterword destination test`.",
        status=status,
        certain=certain,
    )


def odd_answer(status: int, source: str, *, wrote: bool) -> AttemptFailed:
    """The error of JSON of another shape than the vendor documents; a write may have been carried out all the same."""
    return Transient(
        f"The answer of {source} is not what its API documents.",
        code="odd_answer",
        advice="If it stays like this, check the address, and whether something between here and there answers instead.",
        status=status,
        answered=True,
        certain=not wrote,
    )


def not_json(status: int, source: str, *, wrote: bool) -> AttemptFailed:
    """The error of an answer that is no JSON where JSON was due."""
    return Transient(
        f"The answer of {source} is not JSON.",
        code="not_json",
        advice="If it stays like this, check the address.",
        status=status,
        answered=True,
        certain=not wrote,
    )


def no_connection(error: aiohttp.ClientConnectorError) -> AttemptFailed:
    """The error of a connection that could not be opened."""
    if "not permitted" in str(error.os_error):
        return DestinationTrouble(
            f"{error.host} leads to a private or reserved address, which is not permitted.",
            code="address_refused",
            advice="Allow its network with `--allow-private CIDR` if it is yours.",
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Transient(f"The name {error.host} can't be resolved.", code="no_such_host", advice="Check the address.")
    return Transient(
        f"{error.host}:{error.port} can't be reached.", code="no_connection", advice="Check address and network."
    )
