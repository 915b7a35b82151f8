"""A certificate authority for tests, and the certificates that it signs."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class Authority:
    """A certificate authority of our own, in a folder."""

    def __init__(self, folder, name="Test CA"):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = str(folder / f"{name.replace(' ', '-')}.pem")
        made = self._made(self.name, self.key.public_key(), authority=True)
        (folder / self.file).write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _made(self, name, key, *, host=None, authority=False, until=DAY):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(dt.datetime.now(dt.UTC) - 30 * DAY)
            .not_valid_after(dt.datetime.now(dt.UTC) + until)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, host, *, until=DAY, alone=False):
        """Files of a certificate for that host and its key; signed by itself where `alone`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        signer = self
        if alone:
            signer = object.__new__(Authority)
            signer.key, signer.name = key, name
        made = signer._made(name, key.public_key(), host=host, until=until)
        cert, secret = self.folder / f"{host}.pem", self.folder / f"{host}.key"
        cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return str(cert), str(secret)
