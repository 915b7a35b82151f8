"""Sessions of the HTTP client that connect to permitted addresses only, and let nothing out after a request's time."""

from __future__ import annotations

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tasks.http.addresses import permitted
from tasks.http.certificates import context_of
from tasks.http.exchange import Limits
from tasks.http.origin import Origin
from tasks.http.sockets import SENDING, TimedSocket


def open_session(origin: Origin, limits: Limits) -> aiohttp.ClientSession:
    """A keep-alive session that connects to permitted addresses only, follows nothing and keeps no cookies.

    Raises `DestinationTrouble` where a certificate's file can't be used.
    """
    session = aiohttp.ClientSession(
        connector=TimedConnector(origin.allow_private, 64, context_of(origin), _resolver(origin)),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=limits.total_s, sock_connect=limits.connect_s),
    )
    # aiohttp sends a PUT again by itself when a kept connection breaks: one intent, two uploads.
    session._retry_connection = False  # noqa: SLF001 - there is no public switch
    return session


def _resolver(origin: Origin) -> Elsewhere | None:
    return Elsewhere(urlsplit(origin.base_url).hostname or "", origin.connect_to) if origin.connect_to else None


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
