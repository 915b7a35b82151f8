"""Values given to a name that says they are secret: `DB_PASSWORD=…`, `"password": "…"`, and columns of tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.screening.finding import Finding
from tasks.screening.rules import compiled
from tasks.screening.validators import is_mixed, is_secret, is_token

_NAME = (
    r"(?:[A-Za-z0-9]+[_. -])*(?:passwd|password|passphrase|passwort|kennwort|mot de passe|contrase(?:ñ|n)a|wachtwoord|senha|pwd|pw|secret|api[_ -]?key|apikey|access[_ -]?key|secret[_ -]?key|"
    r"private[_ -]?key|client[_ -]?secret|auth[_ -]?token|access[_ -]?token|refresh[_ -]?token|api[_ -]?token|token|credential|pat)s?"
)
PASSWORD_WORDS = ("pass", "pwd", "pw", "kennwort", "contrase", "wachtwoord", "senha")
_MARKS = r"[\"'`*_]{0,4}"
UNQUOTED = 3
ASSIGNED = (
    r"(?i)(?:^|[^A-Za-z0-9])" + _MARKS + _NAME + _MARKS + r"[ \t]{0,4}(?::=|=>|=|:|\|)" + _MARKS + r"[ \t]{0,4}"
    r"(?:\"(?P<v>[^\"\n]{4,256})\"|'(?P<w>[^'\n]{4,256})'|" + _MARKS + r"(?P<u>[^\s\"'`|,;<>\\]{4,256}))"
)


def assignments(text: str) -> Iterator[Finding]:
    """Values assigned to a name that says it is secret: `DB_PASSWORD=…`, `"password": "…"`, `| password | … |`."""
    for found in compiled(ASSIGNED).finditer(text):
        group = next(number for number in (1, 2, 3) if found.group(number) is not None)
        name = found.group().lower()
        a_password = any(word in name for word in PASSWORD_WORDS)
        value = found.group(group)
        operator = text[max(found.start(group) - 6, 0) : found.start(group)]
        explicit = group != UNQUOTED or "=" in operator or "|" in operator
        accept = (
            is_secret
            if (a_password and (explicit or is_mixed(value))) or (explicit and group != UNQUOTED)
            else is_token
        )
        if accept(value):
            yield Finding(
                type="Password" if a_password else "ApiKey",
                start=found.start(group),
                end=found.start(group) + len(value.rstrip(".,;:*_`)")),
                severity="critical",
                category="secret",
            )


_SECRET_HEADING = r"(?i)^[\s*_`]*" + _NAME + r"[\s*_`]*$"
_DELIMITER_ROW = re.compile(r"^ {0,3}\|?(?:[ \t]*:?-+:?[ \t]*\|)*[ \t]*:?-+:?[ \t]*\|?[ \t]*$")
_CELL = re.compile(r"(?:\\.|[^|\\\n])+")


def in_tables(text: str) -> Iterator[Finding]:
    """Values in pipe tables below a heading that says that they are secret."""
    offset, heading, columns = 0, "", set[int]()
    for line in text.splitlines(keepends=True):
        if "|" not in line:
            columns = set()
        elif "-" in line and _DELIMITER_ROW.match(line.rstrip("\r\n")):
            columns = {n for n, cell in enumerate(_cells(heading)) if compiled(_SECRET_HEADING).match(cell.group())}
        elif columns:
            for number, cell in enumerate(_cells(line)):
                value = cell.group().strip(" \t*_`")
                if number in columns and is_secret(value) and (is_mixed(value) or is_token(value)):
                    start = offset + cell.start() + cell.group().index(value)
                    yield _password(start, start + len(value))
        heading = line
        offset += len(line)


def _cells(line: str) -> list[re.Match[str]]:
    bare = line.rstrip("\r\n \t").removesuffix("|")
    return [cell for cell in _CELL.finditer(bare) if cell.group().strip() or cell.start() > 0]


def _password(start: int, end: int) -> Finding:
    return Finding(type="Password", start=start, end=end, severity="critical", category="secret")
