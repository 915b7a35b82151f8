"""Accounts of people, looked up by what an operator calls them: the Cloud takes account ids only, a Data Center user names."""

from __future__ import annotations

from tasks.destinations.jira.api import JiraApi
from tasks.destinations.jira.plan import address_of
from tasks.errors import Permanent


class Unknown(Permanent):
    """Nobody of that name can be assigned in the project, or several people can."""


async def person_of(api: JiraApi, project: str, field: str, name: str) -> str:
    """The account of the one person with that account id, user name, e-mail address or displayed name; raises `Unknown`.

    A name that is sent as it is, because the account may not look, is Jira's own to refuse.
    """
    wanted = address_of(name)
    found = await api.assignable(project, wanted)
    if found is None:
        return wanted
    folded = wanted.casefold()
    named = [p for p in found if folded in (p.id.casefold(), p.email.casefold(), *(n.casefold() for n in p.names))]
    if not named and "@" in wanted and len(found) == 1 and not found[0].email:
        named = found  # the Cloud finds an address that it doesn't show
    accounts = {person.id for person in named}
    if len(accounts) == 1:
        return accounts.pop()
    if accounts:
        raise Unknown(
            f"{field}: {len(accounts)} people in project {project} are called {wanted!r:.80}.",
            code="ambiguous_reference",
            advice="Give the e-mail address or the account id of the one who is meant, then submit again.",
        )
    raise Unknown(
        f"{field}: nobody called {wanted!r:.80} can be assigned in project {project}, or the account can't see them.",
        code="unknown_reference",
        advice="Correct the name (in the job or in the destination's mapping), then `afterword job retry`. "
        "With `--set unknown_reference=warn` the field is left out instead.",
    )
