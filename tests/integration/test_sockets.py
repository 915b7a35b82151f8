"""A request whose time has passed sends nothing: over a new connection, a kept-alive one, and from a full buffer.

A server of raw sockets counts what reaches it. The process "stands still" where its event loop is blocked: what a woken
process does first is the same.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tasks.errors import StateUnavailable, Transient
from tasks.http.authorization import Fixed
from tasks.http.connector import open_session
from tasks.http.exchange import Exchange, Http, Limits
from tasks.http.message import Request
from tasks.http.origin import Origin

LIMIT_S = 1.5  # of one request; a busy machine answers within that, too


class Peer:
    """A server that reads when it is told to; `bodies` are the sizes of the complete requests that it got."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.bodies: list[int] = []
        self.began = threading.Event()
        self.reading = threading.Event()
        self.reading.set()
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        held = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in held:
                    more = connection.recv(65536)
                    if not more:
                        return
                    held += more
                head, _, body = held.partition(b"\r\n\r\n")
                self.began.set()
                wanted = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ength" in line)
                while len(body) < wanted:
                    self.reading.wait()
                    more = connection.recv(65536)
                    if not more:
                        self.ended.set()
                        return
                    body += more
                held = body[wanted:]
                self.bodies.append(wanted)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


class Recorder:
    """Writes nothing down; `stands_still` is how long the process stops right behind the intent (seconds)."""

    def __init__(self) -> None:
        self.stands_still = 0.0
        self.outcomes: list[str] = []

    async def before(self, request: Request, origin: Origin, begin: Callable[[], None]) -> object:
        begin()
        time.sleep(self.stands_still)
        return None

    async def after(self, mark: object, exchange: Exchange) -> None:
        self.outcomes.append(exchange.outcome)


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    peer.listener.close()


@pytest.fixture
async def http(peer):
    origin = Origin(base_url=f"http://127.0.0.1:{peer.port}", allow_http=True, allow_private=("127.0.0.0/8",))
    limits = Limits(total_s=LIMIT_S)
    session = open_session(origin, limits)
    yield Http(session, origin, Fixed(), limits, Recorder(), time.time)
    await session.close()


def write(size: int = 2) -> Request:
    return Request("POST", "/", "POST /", body=b"x" * size, writes=True)


async def test_a_process_that_stood_still_behind_its_intent_sends_nothing_and_knows_it(peer, http):
    http._recorder.stands_still = 1.5 * LIMIT_S
    with pytest.raises(Transient) as failed:
        await http.send(write())
    assert failed.value.certain
    assert peer.bodies == []
    assert http._recorder.outcomes == ["failed"]


async def test_so_it_is_over_a_connection_that_was_kept_alive(peer, http):
    await http.send(write(3))
    http._recorder.stands_still = 1.5 * LIMIT_S
    with pytest.raises(Transient) as failed:
        await http.send(write(4))
    assert failed.value.certain
    http._recorder.stands_still = 0.0
    await http.send(write(5))
    assert peer.bodies == [3, 5]
    assert http._recorder.outcomes == ["ok", "failed", "ok"]


async def test_what_waits_in_the_buffers_of_a_stopped_process_is_not_sent_when_it_wakes(peer, http):
    peer.reading.clear()
    sending = asyncio.create_task(http.send(write(30_000_000)))
    while not peer.began.is_set():
        await asyncio.sleep(0.001)
    time.sleep(1.5 * LIMIT_S)
    peer.reading.set()
    with pytest.raises(Transient) as failed:
        await sending
    assert not failed.value.certain
    assert await asyncio.to_thread(peer.ended.wait, 30)
    assert peer.bodies == []
    assert http._recorder.outcomes == ["unknown"]


async def test_an_intent_that_cant_be_written_sends_nothing(peer, http, monkeypatch):
    async def refuses(*_: object) -> object:
        raise StateUnavailable("Redis is full.")

    monkeypatch.setattr(http._recorder, "before", refuses)
    with pytest.raises(StateUnavailable):
        await http.send(write())
    assert peer.bodies == []
