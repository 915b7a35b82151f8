"""What a setting accepts, in words, from its JSON schema: for the reference, and for whoever gave something else. Pure."""

from __future__ import annotations

from typing import Any

PATTERNS = {
    "^[a-z][a-z0-9-]{0,30}$": "a name of `a-z`, `0-9`, `-`",
    "^https?://": "an address that begins with `http://` or `https://`",
    "^[!-~]+$": "text without blanks",
}


def accepted(schema: dict[str, Any]) -> str:
    """A setting's kind and bounds, in words."""
    kinds = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    kind = kinds[0]
    if pattern := str(kind.get("pattern", "")):
        words = pattern.removeprefix("^(").removesuffix(")$").split("|")
        alternatives = ", ".join(f"`{word}`" for word in words)
        return alternatives if len(words) > 1 else PATTERNS.get(pattern, f"`{pattern}`")
    if kind.get("enum"):
        return ", ".join(f"`{word}`" for word in kind["enum"])
    lowest, highest = kind.get("minimum"), kind.get("maximum")
    if kind.get("type") in ("integer", "number"):
        number = "a whole number" if kind["type"] == "integer" else "a number"
        if "exclusiveMinimum" in kind:
            return f"{number} above {kind['exclusiveMinimum']:g}"
        bounds = [f"from {lowest:g}"] if lowest is not None else []
        bounds += [f"to {highest:g}"] if highest is not None else []
        return " ".join([number, *bounds])
    if kind.get("type") == "boolean":
        return "`true`, `false`"
    return {"path": "a path", "password": "a secret"}.get(str(kind.get("format")), "text")
