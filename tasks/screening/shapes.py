"""Secrets by their own shape or by the command around them: keys in armour, tokens, addresses with a password."""

from __future__ import annotations

import base64
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from tasks.screening.assignments import MOST_JUDGED
from tasks.screening.finding import Finding
from tasks.screening.values import (
    entropy,
    has_three_kinds,
    is_bearer,
    is_chance,
    is_dotted,
    is_mixed,
    is_password,
    is_placeholder,
    is_random,
    is_token,
)
from tasks.screening.view import Triggers, compiled


@dataclass(frozen=True)
class Shape:
    """A pattern whose group `v` is the secret, if `accept` agrees. Without one of `needs` in the text it isn't tried."""

    type: str
    needs: tuple[str, ...]
    pattern: str
    accept: Callable[[str], bool] = bool


def _account(value: str) -> bool:
    """`user:password` of curl and its like, or one of both alone; a variable, two numbers or a documented example is none."""
    user, _, password = (part.strip("\"'") for part in value.partition(":"))
    if not user or not password:
        return is_token(user or password)
    may_be = is_password(password) or is_dotted(password)
    return may_be and password.lower() != user.lower() and not password.isdecimal()


def _drawn(value: str) -> bool:
    """What chance drew from small and capital letters and digits, in a form that is a provider's own."""
    return (
        not is_placeholder(value)
        and entropy(value) >= 3.5
        and any(map(str.isdigit, value))
        and any(map(str.islower, value))
        and any(map(str.isupper, value))
    )


def _option(value: str) -> bool:
    return (is_password(value) or is_dotted(value)) and is_mixed(value) and not value.startswith("-")


def _numbered(value: str) -> bool:
    """The same with a digit, where the words before it may be a sentence."""
    return _option(value) and any(map(str.isdigit, value))


def _fixed(value: str) -> bool:
    return not is_placeholder(value) and "EXAMPLE" not in value.upper()


def _encoded_account(value: str) -> bool:
    """`user:password` in base64, as a registry's configuration holds it."""
    try:
        user, _, password = base64.b64decode(value, validate=True).decode("ascii").partition(":")
    except ValueError:
        return False
    return user.isprintable() and password.isprintable() and is_password(password)


# The rest of a command, which may go on behind a line's end: in a shell, PowerShell, or Windows' own.
_REST = r"(?:[^\n]|[\\`^]\r?\n)*?"
# What speaks of a secret before a file that is written on the spot.
_ASKS = r"(?i)(?:pass|pwd|secret|token|key|cred|auth|login|defaults|sudo|kinit|cryptsetup|-fd|-stdin)"
# What `echo` or `printf` writes, the last word of it.
_WRITTEN = r"(?:echo|printf)[ \t]+(?:-\w+[ \t]+)*(?:[\"'][^\"'\n]*%[sb][^\"'\n]*[\"'][ \t]+)?(?:[\w.-]+[ \t]+)?[\"']?(?P<v>[^\s\"'|$<>]+)"
_USER_NEEDS = (r"re:[ \t\"']-u[ \t=]*[^\s:]*:", r"re:-user[ \t=]*[^\s:]*:")
_USER = r"(?:\bcurl\b[^\n]*?|[ \t])(?:-u|--user|--proxy-user|-U)[ \t=]*"
SHAPES = (
    Shape("PrivateKey", ("PuTTY-User-Key",), r"PuTTY-User-Key-File-\d:(?P<v>[^\x00]*?Private-MAC: *[0-9a-f]{8,})"),
    Shape("PrivateKey", ("AGE-SECRET-KEY-",), r"\b(?P<v>AGE-SECRET-KEY-1[0-9A-Z]{50,70})\b", _fixed),
    Shape(
        "UrlCredentials",
        (r"re:://[^\s/]*@",),
        r"\b(?:[A-Za-z][A-Za-z0-9+.-]*)://[^\s:/@<>\"'`]*:(?P<v>[^\s/<>\"'`]+)@[A-Za-z0-9\[{$%_-]",
        lambda v: (
            not is_placeholder(v)
            and not v.startswith(("$", "{", "%7B"))
            and len(v) >= 4
            and v.lower() not in ("pass", "postgres@")
        ),
    ),
    Shape("Bearer", ("bearer",), r"(?i)\bbearer[ \t:=]+[\"'`*]*(?P<v>[A-Za-z0-9._~+/=-]{8,})", is_bearer),
    Shape(
        "Bearer",
        (r"re:authorization[\"']?[ \t]*[:=]",),
        r"(?i)authorization[\"']?[ \t]*[:=][ \t]*[\"']?(?:(?:api-?)?token|(?:api|genie|sso)-?key)[ \t]+(?P<v>[A-Za-z0-9._~+/=-]{8,})",
        is_bearer,
    ),
    Shape(
        "BasicAuth",
        ("basic ",),
        r"(?i)\bbasic[ \t]+(?P<v>[A-Za-z0-9+/]{8,}={0,2})",
        lambda v: is_bearer(v) and len(v) % 4 == 0,
    ),
    Shape(
        "ApiKey",
        (r"re:authorization[\"']?[ \t]*[:=]",),
        r"(?i)\bauthorization[\"']?[ \t]*[:=][ \t]*[\"']?(?P<v>[A-Za-z0-9._~+/=:-]{16,})",
        is_token,
    ),
    Shape(
        "ApiKey",
        (r"re:(?:-H|--header)[ =]*[\"']",),
        r"(?i)(?:-H|--header)[ =]*[\"'](?:[a-z]+-)*(?:key|token|secret|auth|password)[a-z-]*:[ \t]*(?P<v>[^\s\"']+)",
        is_token,
    ),
    Shape("Cookie", ("cookie:",), r"(?i)\bcookie:(?:[^;\n]*;)*?[ \t]*[A-Za-z0-9_.-]+=(?P<v>[^;\s]{16,})", is_token),
    Shape("JWT", ("eyJ",), r"\b(?P<v>eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,})", _fixed),
    Shape("AwsAccessKey", ("AKIA", "ASIA", "ABIA", "ACCA"), r"\b(?P<v>(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b", _fixed),
    Shape(
        "ApiKey",
        (
            *(
                "ghp_",
                "gho_",
                "ghu_",
                "ghs_",
                "ghr_",
                "github_pat_",
                "glpat-",
                r"re:\bsk[_-]",
                r"re:\brk_",
                "npm_",
                "pypi-",
            ),
            *("ATATT3", "SG.", "hvs.", "dop_v1_", "NRAK-"),
        ),
        r"\b(?P<v>gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_.-]{20,}|sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|ATATT3[A-Za-z0-9_=-]{50,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hvs\.[A-Za-z0-9_-]{20,}|dop_v1_[a-f0-9]{64}|NRAK-[A-Z0-9]{27})",
        lambda v: _fixed(v) and any(map(str.isdigit, v)),
    ),
    Shape(
        "ApiKey",
        ("Q~",),
        r"(?:^|[^A-Za-z0-9_~.-])(?P<v>[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~-]|$)",
        _drawn,
    ),
    Shape(
        "ApiKey",
        (r"re:\bs\.[A-Za-z0-9]{8}",),
        r"(?:^|[^A-Za-z0-9_.])(?P<v>s\.[A-Za-z0-9]{24})(?:[^A-Za-z0-9_(=]|$)",
        _drawn,
    ),
    Shape("ApiKey", (":A",), r"\b(?P<v>\d{5,16}:A[A-Za-z0-9_-]{34})(?:[^A-Za-z0-9_-]|$)", _drawn),
    # Private keys without armour: DER in base64, of RSA, of PKCS 8, and of an elliptic curve.
    Shape(
        "PrivateKey",
        ("MII", "MHcCAQEE", "MIGHAgEAM", "MC4CAQAwBQYDK2Vw"),
        r"(?:^|[^A-Za-z0-9+/])(?P<v>(?:MII[A-Za-z0-9+/]{3}IBAA[JK]|MII[A-Za-z0-9+/]{3}IBADANBgkqhkiG9w0|MHcCAQEE|MIGHAgEAMBMGByqGSM49|MC4CAQAwBQYDK2Vw)[A-Za-z0-9+/]{24,}"
        r"(?:[\\\s]{1,8}[A-Za-z0-9+/]{24,})*(?:[\\\s]{1,8}[A-Za-z0-9+/]{1,75}={1,2}|={0,2}))",
    ),
    Shape("ApiKey", ("Key=",), r"(?i)\b(?:AccountKey|SharedAccessKey)=(?P<v>[A-Za-z0-9+/]{20,}={0,2})", _fixed),
    Shape("ApiKey", ("sig=",), r"[?&;]sig=(?P<v>[A-Za-z0-9%+/]{30,}(?:%3[Dd]|=)*)"),
    Shape(
        "Webhook",
        (
            "hooks.slack",
            "webhook",
            "discord",
            "logic.azure",
            "hooks.zapier",
            "chat.googleapis",
            "powerplatform",
            "hooks/",
        ),
        r"(?i)(?P<v>(?:https?://)?(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{20,}"
        r"|[a-z0-9-]+\.webhook\.office\.com/webhookb2/[^\s\"'<>()\]`|]{20,}|outlook\.office(?:365)?\.com/webhook/[^\s\"'<>()\]`|]{20,}"
        r"|(?:ptb\.|canary\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/[0-9]+/[A-Za-z0-9_-]{20,}"
        r"|[a-z0-9.-]+\.logic\.azure\.com[^\s\"'<>()\]`|]*sig=[^\s\"'<>()\]`|]+|[a-z0-9.-]+\.powerplatform\.com[^\s\"'<>()\]`|]*sig=[^\s\"'<>()\]`|]+"
        r"|hooks\.zapier\.com/hooks/catch/[0-9]+/[a-z0-9]+/?|chat\.googleapis\.com/v1/spaces/[^\s\"'<>()\]`|]*key=[^\s\"'<>()\]`|]+))",
        lambda v: not re.search(r"(?i)x{5,}|y{5,}|z{5,}|T0{4}|B0{4}|/T\.\.\.", v),
    ),
    Shape("Password", _USER_NEEDS, _USER + r"[\"']?(?P<v>[^\s:\"'/$<{\[]+:[^\s\"'`]+)", _account),
    Shape(
        "Password",
        _USER_NEEDS,
        _USER + r"(?P<v>(?:\"[^\s:\"$<]+\"|[^\s:\"'/$<{\[]+):(?:\"[^\s\"]+\"|'[^\s']+'))",
        _account,
    ),
    Shape("Password", _USER_NEEDS, _USER + r"[\"'](?P<v>:[^\s\"'/$<{:]+|[^\s:\"'/$<{]+:)[\"']", _account),
    Shape("Password", ("sshpass",), r"\bsshpass[ \t]+-p[ \t]*[\"']?(?P<v>[^\s\"']+)", _option),
    Shape(
        "Password",
        ("mysql", "mariadb", "mongo", "cqlsh"),
        r"\b(?:mysql|mariadb|mongo|cqlsh)\w*\b" + _REST + r"[ \t]-p[ \t]?[\"']?(?P<v>[^\s\"'=]+)",
        _option,
    ),
    Shape(
        "Password",
        ("redis-cli", "valkey-cli"),
        r"\b(?:redis|valkey)-cli\b" + _REST + r"[ \t](?:-a|--pass)[ \t]*[\"']?(?P<v>[^\s\"']+)",
        _option,
    ),
    Shape(
        "Password",
        (
            "docker login",
            "podman login",
            "registry login",
            "az login",
            "skopeo login",
            "oras login",
            "cf login",
            "nerdctl login",
            "buildah login",
            "oc login",
            "helm repo add",
            "twine upload",
            "nuget add source",
            "nuget update source",
            "conan user",
        ),
        r"\b(?:(?:docker|podman|nerdctl|buildah|az|registry|skopeo|oras|cf|oc)[ \t]+login|helm[ \t]+repo[ \t]+add|twine[ \t]+upload|nuget[ \t]+(?:add|update)[ \t]+source|conan[ \t]+user)\b"
        + _REST
        + r"[ \t]-p[ \t]*[\"']?(?P<v>[^\s\"']+)",
        _option,
    ),
    Shape(
        "Password",
        ("sqlcmd", "isql", "bcp "),
        r"\b(?:sqlcmd|isql|bcp)\b" + _REST + r"[ \t]-P[ \t]*[\"']?(?P<v>[^\s\"']+)",
        _option,
    ),
    Shape("Password", ("ldap",), r"\bldap\w+\b" + _REST + r"[ \t]-w[ \t]*[\"']?(?P<v>[^\s\"']+)", _option),
    Shape(
        "Password", ("htpasswd",), r"\bhtpasswd[ \t]+-\w*b\w*[ \t]+\S+[ \t]+\S+[ \t]+[\"']?(?P<v>[^\s\"']+)", _option
    ),
    Shape("Password", ("-pass",), r"-pass(?:in|out)?[ \t]+[\"']?pass:(?P<v>[^\s\"']+)", _option),
    Shape(
        "Password", ("net use",), r"(?i)\bnet[ \t]+use\b" + _REST + r"\\\\\S+[ \t]+(?P<v>[^\s/]+)[ \t]+/user", _option
    ),
    Shape("Password", ("net use",), r"(?i)\bnet[ \t]+use\b" + _REST + r"/user:\S+[ \t]+(?P<v>[^\s/]\S*)", _option),
    Shape(
        "Password",
        ("--auth", " -a"),
        r"\bhttps?[ \t]" + _REST + r"(?:--auth|-a)[ \t=]+[\"']?(?P<v>[^\s:\"'/$<{\[]+:[^\s\"'`]+)",
        _account,
    ),
    Shape("Password", ("zip ",), r"\b(?:un)?zip\b" + _REST + r"[ \t]-P[ \t]*[\"']?(?P<v>[^\s\"']+)", _option),
    Shape(
        "Password",
        (r"re:\b7z[ar]?[ \t]", r"re:\b(?:un)?rar[ \t]"),
        r"\b(?:7z[ar]?|(?:un)?rar)[ \t]" + _REST + r"[ \t]-h?p[\"']?(?P<v>[^\s\"']+)",
        _option,
    ),
    Shape(
        "Password", ("mysqladmin",), r"\bmysqladmin\b" + _REST + r"[ \t]password[ \t]+[\"']?(?P<v>[^\s\"']+)", _option
    ),
    Shape(
        "Password",
        ("sqlplus", "impdp", "expdp", "sqlldr"),
        r"\b(?:sqlplus|impdp|expdp|sqlldr)[ \t]+(?:-\S+[ \t]+)*[\"']?[\w$]+/(?P<v>[^\s@\"'/]+)",
        _option,
    ),
    Shape(
        "Password", ("db2 ",), r"\bdb2\b" + _REST + r"\buser[ \t]+\S+[ \t]+using[ \t]+[\"']?(?P<v>[^\s\"']+)", _option
    ),
    Shape("ApiKey", ("cargo login",), r"\bcargo[ \t]+login[ \t]+(?P<v>[A-Za-z0-9_-]{20,})", is_token),
    Shape("Password", ("sha}", "sha256}", "sha512}"), r"\{S?SHA(?:256|512)?\}(?P<v>[A-Za-z0-9+/]{24,}={0,2})", _drawn),
    # Routers and switches: `enable secret 5 …`, `username admin password 0 …`.
    Shape(
        "Password",
        ("enable secret", "enable password", r"re:(?:username|neighbor)[ \t]+\S+[ \t]+(?:privilege|password|secret)"),
        r"\b(?:enable|(?:username|neighbor)[ \t]+\S+(?:[ \t]+privilege[ \t]+\d+)?)[ \t]+(?:password|secret)[ \t]+(?:\d[ \t]+)?(?P<v>\S+)",
        _numbered,
    ),
    # Two words as people tell one another an account: `login is admin / …`, `creds are ops:…`.
    Shape(
        "Password",
        (
            r"re:\b(?:root|admin|administrator|sa|postgres|oracle)[ \t]+/[ \t]",
            r"re:(?:[:=]|[ \t](?:is|are|was|with|as|using|via|mit))[ \t]+[\w.@-]+[ \t]+/[ \t]",
        ),
        r"(?i)\b(?:root|admin|administrator|sa|postgres|oracle|"
        r"(?:logins?|creds?|credentials|accounts?|user|username|wi-?fi|ssid)\b[^\n/:=]{0,40}?(?:[:=]|[ \t](?:is|are|was|with|as|using|via|mit))[ \t]+[\w.@-]+)"
        r"[ \t]+/[ \t]+[\"'`*]*(?P<v>[^\s\"'`*]+)",
        has_three_kinds,
    ),
    Shape(
        "Password",
        (r"re:\b(?:cred|login)[^\n]*[ \t][\"'`*]*[A-Za-z][\w.@-]*:[^\s\"'`*/]",),
        r"(?i)\b(?:creds?|credentials|logins?)\b[^\n:]{0,30}?:?[ \t]+[\"'`*]*[A-Za-z][\w.@-]*:(?P<v>[^\s\"'`*/]+)",
        has_three_kinds,
    ),
    Shape(
        "Password",
        (r"re:\blogin[ \t\r\n]+\S+[ \t\r\n]+password",),
        r"\blogin[ \t\r\n]+\S+[ \t\r\n]+password[ \t\r\n]+(?P<v>\S+)",
        is_password,
    ),
    Shape(
        "Password",
        ("identified by", "identified with", "password '", 'password "'),
        r"(?i)\b(?:identified[ \t]+(?:with[ \t]+\S+[ \t]+)?by|password)[ \t]+(?:password[ \t]+)?(?:'(?P<v>[^'\n]+)'|\"(?P<w>[^\"\n]+)\")",
        is_password,
    ),
    Shape(
        "Password",
        (":*:", "5432:", "6432:", "5433:"),
        r"(?m)^[ \t]*[\w.*-]+:(?:\d{2,5}|\*):[\w*.-]+:[\w*.-]+:(?P<v>[^\s:]+)[ \t]*$",
        is_password,
    ),
    Shape("Password", ("smbclient", "username=", "-U "), r"[ \t]-U[ \t]*[\"']?[\w.\\/@-]+%(?P<v>[^\s\"']+)", _option),
    Shape(
        "Password",
        ("chpasswd",),
        r"\becho[ \t]+[\"']?[\w.-]+:(?P<v>[^\s\"'|]+)[\"']?[ \t]*\|[ \t]*(?:sudo[ \t]+)?chpasswd",
        is_password,
    ),
    # The same on any port, with the name of a database and a user: the place in a log has numbers there.
    Shape(
        "Password",
        (r"re::\d{4,5}:[*A-Za-z_]",),
        r"(?m)^[ \t]*[\w.*-]+:\d{4,5}:(?:\*|[A-Za-z_][\w.-]*):(?:\*|[A-Za-z_][\w.-]*):(?P<v>[^\s:]+)[ \t]*$",
        _numbered,
    ),
    # `echo … | docker login --password-stdin`, `… <<< …`, `--passphrase-file <(echo …)`.
    Shape(
        "Password",
        (r"re:\b(?:echo|printf)[ \t][^\n]*\|",),
        r"\b"
        + _WRITTEN
        + r"[\"']?[ \t]*\|[^\n]*(?:\bsudo[ \t]+-S|--?[a-z-]*stdin|-fd[ =]0|\b(?:kinit|cryptsetup|passwd|sshpass)\b)",
        _option,
    ),
    Shape("Password", ("<<<",), _ASKS + r"[^\n<]*<<<[ \t]*[\"']?(?P<v>[^\s\"'|$<>]+)", _option),
    Shape("Password", ("<(",), _ASKS + r"[^\n<]{0,60}<\([ \t]*" + _WRITTEN + r"[\"']?[ \t]*\)", _option),
    # HAProxy, Redis, SNMP, GitHub's own command.
    Shape("Password", ("stats auth",), r"\bstats[ \t]+auth[ \t]+(?P<v>[^\s:]+:\S+)", _account),
    Shape(
        "Password",
        (r"re:user[ \t][^\n]*[ \t]>[^\s\"']{4}",),
        r"(?m)^[^\n]*\b(?:user|setuser)[ \t]+\S+[ \t][^\n]*?[ \t]>(?P<v>[^\s\"']{4,})",
        _option,
    ),
    Shape(
        "Password",
        ("snmp-server community", "snmp-server host"),
        r"\bsnmp-server[ \t]+(?:community|host[ \t]+\S+(?:[ \t]+(?:traps|informs|version|2c|1))*)[ \t]+(?P<v>\S+)",
        _numbered,
    ),
    Shape(
        "Password",
        ("secret set",),
        r"\b(?:secret|variable)[ \t]+set\b" + _REST + r"[ \t](?:-b|--body)[ \t=]*[\"']?(?P<v>[^\s\"']+)",
        _option,
    ),
    # The signature makes the address a key.
    Shape(
        "ApiKey", ("signature=",), r"(?i)[?&;](?:x-(?:amz|goog)-)?signature=(?P<v>[A-Za-z0-9%+/_~-]{24,})", is_random
    ),
    # Composer, Poetry, Bundler.
    Shape(
        "Password",
        ("http-basic.",),
        r"\bhttp-basic\.[\w.-]+[\"']?[ \t]+[\"']?[^\s\"']+[\"']?[ \t]+[\"']?(?P<v>[^\s\"']+)",
        _option,
    ),
    Shape(
        "ApiKey",
        (r"re:(?:oauth|token|bearer)\.[\w.-]+[ \t]",),
        r"\bconfig\b"
        + _REST
        + r"\b(?:github-oauth|gitlab-oauth|bitbucket-oauth|gitlab-token|pypi-token|bearer)\.[\w.-]+[ \t]+(?:\S+[ \t]+)?[\"']?(?P<v>[^\s\"']+)",
        is_token,
    ),
    Shape(
        "Password",
        ("bundle config",),
        r"\bbundle[ \t]+config\b" + _REST + r"[ \t][\"']?(?P<v>[^\s:\"'/$<{\[]+:[^\s\"'`]+)",
        _account,
    ),
    Shape(
        "UrlCredentials",
        (r"re:://[^\s/]*@",),
        r"\b[A-Za-z][A-Za-z0-9+.-]*://(?P<v>[A-Za-z0-9_.~-]{16,})@[A-Za-z0-9\[]",
        is_token,
    ),
    Shape("UrlCredentials", ("jdbc:oracle",), r"(?i)\bjdbc:oracle:\w+:[\w.$-]+/(?P<v>[^\s/@\"']+)@", is_password),
    # What a password was made into can be guessed from: crypt, bcrypt, Argon2, htpasswd.
    Shape(
        "Password",
        ("$apr1$", "$1$", "$2", "$5$", "$6$", "$y$", "$argon2"),
        r"(?P<v>\$(?:apr1|[156y]|2[abxy]|argon2(?:id?|d))\$[A-Za-z0-9./=,+$]{22,})",
        lambda v: entropy(v) >= 3.5,
    ),
    Shape(
        "BasicAuth",
        (r"re:auth[\"']?[ \t]*[:=]",),
        r"(?i)(?:^|[\s\"'{,:/_])auth[\"']?[ \t]*[:=][ \t]*[\"']?(?P<v>[A-Za-z0-9+/]{8,}={0,2})",
        _encoded_account,
    ),
    Shape("Password", ("net user",), r"(?i)\bnet[ \t]+user[ \t]+\S+[ \t]+(?P<v>[^\s/]\S*)[ \t]+/add", _option),
    Shape("Password", ("snmp",), r"\bsnmp\w+\b" + _REST + r"[ \t]-c[ \t]*[\"']?(?P<v>[^\s\"']+)", _option),
    Shape(
        "Password",
        ("rabbitmqctl",),
        r"\brabbitmqctl[ \t]+(?:add_user|change_password|authenticate_user)[ \t]+\S+[ \t]+[\"']?(?P<v>[^\s\"']+)",
        _option,
    ),
    Shape(
        "Password",
        ("securestring",),
        r"(?i)\bConvertTo-SecureString[ \t]+(?:-String[ \t]+)?[\"'](?P<v>[^\"'\n]+)[\"']",
        _option,
    ),
    Shape("Password", ("psk",), r"\bpsk[ \t]*=[ \t]*\"?(?P<v>[^\s\"]{8,64})", _option),
    Shape(
        "Bearer",
        ("samlresponse",),
        r"(?i)\bSAMLResponse[\"']?[ \t]*(?:=|:|value=)[ \t]*[\"']?(?P<v>[A-Za-z0-9+/%]{100,}={0,2})",
    ),
)
LONGEST = 40_000  # characters of an armoured key
_LINE = re.compile(
    r"[ \t>|*#\"'`+,-]*(?:(?:[A-Za-z][A-Za-z-]+:[ ][^\n]*)|(?P<body>=?[A-Za-z0-9+/=\\]+))?[ \t\"'`,;+\\|]*(?:\r?\n|$)"
)


@lru_cache(maxsize=1)
def _triggers() -> Triggers:
    return Triggers([shape.needs for shape in SHAPES])


def by_shape(raw: bytes, text: str) -> Iterator[Finding]:
    """Every shape's findings in a view of the text."""
    yield from _armoured(text)
    ids: list[int] = []
    for number in _triggers().of(raw):
        shape, accepted = SHAPES[number], 0
        for found in compiled(shape.pattern).finditer(raw):
            start, end = found.span(found.lastindex)
            value = text[start:end].rstrip(".,;:)*_`]" if shape.type != "PrivateKey" else "")
            if accepted >= MOST_JUDGED or shape.accept(value):
                accepted += 1
                yield Finding(shape.type, start, start + len(value))
                if shape.type == "AwsAccessKey":
                    ids.append(start)
    if ids:
        yield from _beside(raw, text, ids)


def _beside(raw: bytes, text: str, ids: list[int]) -> Iterator[Finding]:
    """The secret halves of AWS keys, within a few lines of their ids."""
    for found in compiled(r"(?:^|[^A-Za-z0-9/+=])([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)").finditer(raw):
        start, end = found.span(1)
        near = bisect_left(ids, start - 300)
        if near < len(ids) and ids[near] < end + 300 and is_chance(text[start:end]) and _fixed(text[start:end]):
            yield Finding("ApiKey", start, end)


def _armoured(text: str) -> Iterator[Finding]:
    """Private keys from BEGIN to END, or to the end of what can belong to one."""
    at = 0
    while (begin := text.find("-----BEGIN ", at)) >= 0:
        at = begin + 11
        head = text[at : at + 64]
        if not (kind := re.match(r"[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----", head)):
            continue
        body = at + kind.end()
        following = text.find("-----BEGIN ", body, body + LONGEST)
        end = text.find("-----END ", body, following if following >= 0 else body + LONGEST)
        if end >= 0:
            tail = re.match(r"-----END [A-Z0-9 ]*-{0,5}", text[end : end + 64])
            at = end + (tail.end() if tail else 8)
        else:
            at = _end_of_body(text, body)
            if at == body:
                continue  # only the words, as in a sentence about such a line
        if (
            not re.search(
                r"(?i)^\W*(?:\.{3}|…|<[^>]*>|redacted|\[[^\]]*\]|x{3,})\W*$", text[body : end if 0 <= end <= at else at]
            )
            or at - body > 200
        ):
            yield Finding("PrivateKey", begin, at)


def _end_of_body(text: str, at: int) -> int:
    """Where what can belong to a key ends: the last line of base64 behind its BEGIN, on one line or on many."""
    end, blank = at, 0
    while at < len(text) and (line := _LINE.match(text, at)) and line.end() > at:
        blank = 0 if line.group("body") or ":" in line.group() else blank + 1
        if line.group("body") and (len(line.group("body")) >= 12 or end > at - 2):
            end = at + len(line.group().rstrip())
        elif line.group("body"):
            break
        if blank > 2:
            break
        at = line.end()
    if end == at or text[end : end + 1] not in ("", "\n", "\r"):
        glued = re.compile(r"[\sA-Za-z0-9+/=\\]*[A-Za-z0-9+/=]").match(text, end)
        if glued and " " not in glued.group().strip()[:60]:
            end = max(end, glued.end())
    return end
