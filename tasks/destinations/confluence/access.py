"""Who may read and edit a page, whose it is, and its status, as the operator's settings say.

Each is set when a page is created or the setting has changed; in between it is the business of people. Nothing is ever opened
because a setting was taken away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.errors import Permanent
from tasks.model import Upstream

if TYPE_CHECKING:
    from tasks.destinations.confluence.api import Allowed, Dialect

GROUP = "group:"
READ, UPDATE = "read", "update"


class Access(Upstream):
    """What the settings say: `readers` and `editors` are people, and groups with `group:` before their names."""

    readers: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()
    owner: str = ""
    page_status: str = ""

    def over(self, known: Access) -> Access:
        """What holds once these are set: what they don't say stays as it is known."""
        return known.model_copy(update={name: value for name, value in self if value})

    def limits(self, known: Access) -> tuple[str, ...]:
        """The operations whose people are others than those known. Who may edit may read, and the owner may do both."""
        after, owner = self.over(known), self.over(known).owner != known.owner
        editors = owner or after.editors != known.editors
        found = (READ,) if self.readers and (editors or after.readers != known.readers) else ()
        return (*found, UPDATE) if self.editors and editors else found

    def said(self, known: Access) -> tuple[str, ...]:
        """What is set over what is known, a line each."""
        words = {"readers": "readers", "editors": "editors", "owner": "owner", "page_status": "status"}
        return tuple(
            f"{words[name]}: {value if isinstance(value, str) else ', '.join(value)}"
            for name, value in self
            if value and value != getattr(known, name)
        )


@dataclass(frozen=True)
class People:
    """The people of the settings by the ids that the API knows them by. An operation that is missing stays as it is; `own` is
    our own account.
    """

    own: str = ""
    owner: str = ""
    allowed: Mapping[str, Allowed] = field(default_factory=dict)


async def people_of(api: Dialect, access: Access, operations: Collection[str]) -> People:
    """Look everybody up for these operations; raises `Permanent` for a name that nobody or several have.

    Our own account and the owner may always read and edit, and who may edit may read.
    """
    from tasks.destinations.confluence.api import Allowed

    names = {name for name in (access.owner, *access.readers, *access.editors) if name and not name.startswith(GROUP)}
    ids = {name: await _person(api, name) for name in sorted(names)}
    own = await api.own_id() if access.readers or access.editors else ""
    usual = tuple(filter(None, (own, ids.get(access.owner))))

    def allowed(*given: str) -> Allowed:
        users = dict.fromkeys((*usual, *(ids[name] for name in given if name in ids)))
        groups = dict.fromkeys(name.removeprefix(GROUP) for name in given if name.startswith(GROUP))
        return Allowed(users=tuple(users), groups=tuple(groups))

    every = {READ: (*access.readers, *access.editors), UPDATE: access.editors}
    found = {name: allowed(*given) for name, given in every.items() if name in operations}
    return People(own=own, owner=ids.get(access.owner, ""), allowed=found)


async def limit(api: Dialect, page_id: str, people: People, *, unfinished: bool) -> None:
    """Set the page's restrictions where they are others; an operation that isn't named keeps its own.

    A page of ours that is `unfinished` may still be ours alone to edit, because it was created private. Nobody has set that.
    """
    from tasks.destinations.confluence.api import Allowed

    present = await api.restrictions(page_id)
    wanted = {**present, **people.allowed}
    if unfinished and wanted.get(UPDATE) == Allowed(users=(people.own,)):
        del wanted[UPDATE]
    if any(set(present.get(name, Allowed()).all) != set(wanted.get(name, Allowed()).all) for name in (READ, UPDATE)):
        await api.restrict(page_id, wanted)


async def _person(api: Dialect, name: str) -> str:
    found = await api.people(name)
    folded = name.casefold()
    ids = {person.id for person in found if folded in (known.casefold() for known in (person.id, *person.names))}
    if len(ids) == 1:
        return ids.pop()
    if ids:
        raise Permanent(
            f"{len(ids)} people in Confluence are called {name!r:.80}.",
            code="ambiguous_person",
            advice="Name the one who is meant by the account id (Data Center: the user name), then `afterword job retry`.",
        )
    raise Permanent(
        f"Confluence knows nobody called {name!r:.80}, or doesn't show them to this account.",
        code="unknown_person",
        advice="Correct `readers`, `editors` or `owner` of the destination: a name as Confluence shows it, an account id "
        "(Data Center: the user name), or an e-mail address that its profile shows. Then `afterword job retry`.",
    )
