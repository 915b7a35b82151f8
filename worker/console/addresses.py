"""Whose request it is: the connection's own address, or what a proxy that the operator trusts says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

UNKNOWN = "unknown"


def client_address(peer: str | None, forwarded: Sequence[str], trusted: str) -> str:
    """The client's address, from the connection's `peer` and the values of `X-Forwarded-For`.

    Each proxy appends whom it was asked by, so the list is read from its end, for as long as the one who says it is in
    `trusted` (networks, comma-separated). What others wrote there may be anything and counts for nothing.
    """
    networks = [ipaddress.ip_network(part.strip(), strict=False) for part in trusted.split(",") if part.strip()]
    said = [part.strip() for value in forwarded for part in value.split(",")]
    current = _address(peer or "")
    while current is not None and said and any(current in network for network in networks):
        before = _address(said.pop())
        if before is None:
            break
        current = before
    return str(current) if current is not None else UNKNOWN


def bucket(address: str) -> str:
    """What attempts are counted by: an address, and of IPv6 the network that one customer gets as a whole (/64)."""
    found = _address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1` or `[2001:db8::1]:443`; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
