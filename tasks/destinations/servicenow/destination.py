"""ServiceNow: an issue as an incident, found again by `correlation_id`. An incident's life is in `incident`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.credentials.kinds import ApiKey, Basic, Password, Token
from tasks.destinations.contract import Destination, Needs, Prepared, Work, basic, rows_of, stored
from tasks.destinations.servicenow.incident import Keeper, link_incident
from tasks.destinations.servicenow.observed import incidents
from tasks.destinations.servicenow.plan import IncidentPlan, plan_of, texts_of
from tasks.destinations.servicenow.settings import ServiceNowSettings
from tasks.destinations.servicenow.table import FILES, TABLE, counted
from tasks.destinations.servicenow.verdict import verdict
from tasks.errors import AttemptFailed
from tasks.http.exchange import Http, Request
from tasks.model import Command, ConnectionStep, Receipt
from tasks.model.remote import Observed

USERS = "/api/now/table/sys_user"
UNSEEN = "incidents are counted and not shown: give the account read access to the table incident"


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

    def prepare(self, work: Work) -> Prepared[IncidentPlan]:
        """The incident's fields from the issue, with the mapping and the job's overrides."""
        plan = plan_of(self.settings, work)
        return Prepared(texts_of(plan), plan)

    async def deliver(
        self, work: Work, prepared: Prepared[IncidentPlan], http: Http, now_ms: Callable[[], int]
    ) -> Receipt:
        """Update the subject's incident, or create it; then its attachment."""
        return await Keeper(self.settings, work, prepared.plan, http, now_ms).deliver()

    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the lines of links at the description's end up to date."""
        return await link_incident(work, http)

    async def observe(self, tickets: Mapping[str, Receipt], http: Http) -> Mapping[str, Observed]:
        """Read by their ids in one request."""
        found = await incidents(http, self.settings.instance_url, [receipt.id for receipt in tickets.values()])
        return {subject: found[receipt.id] for subject, receipt in tickets.items() if receipt.id in found}

    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """The incident table, and attachments where the plan has one."""
        return Needs(files=isinstance(plan, IncidentPlan) and plan.attachment is not None)

    async def reach(self, http: Http) -> list[ConnectionStep]:
        """Rows of the table that every job writes to, then whose credential it is."""
        params = {"sysparm_limit": "20", "sysparm_fields": "sys_id", "sysparm_query": "ORDERBYDESCsys_created_on"}
        response = await http.send(Request("GET", TABLE, "GET /table/incident", params=params))
        rows = response.parsed(lambda answer: rows_of(answer, "result"))
        seen = bool(rows) or not counted(response)
        # A client of OAuth, or an API key, may stand for another account than the one that is named beside it.
        told = isinstance(self.settings.auth, Basic | Password | None)
        name = (self.settings.username if told else None) or await self._whose(http)
        return [
            ConnectionStep(name="credential", ok=True, detail=f"accepted as {name}" if name else "accepted"),
            ConnectionStep(name="read access to incident", ok=seen, detail="granted" if seen else UNSEEN),
        ]

    async def rights(self, http: Http, needs: Needs) -> list[ConnectionStep]:
        """There is no dry run for the right to create; files can at least be listed."""
        steps = [ConnectionStep(name="right to create incidents", ok=None, detail="ServiceNow has no dry run for it")]
        if needs.files:
            request = Request("GET", FILES, "GET /attachment", params={"sysparm_limit": "1"})
            (await http.send(request)).parsed(lambda answer: rows_of(answer, "result"))
            steps.append(ConnectionStep(name="read access to attachments", ok=True, detail="granted"))
        return steps

    async def _whose(self, http: Http) -> str:
        """The user that a token belongs to; empty where it may not ask, or where the instance ignores the question."""
        query = {
            "sysparm_query": "user_name=javascript:gs.getUserName()",
            "sysparm_fields": "user_name",
            "sysparm_limit": "2",
        }
        try:
            response = await http.send(Request("GET", USERS, "GET /table/sys_user", params=query))
            rows = response.parsed(lambda answer: rows_of(answer, "result"))
        except AttemptFailed:
            return ""
        return str(rows[0].get("user_name", "")) if len(rows) == 1 else ""
