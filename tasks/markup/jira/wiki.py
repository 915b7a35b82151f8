"""Plain text as Jira's wiki markup, which a Data Center takes: nothing in it is read as markup."""

from __future__ import annotations

import re

_FACE = r"\((?=(?:[!/xiyn?+*-]|on|off|\*[rgby]|flag|flagoff)\))|[:;](?=-?[)(PDp])"
_SPECIAL = re.compile(rf"[{{}}\[\]*_\-+^~?!|#\\]|&(?=#?\w+;)|{_FACE}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@$&'()*+,;=%!-]*[A-Za-z0-9/=#&_-]")
_BLOCK = re.compile(r"(?m)^([ \t]*(?:h[1-6]|bq))\.")


def escaped(text: str) -> str:
    """The text with every sign of markup taken out of force; addresses stay as they are, so that they are linked."""
    parts, place = [], 0
    for address in _ADDRESS.finditer(text):
        parts += [_plain(text[place : address.start()]), address[0]]
        place = address.end()
    return _BLOCK.sub(r"\1&#46;", "".join([*parts, _plain(text[place:])]))


def _plain(text: str) -> str:
    return _SPECIAL.sub(_one, text)


def _one(found: re.Match[str]) -> str:
    return {"\\": "&#92;", "&": "&amp;"}.get(found[0], "\\" + found[0])
