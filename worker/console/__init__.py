"""The console: what people see of Afterword in a browser. Server-rendered, live by server-sent events.

Every page works without a script; the script only keeps pages fresh. `attach` adds it to the API's application.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from worker.attempts import cancel_all
from worker.console import (
    audit,
    bulk,
    destination_login,
    destinations,
    edits,
    issue,
    job,
    jobs,
    keys,
    live,
    login,
    overview,
    palette,
    publish,
    receivers,
    reference,
    signin,
    views,
    workers,
)
from worker.console.guard import HEADERS, guarded
from worker.console.rendering import ASSETS, asset, environment
from worker.console.sessions import Sessions
from worker.console.visit import Console, Route, Visit
from worker.runtime import Services
from worker.signin.policy import sign_in_policy
from worker.signin.signing_in import SigningIn

THE_APIS = r"v1|openapi\.json|healthz|readyz|metrics"
PATIENCE_S = 1.0
YEAR_S = 365 * 24 * 3600
PARTS = (
    overview,
    login,
    signin,
    destinations,
    destination_login,
    publish,
    bulk,
    jobs,
    views,
    edits,
    job,
    issue,
    audit,
    workers,
    keys,
    receivers,
    live,
    palette,
    reference,
)


def attach(app: web.Application, services: Services, specification: Mapping[str, Any]) -> None:
    """Add the console under `/`, with a page that shows the API's OpenAPI document. The API's own paths stay the API's."""
    policy = sign_in_policy(services.settings)
    sessions = Sessions(
        services.redis, services.vault, services.access, services.settings.prefix, services.ended, policy
    )
    signing_in = SigningIn(services, policy) if policy else None
    console = Console(services, sessions, environment(), specification, signing_in)
    for part in PARTS:
        for route in part.ROUTES:
            app.router.add_route(route.method, route.path, guarded(console, route))  # type: ignore[arg-type]
    names = "|".join(re.escape(name) for name in ASSETS)
    app.router.add_get(f"/static/{{name:{names}}}", static)
    app.router.add_get("/favicon.ico", favicon)
    nowhere = guarded(console, Route("GET", "", nothing, None))
    app.router.add_route("*", f"/{{path:(?!({THE_APIS})(/|$)).*}}", nowhere)  # type: ignore[arg-type]

    async def close(_: web.Application) -> None:
        console.closing.set()
        await cancel_all(set(console.running), PATIENCE_S)

    app.on_shutdown.append(close)


async def nothing(_: Visit) -> web.StreamResponse:
    """The page for an address that leads nowhere."""
    raise web.HTTPNotFound


async def static(request: web.Request) -> web.Response:
    """One of our own static files."""
    name = request.match_info["name"]
    return _file(name, kept=bool(request.query_string))


async def favicon(_: web.Request) -> web.Response:
    """The mark, where browsers look for it by themselves."""
    return _file("icon.svg", kept=False)


def _file(name: str, *, kept: bool) -> web.Response:
    caching = f"public, max-age={YEAR_S}, immutable" if kept else "no-cache"
    headers = HEADERS | {"Cache-Control": caching}
    return web.Response(body=asset(name), content_type=ASSETS[name], charset="utf-8", headers=headers)
