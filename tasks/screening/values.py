"""Says of a value whether it can be a password or a token, or is a placeholder, code, a path or plain words. Pure."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from functools import lru_cache

from tasks.screening.view import compiled, view

PLACEHOLDER = re.compile(
    r"""(?:<.*>?|\[.*\]?|\(.*\)|\{.*|\$.*|%.*%|\#\{.*|@[\w.]+@|!(?:Ref|Sub|GetAtt|vault|ImportValue|Join)\b.*|x+|X+|\*+.*|[*•.]+|-+|_+|=+|\?+|
    (?:your|insert|enter|put|replace|paste|provide)[-_ ].*|your[a-z]*(?:key|token|password|secret)?|(?:the|some|an?|see|use|add)[ ].*|
    (?:my|the|some|an?)[-_ ](?:super[-_ ]?)?(?:secret|password|passwd|token|api|key|pass|value|string)\w*|
    [a-z][a-z0-9+.-]*://.*|
    (?:[a-z]+[-_]){1,4}(?:token|password|passwd|secret|key)|
    none|null|nil|nul|true|false|yes|no|on|off|empty|unset|undefined|default|secret|password|passwd|pass|token|key|string|str|int|
    bool|boolean|text|required|optional|expired|invalid|valid|wrong|rotated|reset|missing|unknown|unchanged|hidden|n/a|na|tbd|
    and|or|is|was|for|in|from|to|env|vault|sealed|include|same-origin|omit|basic|bearer|disabled|enabled|admin|root|user|guest|test|
    username|foo|bar|baz|abc|value|prompt|changeme|object|integer|any|bytes|varchar|secretstr|optional\[.*|
    (?:arn|vault|op|ref|kms|ssm|awssm|keyring|env|secret|file|https?|s3|gs|git|ssh|docker|oci|urn|data|jdbc|azurekeyvault)(?::|\+vault).*|enc\(.*)""",
    re.IGNORECASE | re.VERBOSE,
)
HOLDS = (
    r"(?i)redacted|change[-_ ]?me|change[-_ ]?it|placeholder|replace[-_ ]?me|example|dummy|sample|not[-_ ]?set|goes[-_ ]?here|"
    r"fill[-_ ]?in|insert|to[-_ ]?be[-_ ]?set|removed|obfuscated|sanitized|masked|censored|fake|todo|fixme|foobar|notreal|mock|"
    r"x{3,}|\*\*\*|\.\.\.|###|0{9,}|123456789012|abcdefgh[a-z]*|0123456789|environ|getenv|process\.env|secretsmanager|keyvault|key_vault|"
    r"secret_manager|ssm:"
)
CODE = re.compile(
    r"""(?:await|new|return|function|lambda|func|def|import|not|typeof)\b.*|
    [$@&!]?[A-Za-z_][\w.\->:]*\(.*|                      # a call
    [A-Za-z_]\w*(?:(?:\.|->|::)[A-Za-z_]\w*)+(?:\[\w*)?[\[\](){};,]*|  # an attribute, or an element of one
    [A-Za-z_]\w*\[.*|                                    # an element
    [A-Z][A-Z_]*(?:_[A-Z]+)+\d?|                           # a constant's or variable's name
    [a-z_]+(?:_[a-z]+)+|                                    # an identifier
    [=<>!|&+]+.*|/\*.*|//.*|\\.*|`.*""",
    re.VERBOSE,
)
PATH = re.compile(
    r"""(?:\.{0,2}|~)(?:/[\w.@{}$-]+){1,}/?|[A-Za-z]:[\\/].*|\\\\.*|[\w./-]+/[\w./-]+\.[a-z]{1,5}|
    [\w.-]+\.(?:pem|key|crt|cer|p12|pfx|jks|txt|json|ya?ml|toml|ini|cfg|conf|env|properties|xml|log|md|py|js|ts|go|rb|java|kt|cs|sh|sql|csv|gpg|asc|html?|php|tf)""",
    re.VERBOSE,
)
DATE = re.compile(
    r"\d{4}-\d\d(?:-\d\d)?(?:[T ]\d\d?:.*)?|\d{1,2}[:/.]\d\d(?:[:/.]\d{2,4})?Z?|\d+(?:\.\d+)*(?:%|[smhdw]|ms|min|kb|mb|gb|k|m)?",
    re.IGNORECASE,
)
DRAWN = re.compile(r"=?[\w.~+/-]+=*")
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# The name of a host, an image or a setting: words and numbers, apart from each other.
NAME = re.compile(r"(?:[A-Za-z]{2,}\d{0,4}|\d+)(?:[-_.:/]+(?:[A-Za-z]+\d{0,4}|v?\d+[a-z]?))+")
DOTTED = re.compile(r"[A-Za-z0-9]{3,}(?:\.[A-Za-z0-9]{3,}){1,2}")
NUMBERED = re.compile(r"[A-Z]?[a-z]+[-_]?\d{1,4}[a-z]?")
LONG = 32  # characters of a value in which chance makes words
_NO_RUN = re.compile(r"[<>\s]")
_EDGES = "\"'`*_.,;:!?)]}>"
_VOWELS = re.compile(r"[aeiouyAEIOUY]")


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values()) if value else 0.0


def is_placeholder(value: str) -> bool:
    """True for what stands in documentation where a secret would be."""
    bare = value.strip("\"'`*_., ;:")
    different = len(set(bare.lower()))
    return (
        different <= 2
        or (different <= 8 and len(bare) >= 16 and entropy(bare) < 1)
        or bool(PLACEHOLDER.fullmatch(bare) or "…" in bare)
        or _says_that_it_is_none(bare)
    )


def _says_that_it_is_none(value: str) -> bool:
    """True where a word or a row in the value says that it is made up.

    In a long one chance makes such words, too. There they count where they stand alone or fill a third of it.
    """
    found = [match.span() for match in compiled(HOLDS).finditer(view(value))]
    if not found or len(value) < LONG:
        return bool(found)
    return sum(end - start for start, end in found) * 3 >= len(value) or any(
        _stands_alone(value, start, end) for start, end in found
    )


def _stands_alone(value: str, start: int, end: int) -> bool:
    """Whether a word in the value is apart from what stands around it: by a mark, or by the case of its letters."""
    word = value[start:end]
    if not word[0].isalpha():
        return not word[0].isdigit()
    if not (word.islower() or word.isupper() or word.istitle()):
        return False
    before, after = value[start - 1 : start], value[end : end + 1]
    begins = not before.isalnum() or (before.islower() and value[start].isupper())
    ends = not after.isalnum() or (after.isupper() and value[end - 1].islower())
    return begins and ends


@lru_cache(maxsize=4096)
def is_password(value: str) -> bool:
    """True for what may be a password: no placeholder, no code, no path."""
    return len(value) >= 4 and not is_placeholder(value) and not _is_code(value) and not PATH.fullmatch(value)


@lru_cache(maxsize=4096)
def is_dotted(value: str) -> bool:
    """True for a password of words with a dot between them, which would be an attribute where code can stand: `Tin.whistle8`."""
    return bool(
        DOTTED.fullmatch(value)
        and any(map(str.isdigit, value))
        and any(map(str.isupper, value))
        and any(map(str.islower, value))
        and not PATH.fullmatch(value)
        and not is_placeholder(value)
    )


def has_three_kinds(value: str) -> bool:
    """True for what may be a password where little says so: three of small and capital letters, digits and marks."""
    kinds = (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum())
    mixed = sum(any(map(kind, value)) for kind in kinds) >= 3 and not NUMBERED.fullmatch(value)
    return mixed and 6 <= len(value) <= 64 and any(map(str.isdigit, value)) and is_password(value) and is_mixed(value)


def _is_code(value: str) -> bool:
    """True for code. A token with dots in it looks like an attribute: chance draws digits into its parts."""
    return bool(CODE.fullmatch(value)) and not (
        len(value) >= 20 and DRAWN.fullmatch(value) and sum(map(str.isdigit, value)) >= 4 and _switches(value) >= 5
    )


def is_mixed(value: str) -> bool:
    """True for what isn't a plain word, a number or a date: prose after `password:` is rarely the password."""
    word = value.strip(_EDGES)
    if word.isalpha() and word > "\u024f" and not any(map(str.isascii, word)):
        return False  # words of another script
    return not re.fullmatch(r"[a-z]+(?:['-][a-z]+)*|[A-Z][a-z]+|[A-Z]{2,}", word) and not DATE.fullmatch(word)


@lru_cache(maxsize=4096)
def is_token(value: str) -> bool:
    """True for what may be a token: a password of eight characters or more, with a digit, and not made of words."""
    if len(value) < 8 or not is_password(value):
        return False
    if UUID.fullmatch(value) or (len(value) >= 16 and value.isdecimal()):
        return True
    if DATE.fullmatch(value) or NAME.fullmatch(value):
        return False
    if not any(char.isdigit() for char in value):
        return len(value) >= 16 and entropy(value) >= 3.6 and not _wordy(value)
    return not _wordy(value)


@lru_cache(maxsize=4096)
def is_random(value: str) -> bool:
    """True for what chance made: long, with digits among letters, and without words."""
    if len(value) < 16 or not is_token(value) or UUID.fullmatch(value) or _NO_RUN.search(value):
        return False
    letters = sum(char.isalpha() for char in value)
    digits = sum(char.isdigit() for char in value)
    return (
        digits >= 2 and letters >= 3 and entropy(value) >= (3.0 if re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", value) else 3.4)
    )


def _wordy(value: str) -> bool:
    """True where most of the value is words, as in `my-app-secret-v2`, `UserServiceToken1` or `sha256-checksum`."""
    runs = list(re.findall(r"[A-Z]?[a-z]+|[A-Z]+", value))
    if len(value) >= 20 and sum(map(len, runs)) < 3 * len(runs):
        return False  # letters that change their case without end
    in_words = sum(len(run) for run in runs if len(run) >= 3 and _VOWELS.search(run) and not _clumsy(run))
    return in_words * 2 > len(value) and _switches(value) <= 3 and not re.search(r"[!@#$%^&*+=]", value)


def _switches(value: str) -> int:
    """How often digits and other characters take turns: seldom in a name, often in what chance drew."""
    return sum(a.isdigit() != b.isdigit() for a, b in itertools.pairwise(value))


def _clumsy(run: str) -> bool:
    """True for letters that no word has in a row."""
    return bool(re.search(r"[bcdfghjklmnpqrstvwxz]{5}|[aeiouy]{4}|q[^u]|[jvwxz][jvwxzq]", run.lower()))


@lru_cache(maxsize=4096)
def is_bearer(value: str) -> bool:
    """True for what may follow `Bearer`, `Basic` or `Token`: long, and not a word."""
    return (
        len(value) >= 12
        and is_password(value)
        and not _wordy(value)
        and (any(map(str.isdigit, value)) or entropy(value) > 3.5)
    )


def is_chance(value: str) -> bool:
    """True for what can only be a token, whatever it is called: drawn from small and capital letters and digits."""
    return (
        20 <= len(value) <= 120
        and is_random(value)
        and any(map(str.islower, value))
        and any(map(str.isupper, value))
        and entropy(value) >= 3.9
        and sum(map(str.isdigit, value)) >= 3
    )


def is_small_chance(value: str) -> bool:
    """The same of small letters and digits. A digest and an identifier in hexadecimal are none: anything may have one."""
    return (
        24 <= len(value) <= 120
        and is_random(value)
        and not re.fullmatch(r"[0-9a-f-]+", value)
        and not any(map(str.isupper, value))
        and _switches(value) >= 6
        and entropy(value) >= 3.6
    )
