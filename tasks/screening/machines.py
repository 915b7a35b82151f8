"""Public addresses that are a machine's by the words right beside them: of a server, a resolver, an attack. See decision 0045."""

from __future__ import annotations

import re

_REACH = 80  # bytes on each side that are looked at, in the line
_NOUN = (
    rb"(?:(?:name|mail|web)?servers?|resolvers?|dns|load[ -]balancers?|(?:reverse )?prox(?:y|ies)|gateways?|firewalls?|routers?|"
    rb"nat|egress|ingress|vips?|bastions?|hosting|listeners?|upstreams?|backends?|clusters?|(?<!for\s)instances?|vms?|"
    rb"scanners?|crawlers?|bots?|botnets?|c2|c&c|attackers?|threat actors?|attack|phishing)"
)
_LINK = rb"(?:ip|ips|ipv4|ipv6|address(?:es)?|at|is|are|was|were|has|had|the|public|external|static|named|called)"
_MARKS = rb"[\s:=,(\[`'\"*|-]*"
_BEFORE = re.compile(
    rb"(?:\b" + _NOUN + rb"(?:'s)?(?:" + _MARKS + rb"\b" + _LINK + rb"\b)*" + _MARKS + rb"|"
    rb"\b(?:attack|attacker|scan|scanner|bot|probe|phishing)s?(?: came| comes?| coming)? from[ \t`*]*)$",
    re.IGNORECASE,
)
# What a machine is at the other end of: "IPs seen on our server: …" lists whoever came to it.
_CAME = re.compile(
    rb"\b(?:ips|addresses|sources?|requests?|connections?|visits?|traffic|hits|hitting|seen|accessed|accessing)\b",
    re.IGNORECASE,
)
_BETWEEN = b" \t:=,()[]`'\"*|-"
_ONE = rb"(?:an?|the|our|its|one of the)\s+"
_BEHIND = re.compile(
    rb"[`'\")\]*]*(?:\s*(?:(?:(?:is|was|being)\s+|[-,:]\s*)" + _ONE + rb"|[(|]\s*(?:" + _ONE + rb")?)"
    rb"(?:[a-z-]+\s+){0,4}?" + _NOUN + rb"\b)",
    re.IGNORECASE,
)
_PERSON = re.compile(
    rb"\b(?:clients?|customers?|users?|visitors?|persons?|people|employees?|staff|colleagues?|subscribers?|patients?|members?|guests?|home|"
    rb"his|her|their|my|laptops?|phones?|log(?:in|ged)|sign(?:ed|s)?[ -]?in|remote_addr|forwarded)\b",
    re.IGNORECASE,
)


def is_machines(raw: bytes, start: int, end: int) -> bool:
    """Whether the words in the line beside an address say that it is a machine's, and none there speaks of a person."""
    told_before = raw[max(start - 12, 0) : start].rstrip(_BETWEEN)[-1:].isalpha()
    told_behind = raw[end : end + 12].lstrip(_BETWEEN)[:1].isalpha()
    if not (told_before or told_behind):  # one of a list
        return False
    before = raw[max(start - _REACH, 0) : start].rpartition(b"\n")[2]
    behind = raw[end : end + _REACH].partition(b"\n")[0]
    named = _BEFORE.search(before)
    if named and b":" in named[0] and _CAME.search(before[: named.start()]):
        return False
    if not (named or _BEHIND.match(behind)):
        return False
    return not _PERSON.search(before) and not _PERSON.search(behind)
