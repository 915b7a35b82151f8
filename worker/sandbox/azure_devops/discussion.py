"""What happened to a work item: its updates, field by field, and the comments among them."""

from __future__ import annotations

from typing import Any

from worker.sandbox.azure_devops import shapes
from worker.sandbox.azure_devops.patch import Refused, normalised
from worker.sandbox.store import iso

Item = dict[str, Any]


def noted(before: Item, after: Item, now: float) -> Item:
    """The item with an update that tells what changed since `before`; links change without a new revision."""
    if after["rev"] != before["rev"]:
        after["fields"]["System.ChangedDate"] = iso(now)
    old, new = before["fields"], after["fields"]
    fields = {
        name: {key: held[name] for key, held in (("oldValue", old), ("newValue", new)) if name in held}
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }
    if said := after["history"][len(before["history"]) :]:
        fields["System.History"] = {"newValue": "".join(said)}
    relations = {
        "added": [row for row in after["relations"] if row not in before["relations"]],
        "removed": [row for row in before["relations"] if row not in after["relations"]],
    }
    changed = {"fields": fields, "relations": {name: rows for name, rows in relations.items() if rows}}
    update = {"rev": after["rev"], "at": now} | {name: rows for name, rows in changed.items() if rows}
    after["updates"] = [*before["updates"], update] if any(changed.values()) else before["updates"]
    return after


def commented(item: Item, given: Any, now: float) -> Item:
    """A copy of the item with one more comment."""
    text = given.get("text") if isinstance(given, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise Refused(400, "VssPropertyValidationException", "The text of a comment must be given.")
    done = item | {"comments": item["comments"] + 1, "rev": item["rev"] + 1, "fields": dict(item["fields"])}
    done["history"] = [*item["history"], normalised(text)]
    return noted(item, done, now)


def spoken(item: Item, number: int) -> bool:
    """Whether the item has a comment of that number that wasn't deleted."""
    said = sum("System.History" in row.get("fields", ()) for row in item["updates"])
    return 0 < number <= said and item.get("edited", {}).get(number, "") is not None


def edited(item: Item, number: int, given: Any) -> Item:
    """A copy of the item with another text of a comment; without one it is deleted, and its text stays in the history."""
    if given is None:
        return item | {"comments": item["comments"] - 1, "edited": item.get("edited", {}) | {number: None}}
    text = given.get("text") if isinstance(given, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise Refused(400, "VssPropertyValidationException", "The text of a comment must be given.")
    return item | {"edited": item.get("edited", {}) | {number: normalised(text)}}


def revisions(item: Item, base: str) -> list[dict[str, Any]]:
    """The item as it was after each of its revisions, the oldest first; what was said stands in its own one only."""
    found: dict[int, dict[str, Any]] = {}
    fields: dict[str, Any] = {}
    for row in item["updates"]:
        fields = {name: value for name, value in fields.items() if name != "System.History"}
        for name, change in row.get("fields", {}).items():
            fields = {other: value for other, value in fields.items() if other != name}
            fields |= {name: change["newValue"]} if "newValue" in change else {}
        past = item | {"rev": row["rev"], "fields": fields, "relations": []}
        found[row["rev"]] = shapes.work_item(past, base, expand="none", only=[], single=False)
    return list(found.values())


def updates(item: Item, base: str) -> list[dict[str, Any]]:
    """The item's updates, the oldest first."""
    url = f"{base}/_apis/wit/workItems/{item['id']}/updates"
    return [
        {
            "id": number,
            "workItemId": item["id"],
            "rev": row["rev"],
            "revisedBy": shapes.identity(base),
            "revisedDate": iso(row["at"]),
            **{part: row[part] for part in ("fields", "relations") if part in row},
            "url": f"{url}/{number}",
        }
        for number, row in enumerate(item["updates"], start=1)
    ]


def comments(item: Item, base: str) -> list[dict[str, Any]]:
    """The item's comments, the oldest first."""
    said = [row for row in item["updates"] if "System.History" in row.get("fields", ())]
    url = f"{base}/_apis/wit/workItems/{item['id']}/comments"
    by, texts = shapes.identity(base), item.get("edited", {})
    return [
        {
            "workItemId": item["id"],
            "id": number,
            "version": 2 if number in texts else 1,
            "text": texts.get(number, row["fields"]["System.History"]["newValue"]),
            "createdBy": by,
            "createdDate": iso(row["at"]),
            "modifiedBy": by,
            "modifiedDate": iso(row["at"]),
            "url": f"{url}/{number}",
        }
        for number, row in enumerate(said, start=1)
        if texts.get(number, "") is not None
    ]
