"""What the name of a value says about it: `dbPassword`, `PGPASSWORD` and `SECRET_KEY_BASE` are taken apart at case,
underscore and joined words.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from tasks.screening.view import view

Kind = Literal["password", "secret", "key"]

_PASSWORDS = (
    "passw|passphrase|passcode|kennwort|wachtwoord|contrasen|contrase\xf1a|motdepasse|senha|palavrapasse|lozinka|haslo|salasana|"
    "heslo|sifre|parola|parool|jelsz[o\xf3]|l[o\xf6]senord|passord|adgangskode|kodeord|slaptaz|katasandi|"
    "userpass|dbpass|rootpass|adminpass|mysqlpass|pgpass|smtppass|mailpass|ftppass|sshpass|ldappass|redispass|dbpwd|"
    "userpwd|adminpwd|rootpwd|pswd|requirepass|masterauth|rpcpassword|bindpw|rootpw|dbpw|storepass|keypass|unlockkey"
)
_SECRETS = (
    "secret|apikey|api_key|accesskey|access_key|authkey|auth_key|authtoken|auth_token|accesstoken|refreshtoken|token|"
    "credential|bearer|privatekey|private_key|secretkey|clientsecret|apisecret|apitoken|sharedkey|accountkey|storagekey|"
    "signingkey|signaturekey|webhookurl|connectionstring|connection_string|authorization|sessionid|session_id|otpseed|faseed"
)
# Words that mean a secret only as a whole word of the name.
_SHORT: dict[str, Kind] = {
    "pass": "password",
    "pwd": "password",
    "pw": "password",
    "psw": "password",
    "pin": "password",
    "secrets": "secret",
    "creds": "secret",
    "cred": "secret",
    "auth": "secret",
    "pat": "secret",
    "totp": "secret",
    "psk": "password",
    "sas": "secret",
    "dsn": "secret",
    "apikeys": "secret",
    "access": "secret",
    "salt": "key",
    "pepper": "key",
    "hmac": "key",
    "cookie": "secret",
    "license": "key",
    "webhook": "secret",
}
# A name that ends in one of these speaks about a secret and isn't one.
_ABOUT = frozenset(
    [
        "file",
        "files",
        "path",
        "paths",
        "dir",
        "directory",
        "folder",
        "name",
        "names",
        "url",
        "uri",
        "endpoint",
        "host",
        "hostname",
        "port",
        "type",
        "kind",
        "format",
        "length",
        "len",
        "size",
        "bits",
        "count",
        "limit",
        "limits",
        "max",
        "min",
        "policy",
        "policies",
        "reset",
        "resets",
        "rotation",
        "rotated",
        "rotate",
        "rotates",
        "expiry",
        "expires",
        "expired",
        "expiration",
        "expire",
        "ttl",
        "timeout",
        "age",
        "days",
        "hours",
        "minutes",
        "seconds",
        "secs",
        "interval",
        "date",
        "time",
        "at",
        "enabled",
        "disabled",
        "required",
        "require",
        "requires",
        "optional",
        "valid",
        "invalid",
        "validation",
        "validator",
        "hash",
        "hashed",
        "hasher",
        "digest",
        "encoder",
        "encoding",
        "algorithm",
        "algo",
        "alg",
        "version",
        "ver",
        "label",
        "hint",
        "placeholder",
        "field",
        "input",
        "column",
        "title",
        "text",
        "message",
        "error",
        "errors",
        "prompt",
        "strength",
        "manager",
        "provider",
        "store",
        "helper",
        "service",
        "factory",
        "handler",
        "resolver",
        "generator",
        "reader",
        "writer",
        "ref",
        "reference",
        "arn",
        "env",
        "var",
        "variable",
        "variables",
        "header",
        "prefix",
        "suffix",
        "param",
        "parameter",
        "scope",
        "scopes",
        "usage",
        "issuer",
        "audience",
        "form",
        "page",
        "screen",
        "change",
        "changed",
        "changes",
        "forgot",
        "location",
        "source",
        "mode",
        "method",
        "owner",
        "status",
        "state",
        "bucket",
        "buckets",
        "per",
        "minute",
        "second",
        "used",
        "total",
        "budget",
        "words",
        "count",
        "counts",
        "id",
        "ids",
        "sent",
        "rate",
        "check",
        "checks",
        "class",
        "enum",
        "format",
        "list",
        "exists",
        "missing",
        "regex",
        "pattern",
        "set",
        "description",
        "desc",
        "window",
        "refill",
        "renewal",
        "refresh",
        "revoked",
        "revoke",
        "revocation",
        "leak",
        "leaked",
        "leaks",
        "exposure",
        "scan",
        "scanning",
        "scanner",
        "rules",
        "rule",
        "update",
        "updated",
        "lookup",
        "fetch",
        "fetcher",
        "cache",
        "cached",
    ]
)
# A key that one of these words names opens nothing.
_OPEN_KEYS = frozenset(
    [
        "recv",
        "public",
        "primary",
        "foreign",
        "partition",
        "sort",
        "cache",
        "routing",
        "idempotency",
        "row",
        "column",
        "object",
        "hot",
        "dictionary",
        "map",
        "sorted",
        "unique",
        "natural",
        "surrogate",
        "composite",
        "index",
        "space",
        "project",
        "issue",
        "jira",
        "group",
        "correlation",
        "trace",
        "event",
        "message",
        "record",
        "registry",
        "lookup",
        "hash",
        "shard",
        "range",
        "bucket",
        "topic",
        "tag",
        "label",
        "i18n",
        "translation",
        "config",
        "setting",
        "settings",
        "feature",
        "flag",
        "metric",
        "react",
        "widget",
        "menu",
        "keyboard",
        "short",
        "shortcut",
        "host",
        "enter",
        "arrow",
        "escape",
        "function",
        "home",
        "end",
        "delete",
        "dedup",
        "deduplication",
        "dedupe",
        "grouping",
        "search",
        "filter",
        "order",
        "ordering",
        "parent",
        "child",
        "item",
        "list",
        "attribute",
        "field",
        "storage_class",
        "tokenizer",
        "license_class",
        "site",
        "recaptcha_site",
        "publishable",
        "pub",
        "known",
        "authorized",
    ]
)
# A token that one of these words names is shown to everybody, or says where a list goes on.
_OPEN_TOKENS = frozenset(
    ["public", "publishable", "csrf", "xsrf", "authenticity", "page", "next", "continuation", "pagination", "cursor"]
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z\xdf-\xfe]+|\d+|[A-Z]+")
# What a key is called elsewhere, and which of them open something.
_OTHER_KEYS = re.compile(r"cl[e\xe9]|clave|chave|llave|chiave|\w*schl(?:\xfc|ue?)ssel|\w*sleutel|klucz")
_OTHER_SECRET_KEYS = re.compile(
    r"^(?:geheim|zugang|zugriff|privat|api)|acc?(?:es|eso|esso|\xe8s)o?$|^(?:se[cg]r|priv)[e\xe8]?[a-z\xe9]*$|^api$"
)
# Codes that let somebody in once.
_CODES = frozenset({"recovery", "backup", "rescue", "scratch", "emergency", "time", "fa", "mfa", "otp"})
_PASSWORD = re.compile(_PASSWORDS)
_SECRET = re.compile(_SECRETS)
_PLURALS = frozenset({"tokens", "passwords", "keys"})


@lru_cache(maxsize=8192)
def kind_of(name: str) -> Kind | None:
    """What kind of secret the name says its value is, or None where it says no such thing."""
    if not name.isascii():
        name = view(name).decode("latin-1")
    words = [word.lower() for word in _PARTS.findall(name) if not word.isdigit()]
    if not words:
        return None
    joined, last = "".join(words), words[-1]
    if "tokeniz" in joined:
        return None
    if last in _ABOUT and len(words) > 1 and last not in ("hash", "hashed"):
        return None
    if len(words) > 1 and words[0] in (
        "is",
        "has",
        "no",
        "use",
        "enable",
        "max",
        "min",
        "num",
        "total",
        "forgot",
        "reset",
    ):
        return None
    if _is_open(words):
        return None
    if _PASSWORD.search(joined) or (len(words) > 1 and words[-2:] == ["de", "passe"]):
        return "password"
    if any(map(_OTHER_KEYS.fullmatch, words)):
        return "secret" if any(map(_OTHER_SECRET_KEYS.search, words)) else "key"
    if last.rstrip("s") == "code" and words[-2:-1] and words[-2] in _CODES:
        return "secret"
    if last.rstrip("s") == "key" or words[-2:-1] == ["key"]:
        return _key(words)
    if last in _PLURALS or (last in _SHORT and last not in {"access", "auth", "cookie"}):
        return _SHORT.get(last, "password" if last == "passwords" else "secret")
    if _SECRET.search(joined):
        return "secret"
    if any(word in _SHORT and _SHORT[word] == "password" for word in words):
        return "password"
    if joined.endswith(("pass", "pwd", "passwd")) and not joined.endswith(("bypass", "compass", "trespass", "surpass")):
        return "password"
    return "key" if any(word in _SHORT for word in words) else None


@lru_cache(maxsize=8192)
def is_open(name: str) -> bool:
    """True where the name is that of a token that is shown to everybody, or says where a list goes on."""
    return _is_open([word.lower() for word in _PARTS.findall(name)])


def _is_open(words: list[str]) -> bool:
    return words[-1:] in (["token"], ["tokens"]) and any(word in _OPEN_TOKENS for word in words)


def _key(words: list[str]) -> Kind | None:
    """Whether a key is one that opens something."""
    others = [word for word in words if word.rstrip("s") not in ("key", "base")]
    if any(word in _OPEN_KEYS for word in others):
        return None if not any(word in ("api", "secret", "private", "encryption") for word in others) else "secret"
    if any(
        word in ("api", "access", "secret", "private", "encryption", "signing", "master", "fernet") for word in others
    ):
        return "secret"
    return "key"


_INNOCENT = frozenset(
    [
        "pubkey",
        "publickey",
        "id",
        "ids",
        "uid",
        "uuid",
        "guid",
        "hash",
        "sha",
        "md5",
        "digest",
        "checksum",
        "commit",
        "rev",
        "revision",
        "etag",
        "trace",
        "span",
        "request",
        "correlation",
        "version",
        "url",
        "uri",
        "link",
        "href",
        "src",
        "path",
        "file",
        "image",
        "nonce",
        "integrity",
        "fingerprint",
        "thumbprint",
        "certificate",
        "cert",
        "crt",
        "public",
        "data",
        "body",
        "content",
        "payload",
        "ref",
        "build",
        "cluster",
        "instance",
        "node",
        "pod",
        "resource",
        "arn",
        "release",
        "tag",
        "branch",
        "tree",
        "blob",
        "object",
        "snapshot",
        "volume",
        "device",
        "serial",
        "offset",
        "cursor",
        "page",
        "next",
        "message",
        "event",
        "email",
        "user",
        "host",
        "domain",
        "name",
        "title",
        "class",
        "style",
        "pattern",
        "regex",
        "kid",
        "jti",
        "sub",
        "sum",
        "location",
        "layer",
        "base64",
        "icon",
        "font",
        "css",
        "svg",
        "png",
        "modulus",
        "rsa",
        "pub",
        "pem",
        "signature",
        "sig",
        "sri",
        "subresource",
        "challenge",
        "state",
        "code",
        "example",
        "test",
        "key",
    ]
)


@lru_cache(maxsize=8192)
def is_innocent(name: str) -> bool:
    """True where the name says that its value is drawn by chance and no secret, such as a digest or an id."""
    return any(word.lower() in _INNOCENT for word in _PARTS.findall(name))
