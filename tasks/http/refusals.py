"""What an HTTP status, a web page or a connection that can't be opened means for a job: one error of ours for each."""

from __future__ import annotations

import aiohttp

from tasks.errors import AttemptFailed, DestinationTrouble, Permanent, Transient


def error_of(status: int, words: str, wait_s: float | None, *, wrote: bool) -> AttemptFailed:
    """The error of a refusal, by its status. A 5xx after a write is uncertain: it may have been carried out."""
    said = f' It said: "{words}"' if words else ""
    if status == 429:
        return Transient(
            f"Too many requests (429).{said}",
            code="throttled",
            status=status,
            retry_after=wait_s,
            throttled=True,
            answered=True,
            excerpt=words,
        )
    if status in (408, 409, 423, 425):
        return Transient(
            f"The remote side is busy with this object ({status}).{said}",
            code="conflict",
            status=status,
            retry_after=wait_s,
            answered=True,
            excerpt=words,
        )
    if status >= 500:
        return Transient(
            f"The remote side failed ({status}).{said}",
            code="remote_failure",
            status=status,
            retry_after=wait_s,
            answered=True,
            certain=not wrote,
            excerpt=words,
        )
    if status == 401:
        return DestinationTrouble(
            f"The credential was refused (401).{said}",
            code="credential_refused",
            advice="Check account and secret with `afterword destination test`, store a new one with `destination set`. "
            "An expired token, or an interactive user on a recent ServiceNow, is refused like this even when it is right.",
            status=status,
            excerpt=words,
        )
    if status == 403:
        return DestinationTrouble(
            f"The account may not do this (403).{said}",
            code="not_permitted",
            advice="Give the account the right, then run `afterword destination test`.",
            status=status,
            excerpt=words,
        )
    return _refusal(status, words, said)


def _refusal(status: int, words: str, said: str) -> Permanent:
    """The error of an answer that will be the same next time."""
    if status == 413:
        return Permanent(
            f"What was sent is too large for the remote side (413).{said}",
            code="too_large",
            advice="Shorten the document or hand over fewer or smaller files, then submit it again.",
            status=status,
            excerpt=words,
        )
    return Permanent(
        f"The remote side refused the request ({status}).{said}",
        code="refused",
        advice="Correct what it names, then `afterword job retry`.",
        status=status,
        excerpt=words,
    )


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
