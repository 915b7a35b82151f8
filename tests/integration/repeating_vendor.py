"""A vendor that repeats what it was sent: in any form, in any part of an answer, well-formed or not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

FOUND = {
    "id": 1,
    "key": "OPS",
    "type": "global",
    "results": [{"id": "1", "key": "OPS"}],
    "workItems": [],
    "displayName": "Afterword",
    "authenticatedUser": {"id": "5f0d3c1e", "providerDisplayName": "Afterword"},
    "value": [],
    "issueTypes": [{"id": "1", "name": "Bug"}],
    "issues": [],
    "fields": [],
    "result": [],
}
CASE = re.compile(rb"case-(\d+)")


def answer(status: str, body: str, **headers: str) -> bytes:
    """A whole answer over HTTP; a header's underscores stand for hyphens."""
    raw = body.encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("utf-8", "replace") + raw


def refusal(words: str) -> str:
    """A refusal in the shapes of all vendors at once."""
    named = {
        "message": words,
        "errors": [{"title": words, "detail": words}],
        "error": {"message": words, "detail": words},
    }
    return json.dumps(named | {"errorMessages": [words], "typeKey": words, "reason": words})


def made(words: str) -> str:
    """An object that was made, in the shapes of all vendors at once, with those words as its id, number and address."""
    links = {"webui": f"/{words}", "base": words, "html": {"href": words}}
    named = {"id": words, "key": words, "number": words, "url": words, "self": words, "title": words, "_links": links}
    return json.dumps(
        named | {"version": {"number": 1}, "rev": 1, "fields": {}, "result": {"sys_id": words, "number": words}}
    )


def _one_line(words: str) -> str:
    return re.sub(r"[\r\n\x00]+", " ", words)


MANNERS: dict[str, Callable[[str], bytes]] = {
    **{
        status: lambda words, status=status: answer(f"{status} Odd", refusal(words))
        for status in ["400", "401", "403", "404", "409", "413", "422", "429", "500", "503"]
    },
    "a page": lambda words: answer("200 OK", f"<html><title>{words}</title>{words}</html>", Content_Type="text/html"),
    "a redirect": lambda words: answer("302 Found", words, Location=f"/login?{_one_line(words)}"),
    "no JSON": lambda words: answer("201 Created", f"made {words}"),
    "another shape": lambda words: answer("201 Created", json.dumps([{"odd": words}])),
    "a reason phrase": lambda words: answer(f"400 {_one_line(words)}", "{}"),
    "a status line": lambda words: f"{_one_line(words)}\r\n\r\n".encode(),
    "a header line": lambda words: f"HTTP/1.1 400 Bad\r\n{_one_line(words)}\r\n\r\n".encode(),
    "headers": lambda words: answer(
        "429 Slow down",
        "{}",
        Retry_After=_one_line(words),
        WWW_Authenticate=_one_line(words),
        Set_Cookie=_one_line(words),
        X_RateLimit_Reset=_one_line(words),
    ),
    "a cut": lambda words: answer("400 Bad", refusal(words))[:-20],
    "no gzip": lambda words: answer("400 Bad", refusal(words), Content_Encoding="gzip"),
    "what was made": lambda words: answer("201 Created", made(words)),
}


@dataclass
class Case:
    """What is repeated, in which form, in which part of the answer."""

    manner: str
    form: Callable[[str], str]
    repeats: str


@dataclass
class RepeatingVendor:
    """Finds every space, project and type, and answers a write as the case says that its text names (`case-7`).

    With `reads` it answers reads as that case says as well.
    """

    cases: list[Case]
    url: str = ""
    reads: Case | None = None
    answered: list[int] = field(default_factory=list)
    looks: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?im)^content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                said = self._answer(head, body)
                writer.write(said)
                await writer.drain()
                if said[:13] != b"HTTP/1.1 200 ":
                    break
        writer.close()

    def _answer(self, head: bytes, body: bytes) -> bytes:
        sent = re.search(rb"(?im)^authorization: \S+ (\S+)", head)
        asked = head.partition(b"\r\n")[0].lower()
        looks = asked.startswith(b"get ") or b"wiql" in asked or b"/search" in asked
        number = CASE.search(body)
        case = self.reads if looks or number is None else self.cases[int(number[1])]
        self.looks += looks
        if case is None:
            return answer("200 OK", json.dumps(FOUND))
        if number and not looks:
            self.answered.append(int(number[1]))
        return MANNERS[case.manner](self._words(case, sent[1].decode() if sent else ""))

    @staticmethod
    def _words(case: Case, sent: str) -> str:
        if case.repeats:
            return f"failed on {case.form(case.repeats)}"
        try:
            whole = base64.b64decode(sent, validate=True).decode()
        except ValueError:
            whole = sent
        return f"the account {case.form(whole)} or {case.form(whole.rpartition(':')[2])} ({case.form(sent)}) failed"


@contextlib.asynccontextmanager
async def serving(vendor: RepeatingVendor):
    """The vendor, on a free loopback port."""
    server = await asyncio.start_server(vendor.talk, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield vendor
        server.close()
