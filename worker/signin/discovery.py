"""What a provider says of itself at `/.well-known/openid-configuration`, checked against what the operator set. Pure.

Source: OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tasks.model import Frozen
from worker.signin.identity import ALGORITHMS
from worker.signin.policy import Policy, word
from worker.signin.trouble import SignInRefused

PLACE = "/.well-known/openid-configuration"
CHECK = "The operator checks AFTERWORD_OIDC_ISSUER; `afterword doctor` says when it is right."
ClientLogin = Literal["none", "basic", "post"]


class Provider(Frozen):
    """Where a provider is asked for what, and how."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    client_login: ClientLogin
    algorithms: tuple[str, ...]
    names_itself: bool = False


def provider_of(content: Any, policy: Policy, *, has_secret: bool) -> Provider:
    """The provider that says this of itself; raises `SignInRefused` for another one, and for one that can't be used."""
    if not isinstance(content, dict):
        raise _unusable("its discovery document is no object")
    issuer = content.get("issuer")
    if not isinstance(issuer, str) or issuer.rstrip("/") != policy.issuer.rstrip("/"):
        raise SignInRefused(
            f"The provider calls itself {word(issuer)!r}, but {policy.issuer!r} is set.",
            code="issuer_other",
            advice=f"{CHECK} Entra ID: use the tenant's own issuer, not `common` or `organizations`.",
            status=502,
        )
    said = content.get("id_token_signing_alg_values_supported")
    algorithms = tuple(name for name in ALGORITHMS if not isinstance(said, list) or name in said)
    if not algorithms:
        raise _unusable("it signs ID tokens with no algorithm that is accepted (RS256, ES256 and the like)")
    try:
        return Provider(
            issuer=issuer,
            authorization_endpoint=_address(content, "authorization_endpoint", policy),
            token_endpoint=_address(content, "token_endpoint", policy),
            jwks_uri=_address(content, "jwks_uri", policy),
            userinfo_endpoint=_perhaps(content, "userinfo_endpoint", policy),
            end_session_endpoint=_perhaps(content, "end_session_endpoint", policy),
            client_login=_client_login(content, has_secret=has_secret),
            algorithms=algorithms,
            names_itself=content.get("authorization_response_iss_parameter_supported") is True,
        )
    except ValueError as error:
        raise _unusable(str(error)) from None


def _address(content: Mapping[str, Any], name: str, policy: Policy) -> str:
    found = content.get(name)
    if not isinstance(found, str) or not found.isprintable() or "#" in found:
        raise ValueError(f"it names no {name}")
    policy.origin_of(found)
    return found


def _perhaps(content: Mapping[str, Any], name: str, policy: Policy) -> str | None:
    try:
        return _address(content, name, policy)
    except ValueError:
        return None


def _client_login(content: Mapping[str, Any], *, has_secret: bool) -> ClientLogin:
    """How the client proves itself at the token endpoint: HTTP Basic where nothing is said."""
    said = content.get("token_endpoint_auth_methods_supported")
    methods = said if isinstance(said, list) else ["client_secret_basic"]
    if not has_secret:
        return "none"  # whether it takes public clients, many don't say
    if "client_secret_basic" in methods:
        return "basic"
    if "client_secret_post" in methods:
        return "post"
    raise ValueError("it takes no client secret (client_secret_basic, client_secret_post)")


def _unusable(words: str) -> SignInRefused:
    return SignInRefused(f"The provider can't be used: {words}.", code="provider_unusable", advice=CHECK, status=502)
