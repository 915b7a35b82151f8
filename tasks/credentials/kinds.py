"""The kinds of credential. What stands here is no secret: it is a part of the destination's settings.

What is secret about a kind is in `secret`, and what a grant asks its authorization server for is in `grants`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tasks.http.origin import Url
from tasks.model import Frozen

Name = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[!-~]+$")]
Tenant = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")]
Scope = Annotated[str, StringConstraints(max_length=300, pattern=r"^[!#-\[\]-~]+$")]  # RFC 6749, 3.3


class Basic(Frozen):
    """An account with its password or API token, by HTTP Basic."""

    type: Literal["basic"]


class Token(Frozen):
    """A token that was made by hand: an API token, a personal access token, or a bearer token."""

    type: Literal["token"]


class ApiKey(Frozen):
    """ServiceNow's API key, sent as `x-sn-apikey`."""

    type: Literal["api-key"]


class Grant(Frozen):
    """What all grants of OAuth 2.0 have. Without a `token_url` it is the vendor's own, without `scopes` the usual ones."""

    client_id: Name
    token_url: Url | None = None
    scopes: tuple[Scope, ...] = Field(default=(), max_length=100)


class ClientCredentials(Grant):
    """RFC 6749, 4.4: a client's own id and secret. At Entra it needs the `tenant`."""

    type: Literal["client-credentials"]
    tenant: Tenant | None = None


class Password(Grant):
    """RFC 6749, 4.3: the account's password, and the client's secret. ServiceNow has it."""

    type: Literal["password"]


class JwtBearer(Grant):
    """RFC 7523, 2.1: a signed assertion of who it is. ServiceNow: `subject` is the account, `key_id` the key's `kid`."""

    type: Literal["jwt"]
    subject: str = Field(min_length=1, max_length=254)
    key_id: Name | None = None
    audience: Name | None = None


class Certificate(Grant):
    """RFC 7523, 2.2: Entra's client credentials, proved by a certificate's key instead of a secret."""

    type: Literal["certificate"]
    tenant: Tenant


class WorkloadIdentity(Grant):
    """Entra's client credentials, proved by the token that the platform (Kubernetes, a pipeline) keeps in `token_file`.

    Nothing of it is secret: there is none to store.
    """

    type: Literal["workload-identity"]
    tenant: Tenant
    token_file: str = Field(default="/var/run/secrets/azure/tokens/azure-identity-token", min_length=1, max_length=500)


class Login(Grant):
    """RFC 6749, 4.1 with PKCE: a person logs in once, in a browser; the refresh token goes on from there."""

    type: Literal["login"]
    tenant: Tenant | None = None
    authorize_url: Url | None = None


Renewable = ClientCredentials | Password | JwtBearer | Certificate | WorkloadIdentity | Login
AnyAuth = Basic | Token | ApiKey | Renewable
WORDS = {
    "basic": "account and password or token",
    "token": "token",
    "api-key": "API key",
    "client-credentials": "OAuth client credentials",
    "password": "OAuth password grant",
    "jwt": "OAuth JWT bearer",
    "certificate": "certificate (Entra)",
    "workload-identity": "workload identity (Entra)",
    "login": "OAuth login in a browser",
}


class Endpoints(Frozen):
    """Where a grant of one destination is asked for, and for what, once the vendor's own defaults are filled in."""

    token_url: str
    scopes: tuple[str, ...] = ()
    authorize_url: str = ""
    authorize_more: dict[str, str] = Field(default_factory=dict)
