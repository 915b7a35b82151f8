"""The address of a Redis, taken apart and checked.

    redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]           rediss:// is the same over TLS
    unix://[[USER]:PASSWORD@]/PATH[?db=DB]
    sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/SERVICE[/DB]

Each takes options as a query. `redis+sentinel://` means sentinel://, `rediss+sentinel://` the same over TLS; its hosts
are the sentinels, SERVICE is the name that they watch the primary under, and user and password are the primary's.
Every part may be percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

SENTINEL_SCHEMES = ("sentinel", "redis+sentinel", "rediss+sentinel")
SCHEMES = ("redis", "rediss", "unix", *SENTINEL_SCHEMES)
PORT = 6379
SENTINEL_PORT = 26379
_HOST = re.compile(r"^(\[[0-9a-fA-F:.%]+\]|[^\s:/?#@,\[\]]+)(?::([0-9]{1,5}))?$")
_VERIFY = {"CERT_REQUIRED": "required", "CERT_OPTIONAL": "optional", "CERT_NONE": "none"}
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TEXT = ("client_name", "ssl_ca_path", "ssl_ca_data", "ssl_ciphers", "ssl_password", *_FILES)
_NUMBERS = ("max_connections", "health_check_interval", "ssl_min_version")
_SECONDS = ("socket_timeout", "socket_connect_timeout", "timeout")
_SWITCHES = ("socket_keepalive", "retry_on_timeout", "ssl_check_hostname")
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
ENCODE = (
    "can't be taken apart into account, host and port. "
    "Write each of / ? # @ : [ ] in a password as %2F %3F %23 %40 %3A %5B %5D"
)
Option = str | int | float | bool


@dataclass(frozen=True)
class RedisAddress:
    """Where a Redis is and how to log in. With a `service` the hosts are sentinels, with a `path` there are none.

    `options` are named as redis-py names them; those of TLS (`ssl_…`) stand in `tls`, which is None without TLS and
    otherwise says that certificates and host names are checked unless the address says that they aren't.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    service: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: dict[str, Option] | None = field(default=None, repr=False)
    options: dict[str, Option] = field(default_factory=dict)


def is_redis(url: str) -> bool:
    """Whether the address is one of a Redis, in any form."""
    return url.split("://", maxsplit=1)[0] in SCHEMES


def is_sentinel(url: str) -> bool:
    """Whether the address names sentinels."""
    return url.split("://", maxsplit=1)[0] in SENTINEL_SCHEMES


def parse(url: str) -> RedisAddress:
    """The parts of the address; raises `ValueError` saying what is wrong, without showing the password."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise ValueError(f"starts with {scheme[:12]!r}; use redis://, rediss://, unix:// or sentinel://")
    rest, _, query = rest.partition("?")
    if scheme != "unix" and "@" in query:
        raise ValueError(ENCODE)
    account, at, place = rest.rpartition("@") if scheme == "unix" else _account(rest)
    username, _, password = account.partition(":") if at else ("", "", "")
    options = dict(_option(name, value) for name, value in parse_qsl(query, keep_blank_values=True))
    stated = _db(str(options.pop("db"))) if "db" in options else None
    secure = {name: options.pop(name) for name in list(options) if name.startswith("ssl_")}
    if secure and not scheme.startswith("rediss"):
        raise ValueError(f"sets {min(secure)} but not TLS; begin it with rediss:// or rediss+sentinel://")
    hosts, path, service, db = _place(scheme, place)
    return RedisAddress(
        hosts=hosts,
        path=path,
        service=service,
        db=db if stated is None else stated,
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=_checked(secure) if scheme.startswith("rediss") else None,
        options=options,
    )


def _account(rest: str) -> tuple[str, str, str]:
    """What stands before the hosts. An @ after the first / belongs to a password that wasn't encoded."""
    place, slash, path = rest.partition("/")
    if "@" in path or "#" in rest:
        raise ValueError(ENCODE)
    account, at, hosts = place.rpartition("@")
    if "@" in account:
        raise ValueError(ENCODE)
    return account, at, hosts + slash + path


def _place(scheme: str, place: str) -> tuple[tuple[tuple[str, int], ...], str | None, str | None, int]:
    if scheme == "unix":
        if not place.startswith("/"):
            raise ValueError("names no socket; write its whole path, as in unix:///run/redis.sock")
        return (), unquote(place), None, 0
    named, _, path = place.partition("/")
    if scheme in SENTINEL_SCHEMES:
        service, _, db = path.partition("/")
        if not service:
            raise ValueError("names no service; end it with the name that the sentinels watch, as in …:26379/mymaster")
        return tuple(_host(host, SENTINEL_PORT) for host in named.split(",")), None, unquote(service), _db(db)
    return (_host(named or "localhost", PORT),), None, None, _db(path)


def _host(text: str, port: int) -> tuple[str, int]:
    found = _HOST.match(text)
    given = int(found.group(2) or port) if found else 0
    if not found or not 0 < given <= 65535:
        if port == SENTINEL_PORT:
            raise ValueError("must list sentinels as HOST:PORT, with commas between them")
        raise ValueError(ENCODE)
    return unquote(found.group(1).strip("[]")), given


def _db(text: str) -> int:
    text = text.rstrip("/")
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("ends with something that is no database number, as in …/0")
    return int(text or 0)


def _option(name: str, value: str) -> tuple[str, Option]:
    """An option with its value as redis-py wants it."""
    try:
        if name == "db" or name in _TEXT:
            return name, value
        if name == "ssl_cert_reqs" and _VERIFY.get(value, value) in _VERIFY.values():
            return name, _VERIFY.get(value, value)
        if name in _NUMBERS:
            return name, int(value)
        if name in _SECONDS:
            return name, float(value)
        if name in _SWITCHES:
            return name, _WORDS[value.lower()]
    except (KeyError, ValueError):
        pass
    known = ("db", "ssl_cert_reqs", *_TEXT, *_NUMBERS, *_SECONDS, *_SWITCHES)
    if name in known:
        raise ValueError(f"gives the option {name} a value that it can't have")
    raise ValueError(f"has an option {name[:40]!r} that there isn't; there are {', '.join(sorted(known))}")


def _checked(secure: dict[str, Option]) -> dict[str, Option]:
    """The options of TLS, complete: certificates are checked unless the address says that they aren't."""
    for name in _FILES:
        if name in secure:
            file = Path(str(secure[name])).expanduser().absolute()
            if not file.is_file():
                raise ValueError(f"names {file} as {name}, and there is no such file")
            secure[name] = str(file)
    asked = secure.get("ssl_cert_reqs", "required")
    return {"ssl_cert_reqs": asked, "ssl_check_hostname": asked != "none"} | secure
