"""Says of a value that a pattern found whether it really is one: check digits, reserved ranges, placeholders, code."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from functools import lru_cache

import phonenumbers
from stdnum import iban, luhn

RESERVED_DOMAINS = re.compile(
    r"(?:^|[.@])(?:example\.(?:com|org|net)|[a-z0-9-]+\.(?:example|test|invalid|localhost))$|\.(?:example|test|invalid|localhost)$",
    re.IGNORECASE,
)
PLACEHOLDER = re.compile(
    r"""^(?:<.*>|\[.*\]|\{.*\}|\$.*|%.*%|x+|\*+|\.+|-+|_+|(?:your|my|the|some|an?)[-_ ].*|redacted|changeme|change[-_]me|
    placeholder|example|dummy|none|null|nil|true|false|empty|unset|secret|password|passwd|token|string|required|optional|
    expired|invalid|wrong|rotated|reset|missing|unknown|unchanged|hidden|masked|n/a|tbd|todo|and|or|is|was|for|in|from|to|
    env|env\..*|os\.environ.*|process\.env.*|vault:.*|sealed)$""",
    re.IGNORECASE | re.VERBOSE,
)
FILE_ENDINGS = frozenset(
    [
        "log",
        "py",
        "js",
        "ts",
        "rs",
        "go",
        "java",
        "c",
        "h",
        "cpp",
        "md",
        "txt",
        "json",
        "yaml",
        "yml",
        "toml",
        "xml",
        "html",
        "css",
        "sh",
        "conf",
        "cfg",
        "ini",
        "env",
        "lock",
        "sql",
        "csv",
        "gz",
        "zip",
        "tar",
        "png",
        "jpg",
        "svg",
        "pdf",
        "exe",
        "dll",
        "so",
        "service",
        "socket",
        "timer",
        "d",
        "rb",
        "php",
        "lua",
        "proto",
        "tf",
        "pem",
        "key",
        "crt",
        "map",
    ]
)

DOCUMENTATION_IPV4 = tuple(map(ipaddress.IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
PRIVATE_IPV4 = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
DOCUMENTATION_IPV6 = ipaddress.IPv6Network("2001:db8::/32")
PRIVATE_IPV6 = (ipaddress.ip_network("fc00::/7"), ipaddress.ip_network("fec0::/10"))


def not_placeholder(value: str) -> bool:
    """False for what stands in documentation where a secret would be."""
    return not PLACEHOLDER.match(value.strip().strip("\"'`*_.,;:"))


CODE = re.compile(
    r"^(?:[a-z_.]+\([^)]*\)?$|(?:await|new|config|settings|self|ctx|args|request|process|os|secrets?)[.\s]\S*$)"
)


def is_secret(value: str) -> bool:
    """True for what may be a password: not short, not one character over and over, no placeholder, no code."""
    value = value.strip("\"'`*.,;")
    return len(value) >= 4 and not_placeholder(value) and len(set(value)) > 2 and not CODE.match(value)


def is_token(value: str) -> bool:
    """True for what may be a token: a password of eight characters or more, with a digit."""
    return is_secret(value) and len(value) >= 8 and any(c.isdigit() for c in value)


def is_bearer(value: str) -> bool:
    """True for what may follow `Bearer` or `Basic`: long, and not a word."""
    return is_secret(value) and len(value) >= 12 and (any(c.isdigit() for c in value) or entropy(value) > 3.5)


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values()) if value else 0.0


def is_card(value: str) -> bool:
    """True for a payment card number by its length, first digit and check digit (ISO/IEC 7812)."""
    digits = re.sub(r"[ .-]", "", value)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and digits[0] in "23456" and bool(luhn.is_valid(digits))


def is_ssn(value: str) -> bool:
    """True for a US social security number that can have been issued."""
    digits = re.sub(r"\D", "", value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_email(value: str) -> bool:
    """True for an address of somebody: no reserved domain, no mailer."""
    return not RESERVED_DOMAINS.search(value) and not value.lower().startswith(("noreply@", "no-reply@", "git@"))


@lru_cache(maxsize=4096)
def _address4(value: str) -> ipaddress.IPv4Address | None:
    """The address; a log repeats the same few on every line."""
    try:
        return ipaddress.IPv4Address(value)
    except ValueError:
        return None


def is_ipv4(value: str) -> bool:
    """True for a public address outside the documentation ranges (RFC 5737)."""
    address = _address4(value)
    return address is not None and address.is_global and not any(address in net for net in DOCUMENTATION_IPV4)


def is_private_ipv4(value: str) -> bool:
    """True for an address of RFC 1918."""
    address = _address4(value)
    return address is not None and address.is_private and any(address in net for net in PRIVATE_IPV4)


@lru_cache(maxsize=4096)
def _address6(value: str) -> ipaddress.IPv6Address | None:
    if value.count(":") < 2 or len(value) <= 6 or not any(c.isdigit() for c in value):
        return None
    try:
        return ipaddress.IPv6Address(value)
    except ValueError:
        return None


def is_ipv6(value: str) -> bool:
    """True for a public address outside the documentation range (RFC 3849)."""
    address = _address6(value)
    return address is not None and address not in DOCUMENTATION_IPV6 and not is_private_ipv6(value)


def is_private_ipv6(value: str) -> bool:
    """True for a link-local, site-local or unique local address."""
    address = _address6(value)
    return address is not None and (address.is_link_local or any(address in net for net in PRIVATE_IPV6))


def is_mac(value: str) -> bool:
    """True unless all digits are one and the same."""
    return len(set(re.sub(r"[:-]", "", value))) > 1


def is_iban(value: str) -> bool:
    """True for an account number with the right length and check digits (ISO 13616)."""
    return bool(iban.is_valid(value))


def is_host(value: str) -> bool:
    """True for a name that is no file's and of no reserved domain (RFC 2606)."""
    return value.rsplit(".", 1)[-1].lower() not in FILE_ENDINGS and not RESERVED_DOMAINS.search(value)


def is_phone(value: str) -> bool:
    """True for a number that its country's plan knows; national ones are read as American."""
    value = re.sub(r"^00(?=[1-9])", "+", value)
    if not value.startswith("+") and not re.search(r"[ ().-]", value):
        return False
    try:
        number = phonenumbers.parse(value, None if value.startswith("+") else "US")
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_valid_number(number)) and not re.search(r"\b555[ .-]?01\d\d$", value)


def is_mixed(value: str) -> bool:
    """True for what isn't a plain word: prose after `password:` is rarely the password."""
    word = value.strip("*_`.,;:!?")
    return not re.fullmatch(r"[a-z]+|[A-Z][a-z]+", word)
