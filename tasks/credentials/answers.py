"""What an authorization server answers: tokens, or a refusal in the words of RFC 6749 (5.1 and 5.2). Pure."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from tasks.http.reasons import reasons_of
from tasks.http.verdict import Answer, Verdict, judged
from tasks.model import Frozen

UNTOLD_S = 3600  # the life of an access token of which the server doesn't say how long it lives
LONGEST_TOKEN = 100_000
SOME_YEARS_S = 10 * 365 * 86400
AGAIN = (
    "Log in again: `afterword destination login NAME`, or store the credential anew with `afterword destination set`."
)


class Tokens(Frozen):
    """What a grant gave. Lives in seconds from the moment of the request."""

    access_token: str = Field(repr=False)
    lives_s: int = UNTOLD_S
    refresh_token: str | None = Field(default=None, repr=False)
    refresh_lives_s: int | None = None
    scopes: tuple[str, ...] = ()


def tokens_of(answer: dict[str, Any]) -> Tokens:
    """The tokens of an answer; raises `LookupError`, `TypeError` or `ValueError` where it has another form."""
    access = answer["access_token"]
    kind = answer.get("token_type", "bearer")
    if not _is_token(access) or str(kind).lower() != "bearer":
        raise ValueError("no bearer token")
    refresh = answer.get("refresh_token")
    if refresh is not None and not _is_token(refresh):
        raise ValueError("refresh_token")
    return Tokens(
        access_token=access,
        lives_s=_seconds(answer.get("expires_in")) or UNTOLD_S,
        refresh_token=refresh,
        refresh_lives_s=_seconds(answer.get("refresh_token_expires_in") or answer.get("refresh_expires_in")),
        scopes=tuple(str(answer.get("scope") or "").split()),
    )


def verdict(answer: Answer) -> Verdict:
    """Whose trouble a refusal tells of: the grant's, the client's, or nobody's for long. All of it is the destination's."""
    content = answer.json()
    error = content.get("error") if isinstance(content, dict) else None
    if not isinstance(error, str) or not error or answer.status >= 500 or answer.status == 429:
        return judged(answer, lambda _: None, ())
    if error == "temporarily_unavailable":
        return Verdict("transient", "remote_failure", "The authorization server is busy")
    said = " / ".join(reasons_of(content))
    code, message, advice = _REFUSALS.get(error, _REFUSALS["invalid_grant"])
    if error in ("invalid_scope", "consent_required") or "scope" in said.lower():
        code, message, advice = _SCOPE
    elif _TIMES.search(said):
        code, message, advice = _CLOCK
    return Verdict("destination", code, message, advice, passing="wait")


_SCOPE = (
    "scope_refused",
    "The authorization server doesn't give the scopes that were asked for",
    "Grant them to the client (an administrator consents where the vendor asks for it), or name those it has with `--scope`.",
)
_TIMES = re.compile(  # as Entra, and others that verify an assertion, say it
    r"AADSTS(700024|50013.{0,80}expired)|(?i:within its valid time range|reasonable timeframe|not yet valid|issued in the future"
    r"|clock|\b(iat|nbf|exp)\b.{0,40}(claim|value|future|past)|(assertion|jwt)( has| is)? expired)"
)
_CLOCK = (
    "clock_off",
    "The authorization server takes the signed assertion for one of another time",
    (
        "Assertions are dated by the clock of the Redis server: set it right, or, for a workload identity, see that the platform renews its "
        "token file. The jobs go on by themselves then."
    ),
)
_CLIENT = (
    "client_refused",
    "The authorization server refused the client",
    "Check client id, tenant and client secret or certificate: they end, too. Then `afterword destination set`.",
)
_REFUSALS = {
    "invalid_grant": ("grant_refused", "The authorization server refused the grant", AGAIN),
    "invalid_client": _CLIENT,
    "unauthorized_client": _CLIENT,
    "invalid_scope": _SCOPE,
    "unsupported_grant_type": (
        "grant_unsupported",
        "The authorization server doesn't know this kind of grant",
        "Choose another one with `--auth`, or switch it on at the vendor.",
    ),
}


def _is_token(value: object) -> bool:
    """What a header can carry (RFC 6750, 2.1, with some leeway)."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TOKEN and value.isascii() and value.isprintable()


def _seconds(value: object) -> int | None:
    """A number of seconds, also as text, as Entra's older endpoint writes it; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    seconds = float(value)
    return min(int(seconds), SOME_YEARS_S) if seconds >= 1 else None
