"""The accounts and groups of the simulated Confluence. Some accounts of the Cloud hide their address."""

from __future__ import annotations

from collections.abc import Iterable

from worker.sandbox.confluence.rules import ACCOUNT, OWN_GROUP, USER_KEY

GROUPS = frozenset({OWN_GROUP, "confluence-users", "incident-team", "security"})
HIDDEN = frozenset({"fred.luddy"})


def accounts(users: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """The users' accounts: ids of Cloud and Data Center, user name, shown name, and the address that the Cloud shows."""
    found = []
    for row in users:
        own = row["user_name"] == "sandbox"
        found.append(
            {
                "accountId": ACCOUNT if own else f"557058:{row['sys_id']}",
                "userKey": USER_KEY if own else row["sys_id"],
                "username": row["user_name"],
                "displayName": row["name"],
                "email": "" if row["user_name"] in HIDDEN else row["email"],
            }
        )
    return found


def by_account(number: str, users: Iterable[dict[str, str]]) -> dict[str, str] | None:
    """The account of that id, of Cloud or Data Center."""
    return next((row for row in accounts(users) if number in (row["accountId"], row["userKey"])), None)
