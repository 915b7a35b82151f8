"""The people of the simulated Jira: account ids in the Cloud, user names in a Data Center."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from worker.sandbox.people import NAMESPACE

Users = Sequence[dict[str, str]]
HIDING = "fred.luddy"  # whose address the Cloud doesn't show


def account_id(row: dict[str, str]) -> str:
    """An account's id in the Cloud."""
    return f"5b10{uuid.uuid5(NAMESPACE, row['user_name']).hex[:20]}"


def names_of(row: dict[str, str]) -> str:
    """Everything that a look-up compares with, in small letters."""
    return " ".join((row["user_name"], row["name"], row["email"])).casefold()


def account_of(value: object, users: Users, *, cloud: bool) -> dict[str, str] | None:
    """The person that a field's value names; None for one who isn't known."""
    named = value if isinstance(value, dict) else {}
    if cloud:
        return next((row for row in users if account_id(row) == named.get("accountId")), None)
    return next((row for row in users if row["user_name"] == named.get("name")), None)


def shown_person(row: dict[str, str], site: str, *, cloud: bool) -> dict[str, Any]:
    """A person as an answer of the site shows one."""
    about = f"3/user?accountId={account_id(row)}" if cloud else f"2/user?username={row['user_name']}"
    shown: dict[str, Any] = {"self": f"{site}/rest/api/{about}", "displayName": row["name"], "active": True}
    shown["timeZone"] = "Etc/UTC"
    if not cloud:
        return shown | {"key": row["user_name"], "name": row["user_name"], "emailAddress": row["email"]}
    address = {} if row["user_name"] == HIDING else {"emailAddress": row["email"]}
    return shown | address | {"accountId": account_id(row), "accountType": "atlassian"}


def shown_value(value: Any, users: Users, site: str) -> Any:
    """A field's value as an answer shows it: people in full."""
    if not isinstance(value, dict) or not ({"accountId", "name"} & value.keys()):
        return value
    found = account_of(value, users, cloud="accountId" in value)
    return value if found is None else shown_person(found, site, cloud="accountId" in value)
