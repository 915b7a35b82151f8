"""Where requests may go: an address as the operator wrote it, and what he permitted for it."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import StringConstraints, field_validator

from tasks.model import Frozen

_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HOST = "[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_URL = f"^https?://{_HOST}(:{_PORT})?(/[A-Za-z0-9._~%!&'()*,;=:@-]+)*/?$"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")

Url = Annotated[str, StringConstraints(max_length=2000, pattern=_URL)]


class Origin(Frozen):
    """The one place a destination's requests go: scheme, host, port and base path, and the way there.

    `connect_to` is the host or address that is connected to instead of the one in the address, which TLS still verifies.
    """

    base_url: str
    allow_http: bool = False
    allow_private: tuple[str, ...] = ()
    proxy_url: str | None = None
    proxy_username: str | None = None
    connect_to: str | None = None
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        return checked_url(value)

    @property
    def netloc(self) -> str:
        """Host and port."""
        return urlsplit(self.base_url).netloc


def checked_url(value: str) -> str:
    """The URL without a trailing slash; raises `ValueError` saying what is wrong with it."""
    try:
        parts = urlsplit(value.strip())
    except ValueError:  # brackets that hold no IPv6 address
        raise ValueError("must be an address such as https://example.com") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://example.com")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password; give the credential as the secret")
    if parts.query or parts.fragment:
        raise ValueError("must not hold a query or fragment")
    if _CONTROL.search(value):
        raise ValueError("must not hold control characters")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("must have a port from 1 to 65535, or none") from None
    return f"{parts.scheme}://{value.strip().partition('://')[2].rstrip('/')}"
