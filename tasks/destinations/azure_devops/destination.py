"""Azure DevOps: an issue as a work item, found again by a tag of its own.

A bad PAT gets a sign-in page, not a 401. WIQL lags behind writes by seconds and `CONTAINS` matches loosely, so hits are
read and their tags compared exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, field_validator

from tasks.credentials.kinds import (
    Basic,
    Certificate,
    ClientCredentials,
    Endpoints,
    Login,
    Renewable,
    Token,
    WorkloadIdentity,
)
from tasks.destinations.azure_devops.answers import dry_run, signed_in, work_item
from tasks.destinations.azure_devops.verdict import DEACTIVATED, VERSION, verdict
from tasks.destinations.contract import (
    Destination,
    DestinationSettings,
    Needs,
    Prepared,
    Work,
    basic,
    endpoints_of,
    identifier,
    stored,
)
from tasks.errors import DestinationTrouble, Permanent, Transient
from tasks.http.exchange import Http, Request, Response
from tasks.http.origin import checked_url
from tasks.markup import azure_devops, clean
from tasks.model import Command, ConnectionStep, CreateAzureDevOpsWorkItem, Frozen, Issue, Link, Receipt

TITLE_LENGTH = 255
TAG_LENGTH = 400
FIELD_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$")
OURS = frozenset({"System.Tags", "System.Id", "System.Rev", "System.TeamProject", "System.WorkItemType"})
SEVERITIES: Mapping[int, str] = {1: "1 - Critical", 2: "2 - High", 3: "3 - Medium", 4: "4 - Low"}
LINK_COMMENT = "Afterword:"
ENTRA = "https://login.microsoftonline.com"
SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"  # Azure DevOps, whatever the client was granted there
NO_SIGN_IN = {"X-TFS-FedAuthRedirect": "Suppress"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


class AzureDevOpsSettings(DestinationSettings):
    """An organisation. `project` is the one that the connection test looks at."""

    kind: Literal["azure_devops"] = "azure_devops"
    org_url: str
    project: str | None = None
    work_item_type: str = "Bug"
    body_format: Literal["html", "markdown"] = "html"
    api_version: str = Field(default="7.1", pattern=r"^[0-9]\.[0-9]$")
    write_lag_s: float = Field(default=30.0, ge=0, le=600)
    auth: Basic | Token | ClientCredentials | Certificate | WorkloadIdentity | Login | None = Field(
        default=None, discriminator="type"
    )

    @property
    def login_lacks(self) -> str:
        """The tenant, which is a part of Entra's addresses."""
        missing = isinstance(self.auth, ClientCredentials | Login) and not self.auth.tenant and not self.auth.token_url
        return f"`{self.auth.type}` needs `tenant`, the directory of the client" if missing and self.auth else ""

    @field_validator("org_url")
    @classmethod
    def _organisation(cls, value: str) -> str:
        return checked_url(value)

    @property
    def endpoints(self) -> Endpoints:
        """Microsoft Entra's v2.0 endpoints of the tenant."""
        if not isinstance(self.auth, Renewable):
            return super().endpoints
        tenant = f"{self.vendors(ENTRA)}/{getattr(self.auth, 'tenant', None)}/oauth2/v2.0"
        more = ("offline_access",) if isinstance(self.auth, Login) else ()
        return endpoints_of(self.auth, f"{tenant}/token", (SCOPE, *more), authorize_url=f"{tenant}/authorize")

    @property
    def address(self) -> str:
        """The organisation."""
        return self.org_url


class WorkItemPlan(Frozen):
    """A work item's type and fields, and the pages it links to."""

    type: str
    fields: dict[str, str | int | float | bool]
    tag: str
    formats: dict[str, str] = Field(default_factory=dict)
    links: tuple[Link, ...] = ()

    def operations(self, fields: Mapping[str, str | int | float | bool]) -> list[dict[str, object]]:
        """JSON Patch operations that write `fields`, and say which of them are Markdown."""
        written = [_operation("add", f"/fields/{_pointer(name)}", value) for name, value in fields.items()]
        formats = {name: form for name, form in self.formats.items() if name in fields}
        return written + [
            _operation("add", f"/multilineFieldsFormat/{_pointer(name)}", form) for name, form in formats.items()
        ]


class AzureDevOps(Destination[AzureDevOpsSettings]):
    """One Azure DevOps organisation or collection."""

    judge = staticmethod(verdict)

    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """Basic with an empty user and the PAT."""
        return basic("", stored(secret)) | NO_SIGN_IN

    def bearer(self, token: str) -> Mapping[str, str]:
        """Entra's access token."""
        return {**super().bearer(token), **NO_SIGN_IN}

    def prepare(self, work: Work) -> Prepared[WorkItemPlan]:
        """The work item's fields from the issue, with the job's overrides."""
        command, issue = work.command, work.issue
        if issue is None or not isinstance(command, CreateAzureDevOpsWorkItem):
            raise Permanent("Azure DevOps takes issues only.", code="wrong_kind")
        kind = command.config.work_item_type or self.settings.work_item_type
        body = "Microsoft.VSTS.TCM.ReproSteps" if kind == "Bug" else "System.Description"
        tag = f"aw-{work.subject}"
        fields: dict[str, str | int | float | bool] = {
            "System.Title": clean.plain_title(issue.title, TITLE_LENGTH),
            body: azure_devops.render_markdown(issue.description, title=issue.title)
            if self.settings.body_format == "markdown"
            else azure_devops.render(issue.description, title=issue.title),
        }
        severity = command.config.severity or issue.severity
        if severity:
            fields["Microsoft.VSTS.Common.Priority"] = severity
            if kind == "Bug":
                fields["Microsoft.VSTS.Common.Severity"] = SEVERITIES[severity]
        for name, value in command.config.fields.items():
            if not FIELD_NAME.match(name) or name in OURS:
                raise Permanent(
                    f"{name!r:.60} can't be set as a field of a work item.",
                    code="unknown_field",
                    advice="Use the field's reference name, such as System.AreaPath.",
                )
            fields[name] = value
        fields["System.Tags"] = "; ".join([*_tags(issue), tag])
        formats = {body: "Markdown"} if self.settings.body_format == "markdown" else {}
        texts = {name: str(value) for name, value in fields.items()} | {"System.Tags": "; ".join(_tags(issue))}
        return Prepared(texts, WorkItemPlan(type=kind, fields=fields, tag=tag, formats=formats, links=work.links))

    async def deliver(
        self, work: Work, prepared: Prepared[WorkItemPlan], http: Http, now_ms: Callable[[], int]
    ) -> Receipt:
        """Update the subject's work item, or create it."""
        command = work.command
        if not isinstance(command, CreateAzureDevOpsWorkItem):
            raise Permanent("Azure DevOps takes issues only.", code="wrong_kind")
        plan = prepared.plan
        item = await self._known(http, command.project, work.previous.id) if work.previous else None
        found = False
        # "Not found" for an item that was delivered may mean that it was moved or misread: look by its tag as well.
        if item is None and (work.previous is not None or work.doubt_until_ms is not None):
            item = await self._look_up(http, command.project, plan.tag)
            found = item is not None
            if item is None:
                work.settle_doubt(now_ms())
        if item is None:
            return _receipt(await self._create(http, command.project, plan), "created")
        if command.config.if_exists == "skip":
            return _receipt(item, "skipped")
        present = item.get("fields", {})
        tags = list(dict.fromkeys([*_split_tags(present), *_split_tags(plan.fields)]))
        fields = plan.fields | {"System.Tags": "; ".join(tags)}
        differing = {name: value for name, value in fields.items() if not _same(name, present.get(name), value)}
        if not differing:
            return _receipt(item, "found" if found else "unchanged")
        operations = plan.operations(differing)
        operations += _relinked(item, plan.links) if plan.links else []
        return _receipt(await self._patch(http, command.project, item, operations, plan), "updated")

    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the work item's hyperlinks to the issue's pages up to date."""
        command, previous = work.command, work.previous
        if previous is None or not isinstance(command, CreateAzureDevOpsWorkItem):
            raise Permanent("The job has no work item to link from.", code="unknown_item")
        item = await self._item(http, command.project, previous.id)
        if item is None:
            gone = ("The work item is not there any more.",)
            return previous.model_copy(update={"change": "skipped", "warnings": gone})
        operations = _relinked(item, work.links)
        if not operations:
            return previous.model_copy(update={"change": "unchanged", "warnings": ()})
        plan = WorkItemPlan(type=str(item.get("fields", {}).get("System.WorkItemType", "")), fields={}, tag="")
        written = await self._patch(http, command.project, item, operations, plan)
        return previous.model_copy(update={"change": "updated", "version": written.get("rev"), "warnings": ()})

    async def _patch(
        self, http: Http, project: str, item: Mapping[str, Any], operations: list[dict[str, object]], plan: WorkItemPlan
    ) -> dict[str, Any]:
        """Change the work item, if it is still the revision that was read."""
        request = Request(
            "PATCH",
            f"/{quote(project)}/_apis/wit/workitems/{quote(str(item['id']))}",
            "PATCH /wit/workitems/{id}",
            params=self._version(),
            headers=JSON_PATCH,
            body=_dump([_operation("test", "/rev", item["rev"]), *operations]),
            writes=True,
        )
        response = await http.send(request, accept=frozenset({400, 404, 412}))
        if response.status == 412:
            raise Transient("Somebody changed the work item meanwhile.", code="conflict", status=412, answered=True)
        if response.status == 200:
            return response.parsed(work_item)
        if b"RelationAlreadyExists" in response.body:
            raise Transient("The link was added meanwhile.", code="conflict", status=response.status, answered=True)
        raise await self._explain(http, response, project, plan)

    async def _create(self, http: Http, project: str, plan: WorkItemPlan, *, validate: bool = False) -> dict[str, Any]:
        operations = [*plan.operations(plan.fields), *_relinked({}, plan.links)]
        params = self._version() | ({"validateOnly": "true"} if validate else {})
        response = await http.send(
            Request(
                "POST",
                f"/{quote(project)}/_apis/wit/workitems/${quote(plan.type)}",
                "POST /wit/workitems/${type}",
                params=params,
                headers=JSON_PATCH,
                body=_dump(operations),
                writes=not validate,
            ),
            accept=frozenset({400, 404}),
        )
        if response.status in (400, 404):
            raise await self._explain(http, response, project, plan)
        return response.parsed(dry_run if validate else work_item)

    async def _item(self, http: Http, project: str, item_id: str) -> dict[str, Any] | None:
        path = f"/{quote(project)}/_apis/wit/workitems/{quote(item_id)}"
        response = await http.send(
            Request("GET", path, "GET /wit/workitems/{id}", params=self._version() | {"$expand": "all"}),
            accept=frozenset({404}),
        )
        return None if response.status == 404 else response.parsed(work_item)

    async def _known(self, http: Http, project: str, item_id: str) -> dict[str, Any] | None:
        """The item of an earlier delivery; None where it lies in the recycle bin.

        A 404 says "doesn't exist, or no permission to read it". Raises `Permanent` where the bin doesn't hold it
        either: a second work item would stand beside one that this account can't see.
        """
        item = await self._item(http, project, item_id)
        if item is not None:
            return item
        path = f"/{quote(project)}/_apis/wit/recyclebin/{quote(item_id)}"
        request = Request("GET", path, "GET /wit/recyclebin/{id}", params=self._version())
        response = await http.send(request, accept=frozenset({403, 404}))
        if response.status == 200:
            return None
        raise Permanent(
            f"Work item {item_id} is not to be seen and not in the recycle bin: it was moved or destroyed, "
            "or the account may not read it.",
            code="hidden",
            advice="Give the account the right to read it, then `afterword job retry`; for a new work item, submit with "
            "`if_exists: new`.",
            status=404,
        )

    async def _look_up(self, http: Http, project: str, tag: str) -> dict[str, Any] | None:
        """The work item with our tag."""
        query = (
            "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject]=@project "
            f"AND [System.Tags] CONTAINS '{tag}' ORDER BY [System.Id]"
        )
        response = await http.send(
            Request(
                "POST",
                f"/{quote(project)}/_apis/wit/wiql",
                "POST /wit/wiql",
                params=self._version(),
                json={"query": query},
            ),
            accept=frozenset({404}),
        )
        if response.status == 404:
            raise _no_project(project, response)
        for number in response.parsed(lambda answer: [identifier(row["id"]) for row in answer["workItems"]]):
            item = await self._item(http, project, number)
            if item is not None and tag in _split_tags(item.get("fields", {})):
                return item
        return None

    async def _explain(self, http: Http, response: Response, project: str, plan: WorkItemPlan) -> Permanent:
        """What was refused: the project, the type (naming those that exist), or a field."""
        try:
            answer = response.json()
        except Transient:
            answer = {}
        words = response.words()
        reason = str(answer.get("typeKey", "") if isinstance(answer, dict) else "") + words
        if "ProjectDoesNotExist" in reason or "TF200016" in reason:
            return _no_project(project, response)
        if "WorkItemTypeNotFound" in reason or "VS402323" in reason:
            names = ", ".join(await self._types(http, project)) or "none to be seen"
            return Permanent(
                f"Project {project!r} has no work item type {plan.type!r}; it has: {names}.",
                code="unknown_type",
                advice="Name one of these (`--type`, `work_item_type`).",
                status=response.status,
            )
        code = "unknown_field" if "TF51535" in reason else "refused"
        return Permanent(
            f"Azure DevOps refused the work item ({response.status}). It said: {words!r}",
            code=code,
            advice="Correct what it names, then `afterword job retry`.",
            status=response.status,
            excerpt=words,
        )

    async def _types(self, http: Http, project: str) -> list[str]:
        path = f"/{quote(project)}/_apis/wit/workitemtypes"
        response = await http.send(
            Request("GET", path, "GET /wit/workitemtypes", params=self._version()), accept=frozenset({404})
        )
        if response.status == 404:
            return []
        return response.parsed(lambda answer: [str(row["name"]) for row in answer["value"]])

    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """The project and the type."""
        item_type = plan.type if isinstance(plan, WorkItemPlan) else self.settings.work_item_type
        project = command.project if isinstance(command, CreateAzureDevOpsWorkItem) else self.settings.project
        return Needs(target=project, item_type=item_type)

    async def reach(self, http: Http) -> list[ConnectionStep]:
        """Who is signed in, and whether the server speaks the API version; the token needn't be allowed to list projects.

        An organisation with public projects answers anybody: as nobody.
        """
        response = await http.send(Request("GET", "/_apis/connectionData", "GET /connectionData"))
        name = response.parsed(signed_in)
        params = self._version() | {"$top": "1"}
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
            Request("GET", f"/_apis/projects/{quote(project)}", "GET /projects/{project}", params=self._version()),
            accept=frozenset({404}),
        )
        if response.status == 404:
            missing = f"there is no project {project!r}, or the account can't see it"
            return [ConnectionStep(name="project", ok=False, detail=missing)]
        steps = [ConnectionStep(name="project", ok=True, detail=project)]
        types = await self._types(http, project)
        known = kind in types
        detail = kind if known else f"project {project!r} has no type {kind!r}; it has: {', '.join(types)}"
        steps.append(ConnectionStep(name="work item type", ok=known, detail=detail))
        if known:
            plan = WorkItemPlan(type=kind, fields={"System.Title": "Afterword connection test"}, tag="")
            try:
                await self._create(http, project, plan, validate=True)
                steps.append(ConnectionStep(name="right to create work items", ok=True, detail="dry run accepted"))
            except (Permanent, DestinationTrouble) as refused:
                if isinstance(refused, DestinationTrouble) and refused.passing != "job":
                    raise
                steps.append(ConnectionStep(name="right to create work items", ok=False, detail=str(refused)))
        return steps

    def _version(self) -> dict[str, str]:
        return {"api-version": self.settings.api_version}


def _no_project(project: str, response: Response) -> Permanent:
    return Permanent(
        f"There is no project {project!r}, or the account can't see it.",
        code="unknown_project",
        advice="Check the name and the account's rights, then submit again.",
        status=response.status,
    )


def _tags(issue: Issue) -> list[str]:
    """The issue's tags in the form that Azure DevOps takes: no comma or semicolon, no leading @."""
    cleaned = (clean.plain_title(re.sub(r"[,;]", " ", tag), TAG_LENGTH).lstrip("@ ") for tag in issue.tags)
    return list(dict.fromkeys(tag for tag in cleaned if tag and not tag.startswith("aw-")))[:90]


def _split_tags(fields: Mapping[str, Any]) -> list[str]:
    return [tag.strip() for tag in str(fields.get("System.Tags") or "").split(";") if tag.strip()]


def _same(name: str, stored: object, sent: object) -> bool:
    if name == "System.Tags":
        return sorted(_split_tags({name: stored})) == sorted(_split_tags({name: sent}))
    return str(stored) == str(sent)


def _relinked(item: Mapping[str, Any], links: tuple[Link, ...]) -> list[dict[str, object]]:
    """The operations that make the item's hyperlinks of ours lead to these pages; a person's link is left alone."""
    present = [
        (place, str(row.get("url")), str((row.get("attributes") or {}).get("comment") or ""))
        for place, row in enumerate(item.get("relations") or [])
        if row.get("rel") == "Hyperlink"
    ]
    wanted = {link.url: f"{LINK_COMMENT} {link.title}" for link in links}
    stale = [place for place, url, comment in present if comment.startswith(LINK_COMMENT) and url not in wanted]
    there = {url for _, url, _ in present}
    removals: list[dict[str, object]] = [{"op": "remove", "path": f"/relations/{place}"} for place in reversed(stale)]
    return removals + [
        _operation("add", "/relations/-", {"rel": "Hyperlink", "url": url, "attributes": {"comment": comment}})
        for url, comment in wanted.items()
        if url not in there
    ]


def _pointer(name: str) -> str:
    """A JSON Pointer segment (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _operation(op: str, path: str, value: object) -> dict[str, object]:
    return {"op": op, "path": path, "value": value}


def _dump(operations: list[dict[str, object]]) -> bytes:
    return json.dumps(operations, ensure_ascii=False).encode("utf-8", "replace")


def _receipt(
    item: Mapping[str, Any], change: Literal["created", "updated", "unchanged", "found", "skipped"]
) -> Receipt:
    number = str(item["id"])
    return Receipt(id=number, url=item["url"], ticket_number=number, change=change, version=item["rev"])
