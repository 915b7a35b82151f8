"""ServiceNow: an issue as an incident, or as a record of another table, found again by `correlation_id`. Its life is in
`incident`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tasks.credentials.kinds import ApiKey, Basic, Password, Token
from tasks.destinations.contract import Destination, Needs, Prepared, Work, basic, identifier, stored
from tasks.destinations.servicenow.answers import rows_in, stored_rows
from tasks.destinations.servicenow.incident import Keeper, link_incident
from tasks.destinations.servicenow.observed import records
from tasks.destinations.servicenow.plan import RecordPlan, plan_of, table_of, texts_of
from tasks.destinations.servicenow.settings import ServiceNowSettings
from tasks.destinations.servicenow.table import FILES, counted, path_of
from tasks.destinations.servicenow.verdict import verdict
from tasks.errors import AttemptFailed
from tasks.http.exchange import Http
from tasks.http.message import Request
from tasks.model import INCIDENTS, Command, ConnectionStep, Receipt
from tasks.model.remote import Observed

USERS = "/api/now/table/sys_user"
PLAIN_NAME = re.compile(r"[\w.@ -]+")
MYSELF = "javascript:gs.getUserName()"  # what an instance puts the account's own name in place of
UNSEEN = "records are counted and not shown: give the account read access to the table {}"
OWN_ONLY = "granted to the account's own records; it sees no others among the newest"
NONE_OWN = "can't be told: the account sees none of the newest records, and has made none itself yet; test again after its first one"
NO_KEY = (
    "{} shows no correlation_id, by which records are found again: it must extend task, and the account must read it"
)


class ServiceNow(Destination[ServiceNowSettings]):
    """One ServiceNow instance."""

    judge = staticmethod(verdict)

    @property
    def vendor(self) -> str:
        """An instance. It tells its release to administrators only."""
        return "ServiceNow"

    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """Basic with a user name and password, bearer with a token alone; an API key has a header of its own."""
        secret, auth = stored(secret), self.settings.auth
        if isinstance(auth, ApiKey):
            return {"x-sn-apikey": secret}
        if self.settings.username and not isinstance(auth, Token):
            return basic(self.settings.username, secret)
        return self.bearer(secret)

    def prepare(self, work: Work) -> Prepared[RecordPlan]:
        """The record's fields from the issue, with the mapping and the job's overrides."""
        plan = plan_of(self.settings, work)
        return Prepared(texts_of(plan), plan)

    async def deliver(
        self, work: Work, prepared: Prepared[RecordPlan], http: Http, now_ms: Callable[[], int]
    ) -> Receipt:
        """Update the subject's record, or create it; then its attachment."""
        return await Keeper(self.settings, work, prepared.plan, http, now_ms).deliver()

    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the lines of links at the description's end up to date."""
        return await link_incident(work, http)

    async def observe(self, tickets: Mapping[str, Receipt], http: Http) -> Mapping[str, Observed]:
        """Read by their ids, in one request for each table."""
        found = await records(http, self.settings.instance_url, tickets.values())
        return {subject: found[receipt.id] for subject, receipt in tickets.items() if receipt.id in found}

    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """The table, and attachments where the plan has one."""
        table = self.settings.table if command is None else table_of(command)
        return Needs(target=table, files=isinstance(plan, RecordPlan) and plan.attachment is not None)

    async def reach(self, http: Http) -> list[ConnectionStep]:
        """Rows of the table that every job writes to, then whose credential it is."""
        read = await self._read(http, self.settings.table)
        name = self._named or await self._whose(http)
        return [
            ConnectionStep(name="credential", ok=True, detail=f"accepted as {name}" if name else "accepted"),
            read,
        ]

    @property
    def _named(self) -> str | None:
        """The account as the settings name it. A client of OAuth, or an API key, may stand for another one than theirs."""
        return self.settings.username if isinstance(self.settings.auth, Basic | Password | None) else None

    async def _read(self, http: Http, table: str) -> ConnectionStep:
        """Whether the account sees the table's records, and by what they are found again; raises where there is no such table."""
        params = {"sysparm_limit": "20", "sysparm_fields": "sys_id,correlation_id"}
        params["sysparm_query"] = "ORDERBYDESCsys_created_on"
        response = await http.send(Request("GET", path_of(table), f"GET /table/{table}", params=params))
        rows = response.parsed(_records)
        name = f"read access to {table}"
        if not rows and counted(response):
            return await self._read_own(http, table, name)
        if rows and table != INCIDENTS and not any("correlation_id" in row for row in rows):
            return ConnectionStep(name=name, ok=False, detail=NO_KEY.format(table))
        return ConnectionStep(name=name, ok=True, detail="granted")

    async def _read_own(self, http: Http, table: str, name: str) -> ConnectionStep:
        """The same of an account that sees none of the newest records: those that it made itself are enough to go on with."""
        myself = self._named or ""
        whose = myself if PLAIN_NAME.fullmatch(myself) else MYSELF
        params = {"sysparm_query": f"sys_created_by={whose}", "sysparm_fields": "sys_id", "sysparm_limit": "1"}
        response = await http.send(Request("GET", path_of(table), f"GET /table/{table}", params=params))
        if stored_rows(response):
            return ConnectionStep(name=name, ok=True, detail=OWN_ONLY)
        if counted(response):
            return ConnectionStep(name=name, ok=False, detail=UNSEEN.format(table))
        return ConnectionStep(name=name, ok=None, detail=NONE_OWN)

    async def rights(self, http: Http, needs: Needs) -> list[ConnectionStep]:
        """There is no dry run for the right to create; the table of a job can at least be read, and files be listed."""
        table = needs.target or INCIDENTS
        steps = [] if table == self.settings.table else [await self._read(http, table)]
        created = "right to create incidents" if table == INCIDENTS else f"right to create in {table}"
        steps.append(ConnectionStep(name=created, ok=None, detail="ServiceNow has no dry run for it"))
        if needs.files:
            request = Request("GET", FILES, "GET /attachment", params={"sysparm_limit": "1"})
            stored_rows(await http.send(request))
            steps.append(ConnectionStep(name="read access to attachments", ok=True, detail="granted"))
        return steps

    async def _whose(self, http: Http) -> str:
        """The user that a token belongs to; empty where it may not ask, or where the instance ignores the question."""
        query = {
            "sysparm_query": f"user_name={MYSELF}",
            "sysparm_fields": "user_name",
            "sysparm_limit": "2",
        }
        try:
            response = await http.send(Request("GET", USERS, "GET /table/sys_user", params=query))
            rows = stored_rows(response)
        except AttemptFailed:
            return ""
        return str(rows[0].get("user_name", "")) if len(rows) == 1 else ""


def _records(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records in an answer, each of which has its id: rows of another product have not."""
    rows = rows_in(answer)
    for row in rows:
        identifier(row["sys_id"])
    return rows
