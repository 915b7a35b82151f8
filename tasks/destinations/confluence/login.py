"""Where Confluence is logged in to, and which scope each call needs.

Sources: Atlassian's pages on OAuth 2.0 (3LO), service accounts and scoped tokens, and its descriptions of v1 and v2; Data
Center's page on its OAuth 2.0 provider. v1's calls are under classic scopes, v2's under granular ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.credentials.kinds import ClientCredentials, Endpoints, Login
from tasks.destinations.contract import endpoints_of

AUTHORITY = "https://auth.atlassian.com"
GATEWAY = "https://api.atlassian.com"
TENANT = "/_edge/tenant_info"
# Each operation as the audit names it, by its beginning, and the scope that Cloud wants for it.
SCOPE_OF: tuple[tuple[str, str], ...] = (
    ("GET /user/current", "read:confluence-user"),
    ("POST /content/{id}/label", "write:confluence-content"),
    ("DELETE /content/{id}/label", "write:confluence-content"),
    ("PUT /content/{id}/child/attachment", "write:confluence-file"),
    ("GET /spaces", "read:space:confluence"),
    ("GET /pages/{id}/labels", "read:label:confluence"),
    ("GET /pages/{id}/attachments", "read:attachment:confluence"),
    ("GET /pages", "read:page:confluence"),
    ("POST /pages", "write:page:confluence"),
    ("PUT /pages", "write:page:confluence"),
)
SCOPES = tuple(dict.fromkeys(scope for _, scope in SCOPE_OF))


def scope_of(operation: str) -> str:
    """The scope that Cloud wants for an operation; empty where none is known."""
    return next((scope for start, scope in SCOPE_OF if operation.startswith(start)), "")


def endpoints(auth: ClientCredentials | Login, site: str, vendors: Callable[[str], str], *, cloud: bool) -> Endpoints:
    """Atlassian's authorization server for Cloud; a Data Center has its own. `vendors` places what Atlassian runs.

    A service account has its scopes from its administrator: it asks for none.
    """
    login = isinstance(auth, Login)
    if not cloud:
        own = f"{site}/rest/oauth2/latest"
        return endpoints_of(auth, f"{own}/token", ("WRITE",), authorize_url=f"{own}/authorize")
    authority = vendors(AUTHORITY)
    more: Mapping[str, str] = {"audience": "api.atlassian.com", "prompt": "consent"}
    return endpoints_of(
        auth,
        f"{authority}/oauth/token",
        (*SCOPES, "offline_access") if login else (),
        authorize_url=f"{authority}/authorize",
        authorize_more=dict(more),
    )
