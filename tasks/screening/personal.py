"""Personal data by shape, check digits and context; host names and private addresses as a note."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from tasks.screening import identities
from tasks.screening.addresses import ipv4_kind, ipv6_kind, is_mac
from tasks.screening.finding import Category, Finding
from tasks.screening.machines import is_machines
from tasks.screening.phones import Phones
from tasks.screening.view import Triggers, compiled

_LETTERS = r"a-zA-Z\xc0-\xff"
EMAIL = rf"[{_LETTERS}0-9][{_LETTERS}0-9._%+'-]*@(?:[{_LETTERS}0-9][{_LETTERS}0-9-]*\.)+[{_LETTERS}]{{2,24}}"
# Written so that machines don't find it: `ada [at] corp [dot] com`, `ada at corp dot com`.
_DOT = r"[ \t]*[\[({<][ \t]*(?:dot|punkt|point)[ \t]*[\])}>][ \t]*|\."
_DOMAIN = r"(?:com|net|org|io|dev|cloud|app|info|biz|edu|gov|eu|us|uk|de|at|ch|fr|be|nl|it|es|pt|pl|cz|se|no|dk|fi|ie|in|jp|cn|kr|br|mx|ca|au|nz|za)\b"
_PART = rf"[{_LETTERS}0-9][{_LETTERS}0-9-]*"
SPELLED_EMAIL = (
    rf"(?i)[{_LETTERS}0-9][{_LETTERS}0-9._%+'-]*(?:[ \t]*[\[({{<][ \t]*(?:at|\xe4t|arroba|@)[ \t]*[\])}}>][ \t]*(?:{_PART}(?:{_DOT}|[ \t]+dot[ \t]+))+"
    rf"|(?:[._-]{_PART}|\d)[ \t]+at[ \t]+(?:{_PART}[ \t]+dot[ \t]+)+|@(?:{_PART}[ \t]*[\[({{<][ \t]*dot[ \t]*[\])}}>][ \t]*)+){_DOMAIN}"
)
_PICTURE = re.compile(r"@\d+x\.[a-z]+$")
RESERVED_DOMAINS = re.compile(
    r"(?:^|[.@])(?:example\.(?:com|org|net)|[a-z0-9-]+\.(?:example|test|invalid|localhost))$|\.(?:example|test|invalid|localhost)$",
    re.IGNORECASE,
)
_MAILERS = (
    "noreply@",
    "no-reply@",
    "no_reply@",
    "donotreply@",
    "git@",
    "security@",
    "abuse@",
    "postmaster@",
    "hostmaster@",
    "webmaster@",
)
HOST = (
    r"(?i)\b(?:[a-z0-9][a-z0-9-]*\.)+(?:com|net|org|io|dev|cloud|app|local|internal|corp|lan|intra|edu|gov|de|uk|fr|nl|ch|at|eu|us|ca|"
    r"au|jp|in|br)\b"
)
IPV4 = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
IPV6 = r"(?i)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}"
MAC = r"(?i)\b(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})\b"
NUMBER = r"[+(]{0,2}\d(?:[ ().\-/]{0,3}\d){7,}"
IBAN = r"\b[A-Z]{2}\d{2}[ -]?[A-Z0-9](?:[ -]?[A-Z0-9]){9,32}\b"
_VERSION = re.compile(
    rb"(?:\b(?:version|release|rel|ver|build|v|v\d+|tag|macos|ios|android|windows|chrome|section|chapter|oid|rfc[ -]?\d+,?)|[<>~=!]=|\xa7|[$])[\s:=\"'`/]*$",
    re.IGNORECASE,
)
# `upgraded the proxy from 1.2.3.4`, but not `changed the address to 1.2.3.4`.
_UPGRADE = re.compile(
    rb"\b(?:up|down)(?:grad|dat)\w*|\b(?:bump|patch|pinn|roll)\w*|\bchangelog\b|\breverted?\b", re.IGNORECASE
)
_TO = re.compile(rb"\b(?:to|from|at|and)[\s\"'`*(]*$", re.IGNORECASE)
_NETWORK = re.compile(
    rb"\b(?:ip|ips|ipv4|addr\w*|records?|dns|rout\w+|servers?|hosts?|endpoints?|traffic|gateways?|resolvers?|peers?|subnets?|nodes?)\b",
    re.IGNORECASE,
)
_MORE_PARTS = re.compile(rb"\.\d|-[A-Za-z]|[+]\d|\w")
SHORTEST, LONGEST = 8, 40  # characters of one number
_MOMENT = (
    r"(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.][0-3]?\d(?!\d)|\d{1,3}(?:\.\d{1,3}){3}(?!\d)|[0-3]?\d[/.-][0-3]?\d[/.-](?:19|20)\d\d(?!\d)|"
    r"1[5-9]\d{8}(?:\d{3}){0,3}(?!\d)|20[0-3]\d{5}(?:\d{6})?(?!\d)"
)
_SMALL = r"[1-9]\d?(?!\d)(?! ?\()"
_SEPARATORS = r"[ ).\-/]*"
_SMALL_ONES = re.compile(r"(?:[1-9]\d? )*[1-9]\d? ?$")
_OTHER = re.compile(rf"(?:(?:{_MOMENT}|{_SMALL}){_SEPARATORS}){{1,200}}")
_GROUP = re.compile(rf"[+(]*\d+{_SEPARATORS}")
_GAP = re.compile(_SEPARATORS)
_PERSONAL: Category = "personal"
# What is rare, each with what a text needs for it: one pass tells which is worth one of its own.
_LOOKS = (
    (IPV4, (r"re:\d\.\d{1,3}\.\d{1,3}\.\d",)),
    (IPV6, ("::", r"re:(?::[0-9a-f]{1,4}){7}")),  # an address has all its parts, or two colons for some
    (MAC, (f"re:{MAC}",)),
    (NUMBER, (r"re:\d(?:[ ().\-/]{0,3}\d){7}",)),
    (IBAN, (r"re:\b[A-Z]{2}\d{2}[ -]?[A-Z0-9](?:[ -]?[A-Z0-9]){9}",)),
    (identities.NAMED_FORM, (r"re:\bnas\b", r"re:\bc\.?f\b[.:]")),
    (
        SPELLED_EMAIL,
        (
            r"re:[\[({<][ \t]*(?:at|\xe4t|arroba|@|dot)[ \t]*[\])}>]",
            r"re:[ \t]at[ \t]+[^\s]+[ \t]+dot[ \t]",
        ),
    ),
)


@lru_cache(maxsize=1)
def _looks() -> Triggers:
    return Triggers([needs for _, needs in _LOOKS])


def personal(raw: bytes, text: str) -> Iterator[Finding]:
    """Personal data in a view of the text, and host names and private addresses."""
    seen = {_LOOKS[number][0] for number in _looks().of(raw)}
    if SPELLED_EMAIL in seen:
        for found in compiled(SPELLED_EMAIL).finditer(raw):
            start, end = found.span()
            yield Finding("Email", start, end, "medium", _PERSONAL)
    if b"@" in raw:
        yield from _emails(raw, text)
    yield from _addresses(raw, seen)
    if NUMBER in seen:
        yield from _numbers(raw)
    if IBAN in seen:
        yield from _accounts(raw)
    if identities.NAMED_FORM in seen:
        yield from identities.in_named_forms(raw, text)
    yield from identities.in_context(raw, text)
    if b"." in raw:
        for found in compiled(HOST).finditer(raw):
            if not RESERVED_DOMAINS.search(found.group().decode("latin-1")):
                start, end = found.span()
                yield Finding("Hostname", start, end, "low", "infrastructure")


def _emails(raw: bytes, text: str) -> Iterator[Finding]:
    for found in compiled(EMAIL).finditer(raw):
        start, end = found.span()
        value = text[start:end]
        if _PICTURE.search(value):
            continue
        if not RESERVED_DOMAINS.search(value) and not value.lower().startswith(_MAILERS):
            yield Finding("Email", start, end, "medium", _PERSONAL)


def _addresses(raw: bytes, seen: Collection[str]) -> Iterator[Finding]:
    for found in compiled(IPV4).finditer(raw) if IPV4 in seen else ():
        start, end = found.span()
        kind = ipv4_kind(found.group())
        before = raw[start - 1 : start]
        if (
            kind
            and not before.isalnum()
            and before not in (b".", b"_")
            and not _MORE_PARTS.match(raw, end)
            and not _is_version(raw[max(start - 60, 0) : start].rpartition(b"\n")[2])
        ):
            yield _address(kind, "IPv4", raw, start, end)
    for found in compiled(IPV6).finditer(raw) if IPV6 in seen else ():
        start, end = found.span()
        around = raw[start - 1 : start] + raw[end : end + 1]
        if (
            not any(char in around for char in b":.")
            and not around.replace(b"%", b"").isalnum()
            and (kind := ipv6_kind(found.group()))
        ):
            yield _address(kind, "IPv6", raw, start, end)
    for found in compiled(MAC).finditer(raw) if MAC in seen else ():
        start, end = found.span()
        if (
            is_mac(found.group())
            and raw[start - 1 : start] not in (b":", b"-", b".")
            and not re.match(rb"[:.-][0-9A-Fa-f]", raw[end : end + 2])
        ):
            yield Finding("MAC", start, end, "low", _PERSONAL)


def _is_version(before: bytes) -> bool:
    """Whether what stands before a number of four parts in its line says that it counts something's versions."""
    if _VERSION.search(before[-24:]):
        return True
    upgrade = _UPGRADE.search(before) if _TO.search(before[-12:]) else None
    return bool(upgrade and not _NETWORK.search(before, upgrade.end()))


def _address(kind: str, name: str, raw: bytes, start: int, end: int) -> Finding:
    if kind == "private":
        return Finding("Private" + name, start, end, "low", "infrastructure")
    if is_machines(raw, start, end):
        return Finding("Server" + name, start, end, "low", "infrastructure")
    return Finding(name, start, end, "low", _PERSONAL)


def _numbers(raw: bytes) -> Iterator[Finding]:
    """Cards, phones and social security numbers among the runs of digits."""
    runs = _Runs(raw)
    for found in compiled(NUMBER).finditer(raw):
        yield from runs.numbers(*found.span())


def _accounts(raw: bytes) -> Iterator[Finding]:
    """Account numbers among letters and digits."""
    for found in compiled(IBAN).finditer(raw):
        start = found.start()
        if length := identities.iban_length(found.group().decode("latin-1")):
            yield Finding("IBAN", start, start + length, "high", _PERSONAL)


class _Runs:
    """The runs of digits and separators in a text, one after the other; each may hold many numbers."""

    def __init__(self, raw: bytes) -> None:
        self._text = raw.decode("latin-1")
        self._cards = identities.Cards(self._text)
        self._socials = identities.SocialNumbers(self._text)
        self._phones = Phones(self._text)

    def numbers(self, start: int, end: int) -> Iterator[Finding]:
        """What stands in the run between these places."""
        text, at = self._text, start
        before, behind = text[max(start - 1, 0) : start], text[end : end + 1]
        if before.isalpha() or before in ("_", "#"):  # the end of a word such as `v2` or `#1234`
            at = _GROUP.match(text, start, end).end()  # type: ignore[union-attr]
        if behind.isalpha() or behind == "_":  # the beginning of one
            end = start + len(text[start:end].rstrip("0123456789"))
        while end - at >= SHORTEST:
            other = _OTHER.match(text, at, end)
            if other and not (_SMALL_ONES.match(other.group()) and self._phones.is_named(at)):
                at = other.end()
                continue
            value = text[at : min(at + LONGEST, end)]
            if length := self._cards.find(at, value):
                yield Finding("CreditCard", at, at + length, "high", _PERSONAL)
            elif length := self._socials.find(at, value):
                yield Finding("SSN", at, at + length, "high", _PERSONAL)
            elif length := self._phones.find(at, value):
                yield Finding("Phone", at, at + length, "medium", _PERSONAL)
            else:
                at = _GROUP.match(text, at, end).end()  # type: ignore[union-attr]
                continue
            at = _GAP.match(text, at + length, end).end()  # type: ignore[union-attr]
