"""The accounts that a sandbox begins with: how each logs in, its roles, and what it may not do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

Vendor = Literal["confluence", "servicenow", "azure_devops", "jira"]
Action = Literal["read", "create", "update", "label", "attachment", "restrict", "custom_status"]
Role = Literal["itil", "snc_basic_auth_api_access"]
Line = Annotated[str, StringConstraints(min_length=1, max_length=254, pattern=r"^[^\x00-\x1f:]+$")]


class Denial(BaseModel):
    """What is denied in one space (its key), project (its name) or table; `*` for all of them. The newest one holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vendor: Vendor
    target: str = "*"
    deny: tuple[Action, ...] = ()


class Account(BaseModel):
    """A person whom all vendors know. The account logs in by user name or e-mail address with its `secret`, or with any where it
    has none; by the secret alone, as a PAT, key or bearer; or as the OAuth client of its user name.

    Without the role `itil`, ServiceNow shows it only the records that it made itself; without `snc_basic_auth_api_access` it
    refuses HTTP Basic. `deny` is what it may not do beside what nobody may.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_name: Line
    name: Line | None = None
    email: Line | None = None
    secret: Line | None = None
    roles: tuple[Role, ...] = ("itil", "snc_basic_auth_api_access")
    deny: tuple[Denial, ...] = ()

    @property
    def shown(self) -> tuple[str, str, str]:
        """User name, shown name and e-mail address."""
        return self.user_name, self.name or self.user_name, self.email or f"{self.user_name}@example.com"


def account_of(accounts: Iterable[Account], name: str, secret: str) -> Account | None:
    """The account that logs in by that name or address, else by that secret alone."""
    wanted, rows = name.casefold(), tuple(accounts)
    named = (row for row in rows if wanted and wanted in (row.user_name.casefold(), row.shown[2].casefold()))
    return next(named, None) or next((row for row in rows if secret and row.secret == secret), None)
