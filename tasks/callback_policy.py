"""Where job outcomes may be posted to: the origins that the operator listed."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from tasks.errors import Refused
from tasks.http.origin import Origin
from tasks.model import Callback, Frozen

_ORIGIN = re.compile(r"^https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$")


class CallbackPolicy(Frozen):
    """Where outcomes may be posted: whole origins, plain http only where one is written so, private networks by CIDR."""

    origins: tuple[str, ...] = ()
    private: tuple[str, ...] = ()

    def callback(self, url: str, apikey: str) -> Callback:
        """The callback to that address; raises `Refused` where its origin isn't listed."""
        origin = origin_of(url)
        if origin not in self.origins:
            raise Refused(
                "Outcomes may not be posted to this callback_url.",
                code="callback_refused",
                advice="The operator allows its origin with AFTERWORD_CALLBACK_ORIGINS; or wait for the job with ?wait=30.",
            )
        return Callback(url=url, origin=origin, apikey=apikey)

    def allows(self, origin: str) -> Origin | None:
        """The guarded origin, or None where it isn't listed (any more)."""
        if origin not in self.origins:
            return None
        return Origin(base_url=origin, allow_http=origin.startswith("http:"), allow_private=self.private)


def callback_policy(origins: str, private: str) -> CallbackPolicy:
    """The policy of two comma-separated settings; raises `Refused` naming the entry that doesn't fit."""
    listed = [part.strip().rstrip("/").lower() for part in origins.split(",") if part.strip()]
    for origin in listed:
        if not _ORIGIN.match(origin) or not _is_port(origin):
            raise Refused(
                f"AFTERWORD_CALLBACK_ORIGINS: {origin!r:.80} is no origin.",
                code="bad_settings",
                advice="Write scheme, host and port only: https://tool.example.com.",
            )
    networks = tuple(part.strip() for part in private.split(",") if part.strip())
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise Refused(
                f"AFTERWORD_CALLBACK_PRIVATE: {network!r:.60} is no network.",
                code="bad_settings",
                advice="Write it as 10.1.0.0/16.",
            ) from None
    return CallbackPolicy(origins=tuple(origin_of(origin) for origin in listed), private=networks)


def _is_port(origin: str) -> bool:
    """Whether the origin's port, where it has one, is one that exists."""
    port = origin.rpartition("/")[2].partition(":")[2]
    return not port or 0 < int(port) <= 65535


def origin_of(url: str) -> str:
    """Scheme, host and port of an address (RFC 6454), in lower case and without a default port."""
    parts = urlsplit(url)
    port = parts.port
    default = port is None or (parts.scheme, port) in (("http", 80), ("https", 443))
    return f"{parts.scheme}://{parts.hostname}" + ("" if default else f":{port}")
