"""Who says from outside when a checkpoint existed: an authority for time stamps (RFC 3161).

A checkpoint is signed by us, so who has our keys and the place of the checkpoints could write trail and checkpoints anew. He can't
make somebody else say that he saw them earlier. An answer is kept as it came: `openssl ts -verify` checks it without us.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tasks.errors import AfterwordError, Refused

if TYPE_CHECKING:
    from cryptography import x509

LIMIT_S = 15.0
MOST_BYTES = 64 * 1024
GRANTED = 0
PROXY_WANTS_LOGIN = 407
ASKS, ANSWERS = "application/timestamp-query", "application/timestamp-reply"


class NotStamped(AfterwordError):
    """No time stamp was had, or one that isn't worth anything. Trying again may help."""


class Notary(Protocol):
    """What is asked of who confirms a checkpoint: an authority for time stamps, or a transparency log."""

    @property
    def asks(self) -> bool:
        """Whether there is somebody to ask; otherwise it only checks what others were given."""
        ...

    async def stamp(self, content: bytes) -> bytes:
        """Evidence that this content exists now, which `seen_ms` takes. Sends no more than its digest; raises `NotStamped`."""
        ...

    def seen_ms(self, evidence: bytes, content: bytes) -> int:
        """When the content existed (epoch milliseconds), by that evidence; raises `NotStamped` where it doesn't say so."""
        ...


class TimeStampAuthority:
    """An authority after RFC 3161: asked over HTTP, through a proxy where one is given, and believed where one of `roots` issued
    its certificate.
    """

    def __init__(
        self, url: str | None, roots: list[x509.Certificate], limit_s: float = LIMIT_S, proxy_url: str | None = None
    ) -> None:
        self._url = url
        self._roots = roots
        self._limit_s = limit_s
        self._proxy_url = proxy_url

    @property
    def asks(self) -> bool:
        """Whether it has an address."""
        return self._url is not None

    async def stamp(self, content: bytes) -> bytes:
        """The answer as it came, checked: that it is granted, for this content and this request, by who may."""
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).build()
        answer = await self._post(request.as_bytes())
        self._checked(answer, content, request.nonce)
        return answer

    def seen_ms(self, evidence: bytes, content: bytes) -> int:
        """The authority's time, where the certificates held at that time."""
        return int(self._checked(evidence, content, None).tst_info.gen_time.timestamp() * 1000)

    def _checked(self, answer: bytes, content: bytes, nonce: int | None) -> Any:
        from rfc3161_client import VerificationError
        from rfc3161_client.verify import VerifierBuilder

        found = _read(answer)
        if found.status != GRANTED:
            said = "".join(sign for sign in "; ".join(found.status_string)[:200] if sign.isprintable())
            raise _no(
                f"The authority grants no time stamp (status {found.status}){': ' if said else ''}{said}",
                "Ask its operator.",
            )
        verifier = VerifierBuilder(roots=self._roots, nonce=nonce).build()
        try:
            verifier.verify_message(found, content)
        except VerificationError as trouble:
            raise _why(str(trouble)) from None
        except Exception:  # a damaged certificate raises errors of many kinds
            raise _no("What came is a damaged time stamp", "Ask again, or another authority.") from None
        return found

    async def _post(self, query: bytes) -> bytes:
        import aiohttp  # on use: nearly nobody has an authority, and each command reads the settings of one

        where = urlsplit(self._url or "").hostname
        limit = aiohttp.ClientTimeout(total=self._limit_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, trust_env=False, auto_decompress=False) as session,
                session.post(
                    self._url or "",
                    data=query,
                    headers={"Content-Type": ASKS, "Accept": ANSWERS},
                    allow_redirects=False,
                    proxy=self._proxy_url,
                ) as response,
            ):
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise _no(
                            f"{where} answers with more than {MOST_BYTES} bytes",
                            "See that AFTERWORD_TIMESTAMP_URL is right.",
                        )
        except TimeoutError:
            raise _no(
                f"{where} gave no whole answer in {self._limit_s:g} s", "See that it can be reached from here."
            ) from None
        except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError) as trouble:
            raise self._proxy_refuses(str(getattr(trouble, "status", "can't be reached"))) from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise _no(f"{where} can't be reached", "Correct AFTERWORD_TIMESTAMP_URL, or see to its network.") from None
        if response.status == PROXY_WANTS_LOGIN and self._proxy_url:
            raise self._proxy_refuses(str(response.status))
        kind = response.content_type
        if response.status != 200 or kind != ANSWERS:
            raise _no(
                f"{where} answers {response.status} with {kind[:60]}, which is no time stamp",
                "See that AFTERWORD_TIMESTAMP_URL is an authority's own address.",
            )
        return bytes(body)

    def _proxy_refuses(self, how: str) -> NotStamped:
        """Named without its login, which may stand in its address."""
        said = f"answers {how}" if how.isdecimal() else how
        name = urlsplit(self._proxy_url or "").hostname
        return _no(f"The proxy {name} {said}", "Correct AFTERWORD_TIMESTAMP_PROXY_URL, or ask the proxy's operator.")


def time_stamp_authority(
    url: str | None, ca_file: Path | None, proxy_url: str | None = None
) -> TimeStampAuthority | None:
    """The authority of the settings, None where nothing is set; raises `Refused` where they can't be used."""
    if ca_file is None:
        if url is None:
            return None
        raise _bad(
            "AFTERWORD_TIMESTAMP_URL needs AFTERWORD_TIMESTAMP_CA_FILE",
            "Set it to a PEM file with the certificate that issued the authority's own.",
        )
    try:
        import asn1crypto  # noqa: F401 - better now than at the first checkpoint
        import rfc3161_client  # noqa: F401 - the same
        from cryptography import x509
    except ImportError:
        raise _bad("Time stamps need a package that is not installed", "pip install 'afterword[timestamps]'.") from None
    try:
        roots = x509.load_pem_x509_certificates(ca_file.read_bytes())
    except OSError as trouble:
        raise _bad(f"AFTERWORD_TIMESTAMP_CA_FILE: {ca_file} can't be read: {trouble.strerror}", "Correct it.") from None
    except ValueError:
        raise _bad(f"AFTERWORD_TIMESTAMP_CA_FILE: {ca_file} holds no certificates in PEM", "Correct it.") from None
    return TimeStampAuthority(url, roots, proxy_url=proxy_url)


def _read(answer: bytes) -> Any:
    """The answer taken apart; raises `NotStamped`.

    OpenSSL's authorities send their certificates in any order, and the library takes a set in DER's order only. The signature
    doesn't cover that order.
    """
    from asn1crypto import cms, tsp
    from rfc3161_client import decode_timestamp_response

    with contextlib.suppress(ValueError):
        return decode_timestamp_response(answer)
    try:
        loose = tsp.TimeStampResp.load(answer, strict=True)
        signed = loose["time_stamp_token"]["content"]
        signed["certificates"] = cms.CertificateSet(list(signed["certificates"]))
        return decode_timestamp_response(loose.dump())
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _no(
            "What came is no time stamp", "See that AFTERWORD_TIMESTAMP_URL is an authority's own address."
        ) from None


def _why(said: str) -> NotStamped:
    """The library's reason in words of ours."""
    for mark, words in (
        ("Mismatch between messages", "it is for another content"),
        ("Nonce", "it answers another request"),
        (
            "Error while verifying certificates",
            "none in AFTERWORD_TIMESTAMP_CA_FILE issued its certificate, or it wasn't valid at its time",
        ),
        ("ertificate", "its certificate is missing, or not for time stamps"),
        ("EKU", "its certificate is missing, or not for time stamps"),
        ("hash algorithm", "its digest is of a kind that nobody should use"),
    ):
        if mark in said:
            return _no(
                f"The time stamp can't be believed: {words}",
                "Where the authority has a new certificate, add that of its issuer to the file.",
            )
    return _no("The time stamp can't be believed", said[:200])


def _no(message: str, advice: str) -> NotStamped:
    return NotStamped(f"{message}.", code="not_stamped", advice=advice)


def _bad(message: str, advice: str) -> Refused:
    return Refused(f"{message}.", code="bad_settings", advice=advice)
