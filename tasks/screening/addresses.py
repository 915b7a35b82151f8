"""Which network addresses say something about a person, and which about a machine of ours."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Literal

Kind = Literal["public", "private"] | None
_DOCUMENTATION = tuple(map(ipaddress.IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_DOCUMENTATION6 = (ipaddress.IPv6Network("2001:db8::/32"), ipaddress.IPv6Network("3fff::/20"))
_PRIVATE6 = tuple(map(ipaddress.IPv6Network, ("fc00::/7", "fec0::/10", "fe80::/10")))


@lru_cache(maxsize=16384)
def ipv4_kind(value: bytes) -> Kind:
    """Public, private (RFC 1918, RFC 6598), or None: no address, or one of the documentation (RFC 5737)."""
    try:
        address = ipaddress.IPv4Address(value.decode())
    except ValueError:
        return None
    if any(address in network for network in _PRIVATE):
        return "private"
    return (
        "public"
        if address.is_global and not address.is_multicast and not any(address in network for network in _DOCUMENTATION)
        else None
    )


@lru_cache(maxsize=16384)
def ipv6_kind(value: bytes) -> Kind:
    """The same for IPv6; a time of day or a C++ name is none."""
    if len(value) <= 6 or not any(48 <= byte <= 57 for byte in value):
        return None
    try:
        address = ipaddress.IPv6Address(value.decode())
    except ValueError:
        return None
    if any(address in network for network in _DOCUMENTATION6) or address.is_loopback or address.is_unspecified:
        return None
    return "private" if any(address in network for network in _PRIVATE6) else "public"


def is_mac(value: bytes) -> bool:
    """True unless all digits are one and the same, as in a broadcast or an empty address."""
    return len(set(value.lower()) - set(b":-.")) > 1
