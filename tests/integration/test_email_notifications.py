"""Notifications by e-mail: taken once by the mailboxes that can be reached, and never to a server that mustn't have it."""

from __future__ import annotations

import asyncio
import base64
import smtplib
import ssl
from contextlib import suppress

import pytest

from tasks import mail, notifications
from tasks.http.origin import Origin
from tasks.state.receivers.settings import receiver_of
from tests.integration.test_notifications import PLANTED, audited, died, tell
from tests.integration.test_way_there import authority
from worker.rounds.notifier import test as send_test

__all__ = ["authority"]  # the fixture


class SmtpServer:
    """The little of an SMTP server that a client needs: takes e-mails, and refuses what it is told to."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        self.refused: set[str] = set()
        self.port = 0
        self.goodbye = "221 bye"
        self.upgrade: ssl.SSLContext | None = None  # what STARTTLS goes on with
        self.logins: list[tuple[str, bool]] = []  # what was said, and whether it was encrypted
        self.never_done = ""  # the verb, or "body", that it answers a byte at a time, without an end

    async def drip(self, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while not writer.is_closing():
                writer.write(b"2")
                await writer.drain()
                await asyncio.sleep(0.02)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 mail.test ESMTP")
        sender, to = "", []
        while line := (await reader.readline()).decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb == self.never_done:
                await self.drip(writer)
                break
            encrypted = writer.get_extra_info("ssl_object") is not None
            if verb == "EHLO":
                say("250-mail.test")
                say("250 STARTTLS" if self.upgrade and not encrypted else "250 AUTH PLAIN")
            elif verb == "STARTTLS" and self.upgrade:
                say("220 go on")
                await writer.drain()
                await writer.start_tls(self.upgrade)
            elif verb == "AUTH":
                self.logins.append((base64.b64decode(line.split()[2]).decode(), encrypted))
                say("235 welcome")
            elif verb == "MAIL":
                sender, to = line, []
                say("250 ok")
            elif verb == "RCPT":
                mailbox = line.partition("<")[2].partition(">")[0]
                to += [] if mailbox in self.refused else [mailbox]
                say("550 no such mailbox" if mailbox in self.refused else "250 ok")
            elif verb == "DATA":
                say("354 go on")
                body = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.mails.append((sender, to, body))
                if self.never_done == "body":
                    await self.drip(writer)
                    break
                say("250 taken")
            elif verb == "QUIT":
                say(self.goodbye)
                break
            else:
                say("502 unknown" if verb != "RSET" else "250 ok")
        await writer.drain()
        writer.close()


@pytest.fixture
async def smtp():
    made = SmtpServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


def email(smtp, **more):
    given = {
        "kind": "email",
        "smtp_host": "127.0.0.1",
        "smtp_port": smtp.port,
        "security": "none",
        "sender": "afterword@example.com",
        "to": ["ops@example.com", "sre@example.com"],
        "allow_http": True,
        "allow_private": ["127.0.0.0/8"],
    }
    return receiver_of("post", given | more)


async def test_an_e_mail_arrives(services, smtp):
    """With its mailboxes, a stable Message-ID and a mark against absence notes."""
    smtp.refused = {"sre@example.com"}
    await services.receivers.set("post", email(smtp), "test")
    await died(services, "job-1")
    await tell(services, "post")
    ((sender, to, body),) = smtp.mails
    assert "afterword@example.com" in sender
    assert to == ["ops@example.com"]
    assert "Subject: Afterword: 1 job dead at confluence: no_such_space" in body
    assert "Auto-Submitted: auto-generated" in body
    assert await audited(services) == ["notification.intent", "notification.ok"]


async def test_an_e_mail_that_was_taken_counts_whatever_the_goodbye_is(services, smtp):
    """Some servers answer QUIT in their own way; the e-mail isn't sent again for that."""
    smtp.goodbye = "421 come back later"
    await services.receivers.set("post", email(smtp), "test")
    await died(services, "job-1")
    await tell(services, "post")
    assert await audited(services) == ["notification.intent", "notification.ok"]


async def test_an_e_mail_that_nobody_takes_stays_to_be_told(services, smtp):
    """It is recorded as failed, and sent again later."""
    smtp.refused = {"sre@example.com", "ops@example.com"}
    await services.receivers.set("post", email(smtp), "test")
    await died(services, "job-1")
    await tell(services, "post")
    assert await audited(services) == ["notification.intent", "notification.failed"]
    smtp.refused = set()
    await tell(services, "post")
    assert len(smtp.mails) == 1


async def test_no_e_mail_goes_to_a_private_address_that_was_not_allowed(services, smtp):
    """The same guard as for destinations."""
    await services.receivers.set("post", email(smtp, allow_private=[]), "test")
    assert "not permitted" in await send_test(services, "post")
    assert smtp.mails == []


async def test_no_password_leaves_without_encryption(smtp):
    """A server that offers no STARTTLS gets no login and no e-mail."""
    origin = Origin(base_url="https://127.0.0.1", allow_private=("127.0.0.0/8",))
    server = mail.Server("127.0.0.1", smtp.port, "starttls", origin, "u", PLANTED)
    with pytest.raises(mail.MailFailed, match="STARTTLS"):
        await asyncio.to_thread(mail.send, server, notifications.email_of(email(smtp), (), "m"), ["a@example.com"])
    assert smtp.mails == []


@pytest.fixture(params=["starttls", "tls"])
async def encrypted(request, smtp, authority):
    """How to send to a server that has a certificate for `localhost`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("localhost"))
    smtp.upgrade = context if request.param == "starttls" else None
    server = await asyncio.start_server(smtp.serve, "127.0.0.1", 0, ssl=None if smtp.upgrade else context)
    smtp.port = server.sockets[0].getsockname()[1]
    yield {"security": request.param, "allow_http": False, "username": "u", "password": PLANTED}
    server.close()


async def test_an_e_mail_and_its_login_are_encrypted_on_the_way(services, smtp, encrypted, authority):
    """By STARTTLS or from the first byte, to a server whose authority the operator trusts."""
    trusted = encrypted | {"smtp_host": "localhost", "ca_file": authority.file}
    await services.receivers.set("post", email(smtp, **trusted), "test")
    assert await send_test(services, "post") == ""
    assert smtp.logins == [(f"\0u\0{PLANTED}", True)]
    assert len(smtp.mails) == 1


@pytest.mark.parametrize("given", [{"smtp_host": "localhost"}, {"smtp_host": "127.0.0.1", "ca_file": True}])
async def test_a_server_that_cant_prove_its_name_gets_neither_login_nor_e_mail(
    services, smtp, encrypted, authority, given
):
    """Where nobody known signed its certificate, and where it is another server's."""
    given = encrypted | given | ({"ca_file": authority.file} if "ca_file" in given else {})
    await services.receivers.set("post", email(smtp, **given), "test")
    assert "certificate can't be verified" in await send_test(services, "post")
    assert (smtp.logins, smtp.mails) == ([], [])


async def test_a_server_that_is_never_done_is_left_before_it_gets_the_e_mail(smtp):
    """Each byte of its answer comes in time; the whole doesn't. Nothing was handed over, so it may be sent again."""
    smtp.never_done = "MAIL"
    receiver = email(smtp)
    server = mail.Server("127.0.0.1", smtp.port, "none", receiver.origin, before_data_s=0.5)
    with pytest.raises(mail.MailFailed) as failure:
        await asyncio.to_thread(mail.send, server, notifications.email_of(receiver, (), "m"), ["a@example.com"])
    assert (failure.value.unknown, smtp.mails) == (False, [])


async def test_a_server_that_is_never_done_with_the_e_mail_may_have_taken_it(smtp):
    """From there on nobody knows."""
    smtp.never_done = "body"
    receiver = email(smtp)
    server = mail.Server("127.0.0.1", smtp.port, "none", receiver.origin, data_s=0.5)
    with pytest.raises(mail.MailFailed) as failure:
        await asyncio.to_thread(mail.send, server, notifications.email_of(receiver, (), "m"), ["a@example.com"])
    assert (failure.value.unknown, len(smtp.mails)) == (True, 1)


def test_smtplib_still_opens_its_socket_where_the_guard_stands():
    """The guard takes the place of a private method: a Python without it would connect anywhere."""
    assert callable(smtplib.SMTP._get_socket)
    for kind in (mail._Guarded, mail._Encrypted):
        assert issubclass(kind, mail._Guarded)
        assert kind._get_socket is not smtplib.SMTP._get_socket
