"""Sends one e-mail over SMTP (RFC 5321, RFC 3207), to permitted addresses only.

smtplib blocks, so this runs in a thread. The server's certificate is verified for the name that the operator gave.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Literal

from tasks.http.addresses import permitted
from tasks.http.certificates import context_of
from tasks.http.origin import Origin


@dataclass(frozen=True)
class Server:
    """An SMTP server and the account there. In seconds: `timeout_s` bounds each step, `before_data_s` all that comes before the
    e-mail itself, `data_s` the e-mail with the server's answer to it.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    origin: Origin
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0
    before_data_s: float = 25.0
    data_s: float = 30.0


class MailFailed(Exception):
    """The e-mail was not taken. `status` is the server's reply code, where there was one; `unknown` where it may have been."""

    def __init__(self, detail: str, status: int | None = None, *, unknown: bool = False) -> None:
        super().__init__(detail, status)
        self.detail, self.status, self.unknown = detail, status, unknown


def send(server: Server, message: EmailMessage, to: Sequence[str]) -> int:
    """Hand the e-mail over; returns how many mailboxes were refused, where others were not.

    Raises `MailFailed`, whose words hold nothing that the server said, and `DestinationTrouble` for an unusable `ca_file`.
    """
    smtp: _Guarded | None = None
    refused = None
    try:
        smtp = _Encrypted(server) if server.security == "tls" else _Guarded(server)
        with smtp:
            if server.security == "starttls":
                smtp.starttls(context=context_of(server.origin))
            smtp.ehlo_or_helo_if_needed()
            if server.username and server.password:
                smtp.login(server.username, server.password)
            refused = smtp.send_message(message, to_addrs=list(to))
    except ssl.SSLCertVerificationError:
        raise MailFailed("the server's certificate can't be verified") from None
    except smtplib.SMTPAuthenticationError as error:
        raise MailFailed("the server refused the account", error.smtp_code) from None
    except smtplib.SMTPRecipientsRefused:
        raise MailFailed("the server refused every mailbox") from None
    except smtplib.SMTPResponseException as error:
        if smtp and smtp.cut_short and refused is None:  # half an answer reads as a refusal
            raise MailFailed("it took too long", unknown=smtp.handed_over) from None
        if refused is None:  # otherwise it took the e-mail, and answers the goodbye in an odd way
            raise MailFailed("the server refused the e-mail", error.smtp_code) from None
    except smtplib.SMTPNotSupportedError:
        raise MailFailed("the server offers no STARTTLS, or no login") from None
    except _NotPermitted:
        raise MailFailed("its address is not permitted; allow its network with --allow-private") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        if refused is None:
            raise MailFailed(f"no connection: {_why(error)}", unknown=bool(smtp and smtp.handed_over)) from None
    return len(refused or {})


def _why(error: Exception) -> str:
    """What the system says of a connection, in words; nothing that the server said."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "it ended too early"
    words = error.strerror if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException) else None
    return words or "it broke"


class _NotPermitted(Exception):
    """The name leads only to addresses that are not permitted."""


class _Guarded(smtplib.SMTP):
    """Connects to permitted addresses only: the one that is checked is the one that is connected to.

    Ends by itself: a server that sends a byte now and then would outlast the timeouts of the steps. What is late before the
    e-mail is handed over was certainly not taken, so it can be sent again.
    """

    def __init__(self, server: Server) -> None:
        self.handed_over = self.cut_short = False
        self._server, self._data_until = server, time.monotonic() + server.before_data_s
        self._end_in(server.before_data_s)
        try:
            super().__init__(server.host, server.port, timeout=server.timeout_s)
        except BaseException:
            self._timer.cancel()
            raise

    def _end_in(self, limit_s: float) -> None:
        self._timer = threading.Timer(limit_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        self.cut_short = True
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # below TLS, whose own would wait for the server

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        found = [address for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        good = [address for address in found if permitted(str(address[0]), self._server.origin.allow_private)]
        if not good:
            raise _NotPermitted
        trouble: OSError = OSError("no address")
        for address in good:
            left = self._data_until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                return socket.create_connection((str(address[0]), port), min(timeout, left))
            except OSError as error:
                trouble = error
        raise trouble

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Hand the e-mail over, unless it is too late for that."""
        self._timer.cancel()
        if time.monotonic() > self._data_until:
            raise TimeoutError
        self.handed_over = True
        self._end_in(self._server.data_s)
        if self.sock is not None:
            self.sock.settimeout(self._server.data_s)
        return super().data(msg)

    def close(self) -> None:
        """Close the connection."""
        self._timer.cancel()
        super().close()


class _Encrypted(_Guarded):
    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        connected = super()._get_socket(host, port, timeout)
        return context_of(self._server.origin).wrap_socket(connected, server_hostname=host)
