"""TCP proxies between workers and what they talk to: they delay, half-close, cut a reply in its middle, swallow replies, and
answer in the place of a vendor, as a stranger on the way does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

PIECE = 65_536
SILENCE_S = 12.0  # no network is silent for ever: longer than the clients' own time-outs of ten seconds
HEAD_S = 2.0
Harm = Literal["cut in a reply", "half-closed", "silenced"]
HARMS: tuple[Harm, ...] = ("cut in a reply", "half-closed", "silenced")


@dataclass(frozen=True)
class Stranger:
    """Somebody on the way who answers every request himself."""

    name: str
    status: str
    content_type: str
    body: str

    def answer(self) -> bytes:
        """The bytes of the answer; the connection is closed after it."""
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: {self.content_type}\r\nConnection: close\r\n"
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n{self.body}".encode()


STRANGERS = (
    Stranger("404 as text", "404 Not Found", "text/plain", "default backend - 404"),
    Stranger("407", "407 Proxy Authentication Required", "text/html", "<h1>Proxy Authentication Required</h1>"),
    Stranger("403 as HTML", "403 Forbidden", "text/html", "<html><h1>Your address is not permitted.</h1></html>"),
    Stranger("200 as HTML", "200 OK", "text/html", "<html><title>Sign in</title><form></form></html>"),
)


@dataclass(eq=False)
class _Line:
    """One connection through a wire."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    harm: Harm | None = None

    def abort(self) -> None:
        for writer in (self.near, self.far):
            writer.transport.abort()


@dataclass(eq=False)
class Wire:
    """The way to one server. Its methods may be called from any thread."""

    host: str
    port: int  # of the server
    loop: asyncio.AbstractEventLoop
    near_port: int = 0  # where clients connect
    delay_s: float = 0.0  # of each piece, either way
    stranger: Stranger | None = None
    _lines: set[_Line] = field(default_factory=set)

    def answer_as(self, stranger: Stranger | None) -> None:
        """Let a stranger answer from now on, and nobody again with None. What is under way is cut: it took another way."""
        self.stranger = stranger
        if stranger is not None:
            self.loop.call_soon_threadsafe(self._abort_all)

    def harm(self, harm: Harm, share: float, chance: random.Random) -> None:
        """Harm that share of the connections, each with its next reply."""
        self.loop.call_soon_threadsafe(self._harm, harm, share, random.Random(chance.random()))

    def _abort_all(self) -> None:
        for line in self._lines:
            line.abort()

    def _harm(self, harm: Harm, share: float, chance: random.Random) -> None:
        for line in self._lines:
            if chance.random() < share and line.harm is None:
                line.harm = harm
                if harm == "silenced":
                    self.loop.call_later(SILENCE_S, line.abort)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, to its end."""
        if self.stranger is not None:
            await _answer(reader, writer, self.stranger)
            return
        try:
            far_reader, far = await asyncio.open_connection(self.host, self.port)
        except OSError:  # the server is away
            writer.transport.abort()
            return
        line = _Line(writer, far)
        self._lines.add(line)
        try:
            await asyncio.gather(self._pass_on(reader, far, line, False), self._pass_on(far_reader, writer, line, True))
        except OSError:
            pass
        finally:
            self._lines.discard(line)
            line.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line, replies: bool
    ) -> None:
        while piece := await reader.read(PIECE):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if replies and line.harm == "silenced":
                continue
            if replies and line.harm == "half-closed":
                writer.write_eof()
                continue
            if replies and line.harm == "cut in a reply":
                writer.write(piece[: len(piece) // 2])
                await writer.drain()
                line.abort()
                return
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stranger: Stranger) -> None:
    """Read one request and answer it."""
    try:
        async with asyncio.timeout(HEAD_S):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, found, rest = head.partition(b"content-length:")
            if found:
                await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
            writer.write(stranger.answer())
            await writer.drain()
            writer.close()
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
        writer.transport.abort()


@contextlib.contextmanager
def wired(servers: Mapping[str, tuple[str, int]]) -> Iterator[dict[str, Wire]]:
    """A wire to each of these servers (host and port), by name, on an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="wires", daemon=True)
    thread.start()

    async def begin(host: str, port: int) -> Wire:
        wire = Wire(host, port, loop)
        server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
        wire.near_port = server.sockets[0].getsockname()[1]
        return wire

    async def end() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        yield {
            name: asyncio.run_coroutine_threadsafe(begin(*where), loop).result(10) for name, where in servers.items()
        }
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
