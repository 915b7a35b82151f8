"""The address of a Redis that Sentinel watches.

    sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/SERVICE[/DB]

User and password are those of the Redis servers; `redis+sentinel://` means the same, `rediss+sentinel://` the same with
TLS. The hosts are the sentinels; SERVICE is the name that they watch the primary under.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

SCHEMES = ("sentinel", "redis+sentinel", "rediss+sentinel")
DEFAULT_PORT = 26379
_HOST = re.compile(r"^(\[[0-9a-fA-F:.]+\]|[^\s:/@,\[\]]+)(?::([0-9]{1,5}))?$")


@dataclass(frozen=True)
class SentinelAddress:
    """Where the sentinels are and what to ask them for."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False


def is_sentinel(url: str) -> bool:
    """Whether the address names sentinels."""
    return url.split("://", maxsplit=1)[0] in SCHEMES


def parse_sentinel(url: str) -> SentinelAddress:
    """The parts of the address; raises `ValueError` saying what is wrong, without showing the password."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise ValueError(f"starts with {scheme[:12]!r}; use sentinel://, redis+sentinel:// or rediss+sentinel://")
    place, _, path = rest.partition("/")
    account, at, hosts = place.rpartition("@")
    username, _, password = account.partition(":") if at else ("", "", "")
    service, _, db = path.partition("/")
    if not service:
        raise ValueError("names no service; end it with the name that the sentinels watch, as in …:26379/mymaster")
    if db and not db.isdigit():
        raise ValueError("ends with something that is no database number, as in …/mymaster/0")
    return SentinelAddress(
        hosts=tuple(_host(host) for host in hosts.split(",")),
        service=unquote(service),
        db=int(db or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=scheme == "rediss+sentinel",
    )


def _host(text: str) -> tuple[str, int]:
    found = _HOST.match(text)
    if not found:
        raise ValueError("must list sentinels as HOST:PORT, with commas between them")
    return found.group(1).strip("[]"), int(found.group(2) or DEFAULT_PORT)
