"""Sends one e-mail over SMTP (RFC 5321, RFC 3207), to permitted addresses only.

smtplib blocks, so this runs in a thread. The server's certificate is verified for the name that the operator gave.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Literal

from tasks.http.addresses import permitted
from tasks.http.certificates import context_of
from tasks.http.origin import Origin


@dataclass(frozen=True)
class Server:
    """An SMTP server and the account there. `timeout_s` bounds each step, in seconds."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    origin: Origin
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0


class MailFailed(Exception):
    """The e-mail was not taken. `status` is the server's reply code, where there was one; `unknown` where it may have been."""

    def __init__(self, detail: str, status: int | None = None, *, unknown: bool = False) -> None:
        super().__init__(detail, status)
        self.detail, self.status, self.unknown = detail, status, unknown


def send(server: Server, message: EmailMessage, to: Sequence[str]) -> int:
    """Hand the e-mail over; returns how many mailboxes were refused, where others were not.

    Raises `MailFailed`, whose words hold nothing that the server said, and `DestinationTrouble` for an unusable `ca_file`.
    """
    handed_over, refused = False, None
    try:
        with _connected(server) as smtp:
            if server.security == "starttls":
                smtp.starttls(context=context_of(server.origin))
            smtp.ehlo_or_helo_if_needed()
            if server.username and server.password:
                smtp.login(server.username, server.password)
            handed_over = True
            refused = smtp.send_message(message, to_addrs=list(to))
    except ssl.SSLCertVerificationError:
        raise MailFailed("the server's certificate can't be verified") from None
    except smtplib.SMTPAuthenticationError as error:
        raise MailFailed("the server refused the account", error.smtp_code) from None
    except smtplib.SMTPRecipientsRefused:
        raise MailFailed("the server refused every mailbox") from None
    except smtplib.SMTPResponseException as error:
        if refused is None:  # otherwise it took the e-mail, and answers the goodbye in an odd way
            raise MailFailed("the server refused the e-mail", error.smtp_code) from None
    except smtplib.SMTPNotSupportedError:
        raise MailFailed("the server offers no STARTTLS, or no login") from None
    except _NotPermitted:
        raise MailFailed("its address is not permitted; allow its network with --allow-private") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        if refused is None:
            raise MailFailed(f"no connection ({type(error).__name__})", unknown=handed_over) from None
    return len(refused or {})


class _NotPermitted(Exception):
    """The name leads only to addresses that are not permitted."""


class _Guarded:
    """Connects to permitted addresses only: the one that is checked is the one that is connected to."""

    allowed: tuple[str, ...] = ()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = [address for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        good = [address for address in found if permitted(str(address[0]), self.allowed)]
        if not good:
            raise _NotPermitted
        trouble: OSError = OSError("no address")
        for address in good:
            try:
                return socket.create_connection((str(address[0]), port), timeout)
            except OSError as error:
                trouble = error
        raise trouble


class _Plain(_Guarded, smtplib.SMTP):
    def __init__(self, server: Server) -> None:
        self.allowed = server.origin.allow_private
        super().__init__(server.host, server.port, timeout=server.timeout_s)


class _Encrypted(_Guarded, smtplib.SMTP):
    def __init__(self, server: Server) -> None:
        self.allowed, self._context = server.origin.allow_private, context_of(server.origin)
        super().__init__(server.host, server.port, timeout=server.timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        return self._context.wrap_socket(super()._get_socket(host, port, timeout), server_hostname=host)


def _connected(server: Server) -> smtplib.SMTP:
    return _Encrypted(server) if server.security == "tls" else _Plain(server)
