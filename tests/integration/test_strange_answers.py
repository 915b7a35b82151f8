"""A connection test against what answers at an address and isn't the vendor: the first step that fails, and what to do."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager

import pytest

from tasks.destinations import parse_settings
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

VENDORS = ("confluence", "servicenow", "azure_devops", "jira")
PAGE = "<!doctype html><html><head><title>Sign in</title></head><body><form></form></body></html>"
SIGNS_IN = {"azure_devops": "credential"}  # a wrong token gets a page there


def answer(status="200 OK", body="", kind="application/json", **headers):
    """An answer as it goes over the wire; an object becomes JSON."""
    sent = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    named = {"Content-Type": kind, "Content-Length": str(len(sent)), "Connection": "close", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + sent


# What answers; the step that fails where it isn't the vendor's; what the words say.
ANSWERS = {
    "a login page": (answer(body=PAGE, kind="text/html"), SIGNS_IN, "sign-in or other web page"),
    "a login page as text": (answer(body=PAGE, kind="text/plain"), SIGNS_IN, "sign-in or other web page"),
    "single sign-on": (
        answer("302 Found", Location="https://login.example/saml?SAMLRequest=planted"),
        SIGNS_IN,
        "(302). It leads to https://login.example. ",
    ),
    "a moved site": (
        answer("301 Moved Permanently", Location="https://elsewhere.example:8443"),
        SIGNS_IN,
        "(301). It leads to https://elsewhere.example:8443. ",
    ),
    "a page of its own": (
        answer("303 See Other", Location="/login.jsp"),
        SIGNS_IN,
        "came instead of an answer (303). The",
    ),
    "an empty answer": (answer(), {}, "is not JSON (200)"),
    "another product's health": (answer(body={"database": "ok", "version": "11.1"}), {}, "not what its API documents"),
    "another product's greeting": (answer(body={"name": "node-1", "tagline": "for search"}), {}, "not what its API"),
    "another product's rows": (
        answer(body={"result": [{"id": 1}], "results": [{"id": 1}], "value": [{"id": 1}]}),
        {},
        "not what its API documents",
    ),
    "another product's 404": (
        answer("404 Not Found", {"message": "Not Found", "documentation_url": "x"}),
        {},
        "Something else",
    ),
    "a framework's 401": (
        answer("401 Unauthorized", {"timestamp": 1, "status": 401, "error": "Unauthorized"}),
        dict.fromkeys(VENDORS, "credential"),
        "not in the destination's own words",
    ),
    "a cluster's 403": (
        answer("403 Forbidden", {"kind": "Status", "code": 403, "message": "no"}),
        {},
        "Something else",
    ),
    "a firewall's 403": (answer("403 Forbidden", "<html>Blocked</html>", "text/html"), {}, "Something else"),
    "a proxy's 407": (answer("407 Proxy Authentication Required", PAGE, "text/html"), {}, "(407)"),
    "a proxy's limit": (answer("413 Content Too Large", "<html>413</html>", "text/html"), {}, "of this size"),
    "429 until a date": (
        answer("429 Too Many Requests", "slow", Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"),
        {},
        "Test again in a while",
    ),
    "compressed as it says, and not": (
        answer(body=b"no gzip", Content_Encoding="gzip"),
        {},
        "is not compressed as it says",
    ),
    "a part of what was compressed": (
        answer(body=gzip.compress(b"[1]" * 99)[:20], Content_Encoding="gzip"),
        {},
        "not JSON",
    ),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", {}, "is not HTTP"),
    "a TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", {}, "is not HTTP"),
    "chunks that are none": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {}, "is not HTTP"),
    "nothing": (b"", {}, "The connection to 127.0.0.1"),
    "more than is read": (answer(body=b" " * 9_000_000), {}, "is longer than 8 MB"),
}


@asynccontextmanager
async def answering(sent):
    """A server that answers each request with these bytes; its address."""

    async def serve(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(sent)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("name", ANSWERS)
async def test_no_answer_of_another_is_green_and_the_first_failing_step_says_what_to_do(services, name):
    sent, steps, words = ANSWERS[name]
    async with answering(sent) as url:
        for vendor in VENDORS:
            await services.destinations.set(
                vendor, parse_settings(sandbox_destinations(url)[vendor]), FAKE_SECRET, "test"
            )
            report = await services.test_destination(vendor, "test")
            assert not report.success, (vendor, report)
            assert report.failure.name == steps.get(vendor, "vendor"), (vendor, report)
            assert words in report.failure.detail, (vendor, report)
            assert "planted" not in report.failure.detail
            assert "destination test` says" not in report.failure.detail
