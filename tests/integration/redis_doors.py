"""Doors in front of a Valkey: one that speaks TLS and plainly, with certificates made on the spot, and one that falls silent."""

from __future__ import annotations

import datetime as dt
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TLS_HELLO = 0x16


@dataclass(frozen=True)
class Authority:
    """A certificate authority; `issue` makes certificates that it signed."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, _signed(name, key, by=(name, key), authority=True))

    def issue(self, folder: Path, name: str, *hosts: str) -> tuple[Path, Path]:
        """Files of a certificate for those hosts and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return _written(folder, name, key, _signed(name, key, by=(str(issuer), self.key), hosts=hosts))

    def write(self, file: Path) -> Path:
        file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return file


def self_signed(folder: Path, name: str, *hosts: str) -> tuple[Path, Path]:
    """A certificate that nobody but itself vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _written(folder, name, key, _signed(name, key, by=(name, key), hosts=hosts))


def _signed(name, key, *, by, hosts=(), authority=False) -> x509.Certificate:
    def called(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    day, now = dt.timedelta(days=1), dt.datetime.now(dt.UTC)
    issuer, signer = by
    made = (
        x509.CertificateBuilder(called(issuer), called(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if hosts:
        made = made.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return made.sign(signer, hashes.SHA256())


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _written(folder: Path, name: str, key, certificate: x509.Certificate) -> tuple[Path, Path]:
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@contextmanager
def door(to: int, certificate: Path, key: Path, *, clients: Path | None = None) -> Iterator[int]:
    """The port of a door to that loopback port. It ends TLS, with certificates of clients where `clients` is the
    authority that signs those, and passes on what comes plainly, as a sentinel does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_let_in, args=(listener, to, context), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _let_in(listener: socket.socket, to: int, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            guest, _ = listener.accept()
            threading.Thread(target=_pass_on, args=(guest, to, context), daemon=True).start()


def _pass_on(guest: socket.socket, to: int, context: ssl.SSLContext) -> None:
    with suppress(OSError), guest:
        first = guest.recv(1, socket.MSG_PEEK)
        secure = bool(first) and first[0] == TLS_HELLO
        with (
            context.wrap_socket(guest, server_side=True) if secure else guest as inside,
            socket.create_connection(("127.0.0.1", to)) as server,
        ):
            _pump(inside, server)


def _pump(inside: socket.socket, server: socket.socket) -> None:
    """Both ways in one thread, because one TLS socket isn't for two."""
    while True:
        waiting = isinstance(inside, ssl.SSLSocket) and inside.pending()
        ready = [inside] if waiting else select.select([inside, server], [], [])[0]
        for one in ready:
            data = one.recv(65536)
            if not data:
                return
            (server if one is inside else inside).sendall(data)


class SilentDoor:
    """A door to that loopback port, which `shut` makes silent: what is connected stays connected, nothing passes any more,
    also not later, and whoever connects meanwhile has no answer either. That is how a filter between two machines fails.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._open = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._open.set()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in self._held:
            one.close()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                guest, _ = self._listener.accept()
                self._held.append(guest)
                if self._open.is_set():
                    threading.Thread(target=self._pass_on, args=(guest,), daemon=True).start()

    def _pass_on(self, guest: socket.socket) -> None:
        with suppress(OSError, ValueError), socket.create_connection(("127.0.0.1", self._to)) as server:
            while True:
                ready = select.select([guest, server], [], [])[0]
                if not self._open.is_set():
                    self._held.append(server.dup())
                    return
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        guest.shutdown(socket.SHUT_RDWR)
                        return
                    (server if one is guest else guest).sendall(data)
