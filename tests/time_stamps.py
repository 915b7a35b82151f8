"""An authority for time stamps on this machine: `openssl ts` behind HTTP, with certificates of a test's own."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""
DAY = dt.timedelta(days=1)
Answer = Callable[[bytes], tuple[int, str, bytes]]


def openssl() -> str:
    """The command; skips the test where this machine has none."""
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("openssl is not installed")
    pytest.importorskip("rfc3161_client", reason="rfc3161-client is not installed")
    return found


@dataclass
class Authority:
    """Its folder (`ca.pem` is the certificate to believe), and how it answers: honestly unless a test sets `answer`."""

    folder: Path
    port: int = 0
    queries: list[bytes] = field(default_factory=list)
    answer: Answer | None = None
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/tsa"

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def reply(self, query: bytes) -> bytes:
        """What `openssl ts` answers."""
        command = ("ts", "-reply", "-config", self.folder / "ts.conf", "-queryfile", self.folder / "query")
        with self.one_at_a_time:
            (self.folder / "query").write_bytes(query)
            subprocess.run((openssl(), *command, "-out", self.folder / "reply"), check=True, capture_output=True)
            return (self.folder / "reply").read_bytes()

    def accepts(self, content: Path, stamp: Path) -> bool:
        """Whether `openssl ts -verify` takes a stamp: the check that needs nothing of ours."""
        command = ("ts", "-verify", "-data", content, "-in", stamp, "-CAfile", self.ca_file)
        return subprocess.run((openssl(), *command), check=False, capture_output=True).returncode == 0


def certificates(folder: Path, *, days_left: int = 3650) -> None:
    """An authority's certificate and the one that issued it; the former ends in so many days."""
    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Root of {folder.name}")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test time stamps")])

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey, ends: dt.datetime) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(root_name, subject, public, x509.random_serial_number())
        return builder.not_valid_before(now - 400 * DAY).not_valid_after(ends)

    root = begun(root_name, root_key.public_key(), now + 3650 * DAY)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    leaf = begun(name, key.public_key(), now + days_left * DAY)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(root.sign(root_key, hashes.SHA256()).public_bytes(pem))
    (folder / "tsa.pem").write_bytes(leaf.sign(root_key, hashes.SHA256()).public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "tsa.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "serial").write_text("01\n")
    (folder / "ts.conf").write_text(CONFIG.format(folder=folder))


@contextmanager
def serving(authority: Authority) -> Iterator[Authority]:
    """It answers on a free port until the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            authority.queries.append(query)
            granted = "application/timestamp-reply"
            status, kind, body = authority.answer(query) if authority.answer else (200, granted, authority.reply(query))
            with suppress(ConnectionError):  # who asked may have gone
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    authority.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
