"""Plain text as Jira's wiki markup, which a Data Center takes: nothing in it is read as markup. Code and tables keep their columns."""

from __future__ import annotations

import re
import textwrap
from itertools import groupby

KEPT = "\x01"  # no text holds it
VERBATIM = "{noformat}"

_FACE = r"\((?=(?:[!/xiyn?+*-]|on|off|\*[rgby]|flag|flagoff)\))|[:;](?=-?[)(PDp])"
_SPECIAL = re.compile(rf"[{{}}\[\]*_\-+^~?!|#\\]|&(?=#?\w+;)|{_FACE}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@$&'()*+,;=%!-]*[A-Za-z0-9/=#&_-]")
_INDENT = re.compile(r"(?m)^ +(?=\S)")
_BLOCK = re.compile(r"(?m)^([ \t]*(?:h[1-6]|bq))\.")


def escaped(text: str) -> str:
    """The text with every sign of markup taken out of force; addresses stay as they are, so that they are linked.

    Lines that begin with `KEPT` keep their blanks, between signs that say so; elsewhere indentation does.
    """
    groups = groupby(text.split("\n"), lambda line: line.startswith(KEPT))
    return "\n".join((_verbatim if kept else _words)("\n".join(lines).replace(KEPT, "")) for kept, lines in groups)


def _verbatim(text: str) -> str:
    text = textwrap.dedent(text)
    return _words(text) if VERBATIM[:-1] in text.lower() else f"{VERBATIM}\n{text}\n{VERBATIM}"


def _words(text: str) -> str:
    parts, place = [], 0
    for address in _ADDRESS.finditer(text):
        parts += [_plain(text[place : address.start()]), address[0]]
        place = address.end()
    said = _BLOCK.sub(r"\1&#46;", "".join([*parts, _plain(text[place:])]))
    return _INDENT.sub(lambda found: "\u00a0" * len(found[0]), said)


def _plain(text: str) -> str:
    return _SPECIAL.sub(_one, text)


def _one(found: re.Match[str]) -> str:
    return {"\\": "&#92;", "&": "&amp;"}.get(found[0], "\\" + found[0])
