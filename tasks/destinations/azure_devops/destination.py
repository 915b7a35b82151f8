"""Azure DevOps: an issue as a work item, found again by a tag of its own. A work item's life is in `item`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

from tasks.destinations.azure_devops.answers import signed_in
from tasks.destinations.azure_devops.item import Keeper
from tasks.destinations.azure_devops.items import FieldsRefused, Items
from tasks.destinations.azure_devops.observed import items
from tasks.destinations.azure_devops.patches import operation, relinked
from tasks.destinations.azure_devops.plan import WorkItemPlan, plan_of, texts_of
from tasks.destinations.azure_devops.settings import AzureDevOpsSettings
from tasks.destinations.azure_devops.verdict import DEACTIVATED, VERSION, verdict
from tasks.destinations.contract import Destination, Needs, Prepared, Work, basic, stored
from tasks.errors import DestinationTrouble, Permanent
from tasks.http.exchange import Http
from tasks.http.message import Request
from tasks.model import Command, ConnectionStep, CreateAzureDevOpsWorkItem, Receipt
from tasks.model.remote import Observed

RULED = "can't be told: the type has rules that a work item with a title alone doesn't meet. It said: {!r}"
NO_SIGN_IN = {"X-TFS-FedAuthRedirect": "Suppress"}


class AzureDevOps(Destination[AzureDevOpsSettings]):
    """One Azure DevOps organisation or collection."""

    judge = staticmethod(verdict)

    @property
    def vendor(self) -> str:
        """The service or a server, by the version of the API that it speaks."""
        return f"Azure DevOps, API {self.settings.api_version}"

    @property
    def signs_in_by_page(self) -> bool:
        """A bad PAT is answered so."""
        return True

    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """Basic with an empty user and the PAT."""
        return basic("", stored(secret)) | NO_SIGN_IN

    def bearer(self, token: str) -> Mapping[str, str]:
        """Entra's access token."""
        return {**super().bearer(token), **NO_SIGN_IN}

    def prepare(self, work: Work) -> Prepared[WorkItemPlan]:
        """The work item's fields from the issue, with the mapping and the job's overrides."""
        plan = plan_of(self.settings, work)
        return Prepared(texts_of(plan), plan)

    def _items(self, work: Work, http: Http) -> Items:
        """The project that the job writes to."""
        if not isinstance(work.command, CreateAzureDevOpsWorkItem):
            raise Permanent("Azure DevOps takes issues only.", code="wrong_kind")
        return Items(http, self.settings.api_version, work.command.project or "")

    async def deliver(
        self, work: Work, prepared: Prepared[WorkItemPlan], http: Http, now_ms: Callable[[], int]
    ) -> Receipt:
        """Update the subject's work item, or create it."""
        return await Keeper(self.settings, work, prepared.plan, self._items(work, http), now_ms).deliver()

    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the work item's hyperlinks to the issue's pages up to date."""
        previous, items = work.previous, self._items(work, http)
        if previous is None:
            raise Permanent("The job has no work item to link from.", code="unknown_item")
        item = await items.item(previous.id)
        if item is None:
            gone = ("The work item is not there any more.",)
            return previous.model_copy(update={"change": "skipped", "warnings": gone})
        operations = relinked(item, work.links)
        if not operations:
            return previous.model_copy(update={"change": "unchanged", "warnings": ()})
        written = await items.patch(item, operations, kind=str(item.get("fields", {}).get("System.WorkItemType", "")))
        return previous.model_copy(update={"change": "updated", "version": written.get("rev"), "warnings": ()})

    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """The project and the type."""
        item_type = plan.type if isinstance(plan, WorkItemPlan) else self.settings.work_item_type
        project = command.project if isinstance(command, CreateAzureDevOpsWorkItem) else self.settings.project
        return Needs(target=project, item_type=item_type)

    async def observe(self, tickets: Mapping[str, Receipt], http: Http) -> Mapping[str, Observed]:
        """Read by their ids in one request."""
        found = await items(http, self.settings.api_version, [receipt.id for receipt in tickets.values()])
        return {subject: found[receipt.id] for subject, receipt in tickets.items() if receipt.id in found}

    async def reach(self, http: Http) -> list[ConnectionStep]:
        """Who is signed in, and whether the server speaks the API version; the token needn't be allowed to list projects.

        An organisation with public projects answers anybody: as nobody.
        """
        response = await http.send(Request("GET", "/_apis/connectionData", "GET /connectionData"))
        name = response.parsed(signed_in)
        params = self._version | {"$top": "1"}
        request = Request("GET", "/_apis/projects", "GET /projects", params=params)
        try:
            await http.send(request)
        except Permanent:
            pass
        except DestinationTrouble as refused:
            if refused.code in (VERSION.code, DEACTIVATED.code):
                raise
        nobody = "the organisation takes it for nobody's: it answers as it answers anonymous visitors"
        return [ConnectionStep(name="credential", ok=bool(name), detail=f"accepted as {name}" if name else nobody)]

    async def rights(self, http: Http, needs: Needs) -> list[ConnectionStep]:
        """The project, the type, then a validated dry run of a create."""
        project, kind = needs.target, needs.item_type or self.settings.work_item_type
        if project is None:
            return [ConnectionStep(name="project", ok=None, detail="none is configured to look at")]
        response = await http.send(
            Request("GET", f"/_apis/projects/{quote(project)}", "GET /projects/{project}", params=self._version),
            accept=frozenset({404}),
        )
        if response.status == 404:
            missing = f"there is no project {project!r}, or the account can't see it"
            return [ConnectionStep(name="project", ok=False, detail=missing)]
        steps = [ConnectionStep(name="project", ok=True, detail=project)]
        items = Items(http, self.settings.api_version, project)
        types = await items.types()
        known = kind.casefold() in (name.casefold() for name in types)
        detail = kind if known else f"project {project!r} has no type {kind!r}; it has: {', '.join(types)}"
        steps.append(ConnectionStep(name="work item type", ok=known, detail=detail))
        if known:
            title = operation("add", "/fields/System.Title", "Afterword connection test")
            try:
                await items.create(kind, [title], validate=True)
                steps.append(ConnectionStep(name="right to create work items", ok=True, detail="dry run accepted"))
            except FieldsRefused as refused:
                ok, said = (None, RULED.format(refused.excerpt)) if refused.fields else (False, str(refused))
                steps.append(ConnectionStep(name="right to create work items", ok=ok, detail=said))
            except (Permanent, DestinationTrouble) as refused:
                if isinstance(refused, DestinationTrouble) and refused.passing != "job":
                    raise
                steps.append(ConnectionStep(name="right to create work items", ok=False, detail=str(refused)))
        return steps

    @property
    def _version(self) -> dict[str, str]:
        return {"api-version": self.settings.api_version}
