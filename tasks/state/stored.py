"""What Redis holds, read as what it should be, whoever wrote it there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST_NUMBER = 16


def text(value: object) -> str:
    """A value as text; bytes that are none read as such."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def texts(stored: Mapping[Any, Any]) -> dict[str, str]:
    """A hash as text."""
    return {text(name): text(value) for name, value in stored.items()}


def number(value: str | None) -> int:
    """A whole number; 0 for anything else."""
    return int(value) if value and value.isdecimal() and value.isascii() and len(value) < LONGEST_NUMBER else 0
