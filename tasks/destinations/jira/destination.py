"""Jira: an issue as an issue of a project, found again by a label of its own and known by a property.

JQL lags behind writes by seconds and shows an account only what it may browse, so hits are read and compared exactly, and
the right to browse is looked at before an empty answer counts. A copy that a person made has the label, not the property.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.destinations.contract import Destination, Needs, Prepared, Work, basic, stored
from tasks.destinations.jira.api import JiraApi
from tasks.destinations.jira.issue import Keeper, chosen_type
from tasks.destinations.jira.plan import IssuePlan, plan_of, texts_of
from tasks.destinations.jira.settings import JiraSettings
from tasks.destinations.jira.verdict import verdict
from tasks.errors import Permanent
from tasks.http.exchange import Http
from tasks.http.message import Request
from tasks.model import Command, ConnectionStep, CreateJiraIssue, Receipt
from tasks.model.remote import Observed


class Jira(Destination[JiraSettings]):
    """One Jira site."""

    judge = staticmethod(verdict)

    @property
    def probe(self) -> Request:
        """Whose the token is."""
        return Request("GET", "/rest/api/3/myself", "GET /myself")

    @property
    def vendor(self) -> str:
        """Cloud or Data Center."""
        return "Jira Cloud, API v3" if self.settings.cloud else "Jira Data Center, REST API v2"

    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """Basic with an account, as for the Cloud's API tokens; bearer with a token alone."""
        secret, account = stored(secret), self.settings.account_name
        return self.bearer(secret) if account is None else basic(account, secret)

    def prepare(self, work: Work) -> Prepared[IssuePlan]:
        """The issue's fields, with the mapping and the job's overrides."""
        plan = plan_of(self.settings, work)
        return Prepared(texts_of(plan), plan)

    async def deliver(
        self, work: Work, prepared: Prepared[IssuePlan], http: Http, now_ms: Callable[[], int]
    ) -> Receipt:
        """Update the subject's issue, or create it."""
        return await Keeper(self.settings, work, prepared.plan, self._api(http), now_ms).deliver()

    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the issue's links to the pages of the same issue up to date."""
        previous = work.previous
        if previous is None:
            raise Permanent("The job has no issue to link from.", code="unknown_item")
        changed = await self._api(http).relink(previous.id, work.links)
        if changed is None:
            gone = ("The issue is not there any more.",)
            return previous.model_copy(update={"change": "skipped", "warnings": gone})
        return previous.model_copy(update={"change": "updated" if changed else "unchanged", "warnings": ()})

    async def observe(self, tickets: Mapping[str, Receipt], http: Http) -> Mapping[str, Observed]:
        """Found by our labels, as the index has them; a copy of one has another id."""
        site = self.settings.site_url or self.settings.base_url
        found = await self._api(http).followed([f"aw-{subject}" for subject in tickets], site)
        return {subject: found[receipt.id] for subject, receipt in tickets.items() if receipt.id in found}

    def _api(self, http: Http) -> JiraApi:
        return JiraApi(http, cloud=self.settings.cloud)

    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """The project and the type."""
        project = command.project if isinstance(command, CreateJiraIssue) else self.settings.project
        kind = plan.item_type if isinstance(plan, IssuePlan) else self.settings.issue_type
        return Needs(target=project, item_type=kind, files=self.settings.attach_document != "never")

    async def reach(self, http: Http) -> list[ConnectionStep]:
        """Who is signed in; Jira answers many questions of anybody, this one not."""
        name = await self._api(http).myself()
        return [ConnectionStep(name="credential", ok=True, detail=f"accepted as {name}")]

    async def rights(self, http: Http, needs: Needs) -> list[ConnectionStep]:
        """The project, the rights to see and to create issues, and the type."""
        project, api = needs.target, self._api(http)
        if project is None:
            return [ConnectionStep(name="project", ok=None, detail="none is configured to look at")]
        if not await api.has_project(project):
            missing = f"there is no project {project!r}, or the account can't see it"
            return [ConnectionStep(name="project", ok=False, detail=missing)]
        steps = [ConnectionStep(name="project", ok=True, detail=project)]
        files = (("CREATE_ATTACHMENTS", "attach files to"),) if needs.files else ()
        for name, words in (("BROWSE_PROJECTS", "see"), ("CREATE_ISSUES", "create"), *files):
            may = await api.may(project, name)
            detail = "granted" if may else f"the account lacks {name} in project {project!r}"
            steps.append(ConnectionStep(name=f"right to {words} issues", ok=may, detail=detail))
        types = await api.types(project) or []
        kind = chosen_type(types, needs.item_type)
        names = ", ".join(each.name for each in types)
        detail = kind.name if kind else f"project {project!r} has no type {needs.item_type!r}; it has: {names}"
        return [*steps, ConnectionStep(name="issue type", ok=kind is not None, detail=detail)]
