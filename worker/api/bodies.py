"""Reads a request's JSON body: bounded in bytes, depth and time, and refused where one name stands twice."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, NoReturn

import pydantic_core
from aiohttp import ClientError, web

from worker.api.problems import ProblemError

MAX_BYTES = 5_000_000
LARGEST_WHOLE = 2**53
READ_LIMIT_S = 30.0
LONG_BYTES = 100_000


async def read_json(request: web.Request) -> bytes:
    """The body, which is one JSON value; raises `ProblemError` (400, 408, 413, 415)."""
    if request.content_type != "application/json":
        raise ProblemError(415, "not_json", "The body must be application/json.", "Set Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError(415, "packed", "A compressed body is not accepted.", "Send it without Content-Encoding.")
    body = await _read(request)
    return await asyncio.to_thread(checked_json, body) if len(body) > LONG_BYTES else checked_json(body)


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
    except (ConnectionError, ClientError):
        raise ProblemError(400, "cut_off", "The connection ended before the body did.") from None
    return bytes(body)


def _too_long() -> ProblemError:
    return ProblemError(
        413,
        "too_long",
        f"The body is longer than {MAX_BYTES // 1_000_000} MB.",
        "Shorten the document, or link to what is long.",
        headers={"Connection": "close"},
    )


def checked_json(body: bytes) -> bytes:
    """The body, where it is plain JSON (RFC 8259) in UTF-8, not nested too deeply, and names no member twice.

    A whole number may be written as 8.0, as some languages do; it comes back as 8.
    """
    whole: list[str] = []

    def number(text: str) -> int | float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(text)
        if not value.is_integer() or abs(value) > LARGEST_WHOLE:
            return value
        whole.append(text)
        return int(value)

    try:
        pydantic_core.from_json(body)  # bounds the depth before anything recurses
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant, parse_float=number
        )
        return json.dumps(value).encode() if whole else body
    except UnicodeDecodeError:
        raise ProblemError(400, "bad_json", "The body is not UTF-8.", "Encode it as UTF-8.") from None
    except ValueError as error:
        if "recursion limit" in str(error):
            raise ProblemError(400, "too_deep", "The JSON is nested too deeply.", "200 levels are the most.") from None
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ProblemError(
            400, "bad_json", f"The body is not JSON{place}.", "Check quotes, commas and brackets."
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ProblemError(400, "duplicate_name", "A member of the JSON body is given twice.", "Give each once.")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
