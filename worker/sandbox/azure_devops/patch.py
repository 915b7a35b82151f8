"""JSON Patch on a work item: which paths it takes, and the rules that refuse a value. Source: RFC 6902 and Azure DevOps."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from worker.sandbox.azure_devops.process import (
    PRIORITIES,
    READ_ONLY,
    SEVERITIES,
    TREES,
    Process,
    field_type,
    known,
)
from worker.sandbox.people import identity_of, person

TEXT_LENGTH = 1_000_000
TITLE_LENGTH = 255
TAG_LENGTH, TAG_COUNT = 400, 100
Item = dict[str, Any]
Users = Sequence[dict[str, str]]


class Refused(Exception):
    """The vendor says no: status, type key and message."""

    def __init__(self, status: int, type_key: str, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status, self.type_key, self.message, self.fields = status, type_key, message, fields


def rule(field: str, code: str) -> Refused:
    """A field rule that the value breaks."""
    name = field.rpartition(".")[2]
    return Refused(
        400, "RuleValidationException", f"TF401320: Rule Error for field {name}. Error code: {code}.", (field,)
    )


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
                _field(done, str(operation.get("op")), name, operation.get("value"), users)
            case "relations":
                _relation(done, str(operation.get("op")), name, operation.get("value"), removed)
            case "multilinefieldsformat":
                done["formats"][known(name) or name] = str(operation.get("value")).lower()
            case "rev" if operation.get("op") == "test":
                if operation.get("value") != item["rev"]:
                    text = "VS403351: Test Operation for path /rev failed."
                    raise Refused(412, "TestPatchOperationFailedException", text)
            case _:
                raise Refused(400, "VssPropertyValidationException", f"The path {path} can't be patched.")
    done["relations"] = [row for i, row in enumerate(done["relations"]) if i not in removed]
    _check(done, process)
    if any(done[part] != item[part] for part in ("fields", "history")) or not item["rev"]:
        done["rev"] = item["rev"] + 1
    return done


def _field(item: Item, verb: str, given: str, value: Any, users: Users) -> None:
    name = known(given)
    if name is None:
        raise Refused(400, "WorkItemTrackingFieldDefinitionNotFoundException", f"TF51535: Cannot find field {given}.")
    if verb == "test":
        if item["fields"].get(name) != value:
            raise Refused(
                412, "TestPatchOperationFailedException", f"VS403351: Test Operation for path /fields/{name} failed."
            )
        return
    if verb not in ("add", "replace", "remove"):
        raise Refused(400, "VssPropertyValidationException", f"The operation {verb} is not supported.")
    if name in READ_ONLY:
        if item["fields"].get(name) == value and value is not None:
            return
        raise Refused(400, "RuleValidationException", f"TF401326: Invalid field status 'ReadOnly' for field '{name}'.")
    if name == "System.History":
        item["comments"] += 1
        item["history"].append(normalised(str(value)))
    elif verb == "remove" or value in (None, ""):
        item["fields"].pop(name, None)
    else:
        item["fields"][name] = _stored(name, value, users)


def _stored(name: str, value: Any, users: Users) -> Any:
    """The value as the server keeps it: tags once each, people as identities, moments in UTC, HTML in its own form."""
    if name == "System.Tags":
        return _tags(str(value))
    if name == "System.AssignedTo":
        found = person(str(value), users)
        if found is None:
            words = f"The identity value '{value}' for field 'Assigned To' is an unknown identity."
            raise Refused(400, "RuleValidationException", f"TF401320: {words}", (name,))
        return identity_of(found)
    if field_type(name) == "html":
        return normalised(str(value))
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
    lists = "Required, HasValues, LimitedToValues, AllowsOldValue, InvalidNotOldValue"
    severity, priority = fields.get("Microsoft.VSTS.Common.Severity"), fields.get("Microsoft.VSTS.Common.Priority")
    if severity not in (None, *SEVERITIES):
        raise rule("Microsoft.VSTS.Common.Severity", lists)
    if str(priority) not in ("None", *map(str, PRIORITIES)):
        raise rule("Microsoft.VSTS.Common.Priority", lists)
    if fields["System.State"] not in (name for name, _ in process.states(fields["System.WorkItemType"])):
        raise rule("System.State", lists)
    for tree in TREES:
        given, there = str(fields[tree]).strip("\\").lower(), process.paths(str(fields["System.TeamProject"]), tree)
        if given not in (path.lower() for path in there):
            text = f"TF401347: Invalid tree name given for work item {item['id'] or -1}, field '{tree}'."
            raise Refused(400, "WorkItemFieldInvalidTreeNameException", text)
