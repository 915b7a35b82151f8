"""Connections that let nothing out after its time: a process that was stopped must not finish a request when it wakes.

While a process stands still, another worker takes its job over and waits until the request can't take effect any more.
The event loop of the woken process would first flush what its buffers hold, and only then see that the time is up. So
the moment is checked where bytes leave the process: in the socket.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tasks.http.addresses import permitted


@dataclass
class Sending:
    """One request on its way: the seconds it may take, its `deadline` by the monotonic clock once its time runs, and
    whether any byte of it has left. `tls` tells of the encryption under it, for people.
    """

    total_s: float
    deadline: float = 0.0
    started: bool = False
    tls: str = ""

    def begin(self) -> None:
        """Let its time run from now."""
        self.deadline = time.monotonic() + self.total_s


SENDING: ContextVar[Sending | None] = ContextVar("sending", default=None)


class TimedSocket(socket.socket):
    """A socket that refuses to send for a request whose time has passed."""

    sending: Sending | None = None

    def _check(self) -> None:
        if self.sending is None:
            return
        if time.monotonic() >= self.sending.deadline:
            raise TimeoutError("the time of this request has passed")
        self.sending.started = True

    def send(self, *args: Any) -> int:
        """As `socket.send`."""
        self._check()
        return super().send(*args)

    def sendmsg(self, *args: Any) -> int:
        """As `socket.sendmsg`."""
        self._check()
        return super().sendmsg(*args)


async def refuse_inside(host: str, allow_private: tuple[str, ...]) -> bool:
    """Whether a host, which a proxy is to connect to, leads to an address that is not permitted, as far as can be seen here.

    A name that this machine can't resolve is the proxy's to judge.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return not all(permitted(str(address[0]), allow_private) for *_, address in found)


class Elsewhere(aiohttp.ThreadedResolver):
    """Resolves one name as the operator said."""

    def __init__(self, name: str, to: str) -> None:
        super().__init__()
        self._name, self._to = name, to

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of the other host, under the name that was asked for."""
        found = await super().resolve(self._to if host == self._name else host, port, family)
        for each in found:
            each["hostname"] = host
        return found


class TimedConnector(aiohttp.TCPConnector):
    """Connects to permitted addresses only, and ties each connection to the request that it carries at the time."""

    def __init__(
        self,
        allow_private: tuple[str, ...],
        limit: int,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._timed: WeakValueDictionary[int, TimedSocket] = WeakValueDictionary()
        super().__init__(socket_factory=self._open, limit=limit, ssl=tls or True, resolver=resolver)

    def _open(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not permitted(str(address[0]), self._allow_private):
            raise OSError(f"address {address[0]} is not permitted")
        opened = TimedSocket(family, kind, protocol)
        self._timed[opened.fileno()] = opened
        return opened

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """A connection, new or kept alive, on which the request in `SENDING` may go out until its deadline."""
        connection = await super().connect(*args, **kwargs)
        transport = connection.transport
        found = self._timed.get(transport.get_extra_info("socket").fileno()) if transport is not None else None
        if found is not None:
            found.sending = SENDING.get()
        if transport is not None and (sending := SENDING.get()) is not None:
            sending.tls = _encryption(transport.get_extra_info("ssl_object"))
        return connection


def _encryption(tls: ssl.SSLObject | None) -> str:
    """A connection's TLS in words; empty without any."""
    if tls is None:
        return ""
    until = (tls.getpeercert() or {}).get("notAfter", "")
    return f"{tls.version()}, certificate valid until {until}" if until else str(tls.version())
