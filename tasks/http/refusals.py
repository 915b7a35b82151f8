"""What a verdict, a web page or a connection that can't be opened means for a job: one error of ours for each."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

from tasks.errors import AttemptFailed, DestinationTrouble, Permanent, Transient
from tasks.http.certificates import fault_of
from tasks.http.verdict import Verdict

if TYPE_CHECKING:
    import aiohttp

REFUSALS, TIMED_OUT, TOO_MANY, SERVER_ERROR, PROXY_WANTS_LOGIN = 400, 408, 429, 500, 407


def error_of(verdict: Verdict, status: int, words: str, wait_s: float | None, *, wrote: bool) -> AttemptFailed:
    """The error of a refusal. After a write a 5xx, a 408 or a 429 is uncertain, and so are a refusal with a good status and an
    answer that isn't the vendor's: it may have been carried out, the last time or when something in between had sent it before.
    """
    said = f' It said: "{words}"' if words else ""
    facts: dict[str, Any] = {
        "code": verdict.code,
        "advice": verdict.advice,
        "status": status,
        "excerpt": words,
    }
    message = f"{verdict.message} ({status}).{said}"
    unsure = wrote and (status in (TIMED_OUT, TOO_MANY) or status >= SERVER_ERROR or status < REFUSALS)
    match verdict.whose:
        case "throttled":
            return Transient(message, retry_after=wait_s, throttled=True, answered=True, certain=not unsure, **facts)
        case "transient":
            return Transient(message, retry_after=wait_s, answered=True, certain=not unsure, **facts)
        case "job":
            return Permanent(message, **facts)
    unsure = unsure or (wrote and verdict.strange)
    return DestinationTrouble(message, passing=verdict.passing, answered=True, certain=not unsure, **facts)


def page_instead(status: int, words: str, leads_to: str = "", *, certain: bool) -> DestinationTrouble:
    """The error of a web page, or of a redirection, where an answer of the API was due. Of an address that it leads to no more
    is told than its host.
    """
    asleep = "hibernat" in words.lower()
    leads = f" It leads to {place}." if (place := _place(leads_to)) else ""
    return DestinationTrouble(
        "The instance is hibernating."
        if asleep
        else f"A sign-in or other web page came instead of an answer ({status}).{leads}",
        code="hibernating" if asleep else "sign_in_page",
        advice="Wake the instance, then run `afterword destination test`."
        if asleep
        else "The credential is wrong or expired, or the address is not the API's: check both, then run `afterword destination test`.",
        status=status,
        answered=True,
        certain=certain,
    )


def _place(address: str) -> str:
    """Scheme and host of an address; empty for one on the same host, and for what is none."""
    found = re.match(r"(https?://[A-Za-z0-9.-]{1,253}(?::\d{1,5})?)(?:[/?#]|$)", address.strip())
    return found[1] if found else ""


def odd_answer(status: int, source: str, *, wrote: bool) -> AttemptFailed:
    """The error of JSON of another shape than the vendor documents; a write may have been carried out all the same."""
    return Transient(
        f"The answer of {source} is not what its API documents ({status}).",
        code="odd_answer",
        advice="If it stays like this, check the address, and whether something between here and there answers instead.",
        status=status,
        answered=True,
        certain=not wrote,
    )


def not_json(status: int, source: str, *, wrote: bool) -> AttemptFailed:
    """The error of an answer that is no JSON where JSON was due."""
    return Transient(
        f"The answer of {source} is not JSON ({status}).",
        code="not_json",
        advice="If it stays like this, check the address.",
        status=status,
        answered=True,
        certain=not wrote,
    )


def broken(host: str, *, certain: bool, late: bool = False, unshown: bool = False) -> Transient:
    """The error of a connection that broke, or of an answer that is late.

    TLS 1.3 lets a server that misses a client certificate close the connection after the handshake: with `unshown`, none was shown.
    """
    said = f"{host} did not answer in time." if late else f"The connection to {host} broke."
    advice = "If it stays like this, ask whether it wants a client certificate (`client_cert_file`)."
    code = "timeout" if late else "connection_lost"
    return Transient(said, code=code, advice=advice if unshown and not late else "", certain=certain)


def unreadable(host: str, why: str, *, certain: bool) -> Transient:
    """The error of an answer that can't be read at all; it is one of a connection that broke, whose end nobody knows."""
    advice = "If it stays like this, check the address and its port, and what stands between here and there."
    return Transient(f"The answer of {host} {why}.", code="connection_lost", advice=advice, certain=certain)


def unreachable(host: str) -> Transient:
    """The error of an address where nobody answers."""
    return Transient(f"{host} can't be reached.", code="no_connection", advice="Check address and network.")


def proxy_wants_login(proxy: str, username: str | None) -> DestinationTrouble:
    """The error of a proxy that asks who we are, or refuses what we said."""
    if username:
        words, code = f"The proxy {proxy} refuses the login of {username} (407).", "proxy_login_refused"
        advice = "Check `proxy_username`, and store the password again (`--proxy-secret-file`)."
    else:
        words, code = f"The proxy {proxy} asks for a login (407).", "proxy_wants_login"
        advice = "Set `proxy_username` and its password, or let the proxy permit this machine without them."
    return DestinationTrouble(
        words,
        code=code,
        advice=advice,
        status=407,
        answered=True,
    )


def proxy_refused(proxy: str, status: int, username: str | None) -> AttemptFailed:
    """The error of a proxy that opens no tunnel: its own trouble (5xx), or a rule of it."""
    if status == PROXY_WANTS_LOGIN:
        return proxy_wants_login(proxy, username)
    if status >= SERVER_ERROR:
        return Transient(
            f"The proxy {proxy} can't reach the destination ({status}).",
            code="proxy_failed",
            advice="Check the address, and what the proxy can reach.",
            status=status,
        )
    return DestinationTrouble(
        f"The proxy {proxy} doesn't let us to the destination ({status}).",
        code="proxy_refused",
        advice="Have its owner permit the destination's host and port.",
        status=status,
        answered=True,
    )


def not_permitted(host: str, code: str = "address_refused") -> DestinationTrouble:
    """The error of an address inside a network that the operator didn't permit."""
    return DestinationTrouble(
        f"{host} leads to a private or reserved address, which is not permitted.",
        code=code,
        advice="Allow its network with `--allow-private CIDR` if it is yours.",
    )


def no_connection(error: aiohttp.ClientConnectorError) -> AttemptFailed:
    """The error of a connection that could not be opened."""
    import aiohttp  # on use: see `tasks.http.exchange.Http._exchange`

    if isinstance(error, ssl.SSLError):
        shown = (
            error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error.os_error
        )
        return fault_of(shown if isinstance(shown, ssl.SSLError) else error, f"{error.host}:{error.port}")
    proxied = isinstance(error, aiohttp.ClientProxyConnectionError)
    if "not permitted" in str(error.os_error):
        return not_permitted(error.host, code="proxy_not_permitted" if proxied else "address_refused")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Transient(f"The name {error.host} can't be resolved.", code="no_such_host", advice="Check the address.")
    if proxied:
        return Transient(
            f"The proxy {error.host}:{error.port} can't be reached.",
            code="proxy_unreachable",
            advice="Check `proxy_url`.",
        )
    return unreachable(f"{error.host}:{error.port}")
