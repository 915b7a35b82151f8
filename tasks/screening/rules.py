"""Patterns for personal data and secrets, linear in the text (RE2), each with a validator that throws decoys out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from tasks.screening import validators as valid
from tasks.screening.finding import Category, Finding

HOST_ENDINGS = (
    "com|net|org|io|dev|cloud|app|local|internal|corp|lan|intra|edu|gov|de|uk|fr|nl|ch|at|eu|us|ca|au|jp|in|br"
)
CONTEXT = 24
VERSION = re.compile(
    r"(?:\b(?:version|release|rel|ver|build|v|tag|macos|ios|android|windows)[\s:=\"'`]*)$", re.IGNORECASE
)
MORE_PARTS = re.compile(r"\.\d|-[A-Za-z]|[+]\d")


@dataclass(frozen=True)
class Rule:
    """A pattern whose group `v` (or whole match) is the finding, if `accept` agrees, and what stands before it
    (`unless_after`) and behind it (`unless_before`) doesn't say that it is something else.
    """

    type: str
    category: Category
    severity: str
    pattern: str
    accept: Callable[[str], bool] = bool
    unless_after: re.Pattern[str] | None = None
    unless_before: re.Pattern[str] | None = None

    def agrees(self, text: str, start: int, end: int) -> bool:
        """Whether the value at this place is what the rule looks for."""
        if not self.accept(text[start:end]):
            return False
        if self.unless_after and self.unless_after.search(text[max(start - CONTEXT, 0) : start]):
            return False
        return not (self.unless_before and self.unless_before.match(text[end : end + CONTEXT]))


# Letters of Latin, Greek, Cyrillic and East Asian scripts, as ranges: RE2 has no room for every letter there is.
_LETTERS = r"a-z\x{c0}-\x{24f}\x{370}-\x{52f}\x{3040}-\x{9fff}"
_TAG = r"[A-Za-z0-9_.:-]{0,40}(?:password|passwd|passphrase|passwort|secret|token|api-?key)[A-Za-z0-9_.-]{0,20}"
_HEX_BEFORE = re.compile(r"[0-9A-Fa-f][:.-]$")
_HEX_BEHIND = re.compile(r"[:.-][0-9A-Fa-f]")

RULES = (
    Rule(
        "PrivateKey",
        "secret",
        "critical",
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?s:.*?)-----END (?:[A-Z]+ )*PRIVATE KEY-----",
    ),
    Rule("PrivateKey", "secret", "critical", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    Rule("PrivateKey", "secret", "critical", r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,70}\b"),
    Rule(
        "UrlCredentials",
        "secret",
        "critical",
        r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@<>\"']{0,100}:(?P<v>[^\s/@<>\"']{1,200})@[A-Za-z0-9\[]",
        valid.not_placeholder,
    ),
    Rule("Bearer", "secret", "critical", r"(?i)\bbearer[ \t]+(?P<v>[A-Za-z0-9._~+/=-]{8,})", valid.is_bearer),
    Rule(
        "BasicAuth",
        "secret",
        "critical",
        r"(?i)\bbasic[ \t]+(?P<v>[A-Za-z0-9+/]{8,}={0,2})",
        lambda v: valid.is_bearer(v) and len(v) % 4 == 0,
    ),
    Rule("Cookie", "secret", "high", r"(?i)\bcookie:[ \t]*[A-Za-z0-9_.-]{1,64}=(?P<v>[^;\s]{16,1000})", valid.is_token),
    Rule("Password", "secret", "critical", r"(?i)<" + _TAG + r">(?P<v>[^<>\s]{4,256})</", valid.is_secret),
    Rule(
        "Password",
        "secret",
        "critical",
        r"(?i)(?:\bsshpass[ \t]+-p|\bmysql(?:dump|admin)?\b[^\n]{0,120}?[ \t]-p|[ \t]--(?:password|passwd|passphrase))[ \t]*[\"']?"
        r"(?P<v>[^\s\"'=]{4,256})",
        valid.is_secret,
    ),
    Rule(
        "Password",
        "secret",
        "critical",
        r"(?i)\b(?:password|passphrase|passwd|passwort)[ \t]+(?:is|was|ist|war)[ \t]+[\"'`*]{0,3}(?P<v>[^\s\"'`*]{6,256})",
        lambda v: valid.is_token(v.rstrip(".,;:!?)")),
    ),
    Rule(
        "Password",
        "secret",
        "critical",
        r"(?i)\b(?:password|passphrase|passwd|passwort|secret|token)[\"'`*]{0,3}:[\"'`*]{0,3}[ \t]*(?:[>|][+-]?)?\r?\n[ \t]*[\"'`*]{0,3}"
        r"(?P<v>[^\s\"'`*|]{8,256})",
        lambda v: valid.is_token(v) and valid.is_mixed(v) and not v.endswith(":"),
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
    Rule(
        "Email",
        "personal",
        "medium",
        rf"(?i)[{_LETTERS}0-9._%+-]+@(?:[{_LETTERS}0-9-]+\.)+[{_LETTERS}]{{2,24}}",
        valid.is_email,
    ),
    Rule("CreditCard", "personal", "high", r"\b\d(?:[ .-]?\d){12,18}\b", valid.is_card),
    Rule("SSN", "personal", "high", r"\b\d{3}-\d{2}-\d{4}\b", valid.is_ssn),
    Rule(
        "SSN",
        "personal",
        "high",
        r"(?i)\b(?:ssn|social security)\b[^\d\n]{0,20}(?P<v>\d{3} ?\d{2} ?\d{4})\b",
        valid.is_ssn,
    ),
    Rule("IBAN", "personal", "high", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", valid.is_iban),
    Rule("Phone", "personal", "medium", r"(?:^|[^\w.+-])(?P<v>(?:\+|00[1-9])\d[\d ().-]{6,20}\d)\b", valid.is_phone),
    Rule("Phone", "personal", "medium", r"(?:^|[^\w.+-])(?P<v>\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4})\b", valid.is_phone),
    Rule(
        "MAC", "personal", "low", r"(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b", valid.is_mac, _HEX_BEFORE, _HEX_BEHIND
    ),
    Rule(
        "MAC",
        "personal",
        "low",
        r"(?i)\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b",
        valid.is_mac,
        _HEX_BEFORE,
        _HEX_BEHIND,
    ),
    Rule(
        "IPv4",
        "personal",
        "low",
        r"(?:^|[^\w.])(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b",
        valid.is_ipv4,
        VERSION,
        MORE_PARTS,
    ),
    Rule(
        "PrivateIPv4",
        "infrastructure",
        "low",
        r"(?:^|[^\w.])(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b",
        valid.is_private_ipv4,
        VERSION,
        MORE_PARTS,
    ),
    Rule("PrivateIPv6", "infrastructure", "low", r"(?i)(?:^|[^\w:.])(?P<v>[0-9a-f:]{6,39})\b", valid.is_private_ipv6),
    Rule("IPv6", "personal", "low", r"(?i)(?:^|[^\w:.])(?P<v>[0-9a-f:]{6,39})\b", valid.is_ipv6),
    Rule(
        "Hostname",
        "infrastructure",
        "low",
        r"(?i)\b(?:[a-z0-9][a-z0-9-]{0,62}\.){1,6}(?:" + HOST_ENDINGS + r")\b",
        valid.is_host,
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
            if rule.agrees(text, found.start(group), found.end(group)):
                yield Finding(
                    type=rule.type,
                    start=found.start(group),
                    end=found.end(group),
                    severity=rule.severity,
                    category=rule.category,  # type: ignore[arg-type]
                )
