"""Secrets of Kubernetes: what stands under `data` and `stringData` in a manifest whose kind is Secret."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from tasks.screening.finding import Finding
from tasks.screening.values import is_password
from tasks.screening.view import compiled

_KIND = r"(?im)^[ \t]*[\"']?kind[\"']?[ \t]*:[ \t]*[\"']?secret[\"']?[ \t]*,?[ \t]*\r?$"
_APART = r"(?m)^(?:---[ \t]*\r?|[ \t]*```.*|\.\.\.\r?)$"
_DATA = re.compile(r"(?m)^([ \t]*)[\"']?(string)?data[\"']?[ \t]*:[ \t]*(\{?)[ \t]*\r?$", re.IGNORECASE)
_ENTRY = re.compile(
    r"[\"']?[\w./-]+[\"']?[ \t]*:[ \t]*(?:[|>][+-]?\d?[ \t]*$|[\"']?([^\s\"',{}]+)[\"']?,?[ \t]*(?:#.*)?$)"
)
_ENCODED = re.compile(r"[A-Za-z0-9+/]{10,}={0,2}")
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def in_manifests(raw: bytes, text: str) -> Iterator[Finding]:
    """The values of every Secret in a view of the text; a manifest ends at `---` or with its block of code."""
    kinds = [found.start() for found in compiled(_KIND).finditer(raw)] if b"ind" in raw and b"ata" in raw else []
    if not kinds:
        return
    begins = [0, *(found.end() for found in compiled(_APART).finditer(raw)), len(text)]
    manifest = 0
    for kind in kinds:
        if kind < begins[manifest]:
            continue  # a second kind in the same manifest
        while begins[manifest + 1] <= kind:
            manifest += 1
        yield from _values(text, begins[manifest], begins[manifest + 1])
        manifest += 1


def _values(text: str, begin: int, stop: int) -> Iterator[Finding]:
    at = begin
    while data := _DATA.search(text, at, stop):
        at = data.end()
        while at < stop:
            end = text.find("\n", at + 1, stop)
            end = end if end >= 0 else stop
            line = text[at + 1 : end]
            bare = line.strip()
            deep = len(line) - len(line.lstrip())
            if bare and not bare.startswith("#") and (deep <= len(data[1]) or bare[0] in "}-"):
                break
            entry = _ENTRY.match(bare)
            value = entry[1] if entry else bare
            if value and _is_secret(value, plain=bool(data[2]) and entry is not None):
                start = at + 1 + line.index(value)
                yield Finding("KubernetesSecret", start, start + len(value))
            at = end


def _is_secret(value: str, *, plain: bool) -> bool:
    if plain:
        return is_password(value)
    if not _ENCODED.fullmatch(value):
        return False
    return not base64.b64decode(value + "=" * (-len(value) % 4)).startswith(_CERTIFICATE)
