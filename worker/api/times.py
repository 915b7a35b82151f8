"""One format of time in every answer: a moment is in epoch milliseconds (`…_ms`), and in RFC 3339 beside it (`…_at`; `at`
beside `at_ms`). Models that are stored, too, have only the former; the latter is added here, and to their descriptions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

from worker.api.outputs import rfc3339

WORDS = "RFC 3339, in UTC"


def shown(content: BaseModel) -> dict[str, Any] | None:
    """A model as JSON with its moments in both forms; None where it has them already, or has none."""
    if not _lacks(type(content)):
        return None
    told: dict[str, Any] = _told(content, content.model_dump(mode="json"))
    return told


def describe(schemas: Iterable[dict[str, Any]]) -> None:
    """Add to schemas of answers what `shown` adds to answers."""
    for schema in schemas:
        properties = schema.get("properties", {})
        for name, beside in _missing(properties):
            either = [{"type": "string"}, {"type": "null"}]
            properties[beside] = {"anyOf": either, "title": properties[name]["title"], "description": WORDS}
            schema.setdefault("required", []).append(beside)


@cache
def _lacks(model: type[BaseModel]) -> bool:
    schema = model.model_json_schema(mode="serialization")
    parts = (schema, *schema.get("$defs", {}).values())
    return any(next(_missing(part.get("properties", {})), None) for part in parts)


def _missing(names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The moments among these names that have no second form, with the name for it."""
    for name in [each for each in names if each.endswith("_ms")]:
        beside = name.removesuffix("_ms").removesuffix("_at") + "_at" if name != "at_ms" else "at"
        if beside not in names:
            yield name, beside


def _told(value: Any, dumped: Any) -> Any:
    """What was dumped of a value, with the moments of every model in it."""
    if isinstance(value, BaseModel):
        names = type(value).model_fields
        told = {name: _told(getattr(value, name), dumped[name]) for name in names if name in dumped}
        return dumped | told | {beside: rfc3339(getattr(value, name) or None) for name, beside in _missing(names)}
    if isinstance(value, list | tuple):
        return [_told(*pair) for pair in zip(value, dumped, strict=True)]
    return dumped
