"""Files that a person names: read as text, or refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.errors import Refused


def read_text(file: str) -> str:
    """A file's text, or stdin's for `-`."""
    try:
        return read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{file} is not UTF-8.", code="not_utf8", advice="Convert it first.") from None


def read_bytes(file: str) -> bytes:
    """A file's content, or stdin's for `-`."""
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Refused(f"{file} can't be read: {error.strerror}.", code="unreadable", advice="Check the path.") from None
