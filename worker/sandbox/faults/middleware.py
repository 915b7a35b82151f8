"""Lets faults happen to the requests that they meet."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from worker.sandbox.faults.answers import Handler, cause
from worker.sandbox.faults.register import Faults
from worker.sandbox.faults.spec import operation_of, vendor_of
from worker.sandbox.request_marks import OWN

HEADER = "X-Sandbox-Fault"


def failing(faults: Faults) -> Any:
    """Middleware that logs every request to a vendor, without its credential or body, and lets the fault happen that it brings
    for itself in a header, or else the first one that meets it.
    """

    @web.middleware
    async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.get(OWN):
            return await handler(request)
        vendor, operation = vendor_of(request.path), operation_of(request)
        seen: dict[str, Any] = {"vendor": vendor, "operation": operation, "method": request.method}
        seen |= {"path": request.path, "status": None}
        faults.store.requests.append(seen)
        body = await request.read() if any(fault.spec.words for fault in faults.active) else b""
        try:
            brought = faults.for_one(request.headers[HEADER]) if HEADER in request.headers else None
        except ValueError as error:
            return web.json_response({"message": f"{HEADER}: {error}"}, status=400)
        fault = brought or next((f for f in faults.active if f.meets(vendor, operation, request, body)), None)
        if fault is None:
            response = await handler(request)
        else:
            seen["fault"] = fault.spec.fault
            response = await cause(fault, vendor, request, handler, faults)
        seen["status"] = response.status
        return response

    return fail
