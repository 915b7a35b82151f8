"""What is sent to an authorization server for each grant. Pure: time and chance come in as values.

Bodies and PKCE are built by oauthlib (RFC 6749, 7636), assertions by PyJWT (RFC 7519, 7523). Both only make texts: the
request itself goes through `tasks.http` as any other.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.serialization import Encoding
from oauthlib.common import add_params_to_uri
from oauthlib.oauth2 import (
    BackendApplicationClient,
    LegacyApplicationClient,
    WebApplicationClient,
)
from oauthlib.oauth2.rfc6749.parameters import prepare_token_request

from tasks.credentials.kinds import (
    Certificate,
    ClientCredentials,
    Endpoints,
    JwtBearer,
    Login,
    Password,
    Renewable,
    WorkloadIdentity,
)
from tasks.credentials.secret import certificate_of
from tasks.errors import DestinationTrouble

ASSERTION_S = 300
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Moment:
    """What a grant needs of the world: the time (Unix seconds, by the ledger's clock), a text that was never used, and how
    to read a file.
    """

    now_s: int
    unique: str
    read: Callable[[str], str]


@dataclass(frozen=True)
class Asked:
    """The form of a token request, and everything secret that it holds."""

    form: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def asked(
    auth: Renewable,
    endpoints: Endpoints,
    parts: Mapping[str, str],
    *,
    account: str | None,
    refresh_token: str | None,
    moment: Moment,
) -> Asked:
    """The request for a first or a next access token; raises `DestinationTrouble` where there is nothing to ask with.

    A refresh token is used where there is one; a grant that can prove itself without goes on by that.
    """
    refresh_token = refresh_token or parts.get("refresh_token")
    extra = {"client_secret": parts.get("client_secret") or None}
    scope = " ".join(endpoints.scopes) or None
    if refresh_token and isinstance(auth, Login | Password):
        body = WebApplicationClient(auth.client_id).prepare_refresh_body(
            refresh_token=refresh_token, include_client_id=True, client_id=auth.client_id, **extra
        )
        return _made(body, refresh_token, *parts.values())
    match auth:
        case ClientCredentials():
            body = BackendApplicationClient(auth.client_id).prepare_request_body(
                scope=scope, include_client_id=True, **extra
            )
        case Password():
            body = LegacyApplicationClient(auth.client_id).prepare_request_body(
                account or "", parts.get("password", ""), scope=scope, include_client_id=True, **extra
            )
        case JwtBearer():
            assertion = _bearer_assertion(auth, parts, moment)
            body = prepare_token_request(
                JWT_BEARER,
                assertion=assertion,
                include_client_id=True,
                client_id=auth.client_id,
                scope=scope,
                **extra,
            )
            return _made(body, assertion, *parts.values())
        case Certificate() | WorkloadIdentity():
            assertion = (
                _client_assertion(auth, endpoints.token_url, parts, moment)
                if isinstance(auth, Certificate)
                else _platforms_token(auth, moment)
            )
            body = BackendApplicationClient(auth.client_id).prepare_request_body(
                scope=scope, include_client_id=True, client_assertion_type=CLIENT_ASSERTION, client_assertion=assertion
            )
            return _made(body, assertion, *parts.values())
        case Login():
            raise DestinationTrouble(
                "Nobody has logged in to this destination yet.",
                code="not_logged_in",
                advice="Run `afterword destination login NAME`.",
            )
    return _made(body, *parts.values())


@dataclass(frozen=True)
class Visit:
    """A login in a browser: where a person goes, and what has to come back and be shown again."""

    address: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str


def visit(auth: Login, endpoints: Endpoints, redirect_uri: str, state: str) -> Visit:
    """The address to open, with PKCE (S256)."""
    client = WebApplicationClient(auth.client_id)
    verifier = client.create_code_verifier(64)
    more = {
        "response_type": "code",
        "client_id": auth.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(endpoints.scopes),
        "state": state,
        "code_challenge": client.create_code_challenge(verifier, "S256"),
        "code_challenge_method": "S256",
        **endpoints.authorize_more,
    }
    address = add_params_to_uri(endpoints.authorize_url, [(name, value) for name, value in more.items() if value])
    return Visit(address, state, verifier, redirect_uri)


def asked_with_code(auth: Login, parts: Mapping[str, str], visited: Visit, code: str) -> Asked:
    """The request for the first tokens, after a person has logged in."""
    body = WebApplicationClient(auth.client_id).prepare_request_body(
        code=code,
        redirect_uri=visited.redirect_uri,
        code_verifier=visited.verifier,
        client_secret=parts.get("client_secret") or None,
    )
    return _made(body, code, visited.verifier, *parts.values())


def _made(body: str, *secrets: str) -> Asked:
    return Asked(body, tuple(dict.fromkeys(secret for secret in secrets if secret)))


def _bearer_assertion(auth: JwtBearer, parts: Mapping[str, str], moment: Moment) -> str:
    """ServiceNow's: the client speaks for the account."""
    claims = {"iss": auth.client_id, "sub": auth.subject, "aud": auth.audience or auth.client_id}
    headers = {"kid": auth.key_id} if auth.key_id else {}
    return _signed(claims, parts, "RS256", headers, moment)


def _client_assertion(auth: Certificate, token_url: str, parts: Mapping[str, str], moment: Moment) -> str:
    """Entra's: the client proves that it holds the certificate's key."""
    der = certificate_of(parts.get("private_key", "")).public_bytes(Encoding.DER)
    print_ = urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    claims = {"iss": auth.client_id, "sub": auth.client_id, "aud": token_url}
    return _signed(claims, parts, "PS256", {"x5t#S256": print_}, moment)


def _signed(
    claims: Mapping[str, str], parts: Mapping[str, str], algorithm: str, headers: dict[str, str], moment: Moment
) -> str:
    import jwt

    times = {"iat": moment.now_s, "nbf": moment.now_s, "exp": moment.now_s + ASSERTION_S, "jti": moment.unique}
    return jwt.encode({**claims, **times}, parts.get("private_key", ""), algorithm=algorithm, headers=headers)


def _platforms_token(auth: WorkloadIdentity, moment: Moment) -> str:
    try:
        found = moment.read(auth.token_file).strip()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DestinationTrouble(
            f"The token file {auth.token_file} can't be read: {words}.",
            code="no_token_file",
            advice="Mount the platform's token into every worker, or name its place with `--token-file`.",
        ) from None
    if not found:
        raise DestinationTrouble(
            f"The token file {auth.token_file} is empty.", code="no_token_file", advice="Check it."
        )
    return found
