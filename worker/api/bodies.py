"""Reads a request's JSON body: bounded in bytes, depth and time, and refused where one name stands twice."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, NoReturn

from aiohttp import web

from worker.api.problems import ProblemError

MAX_BYTES = 5_000_000
MAX_DEPTH = 64
READ_LIMIT_S = 30.0
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


async def read_json(request: web.Request) -> bytes:
    """The body, which is one JSON value; raises `ProblemError` (400, 408, 413, 415)."""
    if request.content_type != "application/json":
        raise ProblemError(415, "not_json", "The body must be application/json.", "Set Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError(415, "packed", "A packed body is not taken.", "Send it without Content-Encoding.")
    body = await _read(request)
    check_json(body)
    return body


async def _read(request: web.Request) -> bytes:
    if (request.content_length or 0) > MAX_BYTES:
        raise _too_long()
    body = bytearray()
    try:
        async with asyncio.timeout(READ_LIMIT_S):
            async for chunk in request.content.iter_chunked(65536):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _too_long()
    except TimeoutError:
        raise ProblemError(
            408, "too_slow", f"The body did not arrive within {READ_LIMIT_S:.0f} s.", headers={"Connection": "close"}
        ) from None
    return bytes(body)


def _too_long() -> ProblemError:
    return ProblemError(
        413,
        "too_long",
        f"The body is longer than {MAX_BYTES // 1_000_000} MB.",
        "Shorten the document, or link to what is long.",
        headers={"Connection": "close"},
    )


def check_json(body: bytes) -> None:
    """Refuse what isn't plain JSON (RFC 8259) in UTF-8, is nested too deeply, or names a member twice."""
    if _depth(body) > MAX_DEPTH:
        raise ProblemError(400, "too_deep", f"The JSON is nested deeper than {MAX_DEPTH} levels.", "Flatten it.")
    try:
        json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ProblemError(400, "bad_json", "The body is not UTF-8.", "Encode it as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ProblemError(
            400, "bad_json", f"The body is not JSON{place}.", "Check quotes, commas and brackets."
        ) from None


def _depth(body: bytes) -> int:
    """How deep brackets nest outside strings; looked at before any parser recurses."""
    depth = deepest = 0
    for found in _BRACKETS.finditer(body):
        sign = found[0]
        if sign in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in b"]}":
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ProblemError(400, "duplicate_name", "A member of the JSON body stands twice.", "Name each once.")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
