"""Rows of a table as a person writes them: `Label=value; Label=value`, or a row a line. Pure.

A backslash before `=`, `;`, a new line or a backslash takes away its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_ROW = re.compile(r"(?:\\[\s\S]|[^;\n\\]|\\$)+")
_LABEL = re.compile(r"((?:\\[\s\S]|[^=\\])*)=([\s\S]*)")
_ESCAPED = re.compile(r"\\([=;\\\n])")


def read(text: str) -> dict[str, str]:
    """The rows by their labels; raises `ValueError` for a row without one."""
    found = {}
    for row in _ROW.findall(text.replace("\r\n", "\n")):
        if not row.strip():
            continue
        parts = _LABEL.fullmatch(row)
        label, value = (_ESCAPED.sub(r"\1", part.strip()) for part in parts.groups()) if parts else ("", "")
        if not label:
            raise ValueError("a row is written as LABEL=VALUE; rows are separated by ; or stand in lines of their own")
        found[label] = value
    return found


def written(rows: Mapping[str, str]) -> str:
    """The rows, one a line, so that `read` gives them again."""
    return "\n".join(f"{_escaped(label, '=;')}={_escaped(value, ';')}" for label, value in rows.items())


def _escaped(text: str, signs: str) -> str:
    return re.sub(rf"([\\\n{signs}])", r"\\\1", text)
