"""What an address leads to, judged as browsers read it: they drop blanks around it, and tabs and line feeds inside, and take
backslashes for slashes.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# Schemes that run what they hold: their words are shown, never the address.
_PROGRAMS = re.compile(r"(?:javascript|vbscript|livescript|mocha|data):", re.IGNORECASE)
_AROUND = "".join(map(chr, range(0x21)))
_INSIDE = re.compile(r"[\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_LINKABLE = re.compile(r"(?:https?://|mailto:)[^\s\"<>]+\Z", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_HOST = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]*", re.IGNORECASE)
# Where a backslash is a slash to a browser: in addresses of the web, and in those without a scheme.
_LIKE_A_PATH = re.compile(r"https?:|(?![a-z][a-z0-9+.-]*:)", re.IGNORECASE)
_BEFORE_QUERY = re.compile(r"[^?#]*")
_SPACE = re.compile(r"[\s\"<>]")


def normal(address: str) -> str:
    """The address as a browser takes it."""
    address = _trimmed(address)
    if "\\" not in address or not _LIKE_A_PATH.match(address):
        return address
    return _BEFORE_QUERY.sub(lambda found: found[0].replace("\\", "/"), address, count=1)


def _trimmed(address: str) -> str:
    address = _INSIDE.sub("", address.strip(_AROUND + "\u00a0\ufeff"))
    return _SPACE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found.group().encode()), address)


def encoded(address: str) -> str:
    """A normal address with what none may hold in percent signs; a host in other letters stays as it is written.

    A backslash of Markdown's is one, and no slash: GitHub writes it with a percent sign.
    """
    address = _trimmed(address)
    if not _UNSAFE.search(address):
        return address
    host = _HOST.match(address)
    start = host.end() if host else 0
    return address[:start] + _UNSAFE.sub(lambda m: quote(m.group().encode("utf-8", "replace")), address[start:])


def is_program(address: str) -> bool:
    """Whether a normal address runs what it holds."""
    return _PROGRAMS.match(address) is not None


def may_be_linked(address: str) -> bool:
    """Whether a normal address leads to a page or a mailbox."""
    return _LINKABLE.match(address) is not None


def named(address: str) -> str:
    """What an image at a normal address is called where it can't be shown: the last part; nothing where that is a program."""
    if SCHEME.match(address):
        return address[:4] if address[:5].lower() == "data:" else "" if is_program(address) else address
    return unquote(address.partition("?")[0].rstrip("/").rpartition("/")[2]) or address
