"""What an ID token says, once everything about it is checked. Pure: the time and the provider's keys come in as values.

Source: OpenID Connect Core 1.0, 3.1.3.7; RFC 8725. PyJWT checks the signature; it would read this machine's clock for the times,
so they are checked here.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import jwt

from worker.signin.policy import MOST_SHOWN, Person, Policy, word
from worker.signin.trouble import SignInRefused

LEEWAY_S = 60
LONGEST_SUBJECT = 255
FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
# Asymmetric ones only: with `none` or HS256 anybody who knows the client's id or a public key could sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
ADDRESS = ("email", "email_verified")
UNCHECKED = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
AGAIN = "Sign in again. If it stays like this, the operator finds the reason in the log and the audit."


class UnknownKey(Exception):
    """No key that is known here fits the token: the provider may have new ones."""


@dataclass(frozen=True)
class Expected:
    """What a token has to agree with."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: Sequence[str]
    access_token: str = field(default="", repr=False)


def claims_of(token: str, keys: Sequence[Mapping[str, Any]], expected: Expected, now_s: float) -> dict[str, Any]:
    """The claims of a token that is good now (epoch seconds); raises `UnknownKey`, and `SignInRefused` saying what is wrong."""
    try:
        header = jwt.get_unverified_header(token)
        algorithm = str(header.get("alg"))
        if algorithm not in expected.algorithms or algorithm not in ALGORITHMS:
            raise _bad(f"is signed with {word(algorithm)[:20]!r}, which is not accepted")
        key = jwt.PyJWK(dict(_key(header, algorithm, keys)), algorithm=algorithm)
        options: Any = {**UNCHECKED, "enforce_minimum_key_length": True}
        claims = jwt.decode(token, key, algorithms=[algorithm], options=options)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
        raise _bad("is not signed by the provider, or is no token at all") from None
    _check_party(claims, expected)
    _check_times(claims, now_s)
    if not _same(claims.get("nonce"), expected.nonce):
        raise _bad("belongs to another sign-in (its nonce is wrong)", "nonce_wrong")
    said = claims.get("at_hash")
    if said is not None and expected.access_token and not _same(said, _half_hash(algorithm, expected.access_token)):
        raise _bad("came with an access token that isn't its own (at_hash)")
    return claims


def _key(header: Mapping[str, Any], algorithm: str, keys: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The key that the token names; where it names none, the only one that fits."""
    named = header.get("kid")
    fitting = [
        key
        for key in keys
        if key.get("kty") == FAMILIES[algorithm[:2]]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (named is None or key.get("kid") == named)
    ]
    if not fitting or (named is None and len(fitting) > 1):
        raise UnknownKey
    return fitting[0]


def _check_party(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise _bad(f"is from {word(claims.get('iss'))!r}, not from {expected.issuer!r}", "issuer_wrong")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp")
    alone = len(audiences) == 1 and party is None
    if expected.client_id not in audiences or not (alone or party == expected.client_id):
        raise _bad("was made for another client", "audience_wrong")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise _bad("names nobody (sub)")


def _check_times(claims: Mapping[str, Any], now_s: float) -> None:
    """Refuse what has ended or hasn't begun. Written so that a time that is no number passes nowhere."""
    times = [claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)]
    if not all(isinstance(moment, int | float) and not isinstance(moment, bool) for moment in times):
        raise _bad("doesn't say when it was made and when it ends")
    ends, made, begins = map(float, cast("list[float]", times))
    clocks = "Compare the provider's clock with that of the Redis server (NTP); `afterword doctor` helps. Then sign in again."
    if not now_s < ends + LEEWAY_S:
        raise SignInRefused(
            f"The sign-in had ended already ({_span(now_s - ends)} ago).", code="token_expired", advice=clocks
        )
    if not max(made, begins) <= now_s + LEEWAY_S:
        ahead = _span(max(made, begins) - now_s)
        raise SignInRefused(
            f"The provider's clock is {ahead} ahead of the Redis server's.", code="clock_off", advice=clocks
        )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s"


def _half_hash(algorithm: str, text: str) -> str:
    bits = algorithm[2:] if algorithm[2:].isdigit() else "512"  # Ed25519 hashes by SHA-512
    digest = hashlib.new(f"sha{bits}", text.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


def _same(given: object, wanted: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


def _bad(words: str, code: str = "token_bad") -> SignInRefused:
    return SignInRefused(f"The provider's ID token {words}.", code=code, advice=AGAIN)


# -- whom it is about ------------------------------------------------------------------------------------------------


def lacks(claims: Mapping[str, Any], policy: Policy) -> bool:
    """Whether the provider has to be asked for more: many keep the ID token short and tell the rest at `userinfo`."""
    if _overage(claims, policy):
        return False
    return (
        _claim(claims, policy.groups_claim) is None
        or not _name(claims)
        or (_asks_for_address(policy) and not claims.keys() >= set(ADDRESS))
    )


def joined(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> dict[str, Any]:
    """The token's claims with what userinfo says besides. One of both says which address it is and whether it is verified:
    they are of two moments, and between them a person can change the address.
    """
    told_apart = "email_verified" in claims or claims.get("email") != userinfo.get("email")
    names = claims if "email" in claims and told_apart else userinfo
    both = {name: value for name, value in {**userinfo, **claims}.items() if name not in ADDRESS}
    return both | {name: names[name] for name in ADDRESS if name in names}


def person_of(claims: Mapping[str, Any], policy: Policy) -> Person:
    """Who it is and what they may do; raises `SignInRefused`, with what to ask for, for whom no group gives a role."""
    _check_email(claims, policy)
    groups = _groups(claims, policy)
    given = policy.role_of(groups)
    if given is None:
        told = ", ".join(map(word, groups[:MOST_SHOWN])) + (" and others" if len(groups) > MOST_SHOWN else "")
        raise SignInRefused(
            "You are known, but none of your groups may use this console.",
            code="no_role",
            advice=f"Ask an administrator for one of these groups: {policy.asks_for()}. "
            f"The provider says that you are in: {told or 'none'}.",
        )
    subject = str(claims["sub"])
    return Person(issuer=policy.issuer, subject=subject, name=_name(claims) or subject, role=given[0], group=given[1])


def _name(claims: Mapping[str, Any]) -> str:
    return next((found for name in ("name", "preferred_username", "email") if (found := word(claims.get(name)))), "")


def _check_email(claims: Mapping[str, Any], policy: Policy) -> None:
    """Only a verified address counts: anybody can write any other into a profile."""
    if not _asks_for_address(policy):
        return
    email, verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(email, str) or verified not in (True, "true"):
        raise SignInRefused(
            "The provider names no e-mail address of yours that it has verified.",
            code="email_unverified",
            advice="Verify your address at the provider. Where it never says `email_verified` (Entra ID), the operator leaves "
            "AFTERWORD_OIDC_EMAIL_DOMAINS empty: the issuer's own tenant is the limit there.",
        )
    domain = email.rpartition("@")[2].lower()
    if policy.domains and domain not in policy.domains:
        raise SignInRefused(
            f"Addresses of {word(domain)!r} may not sign in here.",
            code="email_domain",
            advice=f"Sign in with an account of {', '.join(policy.domains)}.",
        )


def _asks_for_address(policy: Policy) -> bool:
    return bool(policy.domains) or policy.groups_claim == "email"


def _groups(claims: Mapping[str, Any], policy: Policy) -> tuple[str, ...]:
    found = _claim(claims, policy.groups_claim)
    if _overage(claims, policy):
        raise SignInRefused(
            "You are in more groups than the provider puts into a sign-in (Entra ID: 200), so it names none of them.",
            code="groups_overage",
            advice="The operator lets the app registration emit only *Groups assigned to the application*, or uses app roles: "
            "AFTERWORD_OIDC_GROUPS_CLAIM=roles.",
        )
    if found is None:
        raise SignInRefused(
            f"The provider doesn't say which groups you are in: there is no claim {policy.groups_claim!r}.",
            code="no_groups",
            advice="The operator has the provider add it to the ID token or to userinfo, asks for its scope "
            "(AFTERWORD_OIDC_SCOPES), or names another claim (AFTERWORD_OIDC_GROUPS_CLAIM).",
        )
    if isinstance(found, str):  # one group, as some providers write it; never split: a name may hold blanks and commas
        return (found,) if found else ()
    if not isinstance(found, list):
        raise SignInRefused(
            f"The claim {policy.groups_claim!r} is neither a list of names nor a name.",
            code="groups_odd",
            advice="The operator has the provider send the groups' names as a list.",
        )
    return tuple(each for each in found if isinstance(each, str))


def _overage(claims: Mapping[str, Any], policy: Policy) -> bool:
    """Whether the provider leaves the groups out because there are too many, as Entra ID does."""
    elsewhere = claims.get("_claim_names")
    named = isinstance(elsewhere, dict) and policy.groups_claim in elsewhere
    return _claim(claims, policy.groups_claim) is None and (named or bool(claims.get("hasgroups")))


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a path of names with dots between."""
    if name in claims:
        return claims[name]
    inner: Any = claims
    for part in name.split("."):
        inner = inner.get(part) if isinstance(inner, dict) else None
    return inner
