"""Patterns for personal data and secrets, linear in the text (RE2), each with a validator that throws decoys out."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import phonenumbers
import re2
from stdnum import iban, luhn

from tasks.screening.finding import Category, Finding

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
HOST_ENDINGS = (
    "com|net|org|io|dev|cloud|app|local|internal|corp|lan|intra|edu|gov|de|uk|fr|nl|ch|at|eu|us|ca|au|jp|in|br"
)


@dataclass(frozen=True)
class Rule:
    """A pattern whose group `v` (or whole match) is the finding, if `accept` agrees."""

    type: str
    category: Category
    severity: str
    pattern: str
    accept: Callable[[str], bool] = bool


def not_placeholder(value: str) -> bool:
    """False for what stands in documentation where a secret would be."""
    return not PLACEHOLDER.match(value.strip().strip("\"'`*_.,;:"))


def _secret_value(value: str) -> bool:
    value = value.strip("\"'`*.,;")
    return len(value) >= 4 and not_placeholder(value) and len(set(value)) > 2


def _token_value(value: str) -> bool:
    return _secret_value(value) and len(value) >= 8 and any(c.isdigit() for c in value)


def _bearer(value: str) -> bool:
    return _secret_value(value) and len(value) >= 12 and (any(c.isdigit() for c in value) or entropy(value) > 3.5)


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values()) if value else 0.0


def _card(value: str) -> bool:
    digits = re.sub(r"[ -]", "", value)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and digits[0] in "23456" and bool(luhn.is_valid(digits))


def _ssn(value: str) -> bool:
    area, group, serial = value.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _email(value: str) -> bool:
    return not RESERVED_DOMAINS.search(value) and not value.lower().startswith(("noreply@", "no-reply@", "git@"))


def _ipv4(value: str) -> bool:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        return False
    documentation = any(
        address in ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
    )
    return address.is_global and not documentation


def _private_ipv4(value: str) -> bool:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return address.is_private and any(
        address in ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    )


def _ipv6(value: str) -> bool:
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return False
    documentation = address in ipaddress.ip_network("2001:db8::/32")
    return (
        value.count(":") >= 2
        and any(c.isdigit() for c in value)
        and len(value) > 6
        and not (address.is_loopback or address.is_unspecified or documentation)
    )


def _mac(value: str) -> bool:
    return len(set(re.sub(r"[:-]", "", value))) > 1


def _iban(value: str) -> bool:
    return bool(iban.is_valid(value))


def _host(value: str) -> bool:
    return value.rsplit(".", 1)[-1].lower() not in FILE_ENDINGS and not RESERVED_DOMAINS.search(value)


def _phone(value: str) -> bool:
    if not value.startswith("+") and not re.search(r"[ ().-]", value):
        return False
    try:
        number = phonenumbers.parse(value, None if value.startswith("+") else "US")
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_valid_number(number)) and not re.search(r"\b555[ .-]?01\d\d$", value)


_NAME = (
    r"(?:[A-Za-z0-9]+[_. -])*(?:passwd|password|passphrase|pwd|secret|api[_ -]?key|apikey|access[_ -]?key|secret[_ -]?key|"
    r"private[_ -]?key|client[_ -]?secret|auth[_ -]?token|access[_ -]?token|refresh[_ -]?token|api[_ -]?token|token|credential|pat)s?"
)
_MARKS = r"[\"'`*_]{0,4}"
UNQUOTED = 3
ASSIGNED = (
    r"(?i)(?:^|[^A-Za-z0-9])" + _MARKS + _NAME + _MARKS + r"[ \t]{0,4}(?::=|=>|=|:|\|)" + _MARKS + r"[ \t]{0,4}"
    r"(?:\"(?P<v>[^\"\n]{4,256})\"|'(?P<w>[^'\n]{4,256})'|" + _MARKS + r"(?P<u>[^\s\"'`|,;<>\\]{4,256}))"
)

RULES = (
    Rule(
        "PrivateKey",
        "secret",
        "critical",
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?s:.*?)-----END (?:[A-Z]+ )*PRIVATE KEY-----",
    ),
    Rule("PrivateKey", "secret", "critical", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    Rule(
        "UrlCredentials",
        "secret",
        "critical",
        r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@<>\"']{0,100}:(?P<v>[^\s/@<>\"']{1,200})@[A-Za-z0-9\[]",
        not_placeholder,
    ),
    Rule("Bearer", "secret", "critical", r"(?i)\bbearer[ \t]+(?P<v>[A-Za-z0-9._~+/=-]{8,})", _bearer),
    Rule(
        "BasicAuth",
        "secret",
        "critical",
        r"(?i)\bbasic[ \t]+(?P<v>[A-Za-z0-9+/]{8,}={0,2})",
        lambda v: _bearer(v) and len(v) % 4 == 0,
    ),
    Rule("JWT", "secret", "critical", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}"),
    Rule("AwsAccessKey", "secret", "critical", r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}\b"),
    Rule(
        "ApiKey",
        "secret",
        "critical",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,64}|xox[abeoprs]-[A-Za-z0-9-]{10,250}|sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,200}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,200}|AIza[A-Za-z0-9_-]{35}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,250}|ATATT3[A-Za-z0-9_=-]{50,250}|SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}|hvs\.[A-Za-z0-9_-]{20,200}|dop_v1_[a-f0-9]{64})",
    ),
    Rule("ApiKey", "secret", "critical", r"(?i)\b(?:AccountKey|SharedAccessKey)=(?P<v>[A-Za-z0-9+/]{20,100}={0,2})"),
    Rule(
        "ApiKey",
        "secret",
        "critical",
        r"https://hooks\.slack\.com/services/(?P<v>T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{16,32})",
    ),
    Rule("Email", "personal", "medium", r"(?i)\b[a-z0-9._%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}\b", _email),
    Rule("CreditCard", "personal", "high", r"\b\d(?:[ -]?\d){12,18}\b", _card),
    Rule("SSN", "personal", "high", r"\b\d{3}-\d{2}-\d{4}\b", _ssn),
    Rule("IBAN", "personal", "high", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _iban),
    Rule("Phone", "personal", "medium", r"(?:^|[^\w.+-])(?P<v>\+\d[\d ().-]{6,20}\d)", _phone),
    Rule("Phone", "personal", "medium", r"(?:^|[^\w.+-])(?P<v>\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4})\b", _phone),
    Rule("MAC", "personal", "low", r"(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b", _mac),
    Rule("IPv4", "personal", "low", r"(?:^|[^\w.])(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b", _ipv4),
    Rule(
        "PrivateIPv4",
        "infrastructure",
        "low",
        r"(?:^|[^\w.])(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b",
        _private_ipv4,
    ),
    Rule("IPv6", "personal", "low", r"(?i)(?:^|[^\w:.])(?P<v>[0-9a-f:]{6,39})\b", _ipv6),
    Rule(
        "Hostname",
        "infrastructure",
        "low",
        r"(?i)\b(?:[a-z0-9][a-z0-9-]{0,62}\.){1,6}(?:" + HOST_ENDINGS + r")\b",
        _host,
    ),
)


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """The pattern, compiled by RE2: linear in the text, whatever the text."""
    return re2.compile(pattern)


def by_rules(text: str) -> Iterator[Finding]:
    """Every rule's findings in a text without lone surrogates."""
    for rule in RULES:
        for found in compiled(rule.pattern).finditer(text):
            group = 1 if "(?P<v>" in rule.pattern else 0
            if rule.accept(found.group(group)):
                yield Finding(
                    type=rule.type,
                    start=found.start(group),
                    end=found.end(group),
                    severity=rule.severity,
                    category=rule.category,  # type: ignore[arg-type]
                )
    yield from assignments(text)


def assignments(text: str) -> Iterator[Finding]:
    """Values assigned to a name that says it is secret: `DB_PASSWORD=…`, `"password": "…"`, `| password | … |`."""
    for found in compiled(ASSIGNED).finditer(text):
        group = next(number for number in (1, 2, 3) if found.group(number) is not None)
        name = found.group().lower()
        a_password = any(word in name for word in ("pass", "pwd"))
        value = found.group(group)
        operator = text[max(found.start(group) - 6, 0) : found.start(group)]
        explicit = group != UNQUOTED or "=" in operator or "|" in operator
        accept = (
            _secret_value
            if (a_password and (explicit or _mixed(value))) or (explicit and group != UNQUOTED)
            else _token_value
        )
        if accept(value):
            yield Finding(
                type="Password" if a_password else "ApiKey",
                start=found.start(group),
                end=found.start(group) + len(value.rstrip(".,;:*_`)")),
                severity="critical",
                category="secret",
            )


def _mixed(value: str) -> bool:
    """True for what isn't a plain word: prose after `password:` is rarely the password."""
    word = value.strip("*_`.,;:!?")
    return not re.fullmatch(r"[a-z]+|[A-Z][a-z]+", word)
