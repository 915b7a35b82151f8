"""How Jira answers. What doesn't fit raises, for `Response.parsed` to tell."""

from __future__ import annotations

from typing import Any

from tasks.destinations.contract import identifier, rows_of
from tasks.http.message import Response
from tasks.http.refusals import odd_answer
from tasks.model import Frozen

PROPERTY = "afterword"
NO_CONTENT = 204


class StoredIssue(Frozen):
    """An issue as Jira has it. `subject` is what our property on it says."""

    id: str
    key: str
    fields: dict[str, Any]
    subject: str | None = None


class IssueType(Frozen):
    """A type of a project's issues."""

    id: str
    name: str
    subtask: bool = False


class FieldShape(Frozen):
    """A field of a type: its id, its name, and of what Jira wants its value made."""

    id: str
    name: str
    type: str
    items: str = ""
    custom: str = ""


class Person(Frozen):
    """Somebody who can be assigned. The e-mail address is empty where the account hides it."""

    id: str
    names: tuple[str, ...] = ()
    email: str = ""


def stored_issue(answer: dict[str, Any]) -> StoredIssue:
    """An issue; raises `LookupError`, `TypeError` or `ValueError` where a part that is looked at has another form."""
    fields = answer.get("fields") or {}
    labels = fields.get("labels") or []
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise TypeError("labels")
    value = (answer.get("properties") or {}).get(PROPERTY) or {}
    subject = value.get("subject") if isinstance(value, dict) else None
    return StoredIssue(
        id=identifier(answer["id"]),
        key=identifier(answer["key"]),
        fields=fields,
        subject=str(subject) if subject else None,
    )


def made(answer: dict[str, Any]) -> str:
    """The id of what was added to an issue."""
    return identifier(answer["id"])


def done(response: Response) -> Response:
    """The answer to a change: a refusal, or nothing at all. Raises where something else came with a good status, as from another
    than Jira.
    """
    if response.status < 300 and response.status != NO_CONTENT:
        raise odd_answer(response.status, response.source, wrote=response.wrote)
    return response


def hits(answer: dict[str, Any]) -> list[str]:
    """The ids of the issues that a query found."""
    return [identifier(row["id"]) for row in rows_of(answer, "issues")]


def issue_types(answer: dict[str, Any]) -> list[IssueType]:
    """The types of a project: `issueTypes` in the Cloud, `values` in a Data Center."""
    rows = rows_of(answer, "issueTypes" if "issueTypes" in answer else "values")
    return [
        IssueType(id=identifier(row["id"]), name=str(row["name"]), subtask=row.get("subtask") is True) for row in rows
    ]


def field_shapes(answer: dict[str, Any]) -> list[FieldShape]:
    """The fields of a type: `fields` in the Cloud, `values` in a Data Center."""
    return [field_shape(row) for row in rows_of(answer, "fields" if "fields" in answer else "values")]


def field_shape(row: dict[str, Any]) -> FieldShape:
    """One field of a screen."""
    made = {name: str(row["schema"].get(name) or "") for name in ("type", "items", "custom")}
    return FieldShape(id=identifier(row.get("fieldId") or row["key"]), name=str(row["name"]), **made)


def people(answer: list[dict[str, Any]]) -> list[Person]:
    """The people that a look-up found: by account id in the Cloud, by name in a Data Center."""
    if not isinstance(answer, list):
        raise TypeError("no list")
    return [
        Person(
            id=identifier(row.get("accountId") or row["name"]),
            names=tuple(str(row[key]) for key in ("key", "name", "displayName") if row.get(key)),
            email=str(row.get("emailAddress") or ""),
        )
        for row in answer
    ]


def comments(answer: dict[str, Any]) -> list[object]:
    """The bodies of an issue's comments."""
    return [row.get("body") for row in rows_of(answer, "comments")]


def refused_fields(content: object) -> dict[str, str]:
    """What a refusal says of single fields."""
    errors = content.get("errors") if isinstance(content, dict) else None
    return {str(name): str(words) for name, words in errors.items()} if isinstance(errors, dict) else {}


def permission(answer: dict[str, Any], name: str) -> bool:
    """Whether the account has it."""
    return answer["permissions"][name]["havePermission"] is True


def signed_in(answer: dict[str, Any]) -> str:
    """Who is signed in; raises `LookupError` where the answer has no account's id or key, as another product's has not."""
    known = answer.get("accountId") or answer["key"]
    return str(answer.get("displayName") or answer.get("emailAddress") or answer.get("name") or known)


def remote_links(answer: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """The links to elsewhere that have a global id: where they lead, and their titles."""
    if not isinstance(answer, list):
        raise TypeError("no list")
    rows = [(row.get("globalId"), row["object"]) for row in answer]
    return {str(name): (str(shown.get("url")), str(shown.get("title"))) for name, shown in rows if name}


def file_names(answer: dict[str, Any]) -> list[str]:
    """The names of an issue's files; raises `LookupError`, `TypeError` or `ValueError` for another form."""
    return [str(row["filename"]) for row in answer["fields"].get("attachment") or ()]
