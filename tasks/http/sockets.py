"""Connections that let nothing out after its time: a process that was stopped must not finish a request when it wakes.

While a process stands still, another worker takes its job over and waits until the request can't take effect any more.
The event loop of the woken process would first flush what its buffers hold, and only then see that the time is up. So
the moment is checked where bytes leave the process: in the socket.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

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
