"""The API as an aiohttp application: every request goes key → rate → path, query and body → handler → answer.

A submission by a key that was right before takes one trip to Redis: the ledger's script looks at the key's record and its rate
first, and counts it once it is stored. What is refused is counted before it is answered, as everywhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from aiohttp import web
from pydantic import BaseModel, ValidationError

from tasks.errors import Refused
from tasks.state.access.keys import Admission, Caller
from tasks.state.access.rights import ApiKey, Scope
from tasks.state.jobs.submitting import Outdated
from worker.api.bodies import read_json
from worker.api.openapi import document_of
from worker.api.problems import ALWAYS, ProblemError, invalid, problem_of
from worker.api.route import SERVICES, WAKES, Answer, Call, Route
from worker.api.routes import ROUTES
from worker.api.times import shown
from worker.attempts import cancel_all
from worker.console import attach
from worker.rounds.checkpoints import keep_checkpoints
from worker.runtime import Services
from worker.verifications import VERIFICATIONS, Verifications
from worker.wakes import Wakes

log = logging.getLogger(__name__)

ANSWER_S = 3.5  # for whatever Redis is asked, so that a request has an answer within 5 s
ADMISSION_S = 4.0  # for all that it is asked before a request is let in, however many wait
OWN_PATHS = ("/v1", "/openapi.json", "/healthz", "/readyz", "/metrics")
PATIENCE_S = 1.0
KEY: web.RequestKey[ApiKey] = web.RequestKey("apikey", ApiKey)


def build(services: Services) -> web.Application:
    """The application over open services, with the console under `/`."""
    app = web.Application(middlewares=[_problems])
    app[SERVICES] = services
    app[WAKES] = Wakes(services.redis, services.settings.prefix)
    app[VERIFICATIONS] = Verifications(services.audit)
    app.cleanup_ctx.append(_listen)
    app.cleanup_ctx.append(_checkpoints)
    for route in ROUTES:
        # Whoever watches a service often asks for the head.
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            app.router.add_route(method, route.address, _serve(route))
    attach(app, services, document_of(ROUTES))
    return app


async def _listen(app: web.Application) -> AsyncIterator[None]:
    yield
    await app[WAKES].close()


async def _checkpoints(app: web.Application) -> AsyncIterator[None]:
    """An instance without a worker of this machine keeps checkpoints as well."""
    keeping = asyncio.create_task(keep_checkpoints(app[SERVICES]))
    yield
    await cancel_all({keeping}, PATIENCE_S)
    await app[VERIFICATIONS].stop()


def ours(path: str) -> bool:
    """Whether a path belongs to the API, not to the console."""
    return any(path == own or path.startswith(f"{own}/") for own in OWN_PATHS)


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every error of the API becomes a problem document, and every request one line of the log."""
    if not ours(request.path) and "text/html" in request.headers.get("Accept", ""):
        return await handler(request)
    began = time.monotonic()
    try:
        response = await handler(request)
        if response.status == 404 and response.content_type == "text/html":
            raise web.HTTPNotFound  # noqa: TRY301 - the console's page, for a program that can't read it
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = problem_of(error).response()
    except Exception as error:
        problem = problem_of(error)
        if problem.problem.status >= 500:
            log.error("%s: %s", type(error).__name__, problem.problem.code, exc_info=error)
        response = problem.response()
    _log(request, response.status, time.monotonic() - began)
    return response


def _log(request: web.Request, status: int, took_s: float) -> None:
    """Method, route and outcome: addresses and queries as sent may hold what is secret."""
    resource = request.match_info.route.resource
    key = request.get(KEY)
    log.info(
        "%s %s %d key=%s %d ms",
        request.method[:10],
        resource.canonical if resource else "(unknown)",
        status,
        key.id if key else "-",
        int(1000 * took_s),
    )


def _serve(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        caller = await _recalled(services, request, route.scopes) if route.lets_in else None
        key = caller.key if caller else await _admitted(services, request, route.scopes) if route.scopes else None
        try:
            call = Call(
                request=request,
                services=services,
                key=key,
                path=_path(request, route),
                query=_query(request, route),
                body=await _body(request, route),
                caller=caller,
            )
            return _respond(await route.handler(call))
        except Outdated:  # its key's record isn't what was known of it, or it made too many requests
            key = await _admitted(services, request, route.scopes)
            return _respond(await route.handler(replace(call, key=key, caller=None)))
        except (ProblemError, Refused):
            if caller:
                await _admitted(services, request, route.scopes)
            raise

    return serve


async def _recalled(services: Services, request: web.Request, scopes: tuple[Scope, ...]) -> Caller | None:
    """Who calls, where that is known without asking and suffices."""
    caller = await services.access.recall(_given(request), services.settings.api_rate_per_minute)
    if caller is None or not any(caller.key.may(scope) for scope in scopes):
        return None
    request[KEY] = caller.key
    return caller


async def _admitted(services: Services, request: web.Request, scopes: tuple[Scope, ...]) -> ApiKey:
    async with asyncio.timeout(ADMISSION_S):
        return await _admit(services, request, scopes)


async def _admit(services: Services, request: web.Request, scopes: tuple[Scope, ...]) -> ApiKey:
    """The caller's key; raises 401, 429, or 403 naming the scope. What is refused for its scope counts as well."""
    key, admission = await identify(services, request)
    request[KEY] = key
    if admission.retry_after_s:
        raise ProblemError(
            429,
            "rate_limited",
            f"This key made more than {services.settings.api_rate_per_minute} requests in a minute.",
            f"Come back in {admission.retry_after_s} s; wait for jobs with `?wait=30` rather than asking again and again.",
            headers={"Retry-After": str(admission.retry_after_s)},
        )
    if not any(key.may(scope) for scope in scopes):
        needed = " or ".join(scopes)
        raise ProblemError(
            403,
            "scope_missing",
            f"This key lacks the scope {needed}.",
            "Use a key that has it: `afterword apikey new --scopes …`.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scopes[0]}"'},
        )
    return key


async def identify(services: Services, request: web.Request) -> tuple[ApiKey, Admission]:
    """The key in the Authorization header, and this request counted against its rate; raises 401, the same for every reason."""
    key, admission = await services.access.enter(_given(request), services.settings.api_rate_per_minute)
    if key is None:
        missing = "Authorization" not in request.headers
        raise ProblemError(
            401,
            "no_key" if missing else "bad_key",
            "The request carries no API key." if missing else "The API key is wrong, expired or revoked.",
            "Send `Authorization: Bearer KEY`; `afterword apikey new` makes one.",
            headers={"WWW-Authenticate": "Bearer" if missing else 'Bearer error="invalid_token"'},
        )
    return key, admission


def _given(request: web.Request) -> str:
    """The key's text in the Authorization header; empty where there is none."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _path(request: web.Request, route: Route) -> BaseModel | None:
    if route.path is None:
        return None
    try:
        return route.path.model_validate(dict(request.match_info))
    except ValidationError as error:
        if route.method != "PUT":
            raise ProblemError(404, "not_found", "There is nothing of that name.", "Check the address.") from None
        raise invalid(error, "address") from None


def _query(request: web.Request, route: Route) -> BaseModel | None:
    given = request.query
    if len(set(given)) != len(given):
        raise ProblemError(422, "invalid", "A query parameter is given twice.", "Give each once.")
    if route.query is None:
        if given:
            raise ProblemError(422, "invalid", "This address takes no query parameters.", "Leave them out.")
        return None
    try:
        return route.query.model_validate(dict(given))
    except ValidationError as error:
        raise invalid(error, "query") from None


async def _body(request: web.Request, route: Route) -> BaseModel | None:
    if route.body is None or (route.body_optional and not request.body_exists):
        return None
    try:
        return route.body.model_validate_json(await read_json(request))
    except ValidationError as error:
        raise invalid(error, "body") from None


def _respond(answer: Answer) -> web.Response:
    headers = {**ALWAYS, **answer.headers}
    content = answer.content
    if content is None:
        return web.Response(status=answer.status, headers=headers)
    if isinstance(content, bytes):
        body = content
    else:
        told = shown(content)
        body = content.model_dump_json().encode() if told is None else json.dumps(told, ensure_ascii=False).encode()
    headers["Content-Type"] = answer.media_type
    return web.Response(status=answer.status, body=body, headers=headers)
