"""Atlassian's authorization server and gateway, and a Data Center's own.

Source: Atlassian's pages on OAuth 2.0 (3LO), rotating refresh tokens, service accounts and scoped API tokens.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from worker.sandbox.authority import No, Server
from worker.sandbox.confluence.cloud import CLOUD_ID, Handler
from worker.sandbox.credentials import fault_of, secret_of
from worker.sandbox.request_marks import THROUGH_GATEWAY, TOKEN
from worker.sandbox.store import Store

GATEWAY = "/ex/{product}/{{cloud_id}}"
# Where each product's Cloud API begins.
BEGINNINGS = {"confluence": "/wiki/", "jira": "/rest/api/3/"}
# What a call needs: any one of these scopes, granular or classic.
NEEDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("GET", r"/wiki/api/v2/spaces", ("read:space:confluence",)),
    ("GET", r"/wiki/api/v2/pages/[^/]+/labels", ("read:label:confluence",)),
    ("GET", r"/wiki/api/v2/(pages/[^/]+/)?attachments", ("read:attachment:confluence",)),
    ("GET", r"/wiki/api/v2/(folders|pages)/[^/]+/direct-children", ("read:hierarchical-content:confluence",)),
    ("GET", r"/wiki/api/v2/folders", ("read:folder:confluence",)),
    ("", r"/wiki/api/v2/folders", ("write:folder:confluence",)),
    ("GET", r"/wiki/api/v2/", ("read:page:confluence",)),
    ("DELETE", r"/wiki/api/v2/pages/[^/]+$", ("delete:page:confluence",)),
    ("", r"/wiki/api/v2/", ("write:page:confluence",)),
    ("GET", r"/wiki/rest/api/search/user", ("read:confluence-user", "read:content-details:confluence")),
    ("GET", r"/wiki/rest/api/search", ("search:confluence",)),
    ("GET", r"/wiki/rest/api/content/[^/]+/restriction", ("read:confluence-content.permission",)),
    ("GET", r"/wiki/rest/api/content/[^/]+/state", ("read:confluence-content.summary",)),
    ("GET", r"/wiki/rest/api/user/", ("read:confluence-user", "read:content-details:confluence")),
    ("GET", r"/wiki/rest/api/", ("read:confluence-content.all", "read:content-details:confluence")),
    ("", r"/wiki/rest/api/content/[^/]+/label", ("write:confluence-content", "write:label:confluence")),
    ("", r"/wiki/rest/api/content/[^/]+/child/attachment", ("write:confluence-file", "write:attachment:confluence")),
    ("", r"/wiki/rest/api/", ("write:confluence-content",)),
    ("GET", r"/rest/api/3/(myself|user)", ("read:jira-user",)),
    ("", r"/rest/api/3/search", ("read:jira-work",)),
    ("GET", r"/rest/api/3/", ("read:jira-work",)),
    ("", r"/rest/api/3/", ("write:jira-work",)),
)
SCOPES = frozenset(scope for _, _, scopes in NEEDS for scope in scopes) | {"offline_access"}
NO_SCOPE = {"code": 401, "message": "Unauthorized; scope does not match"}


class AtlassianAuthority:
    """Where tokens are given out, for Cloud (both products together) and for Data Center."""

    def __init__(self, store: Store) -> None:
        every = tuple(sorted(SCOPES - {"offline_access"}))
        grants = frozenset({"authorization_code", "refresh_token", "client_credentials"})
        self.cloud = Server("confluence", store, grants, SCOPES, every, rotates=True)
        self.center = Server("datacenter", store, grants, frozenset({"READ", "WRITE", "ADMIN"}), ("WRITE",))

    def routes(self) -> list[web.RouteDef]:
        """Atlassian's at the root, a Data Center's below its REST address."""
        center = "/rest/oauth2/latest"
        return [
            web.get("/authorize", self.login),
            web.post("/oauth/token", self.token),
            web.get(f"{center}/authorize", self.center_login),
            web.post(f"{center}/token", self.center_token),
        ]

    async def login(self, request: web.Request) -> web.Response:
        """3LO; the audience must be named."""
        if request.query.get("audience") != "api.atlassian.com":
            return web.Response(status=400, text="The audience is missing.")
        return self.cloud.authorize(request)

    async def token(self, request: web.Request) -> web.Response:
        """Cloud's tokens."""
        return await _given(self.cloud, request)

    async def center_login(self, request: web.Request) -> web.Response:
        """A Data Center's page of consent."""
        return self.center.authorize(request)

    async def center_token(self, request: web.Request) -> web.Response:
        """A Data Center's tokens."""
        return await _given(self.center, request)


async def _given(server: Server, request: web.Request) -> web.Response:
    try:
        return web.json_response(await server.answer(request, str(request.url)))
    except No as no:
        return web.json_response({"error": no.error, "error_description": no.words}, status=no.status)


def scoped(request: web.Request) -> bool:
    """Whether the credential works at the gateway only: an access token, or an API token that says it is scoped."""
    return TOKEN in request or "scoped" in secret_of(request).lower()


def through_gateway(routes: list[web.RouteDef], product: str) -> list[web.RouteDef]:
    """Cloud's routes at the gateway, too, and those of the site closed for what works at the gateway only."""
    beginning, gateway = BEGINNINGS[product], GATEWAY.format(product=product)
    cloud = [route for route in routes if route.path.startswith(beginning)]
    others = [route for route in routes if not route.path.startswith(beginning)]
    at_site = [web.route(route.method, route.path, _at_site(route.handler)) for route in cloud]
    there = [web.route(route.method, gateway + route.path, _at_gateway(route.handler)) for route in cloud]
    return [*others, *at_site, *there]


def _at_site(handler: Any) -> Handler:
    async def site(request: web.Request) -> web.Response:
        if scoped(request):
            return web.json_response(NO_SCOPE, status=401)
        return await handler(request)  # type: ignore[no-any-return]

    return site


def _at_gateway(handler: Any) -> Handler:
    async def gateway(request: web.Request) -> web.Response:
        if fault_of(request):
            return web.json_response({"code": 401, "message": "Unauthorized"}, status=401)
        if request.match_info["cloud_id"] != CLOUD_ID:
            return web.json_response({"code": 404, "message": "No message available"}, status=404)
        path = request.path.partition(request.match_info["cloud_id"])[2]
        if not scoped(request) or (TOKEN in request and not _may(request, path)):
            return web.json_response(NO_SCOPE, status=401)
        request[THROUGH_GATEWAY] = True
        return await handler(request)  # type: ignore[no-any-return]

    return gateway


def _may(request: web.Request, path: str) -> bool:
    for method, pattern, scopes in NEEDS:
        if method in ("", request.method) and re.match(pattern, path):
            return any(scope in request[TOKEN].scopes for scope in scopes)
    return False
