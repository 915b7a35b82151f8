"""How each fault looks on the wire."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

from worker.sandbox.accounts import Vendor
from worker.sandbox.azure_devops.api import SIGN_IN
from worker.sandbox.faults.register import Faults
from worker.sandbox.faults.spec import Fault, FaultSpec
from worker.sandbox.request_marks import QUERY_IGNORED, READ_ACL
from worker.sandbox.store import Store, iso

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HIBERNATING = "<html><head><title>Instance Hibernating page</title></head><body><h1>Your instance is hibernating</h1></body></html>"
BOMB_BYTES = 100 * 2**20
ENDLESS_BYTES = 256 * 2**20
TIMED_OUT = "Transaction cancelled: maximum execution time exceeded"
DELAY_LIMIT_S = 60.0
UNAVAILABLE = "The service is unavailable."


async def cause(
    fault: Fault, vendor: Vendor, request: web.Request, handler: Handler, faults: Faults
) -> web.StreamResponse:
    """Answer as the fault says. Those that spoil the answer to a write commit it first, unless `commit` is false."""
    spec = fault.spec
    match spec.fault:
        case "drop":
            return _reset(request)
        case "status" if spec.body is not None:
            return web.Response(status=spec.status, text=spec.body, content_type=spec.content_type)
        case "status":
            plain = "/rest/api/" in request.path
            return refusal(vendor, spec.status, spec.message, plain=plain, type_key=spec.type_key)
        case "rate_limit":
            return _throttled(spec, vendor, faults.store)
        case "redirect_302":
            return web.Response(status=302, headers={"Location": spec.location})
        case "sign_in_203":
            return web.Response(text=SIGN_IN, status=203, content_type="text/html")
        case "hibernating":
            return web.Response(text=HIBERNATING, content_type="text/html")
        case "bom":
            body = b"\xef\xbb\xbf" + json.dumps({"message": "The service is unavailable."}).encode()
            return web.Response(body=body, status=spec.status, content_type="application/json")
        case "conflict_409":
            return refusal(vendor, 409, "org.hibernate.OptimisticLockException: Row was updated by another transaction")
        case "gone_410":
            return refusal(vendor, 410, "This deprecated endpoint has been removed.", plain=True)
        case "latency":
            typical = 2 ** (1 / spec.tail)  # the median of a Pareto draw; half of all delays are longer than `seconds`
            await faults.sleep(min(spec.seconds * fault.chance.paretovariate(spec.tail) / typical, DELAY_LIMIT_S))
            return await handler(request)
        case "read_acl":
            request[READ_ACL] = True
            return await handler(request)
        case "query_ignored":
            request[QUERY_IGNORED] = True
            return await handler(request)
        case _:
            return await _after_commit(spec, vendor, request, handler, faults)


async def _after_commit(
    spec: FaultSpec, vendor: Vendor, request: web.Request, handler: Handler, faults: Faults
) -> web.StreamResponse:
    answer = await handler(request) if spec.commit else web.json_response({})
    match spec.fault:
        case "commit_then_drop":
            return _reset(request)
        case "commit_then_500":
            return refusal(vendor, 500, TIMED_OUT)
        case "commit_then_429":
            return _throttled(spec, vendor, faults.store)
        case "property_409":
            # Cloud made the property by itself: it is there, and the POST is refused.
            return refusal(vendor, 409, "Property already exists")
        case "delayed":
            answer.headers.update(_retry_after(spec, faults.store))
            return answer
        case "malformed_json":
            text = '{"result":[{"sys_id":"0"},{"error":{"message":"' + TIMED_OUT + '"},"status":"failure"}'
            return web.Response(
                text=text if vendor == "servicenow" else '{"id": "1", ', content_type="application/json"
            )
        case "slow_headers":
            await faults.sleep(spec.seconds)
            return answer
        case "slow_body":
            return await _drip(request, answer, spec.seconds, faults)
        case "endless_body":
            return await _endless(request)
        case _:
            bomb = await asyncio.to_thread(_bomb)
            return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


def refusal(vendor: Vendor, status: int, message: str, *, plain: bool = False, type_key: str = "") -> web.Response:
    """An error in the vendor's shape."""
    body: dict[str, Any]
    if vendor == "servicenow":
        body = {"error": {"message": message, "detail": None}, "status": "failure"}
        if status == 403 and message == UNAVAILABLE:
            body["error"] = {
                "message": "Operation Failed",
                "detail": "ACL Exception Insert Failed due to security constraints",
            }
    elif vendor == "jira":
        body = {"errorMessages": [message], "errors": {}}
    elif vendor == "azure_devops":
        body = {
            "$id": "1",
            "innerException": None,
            "message": message,
            "typeName": "",
            "typeKey": type_key,
            "errorCode": 0,
        }
    elif plain:
        body = {"statusCode": status, "data": {}, "message": message}
    else:
        code = {400: "BAD_REQUEST", 403: "FORBIDDEN", 409: "CONFLICT", 429: "TOO_MANY_REQUESTS"}.get(
            status, "INTERNAL_SERVER_ERROR"
        )
        body = {"errors": [{"status": status, "code": code, "title": message, "detail": None}], "message": message}
    return web.json_response(body, status=status)


def _throttled(spec: FaultSpec, vendor: Vendor, store: Store) -> web.Response:
    """429 with the vendor's own headers. ServiceNow's appear only where a rule matched, which `absent` denies."""
    words = {"azure_devops": "TF400733: The request has been canceled: Request was blocked due to exceeding usage."}
    answer = refusal(vendor, 429, words.get(vendor, "Rate limit exceeded"))
    headers, reset = _retry_after(spec, store), store.clock() + spec.seconds
    if vendor == "confluence":
        headers |= {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": iso(reset)}
        headers["RateLimit-Reason"] = "confluence-burst-based"
    elif vendor == "jira":
        headers |= {"X-RateLimit-NearLimit": "true", "RateLimit-Reason": "jira-burst-based"}
    elif vendor == "azure_devops":
        headers |= {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(reset))}
        headers["X-RateLimit-Resource"] = "Core"
    elif headers:
        headers |= {"X-RateLimit-Limit": "100", "X-RateLimit-Reset": str(int(reset)), "X-RateLimit-Rule": "sandbox"}
    answer.headers.update(headers)
    return answer


def _retry_after(spec: FaultSpec, store: Store) -> dict[str, str]:
    """`Retry-After` in seconds, as a date `seconds` from now, negative, absurd, or not at all."""
    if spec.retry_after in (None, "absent"):
        return {}
    date = formatdate(store.clock() + spec.seconds, usegmt=True)
    named = {"seconds": str(round(spec.seconds)), "date": date, "negative": "-5", "absurd": "1e308"}
    return {"Retry-After": named.get(str(spec.retry_after), str(spec.retry_after))}


def _reset(request: web.Request) -> web.Response:
    """Cut the connection with RST, so that the client sees a reset and no end of file."""
    transport = request.transport
    if transport is not None:
        held: socket.socket | None = transport.get_extra_info("socket")
        if held is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=502)


async def _drip(request: web.Request, answer: web.StreamResponse, seconds: float, faults: Faults) -> web.StreamResponse:
    """The true answer, one small piece at a time over `seconds`."""
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b"{}"
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    await response.prepare(request)
    pieces = max(round(seconds * 10), 1)
    size = max(-(-len(body) // pieces), 1)
    for place in range(0, len(body), size):
        await response.write(body[place : place + size])
        await faults.sleep(0.1)
    await response.write_eof()
    return response


async def _endless(request: web.Request) -> web.StreamResponse:
    """Spaces, for as long as the client listens (up to 256 MiB)."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    piece = b" " * 2**16
    for _ in range(ENDLESS_BYTES // len(piece)):
        if request.transport is None or request.transport.is_closing():
            break
        await response.write(piece)
        await asyncio.sleep(0)
    return response


def _bomb() -> bytes:
    """100 MiB of spaces in about 100 kB of gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b" " * 2**20
    return b"".join(packer.compress(piece) for _ in range(BOMB_BYTES // len(piece))) + packer.flush()
