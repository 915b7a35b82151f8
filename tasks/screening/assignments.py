"""Values given to a name that says they are secret: `DB_PASSWORD=…`, `"password": "…"`, and options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from tasks.screening.finding import Finding
from tasks.screening.names import Kind, is_innocent, is_open, kind_of
from tasks.screening.values import (
    has_three_kinds,
    is_chance,
    is_dotted,
    is_mixed,
    is_password,
    is_random,
    is_small_chance,
    is_token,
)
from tasks.screening.view import Triggers, compiled

Judge = Callable[[Kind, str, str, bool], bool]  # kind, value, operator, in quotes
Place = tuple[int, int]
WORDS = (
    "pass|pwd|psw|pw|secret|token|key|cred|auth|kennwort|contrase|wachtwoord|senha|haslo|lozinka|salasana|heslo|sifre|"
    "parola|parool|jelsz|l[o\xf6]senord|adgangskode|kodeord|slaptaz|clave|chave|chiave|schl(?:\xfc|u)|sleutel|klucz|access|salt|pepper|hmac|"
    "cookie|session|\\bpat\\b|_pat|sas\\b|dsn|connection_?string|license|webhook|unlock|\\bpin\\b|master|bearer|psk|totp"
)
_NAME = r"(?P<n>[A-Za-z0-9_.$-]*(?:" + WORDS + r")[A-Za-z0-9_.\xc0-\xff-]*)"
_TAGS = r"(?:</?[a-z][a-z0-9]*>)?"
_ANY_NAME = r"[A-Za-z0-9_.$-]*(?:" + WORDS + r")"
_MORE = r"[A-Za-z0-9_.\xc0-\xff-]*"
_CLOSING = r"[\"'`*_\\\])]*" + _TAGS + r"[*_]*"
_TYPED = r"(?:[ \t]*:[ \t]*[A-Za-z_][\w.\[\]<>]*[ \t]*=|[ \t]+(?:string|String|str)[ \t]*=|[ \t]*\{[ \t]*get;[^}\n]*\}[ \t]*=)"
_OPERATOR = r"(?P<o>" + _TYPED + r"|[ \t]*(?:\?\?=|[:?+|.!]?={1,3}>?|:{1,3}=?|\||->)|=3[Dd])"
_OPENING = _TAGS + r"[*_(\[]*[ \t]*" + _TAGS + r"[*_]*"
_VALUE = (
    r"(?:\\\"(?P<e>[^\"\\\n]+)\\\"|[rbfuN@$]?\"(?P<d>(?:[^\"\\\n]|\\.)+)\"|[rbfuN@$]?'(?P<s>(?:[^'\\\n]|\\.)+)'|`+(?P<b>[^`\n]+)`|"
    r"(?P<u>[^\s\"'`|<>][^\s\"'`|<>]+))"
)
ASSIGNED = r"(?i)" + _NAME + _CLOSING + _OPERATOR + r"[ \t]*" + _OPENING + _VALUE
_SPACES = r"(?:[ \t]*\r?\n)?[ \t]*"
# `name: DB_PASSWORD` and, beside or below it, `value: …`, in YAML, JSON, XML and HCL.
PAIRED = (
    r"(?i)(?:name|key|id|property|variable|parameter\w*)[\"']?[ \t]*[:=][ \t]*[\"']?"
    + _NAME
    + r"[\"']?,?"
    + _SPACES
    + r"[\"']?"
    r"(?:value|parametervalue|val|content|default)[\"']?(?P<o>[ \t]*[:=][ \t]*)" + _VALUE
)
BLOCK = r"(?i)variable[ \t]+\"" + _NAME + r"\"[ \t]*\{[^{}]*?\bdefault(?P<o>[ \t]*=[ \t]*)" + _VALUE
# `setx NAME value`, `ENV NAME value`, `--api-key value`, `requirepass value`.
SPACED = (
    r"(?i)(?:(?:^|\n|[ \t;&])(?:env|arg|setx|setenv|set|config[ \t]+set|configure[ \t]+set|config|set-variable)[ \t]+|(?:^|[\s'\"`(\[])--?)"
    + _NAME
    + r"(?P<o>[\"']?(?:[ \t]+|[ \t]*,[ \t]*|=))"
    + _VALUE
)
DIRECTIVE = (
    r"(?im)^[ \t]*(?P<n>requirepass|masterauth|masteruser_password|auth_pass|rocommunity|rwcommunity|bindpw|rootpw|rootbindpw|rpcpassword|storepass|keypass)(?P<o>[ \t]+)"
    + _VALUE
)
# `setPassword("…")`, `define('DB_PASSWORD', '…')`, `("password", "…")`.
CALLED = r"(?i)" + _NAME + r"(?P<o>\([ \t]*|[\"'][ \t]*,[ \t]*)" + r"[rbfu@$]?(?:\"(?P<d>[^\"\n]+)\"|'(?P<s>[^'\n]+)')"
ELEMENT = r"(?i)<" + _NAME + r"(?P<o>(?:[ \t][^<>\n]*)?>)\s*(?:<!\[CDATA\[)?(?P<u>[^<>\s\]]+)(?:\]\]>)?\s*</"
# `<secret>{jenkins AQAA…}</secret>`, as Jenkins stores it.
BRACED = r"(?i)<" + _NAME + r"(?P<o>>)\s*\{(?:[^{}<>\n]* )?(?P<u>[^{}<>\s]+)\}\s*</"
ENTRY = r"(?i)(?:name|key)=[\"']" + _NAME + r"[\"'](?P<o>[^<>]*>)\s*(?:<[a-z]+>\s*)?(?P<u>[^<>\s]+)\s*</"
BELOW = (
    r"(?i)"
    + _NAME
    + r"[\"'`*]*(?P<o>:)[\"'`*]*[ \t]*(?:[>|][+-]?\d?)?\r?\n[ \t]*(?:```[a-z]*\r?\n)?[\"'`*]*(?P<u>[^\s\"'`*|<>]+)"
)
SENTENCE = (
    r"(?i)\b(?P<n>password|passphrase|passwd|passwort|kennwort|passcode|pwd|secret|token|api key|key|mot de passe|contrase[n\xf1]a|senha|clave(?: de acceso)?|has[l\xff]o|heslo|wachtwoord)"
    r"[\"'`*]*(?P<o>[ \t]+(?:is|was|ist|war|lautet|hei(?:\xdf|ss)t|of|set to|changed to|to|est|es|\xe9|\xe8|jest|=|-+)[ \t]*(?:now[ \t]+|set to[ \t]+|still[ \t]+|jetzt[ \t]+|nun[ \t]+)?:?)[\"'`* \t]*(?P<u>[^\s\"'`*<>]+)"
)
# The beginning of the same.
_SAYING = (
    r"re:(?:pass(?:word|phrase|wd|wort|code|e)|pwd|kennwort|secret|token|key|contrase[n\xf1]a|senha|clave(?: de acceso)?|has[l\xff]o|heslo|wachtwoord)"
    r"[\"'`*]*[ \t]+(?:is|was|ist|war|lautet|hei|of|set to|changed to|to|est?|\xe9|\xe8|jest|=|-)"
)
# `root pw on the bastion is …`, `the new API key for the status page: …`.
SENTENCE_ABOUT = (
    r"(?i)\b(?P<n>password|passphrase|passwort|kennwort|passcode|pwd|pw|passw\xff*|psk|secret|token|(?:api|access|secret|license)[ -]key|(?:otp|totp|2fa|mfa)[ -](?:seed|secret)|(?:wi-?fi|wlan|wpa2?|network)[ -]key)"
    r"(?P<o>[ \t]+(?:for|of|on|to|at|in|f\xfcr|von|auf|\xff{1,4})(?:[ \t]+[\w\xc0-\xff.'-]+){1,5}?(?::|[ \t]+(?:is|was|has been|ist|war|lautet|=|->|-)[ \t]*(?:now[ \t]+|still[ \t]+)?(?:(?:re)?set[ \t]+to\b|changed[ \t]+to\b)?:?))"
    r"[ \t]*[\"'`*]*(?P<u>[^\s\"'`*<>]+)"
)
SPACED_WORDS = (
    r"(?i)\b(?P<n>(?:mot de passe|palavra[- ]passe|kata sandi|cl[e\xe9][ \t]+(?:d['-])?(?:api|acc\xe8s|secr\xe8te|priv\xe9e)|(?:clave|chave|llave|chiave)[ \t]+(?:d[eia][ \t]+)?[a-z]{3,8}|"
    r"(?:recovery|backup|rescue|scratch|emergency|one-time|2fa|mfa|otp)[ \t]codes?|(?:api|access|secret|private|encryption|signing|auth|client|bearer|master|service|account|shared)[ \t]+"
    r"(?:key|secret|token|password|pass)(?:[ \t]id)?)s?)" + _CLOSING + _OPERATOR + r"[ \t]*" + _OPENING + _VALUE
)
# `using token 3f9a…`, and a line of values with commas between them.
TOLD = r"(?i)\b(?P<n>api[ _-]?key|token|secret|password|passphrase)(?P<o>[ \t]+)[\"'`*]*(?P<u>[A-Za-z0-9_+/=.~-]{20,})"
# `with user root and password …`, and settings with a blank between name and value.
BESIDE = r"(?i)(?:[\w.-]*\b|_)(?P<n>password|passphrase|passwd|passwort|kennwort|passcode|pwd|pw)(?P<o>[ \t]+)[\"'`*]*(?P<u>[^\s\"'`*<>|]{8,64})"
WITH = (
    r"(?i)\b(?:and|with|using|und|mit|et|avec|con)[ \t]+(?:the[ \t]+)?(?P<n>password|passphrase|passwd|passwort|kennwort|passcode|pwd|pw)"
    r"(?P<o>[ \t]+)[\"'`*]*(?P<u>[^\s\"'`*<>|]{8,64})"
)
LISTED = r"(?i)" + _NAME + r"(?P<o>,)(?P<u>[A-Za-z0-9_+/=.~-]{14,})(?:[,;\s]|$)"

# A name that says nothing, and a value that only chance can have made: `mailgun = '…'`, `mailgun '…'`, `sheet("…")`.
UNNAMED = (
    r"(?P<n>[A-Za-z_][A-Za-z0-9_.-]*)[\"']?(?:[ \t]*(?P<o>:=|=>|!=|={1,3}|:)[ \t]*|[ \t]+|\()"
    r"[\"'](?P<u>[A-Za-z0-9_+/=-]{20,})[\"']"
)

_CUT = re.compile(
    r"(?:\]\(|;(?=\s*$|[A-Za-z_ ]+=)|&(?=[A-Za-z_.-]+=)|,(?=[A-Za-z_\"'.-]+[=:])|\\[nrt]|(?<=.{8})@(?=[\w.-]+[:/]))"
)
TYPE_NAME = re.compile(r"(?:[A-Z][a-z]{2,}){2,}(?:V?\d{1,2})?|[A-Z]{2,3}[a-z]{3,}\d?")
_REDACTED = frozenset(
    {
        "ApiKey",
        "AwsAccessKey",
        "BasicAuth",
        "Cookie",
        "KubernetesSecret",
        "Password",
        "PrivateKey",
        "UrlCredentials",
        "Webhook",
    }
)
_RESOURCES = ("arn:aws:", "arn:aws-cn:", "arn:aws-us-gov:")
_NO_LETTER = re.compile(r"[\W_]")
_ATTRIBUTE = re.compile(r"\bname=[\"']([\w.-]+)[\"'][^<>]*$")
_PAIR = re.compile(rb"[\w.-]{2,40}[ \t]*[=:][ \t]*\\?[\"']")
_ASSIGNMENT = re.compile(r"([A-Za-z_][\w.-]*)[=:](?!=)")
# Values that are judged by their provider's own form alone: what doesn't fit it was cut or made up.
_OF_PROVIDERS = re.compile(r"xox[a-z][-.]|AIza|\d{3,20}:A[\w-]{4}")
_WORD_APART = re.compile(r"(?:^|[-_=.~/+])[A-Za-z][a-z]{5,}(?=[-_=.~/+]|$)")
# Once so many values of a form were found in a text, it is one long list of them, of which the rest is taken for what it looks like:
# no text takes long.
MOST_JUDGED = 10_000
LONGEST_NAME = 40
LONGEST_QUERY = 400
_TRAILING = ".,;:)]}*_`\\"


@lru_cache(maxsize=1)
def _triggers() -> Triggers:
    return Triggers([needs for _, _, needs in _FORMS])


def assignments(raw: bytes, text: str) -> Iterator[Finding]:
    """Values that a name near them calls secret, in a view of the text."""
    for number in _triggers().of(raw):
        pattern, judge, _ = _FORMS[number]
        yield from _in_form(pattern, judge, raw, text, 0, len(raw))
    yield from _unnamed(raw, text)


@lru_cache(maxsize=32)
def _groups(pattern: str) -> tuple[Mapping[str, int], list[int]]:
    """A form's groups by name, and those that may hold its value."""
    groups = {name.decode(): number for name, number in compiled(pattern).groupindex.items()}
    return groups, [groups[name] for name in "dsbeu" if name in groups]


def _in_form(pattern: str, judge: Judge, raw: bytes, text: str, begin: int, stop: int) -> Iterator[Finding]:
    regexp, (groups, values) = compiled(pattern), _groups(pattern)
    name, operator, unquoted = groups["n"], groups["o"], groups.get("u")
    at, judged = begin, 0
    while found := regexp.search(raw, at, stop):
        value, (start, end) = next((n, place) for n in values if (place := found.span(n))[0] >= 0)
        at = found.end()
        if _PAIR.match(raw, start, end):  # a text that holds pairs itself, each of which is judged
            yield from _in_form(pattern, judge, raw, text, start, end)
        elif findings := list(
            _judged(text, found.span(name), (start, end), found.span(operator), value != unquoted, judge)
        ):
            yield from findings
            judged += 1
            judge = judge if judged < MOST_JUDGED else _by_form
        elif (end - start <= LONGEST_NAME and kind_of(text[start:end])) or (
            end - start <= LONGEST_QUERY and b"=" in raw[start:end]
        ):
            at = start  # a name itself, which may have a value behind it: `| API key | password | … |`, `otpauth://…?secret=…`


def _unnamed(raw: bytes, text: str) -> Iterator[Finding]:
    if b'"' not in raw and b"'" not in raw:
        return
    for found in compiled(UNNAMED).finditer(raw):
        start, end = found.span(3)
        value, name = text[start:end], text[slice(*found.span(1))]
        chance = is_chance(value) or (found.group(2) in (b"=", b":=") and is_small_chance(value))
        if chance and not is_innocent(name) and not (name == "value" and _is_open_input(text, found.start())):
            yield Finding("ApiKey", start, end)


def _is_open_input(text: str, at: int) -> bool:
    """Whether the tag that a value stands in names it before as shown to everybody: `name="authenticity_token" value="…"`."""
    named = _ATTRIBUTE.search(text, max(at - 200, 0), at)
    return named is not None and is_open(named.group(1))


def _judged(
    text: str, name: Place, value_at: Place, operator_at: Place, quoted: bool, judge: Judge
) -> Iterator[Finding]:
    first, last = name
    kind = kind_of(text[first:last])
    if kind is None or (text[first:last] in _REDACTED and text[max(first - 1, 0) : first] == "["):
        return  # it stands for a value that was redacted
    if text.endswith(_RESOURCES, 0, first):
        return  # a service's name, in the name of a resource
    start, end = value_at
    value = text[start:end]
    if not quoted:
        in_brackets = text[start - 1] == "[" and "]" in value
        if value.rstrip("*_`").endswith(":") or "=[" in value or in_brackets:
            return  # a label, or one whose value was redacted
        value = _bare(value)
        if (inner := _ASSIGNMENT.match(value)) and kind_of(inner.group(1)):
            return  # the next pair, which is judged by itself
    operator = text[slice(*operator_at)].strip()
    if kind != "password" and _OF_PROVIDERS.match(value):
        return
    if value and judge(kind, value, operator, quoted) and not _is_own_name(value, text[first:last]):
        yield Finding("Password" if kind == "password" else "ApiKey", start, start + len(value))


def _is_own_name(value: str, name: str) -> bool:
    """Whether a value only repeats its name, as in `const KEY_MESHING = "key-meshing"`."""
    core = _NO_LETTER.sub("", value).lower()
    return bool(core) and core in _NO_LETTER.sub("", name).lower()


def _bare(value: str) -> str:
    """An unquoted value without what follows it: the next pair of a connection string, a query or a list."""
    if cut := _CUT.search(value):
        value = value[: cut.start()]
    bare = value.rstrip(_TRAILING)
    # `P@ss)` keeps its bracket only where one was opened in it.
    return bare if bare.count("(") <= bare.count(")") or value.count("(") == 0 else value


def _assigned(kind: Kind, value: str, operator: str, quoted: bool) -> bool:
    if kind == "password":
        clear = quoted or operator not in (":", "|", "->")
        if not clear and TYPE_NAME.fullmatch(value):
            return False
        may_be = is_password(value) or (quoted and is_dotted(value))
        return may_be and (is_mixed(value) or (clear and len(value) >= 6 and value.islower())) and _no_prose(value)
    if kind == "secret":
        return len(value) >= 10 and is_token(value) and _no_prose(value)
    return is_random(value)


def _by_form(_kind: Kind, value: str, _operator: str, _quoted: bool) -> bool:
    return len(value) >= 4


def _told(_kind: Kind, value: str, _operator: str, _quoted: bool) -> bool:
    """Where nothing says that a value follows: only what chance made, and no name such as `rotation-2026-11-29T10`."""
    return is_random(value) and not _WORD_APART.search(value)


def _beside(_kind: Kind, value: str, _operator: str, _quoted: bool) -> bool:
    return has_three_kinds(value) and is_token(value)


def _with(_kind: Kind, value: str, _operator: str, _quoted: bool) -> bool:
    return has_three_kinds(value)


def _listed(_kind: Kind, value: str, _operator: str, _quoted: bool) -> bool:
    return len(value) >= 14 and is_token(value)


def _strict(kind: Kind, value: str, _operator: str, _quoted: bool) -> bool:
    """Where the form itself says less: only what can't be a word."""
    if kind == "password":
        return (
            len(value) >= 6
            and is_password(value)
            and is_mixed(value)
            and any(map(str.isdigit, value))
            and _no_prose(value)
        )
    return len(value) >= 12 and is_token(value) and _no_prose(value)


def _argument(kind: Kind, value: str, _operator: str, _quoted: bool) -> bool:
    if value.startswith("--"):
        return False  # the next option
    if kind == "password":
        return is_password(value) and is_mixed(value) and len(value) >= 5 and _no_prose(value)
    return (is_token(value) if kind == "secret" else is_random(value)) and _no_prose(value)


def _no_prose(value: str) -> bool:
    """False for a quoted sentence: a secret rarely has blanks, and never several."""
    return value.count(" ") <= 4 and (" " not in value or any(map(str.isdigit, value)))


_FORMS: tuple[tuple[str, Judge, tuple[str, ...]], ...] = (
    (ASSIGNED, _assigned, ()),
    (
        SPACED_WORDS,
        _assigned,
        (
            r"re:[ \t](?:key|secret|token|pass(?:word)?|codes?)s?(?:[ \t]id)?s?[\"'`*_\\\])]*(?:<[^<>]*>)?[*_]*[ \t]*(?:[:=|{]|\?\?=|[?+.!]=|->|str)",
            r"re:cl[e\xe9][ \t]+(?:d['-])?(?:api|acc|secr|priv)",
            "mot de passe",
            r"re:palavra[ -]passe",
            "kata sandi",
            "clave",
            "chave",
            "llave",
            "chiave",
        ),
    ),
    (PAIRED, _assigned, (r"re:(?:val(?:ue)?|default|content)[\"']?[ \t]*[:=]",)),
    (BLOCK, _assigned, (r"re:variable[ \t]+\"",)),
    (
        SPACED,
        _argument,
        (
            r"re:(?:env|arg|setx?|setenv|config|set-variable)[ \t]+" + _ANY_NAME,
            r"re:(?:^|[\s'\"`(\[])--?" + _ANY_NAME,
        ),
    ),
    (
        DIRECTIVE,
        _argument,
        (
            "requirepass",
            "masterauth",
            "masteruser",
            "auth_pass",
            "rocommunity",
            "rwcommunity",
            "bindpw",
            "rootpw",
            "rpcpassword",
            "storepass",
            "keypass",
        ),
    ),
    (CALLED, _argument, (r"re:(?:" + WORDS + r")" + _MORE + r"(?:\([ \t]*|[\"'][ \t]*,[ \t]*)[rbfu@$]?[\"']",)),
    (ELEMENT, _assigned, ("</",)),
    (BRACED, _assigned, ("}</",)),
    (ENTRY, _assigned, (r"re:(?:name|key)=[\"']",)),
    (BELOW, _strict, (r"re:(?:" + WORDS + r")" + _MORE + r"[\"'`*]*:[\"'`*]*[ \t]*(?:[>|][+-]?\d?)?\r?\n",)),
    (
        SENTENCE,
        _strict,
        (_SAYING,),
    ),
    (
        SENTENCE_ABOUT,
        _strict,
        (
            r"re:(?:pass(?:word|phrase|wort|code|w\xff*)|kennwort|pwd?|psk|secret|token|key|seed)[ \t]+(?:for|of|on|to|at|in|f\xfcr|von|auf|\xff{1,4})[ \t]",
        ),
    ),
    (TOLD, _told, (r"re:(?:key|token|secret|password|passphrase)[ \t]+[\"'`*]*[A-Za-z0-9_+/=.~-]{20}",)),
    (BESIDE, _beside, ("password ", "passphrase ", "passwd ", "wort ", "passcode ", "pwd ", "pw ")),
    (WITH, _with, ("password ", "passphrase ", "passwd ", "wort ", "passcode ", "pwd ", "pw ")),
    (LISTED, _listed, (r"re:(?:token|key|secret|pass|password),[A-Za-z0-9_+/=.~-]{14}",)),
)
