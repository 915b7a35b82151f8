"""What can go wrong, on request: a middleware before and behind the vendors' handlers."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import web

from worker.sandbox.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NAMES = (
    "commit_then_drop",
    "commit_then_500",
    "drop",
    "status",
    "rate_limit",
    "sign_in_203",
    "redirect_302",
    "hibernating",
    "malformed_json",
    "bom",
    "wiql_blind",
    "page_404",
    "conflict_409",
    "property_409",
    "gone_410",
    "slow_headers",
    "slow_body",
    "endless_body",
    "gzip_bomb",
    "latency",
)
SIGN_IN = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to your account</body></html>"


@dataclass
class Fault:
    """One fault: which requests it meets, how often, and its parameters."""

    fault: str
    vendor: str = "*"
    operation: str = "any"
    method: str = ""
    path: str = ""
    times: int = 1
    after: int = 0
    share: float | None = None
    seed: int = 0
    status: int = 503
    seconds: float = 5.0
    retry_after: str | None = "2"
    chance: random.Random = field(default_factory=random.Random, repr=False)

    def meets(self, vendor: str, operation: str, request: web.Request) -> bool:
        """Whether this request is to fail; counts it."""
        if self.vendor not in ("*", vendor) or self.operation not in ("any", operation):
            return False
        if (self.method and self.method != request.method) or self.path not in request.path:
            return False
        if self.share is not None:
            return self.chance.random() < self.share
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return self.times >= 0


def vendor_of(path: str) -> str:
    """The vendor that a path belongs to."""
    if path.startswith(("/wiki", "/rest", "/_edge")):
        return "confluence"
    return "servicenow" if path.startswith(("/api/now", "/oauth_token.do")) else "azure_devops"


def operation_of(request: web.Request) -> str:
    """create, update or lookup. A write to a property or label is an update, a WIQL query a lookup."""
    path = request.path
    if request.method == "GET" or path.endswith("/wiql") or "validateOnly" in request.query_string:
        return "lookup"
    if request.method == "POST" and (path.endswith(("/pages", "/content", "/incident")) or "/workitems/$" in path):
        return "create"
    return "update"


class Faults:
    """The faults in force."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.active: list[Fault] = []

    def add(self, spec: dict[str, Any]) -> Fault:
        """Put a fault in force; raises `ValueError` for an unknown one."""
        if spec.get("fault") not in NAMES:
            raise ValueError(f"unknown fault; known: {', '.join(NAMES)}")
        fault = Fault(**spec)
        fault.chance.seed(fault.seed)
        if fault.fault == "wiql_blind":
            self.store.blind_until = self.store.clock() + fault.seconds
        elif fault.fault == "page_404":
            self.store.unseen_until = self.store.clock() + fault.seconds
        else:
            self.active.append(fault)
        return fault

    def middleware(self) -> Any:
        """The middleware."""

        @web.middleware
        async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/_sandbox") or request.path == "/":
                return await handler(request)
            vendor, operation = vendor_of(request.path), operation_of(request)
            seen: dict[str, Any] = {
                "vendor": vendor,
                "operation": operation,
                "method": request.method,
                "path": request.path,
            }
            self.store.requests.append(seen)
            fault = next((f for f in self.active if f.meets(vendor, operation, request)), None)
            response = await (self.cause(fault, request, handler) if fault else handler(request))
            seen["status"] = response.status
            return response

        return fail

    async def cause(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer as the fault says."""
        match fault.fault:
            case "commit_then_drop":
                await handler(request)
                return _drop(request)
            case "commit_then_500":
                await handler(request)
                return web.json_response(
                    {"message": "Transaction cancelled: maximum execution time exceeded"}, status=500
                )
            case "drop":
                return _drop(request)
            case "status":
                return web.json_response({"message": "The service is unavailable."}, status=fault.status)
            case "rate_limit":
                return web.json_response({"message": "Rate limit exceeded"}, status=429, headers=_retry_after(fault))
            case "sign_in_203":
                return web.Response(text=SIGN_IN, status=203, content_type="text/html")
            case "redirect_302":
                return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
            case "hibernating":
                return web.Response(
                    text="<html><body>Your instance is hibernating</body></html>", content_type="text/html"
                )
            case "malformed_json":
                await handler(request)
                return web.Response(text='{"result": {', content_type="application/json")
            case "bom":
                return web.Response(
                    body=b'\xef\xbb\xbf{"message":"Service unavailable"}', status=503, content_type="application/json"
                )
            case "conflict_409" | "property_409":
                if fault.fault == "property_409" and "propert" not in request.path:
                    fault.times += 1
                    return await handler(request)
                return web.json_response({"message": "OptimisticLockException"}, status=409)
            case "gone_410":
                return web.json_response({"message": "This endpoint is gone."}, status=410)
            case "slow_headers" | "latency":
                await asyncio.sleep(fault.seconds)
                return await handler(request)
            case "slow_body" | "endless_body":
                return await _stream(request, fault)
            case _:
                bomb = gzip.compress(b"0" * 100_000_000, 9)
                return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def _retry_after(fault: Fault) -> dict[str, str]:
    if fault.retry_after is None:
        return {}
    named = {"date": formatdate(usegmt=True), "negative": "-5", "absurd": "1e308"}
    return {"Retry-After": named.get(fault.retry_after, fault.retry_after)}


async def _stream(request: web.Request, fault: Fault) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    slow = fault.fault == "slow_body"
    for _ in range(int(fault.seconds * 10) if slow else 4000):
        await response.write(b" " if slow else b" " * 65536)
        await asyncio.sleep(0.1 if slow else 0)
    return response
