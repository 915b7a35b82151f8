"""ServiceNow's own authorization server: `/oauth_token.do` and `/oauth_auth.do`. Source: ServiceNow's pages on OAuth."""

from __future__ import annotations

from aiohttp import web

from worker.sandbox.authority import JWT_BEARER, No, Server
from worker.sandbox.store import Store


class ServiceNowAuthority:
    """An instance's tokens: 30 minutes for an access token, and a refresh token that stays the same."""

    def __init__(self, store: Store) -> None:
        grants = frozenset({"password", "refresh_token", "client_credentials", "authorization_code", JWT_BEARER})
        scopes = frozenset({"useraccount", "incident_api"})
        self.server = Server("servicenow", store, grants, scopes, ("useraccount",), life_s=1799, always_refresh=True)

    def routes(self) -> list[web.RouteDef]:
        """Two scripts at the root."""
        return [web.post("/oauth_token.do", self.token), web.get("/oauth_auth.do", self.login)]

    async def login(self, request: web.Request) -> web.Response:
        """The page of consent."""
        return self.server.authorize(request)

    async def token(self, request: web.Request) -> web.Response:
        """Tokens. What is wrong about an account is told as a server's error with 401, as the product does."""
        try:
            answer = await self.server.answer(request, str(request.url))
        except No as no:
            vague = no.error == "invalid_grant" and no.status == 401
            error, words = ("server_error", "access_denied") if vague else (no.error, no.words)
            return web.json_response({"error_description": words, "error": error}, status=no.status)
        if (await request.post()).get("grant_type") == "client_credentials":
            answer.pop("refresh_token", None)
        return web.json_response(answer)
