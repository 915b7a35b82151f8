"""TLS as the operator set it for a destination, and what is wrong with a certificate, in words."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import AttemptFailed, DestinationTrouble, Transient
from tasks.http.origin import Origin


@dataclass(frozen=True)
class Fault:
    """One fault of a certificate: a word for programs, what it is, and what to do."""

    code: str
    words: str
    advice: str


_CA = "If your organisation issued it, or a proxy that opens TLS, name the file of its root certificate (`ca_file`)."
_RENEW = "Its owner has to renew it."
UNKNOWN_CA = Fault("tls_unknown_ca", "was issued by an authority that is not known here", _CA)
# OpenSSL's numbers (x509_vfy.h).
FAULTS = {
    9: Fault("tls_not_yet_valid", "is not valid yet", "Check the clock of this machine."),
    10: Fault("tls_expired", "has expired", f"{_RENEW} Check the clock of this machine, too."),
    18: Fault("tls_self_signed", "is self-signed", "If it is yours, name its file (`ca_file`)."),
    19: Fault("tls_unknown_ca", "was issued by a private authority", _CA),
    20: UNKNOWN_CA,
    21: UNKNOWN_CA,
    23: Fault("tls_revoked", "was revoked", _RENEW),
    62: Fault("tls_wrong_host", "was issued for another host name", "Check the address, or whom it leads to."),
    64: Fault("tls_wrong_host", "was issued for another address", "Use the host name that it was issued for."),
}


def context_of(origin: Origin) -> ssl.SSLContext:
    """TLS that verifies, with the authorities and the client certificate that the operator added.

    Raises `DestinationTrouble` for a file that can't be used, without showing what is in it.
    """
    context = ssl.create_default_context()
    if origin.ca_file:
        try:
            context.load_verify_locations(cafile=origin.ca_file)
        except (OSError, ValueError) as error:
            raise _unusable("ca_file", origin.ca_file, error) from None
    if origin.client_cert_file:
        try:
            context.load_cert_chain(origin.client_cert_file, origin.client_key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise _unusable("client_cert_file or client_key_file", origin.client_cert_file, error) from None
    return context


def version_of(origin: Origin) -> tuple[int, ...]:
    """When these files were changed last (nanoseconds): a renewed certificate is used from the next attempt on."""
    names = (origin.ca_file, origin.client_cert_file, origin.client_key_file)
    return tuple(_changed(name) for name in names if name)


def fault_of(error: ssl.SSLError, host: str) -> AttemptFailed:
    """The error of a TLS connection that could not be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        found = FAULTS.get(error.verify_code)
        words = found.words if found else f"was refused: {error.verify_message}"
        return DestinationTrouble(
            f"The certificate of {host} {words}.",
            code=found.code if found else "tls_certificate",
            advice=found.advice if found else _CA,
        )
    said = f"{error.reason or error}".upper()
    if "CERTIFICATE_REQUIRED" in said or "BAD_CERTIFICATE" in said or "HANDSHAKE_FAILURE" in said:
        return DestinationTrouble(
            f"{host} wants a client certificate, or another one than it was shown.",
            code="tls_client_certificate",
            advice="Set `client_cert_file` and `client_key_file` to one that it accepts.",
        )
    if "WRONG_VERSION_NUMBER" in said or "RECORD_LAYER_FAILURE" in said:
        return DestinationTrouble(
            f"{host} doesn't speak TLS at this port.",
            code="tls_not_spoken",
            advice="Check the port of the address.",
        )
    return Transient(
        f"No TLS connection to {host} could be made ({error.reason or 'no reason given'}).",
        code="tls_handshake",
        advice="Check what stands between here and there, and which versions of TLS it speaks.",
    )


def _changed(name: str) -> int:
    try:
        return Path(name).stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


def _no_password() -> str:
    """A key with a passphrase would make OpenSSL ask for it at the terminal."""
    raise ValueError("the key has a passphrase")


def _unusable(setting: str, name: str, error: OSError | ValueError) -> DestinationTrouble:
    missing = isinstance(error, FileNotFoundError)
    words = (
        "isn't there"
        if missing
        else "can't be used: it must be PEM, readable for the worker, a key without a passphrase"
    )
    return DestinationTrouble(
        f"The file of `{setting}` ({name}) {words}.",
        code="tls_file",
        advice="Put it where every worker and API process finds it.",
    )
