"""Microsoft Entra's v2.0 endpoints, as far as Azure DevOps needs them. Source: Microsoft's pages on the OAuth 2.0 flows."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from aiohttp import web

from worker.sandbox.authority import No, Server
from worker.sandbox.store import Store

RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798"
SCOPES = frozenset(
    {f"{RESOURCE}/.default", f"{RESOURCE}/user_impersonation", f"{RESOURCE}/vso.work_write", "offline_access"}
)
CODES = {"invalid_client": 7000215, "invalid_scope": 70011, "invalid_grant": 700082, "unsupported_grant_type": 70003}


class EntraAuthority:
    """A tenant's token endpoint."""

    def __init__(self, store: Store) -> None:
        grants = frozenset({"client_credentials", "authorization_code", "refresh_token"})
        self.server = Server(
            "azure_devops",
            store,
            grants,
            SCOPES,
            (),
            life_s=3599,
            algorithms=("RS256", "PS256"),
            extra={"ext_expires_in": 3599},
        )

    def routes(self) -> list[web.RouteDef]:
        """Below the tenant's name or id."""
        tenant = "/{tenant}/oauth2/v2.0"
        return [web.get(f"{tenant}/authorize", self.login), web.post(f"{tenant}/token", self.token)]

    async def login(self, request: web.Request) -> web.Response:
        """The page of consent."""
        return self.server.authorize(request)

    async def token(self, request: web.Request) -> web.Response:
        """Tokens; a scope must be named, and for a client's own credentials it is the resource's `.default`."""
        try:
            await _check_scope(request)
            return web.json_response(await self.server.answer(request, str(request.url)))
        except No as no:
            number = CODES.get(no.error, 900144)
            return web.json_response(
                {
                    "error": no.error,
                    "error_description": f"AADSTS{number}: {no.words} Trace ID: {uuid.uuid4()}",
                    "error_codes": [number],
                    "timestamp": f"{datetime.fromtimestamp(self.server.store.clock(), UTC):%Y-%m-%d %H:%M:%SZ}",
                    "trace_id": str(uuid.uuid4()),
                    "correlation_id": str(uuid.uuid4()),
                },
                status=no.status,
            )


async def _check_scope(request: web.Request) -> None:
    form = await request.post()
    scope = str(form.get("scope") or "")
    if form.get("grant_type") == "client_credentials" and scope != f"{RESOURCE}/.default":
        raise No("invalid_scope", f"The provided value for scope {scope:.100} is not valid.")
