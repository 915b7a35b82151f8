"""Public addresses that are a machine's by the words right beside them: of a server, a resolver, an attack. See decision 0045."""

from __future__ import annotations

from tasks.screening.view import compiled

_REACH = 80  # bytes on each side that are looked at, in the line
_NOUN = (
    r"(?:(?:name|mail|web)?servers?|resolvers?|dns|load[ -]balancers?|(?:reverse )?prox(?:y|ies)|gateways?|firewalls?|routers?|"
    r"nat|egress|ingress|vips?|bastions?|hosting|listeners?|upstreams?|backends?|clusters?|instances?|vms?|"
    r"scanners?|crawlers?|bots?|botnets?|c2|c&c|attackers?|threat actors?|attack|phishing)"
)
_LINK = r"(?:ip|ips|ipv4|ipv6|address(?:es)?|at|is|are|was|were|has|had|the|public|external|static|named|called)"
_MARKS = r"[\s:=,(\[`'\"*|-]*"
# Read by RE2: backtracking over so many words took a third of the time of a text of addresses.
_BEFORE = (
    r"(?i)(?:\b" + _NOUN + r"(?:'s)?(?:" + _MARKS + r"\b" + _LINK + r"\b)*" + _MARKS + r"|"
    r"\b(?:attack|attacker|scan|scanner|bot|probe|phishing)s?(?: came| comes?| coming)? from[ \t`*]*)$"
)
# What a machine is at the other end of: "IPs seen on our server: …" lists whoever came to it.
_CAME = (
    r"(?i)\b(?:ips|addresses|sources?|requests?|connections?|visits?|traffic|hits|hitting|seen|accessed|accessing)\b"
)
_FOR_INSTANCE = r"(?i)\bfor\s+instance\b"
_BETWEEN = b" \t:=,()[]`'\"*|-"
_ONE = r"(?:an?|the|our|its|one of the)\s+"
_BEHIND = (
    r"(?i)[`'\")\]*]*(?:\s*(?:(?:(?:is|was|being)\s+|[-,:]\s*)" + _ONE + r"|[(|]\s*(?:" + _ONE + r")?)"
    r"(?:[a-z-]+\s+){0,4}?" + _NOUN + r"\b)"
)
_PERSON = (
    r"(?i)\b(?:clients?|customers?|users?|visitors?|persons?|people|employees?|staff|colleagues?|subscribers?|patients?|members?|guests?|home|"
    r"his|her|their|my|laptops?|phones?|log(?:in|ged)|sign(?:ed|s)?[ -]?in|remote_addr|forwarded)\b"
)


def is_machines(raw: bytes, start: int, end: int) -> bool:
    """Whether the words in the line beside an address say that it is a machine's, and none there speaks of a person."""
    told_before = raw[max(start - 12, 0) : start].rstrip(_BETWEEN)[-1:].isalpha()
    told_behind = raw[end : end + 12].lstrip(_BETWEEN)[:1].isalpha()
    if not (told_before or told_behind):  # one of a list
        return False
    before = _without(raw[max(start - _REACH, 0) : start].rpartition(b"\n")[2])
    behind = _without(raw[end : end + _REACH].partition(b"\n")[0])
    named = compiled(_BEFORE).search(before)
    if named and b":" in named[0] and compiled(_CAME).search(before, 0, named.start()):
        return False
    if not (named or compiled(_BEHIND).match(behind)):
        return False
    return not compiled(_PERSON).search(before) and not compiled(_PERSON).search(behind)


def _without(words: bytes) -> bytes:
    """Without `for instance`, which is no machine."""
    return bytes(compiled(_FOR_INSTANCE).sub(b"for", words))
