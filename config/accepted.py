"""What a setting accepts, in words, from its schema: for the page of settings, and for who set something else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

PATTERNS = {
    "^[a-z][a-z0-9-]{0,30}$": "a name of `a-z`, `0-9`, `-` that starts with a letter, with 31 characters at most",
    "^https?://": "an address such as `https://host.example.com`",
    "^[!-~]+$": "text without blanks",
}


def problems(error: ValidationError, schema: Mapping[str, Any]) -> list[str]:
    """Each bad variable with what it must be, and without what it is."""
    clauses = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name, words = str(problem["loc"][0]), problem["msg"].removeprefix("Value error, ")
        if problem["type"] != "value_error":
            wanted = accepted(schema["properties"][name])
            words = f"must be {'one of ' if wanted.startswith('`') else ''}{wanted}"
        clauses.append(f"AFTERWORD_{name.upper()}: {words}")
    return clauses


def accepted(schema: Mapping[str, Any]) -> str:
    """A setting's kind and bounds."""
    kind = next(part for part in schema.get("anyOf", [schema]) if part.get("type") != "null")
    if pattern := str(kind.get("pattern", "")):
        words = pattern.removeprefix("^(").removesuffix(")$").split("|")
        return _one_of(words) if len(words) > 1 else PATTERNS[pattern]
    if kind.get("enum"):
        return _one_of(kind["enum"])
    if kind.get("type") in ("integer", "number"):
        return _number(kind)
    if kind.get("type") == "boolean":
        return _one_of(["true", "false"])
    longest = f" of at most {kind['maxLength']} characters" if "maxLength" in kind else ""
    return {"path": "a path", "password": "a secret"}.get(str(kind.get("format")), f"text{longest}")


def has_host(address: str) -> bool:
    """Whether an address names a host, and a port only where there can be one."""
    return is_taken_apart(address) and bool(urlsplit(address).hostname) and not re.search(r"\s", address)


def is_taken_apart(address: str) -> bool:
    """Whether an address can be taken apart, and names no port that can't be."""
    try:
        return urlsplit(address).port != 0
    except ValueError:
        return False


def _one_of(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _number(kind: Mapping[str, Any]) -> str:
    number = "a whole number" if kind["type"] == "integer" else "a number"
    lowest, highest = kind.get("minimum"), kind.get("maximum")
    bounds = [f"above {kind['exclusiveMinimum']:g}"] if "exclusiveMinimum" in kind else []
    bounds += [f"from {lowest:g}"] if lowest is not None else []
    bounds += [f"{'to' if bounds and lowest is not None else 'up to'} {highest:g}"] if highest is not None else []
    return " ".join([number, *bounds])
