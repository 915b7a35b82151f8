"""JSON Patch on a work item: which paths it takes, and the rules that refuse a value. Source: RFC 6902 and Azure DevOps."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from worker.sandbox.azure_devops.process import (
    PRIORITIES,
    READ_ONLY,
    SEVERITIES,
    TREES,
    Field,
    Process,
    known,
)
from worker.sandbox.people import identity_of, person

TEXT_LENGTH = 1_000_000
TITLE_LENGTH = 255
TAG_LENGTH, TAG_COUNT = 400, 100
LISTED = "Required, HasValues, LimitedToValues, AllowsOldValue, InvalidNotOldValue"
Item = dict[str, Any]
Users = Sequence[dict[str, str]]


class Refused(Exception):
    """The vendor says no: status, type key and message."""

    def __init__(self, status: int, type_key: str, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status, self.type_key, self.message, self.fields = status, type_key, message, fields


def rule(field: str, code: str) -> Refused:
    """A field rule that the value breaks."""
    text = f"TF401320: Rule Error for field {label(field)}. Error code: {code}."
    return Refused(400, "RuleValidationException", text, (field,))


def label(field: str) -> str:
    """What people call a field: the last part of its name, a word at a time."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", field.rpartition(".")[2])


def patched(item: Item, operations: object, process: Process, users: Users) -> Item:
    """A copy of the item with all the operations done, or `Refused` and none of them; `users` can be assigned."""
    if not isinstance(operations, list) or not operations or not all(isinstance(op, dict) for op in operations):
        text = "You must pass a valid patch document in the body of the request."
        raise Refused(400, "VssPropertyValidationException", text)
    done = copy.deepcopy(item)
    removed: list[int] = []
    for operation in operations:
        path = str(operation.get("path", ""))
        head, _, name = path.lstrip("/").partition("/")
        name = name.replace("~1", "/").replace("~0", "~")
        match head.lower():
            case "fields":
                _field(done, process, str(operation.get("op")), name, operation.get("value"), users)
            case "relations":
                _relation(done, str(operation.get("op")), name, operation.get("value"), removed)
            case "multilinefieldsformat":
                field = known(process.fields, name)
                done["formats"][field.name if field else name] = str(operation.get("value")).lower()
            case "rev" if operation.get("op") == "test":
                if operation.get("value") != item["rev"]:
                    text = "VS403351: Test Operation for path /rev failed."
                    raise Refused(412, "TestPatchOperationFailedException", text)
            case _:
                raise Refused(400, "VssPropertyValidationException", f"The path {path} can't be patched.")
    done["relations"] = [row for i, row in enumerate(done["relations"]) if i not in removed]
    _check(done, process)
    _check_rules(item, done, process)
    if any(done[part] != item[part] for part in ("fields", "history")) or not item["rev"]:
        done["rev"] = item["rev"] + 1
    return done


def _field(item: Item, process: Process, verb: str, given: str, value: Any, users: Users) -> None:
    field = known(process.fields, given)
    if field is None:
        raise Refused(400, "WorkItemTrackingFieldDefinitionNotFoundException", f"TF51535: Cannot find field {given}.")
    name = field.name
    if verb == "test":
        if item["fields"].get(name) != value:
            raise Refused(
                412, "TestPatchOperationFailedException", f"VS403351: Test Operation for path /fields/{name} failed."
            )
        return
    if verb not in ("add", "replace", "remove"):
        raise Refused(400, "VssPropertyValidationException", f"The operation {verb} is not supported.")
    if name in (*READ_ONLY, *process.rules(item["fields"]["System.WorkItemType"]).read_only):
        if item["fields"].get(name) == value and value is not None:
            return
        text = f"TF401326: Invalid field status 'ReadOnly' for field '{name}'."
        raise Refused(400, "RuleValidationException", text, (name,))
    if name == "System.History":
        item["comments"] += 1
        item["history"].append(normalised(str(value)))
    elif verb == "remove" or value in (None, ""):
        item["fields"].pop(name, None)
    else:
        item["fields"][name] = _stored(field, value, users)


def _stored(field: Field, value: Any, users: Users) -> Any:
    """The value as the server keeps it: tags once each, people as identities, numbers as such, HTML in its own form."""
    if field.name == "System.Tags":
        return _tags(str(value))
    if field.values and str(value) not in field.values:
        raise rule(field.name, LISTED)
    match field.type:
        case "identity":
            found = person(str(value), users)
            if found is None:
                words = f"The identity value '{value}' for field '{label(field.name)}' is an unknown identity."
                raise Refused(400, "RuleValidationException", f"TF401320: {words}", (field.name,))
            return identity_of(found)
        case "html":
            return normalised(str(value))
        case "integer" | "double" | "boolean" | "dateTime":
            return _typed(field, value)
    return value


def _typed(field: Field, value: Any) -> Any:
    """A number, a truth or a moment, also from its text; anything else is of another type."""
    text = str(value).strip()
    try:
        match field.type:
            case "integer":
                return int(text)
            case "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
        datetime.fromisoformat(text)
    except (ValueError, KeyError):
        raise rule(field.name, "InvalidDate" if field.type == "dateTime" else "InvalidType") from None
    return value


def normalised(text: str) -> str:
    """HTML as the server writes it: no scripts, double quotes, no space between tags, breaks and characters spelt out."""
    text = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>|\son\w+\s*=\s*(\"[^\"]*\"|'[^']*')", "", text)
    text = re.sub(r"='([^'\"]*)'", r'="\1"', text)
    return re.sub(r">\s+<", "><", text).replace("<br/>", "<br>").replace("\u00a0", "&nbsp;").strip()


def _tags(value: str) -> str:
    """Tags as the vendor keeps them: trimmed, once each in any case, joined by `; `."""
    kept: dict[str, str] = {}
    for tag in re.split(r"[;,]", value):
        if tag.strip():
            kept.setdefault(tag.strip().lower(), tag.strip())
    if len(kept) > TAG_COUNT or any(len(tag) > TAG_LENGTH or tag.startswith("@") for tag in kept):
        raise rule("System.Tags", "InvalidTag")
    return "; ".join(kept.values())


def _relation(item: Item, verb: str, place: str, value: Any, removed: list[int]) -> None:
    if verb == "remove" and place.isdigit() and int(place) < len(item["relations"]):
        removed.append(int(place))  # places count from before the patch, so they are taken out at its end
    elif verb == "add" and isinstance(value, dict) and value.get("rel") and value.get("url"):
        if any(row["rel"] == value["rel"] and row["url"] == value["url"] for row in item["relations"]):
            raise Refused(400, "WorkItemRelationAlreadyExistsException", "VS402625: Relation already exists.")
        row = {"rel": value["rel"], "url": value["url"], "attributes": dict(value.get("attributes") or {})}
        item["relations"].append(row)
    else:
        raise Refused(400, "VssPropertyValidationException", f"The path /relations/{place} can't be patched.")


def _check(item: Item, process: Process) -> None:
    fields = item["fields"]
    title = fields.get("System.Title")
    if not isinstance(title, str) or not title.strip():
        raise rule("System.Title", "Required, InvalidEmpty")
    if len(title) > TITLE_LENGTH:
        raise rule("System.Title", "InvalidTooLong")
    if any(isinstance(value, str) and len(value) > TEXT_LENGTH for value in fields.values()):
        raise rule("System.Description", "InvalidTooLong")
    severity, priority = fields.get("Microsoft.VSTS.Common.Severity"), fields.get("Microsoft.VSTS.Common.Priority")
    if severity not in (None, *SEVERITIES):
        raise rule("Microsoft.VSTS.Common.Severity", LISTED)
    if str(priority) not in ("None", *map(str, PRIORITIES)):
        raise rule("Microsoft.VSTS.Common.Priority", LISTED)
    if fields.get("System.State") not in (name for name, _ in process.states(fields["System.WorkItemType"])):
        raise rule("System.State", LISTED)
    for tree in TREES:
        given, there = (
            str(fields.get(tree, "")).strip("\\").lower(),
            process.paths(str(fields["System.TeamProject"]), tree),
        )
        if given not in (path.lower() for path in there):
            text = f"TF401347: Invalid tree name given for work item {item['id'] or -1}, field '{tree}'."
            raise Refused(400, "WorkItemFieldInvalidTreeNameException", text)


def _check_rules(before: Item, after: Item, process: Process) -> None:
    """The rules of the item's type: what must have a value, and which state follows which; a new item is in the first one."""
    fields, kind = after["fields"], after["fields"]["System.WorkItemType"]
    for name in process.rules(kind).required:
        if fields.get(name) in (None, ""):
            raise rule(name, "Required, InvalidEmpty")
    old = before["fields"]["System.State"] if before["rev"] else ""
    if fields["System.State"] not in (old, *process.moves(kind).get(old, ())):
        raise rule("System.State", LISTED)
