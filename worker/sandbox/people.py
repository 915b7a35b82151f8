"""Who and what the simulated vendors know: users, groups and configuration items, by ServiceNow's names of their tables."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

NAMESPACE = uuid.UUID("2b0f0d3e-6c1c-4b5c-9a52-3a4f5d1e7c20")


def people() -> dict[str, list[dict[str, str]]]:
    """The users, groups and configuration items of a fresh instance, by table."""
    users = (
        ("abel.tuter", "Abel Tuter"),
        ("beth.anglin", "Beth Anglin"),
        ("sandbox", "Sandbox"),
        ("fred.luddy", "Fred Luddy"),
    )
    rows: dict[str, list[dict[str, str]]] = {
        "sys_user": [{"user_name": u, "name": n, "email": f"{u}@example.com", "active": "true"} for u, n in users],
        "sys_user_group": [
            {"name": n} for n in ("Network", "Database", "Service Desk", "Hardware", "Software", "Twins", "Twins")
        ],
        "cmdb_ci": [{"name": n} for n in ("payments-db", "checkout", "edge-router-1")],
        "cmdb_ci_service": [{"name": n} for n in ("Payments", "Checkout")],
    }
    for table, found in rows.items():
        for number, row in enumerate(found):
            row["sys_id"] = uuid.uuid5(NAMESPACE, f"{table}/{number}/{row['name']}").hex
    return rows


def person(name: str, users: Iterable[dict[str, str]]) -> dict[str, str] | None:
    """The one of the users of that name, account or e-mail address, also as `Name <address>`."""
    wanted = name.strip().casefold()
    for row in users:
        if wanted in (
            *(row[key].casefold() for key in ("name", "user_name", "email")),
            f"{row['name']} <{row['email']}>".casefold(),
        ):
            return row
    return None


def user(user_name: str, name: str, email: str) -> dict[str, str]:
    """A user who is there besides those of a fresh instance."""
    row = {"user_name": user_name, "name": name, "email": email, "active": "true"}
    return row | {"sys_id": uuid.uuid5(NAMESPACE, f"sys_user/{user_name}").hex}


def identity_of(row: dict[str, str]) -> dict[str, str]:
    """A user as a field of Azure DevOps shows it."""
    found = {"displayName": row["name"], "uniqueName": row["email"], "descriptor": f"aad.{row['user_name']}"}
    return found | {"id": str(uuid.uuid5(NAMESPACE, row["email"])), "url": "", "imageUrl": ""}
