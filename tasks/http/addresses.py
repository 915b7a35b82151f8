"""Which network addresses may be connected to: the public internet, and what an operator allowed by CIDR.

Python's `is_global` lets addresses through that lead inside (NAT64, 6to4, cloud metadata relays, multicast), so embedded
IPv4 addresses are unwrapped and a list of our own is consulted. Sources: IANA special-purpose registries, RFC 6052,
RFC 3056, RFC 4291.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_DENIED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "168.63.129.16/32",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "100.64.0.0/10",
        "64:ff9b:1::/48",
        "ff00::/8",
    )
)


def unwrap(address: Address) -> Address:
    """The IPv4 address inside a mapped, 6to4 or NAT64 address, else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def permitted(host: str, allowed: Iterable[str]) -> bool:
    """Whether a connection to this numeric address may be made. `allowed` are CIDR blocks."""
    try:
        address = unwrap(ipaddress.ip_address(host.split("%", maxsplit=1)[0]))
    except ValueError:
        return False
    if any(address in ipaddress.ip_network(block, strict=False) for block in allowed):
        return True
    return address.is_global and not any(address in block for block in _DENIED if block.version == address.version)
