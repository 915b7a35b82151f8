"""The fields that a job sets by itself: found by id or name, and made of what Jira wants of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from tasks.destinations.jira.answers import FieldShape
from tasks.destinations.jira.settings import OURS
from tasks.destinations.tickets.drift import Forms
from tasks.errors import Permanent
from tasks.markup.jira import adf

Value = str | int | float | bool
LONG_TEXTS = ("description", "environment")
BY_NAME = frozenset({"priority", "version", "component", "resolution", "group", "securitylevel", "issuetype"})


def named(given: Mapping[str, Value], shapes: Iterable[FieldShape]) -> list[tuple[FieldShape, Value]]:
    """Each field with its shape; raises `Permanent` for one that the type doesn't have."""
    known = list(shapes)
    found = []
    for name, value in given.items():
        shape = next((s for s in known if s.id == name), None) or next(
            (s for s in known if s.name.lower() == name.strip().lower()), None
        )
        if shape is None:
            raise Permanent(
                f"Issues of this type have no field {name!r:.60}, or it is not on the screen.",
                code="unknown_field",
                advice="Use a field's name or id, such as customfield_10020. The type has: "
                f"{', '.join(sorted(s.name for s in known))[:600]}.",
            )
        if shape.id in OURS:
            raise not_settable(name)
        found.append((shape, value))
    return found


def not_settable(name: str) -> Permanent:
    """A field that says which issue it is."""
    return Permanent(
        f"{name!r:.60} can't be set as a field of an issue.",
        code="unknown_field",
        advice="Set none that identifies the issue: project, type and labels come from the command and the settings.",
    )


def shaped(shape: FieldShape, value: Value, *, cloud: bool) -> object:
    """The value as Jira takes it for such a field."""
    if shape.type == "array":
        return [_one(shape.items, part.strip(), cloud=cloud) for part in str(value).split(",") if part.strip()]
    long_text = shape.id in LONG_TEXTS or shape.custom.endswith(":textarea")
    if cloud and long_text:
        return adf.plain(str(value))
    return _one(shape.type, value, cloud=cloud)


def _one(kind: str, value: Value, *, cloud: bool) -> object:
    if kind in BY_NAME:
        return {"name": str(value)}
    if kind == "option":
        return {"value": str(value)}
    if kind == "user":
        return {"accountId" if cloud else "name": str(value)}
    if kind in ("issuelink", "parent"):
        return {"key": str(value)}
    if kind == "number":
        return _number(value)
    return value if isinstance(value, bool) and kind == "boolean" else str(value)


def _number(value: Value) -> object:
    try:
        return float(value)
    except ValueError:
        return str(value)  # Jira says what it wants instead


def holds(stored: object, sent: object) -> bool:
    """Whether a stored value is what was sent: Jira adds to objects, and writes lines its own way."""
    if isinstance(sent, dict) and sent.get("type") == "doc":
        return _plain(stored) == _plain(sent)
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(holds(stored.get(name), value) for name, value in sent.items())
    if isinstance(sent, list):
        rows = stored if isinstance(stored, list) else []
        return len(rows) == len(sent) and all(any(holds(row, value) for row in rows) for value in sent)
    if isinstance(sent, str):
        return str(stored or "").replace("\r\n", "\n").strip() == sent.replace("\r\n", "\n").strip()
    return stored == sent


def _form(_: str, value: object) -> str:
    """A value in the form that is the same for all ways in which Jira may write it: an object by its name, value or id."""
    if isinstance(value, list):
        return json.dumps(sorted(_form("", row) for row in value))
    if isinstance(value, dict) and value.get("type") != "doc":
        named = next((value[key] for key in ("value", "name", "key", "accountId") if value.get(key)), "")
        return str(named)
    if isinstance(value, dict):
        return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(float(value))
    return str(value or "").replace("\r\n", "\n").strip()


def _plain(node: object) -> object:
    """A document without what Jira adds by itself: ids of nodes, and empty attributes."""
    if isinstance(node, list):
        return [_plain(child) for child in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _plain(value) for name, value in node.items() if name != "localId" and value is not None}
    return {name: value for name, value in kept.items() if value not in ({}, []) or name == "content"}


def shown(value: object) -> str:
    """A field's value for a person."""
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    if isinstance(value, dict) and value.get("type") == "doc":
        return adf.words(value)
    return str(value) if isinstance(value, int | float) else _form("", value)


def said(comment: object) -> str:
    """A comment in the form in which it is known again: its words."""
    words = adf.words(comment) if isinstance(comment, dict) else str(comment or "")
    return " ".join(words.split())


FORMS = Forms(form=_form, same=lambda _, stored, sent: holds(stored, sent))
