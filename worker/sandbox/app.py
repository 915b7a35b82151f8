"""The sandbox's application: the vendors, a control interface, and pages that show what was delivered."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.markup.jira import adf
from worker.sandbox import pages
from worker.sandbox.accounts import Denial
from worker.sandbox.atlassian import AtlassianAuthority, through_gateway
from worker.sandbox.authority import issued_to
from worker.sandbox.azure_devops.api import AzureDevOps
from worker.sandbox.azure_devops.authority import EntraAuthority
from worker.sandbox.confluence.access import ConfluenceAccess
from worker.sandbox.confluence.cloud import ConfluenceCloud
from worker.sandbox.confluence.comments import ConfluenceComments, add_comment
from worker.sandbox.confluence.datacenter import ConfluenceContent
from worker.sandbox.confluence.files import ConfluenceFiles
from worker.sandbox.confluence.folders import ConfluenceFolders
from worker.sandbox.confluence.rules import Pages, Refusal
from worker.sandbox.confluence.search import ConfluenceSearch
from worker.sandbox.faults.answers import Handler
from worker.sandbox.faults.middleware import failing
from worker.sandbox.faults.register import Faults, Sleep
from worker.sandbox.jira.api import Jira
from worker.sandbox.listener import Listener
from worker.sandbox.permissions import guarding
from worker.sandbox.request_marks import OWN
from worker.sandbox.servicenow.api import ServiceNow
from worker.sandbox.servicenow.authority import ServiceNowAuthority
from worker.sandbox.servicenow.incident import update
from worker.sandbox.setup import Setup
from worker.sandbox.store import Store
from worker.sandbox.tokens import TokenRules, reading_credentials

BODY_LIMIT = 20 * 2**20


def create_app(
    store: Store | None = None,
    *,
    sleep: Sleep = asyncio.sleep,
    listener: Listener | None = None,
    setup: Setup | None = None,
) -> web.Application:
    """A fresh sandbox over `store`, or as `setup` says. `sleep` is what slow faults wait with; `listener` is what can be
    restarted.
    """
    setup = setup or Setup()
    store = store or setup.store()
    faults = Faults(store, sleep)
    for fault in setup.fault:
        faults.add(fault)
    control = Control(store, faults, listener)
    app = web.Application(
        middlewares=[_mark_own, reading_credentials(store), failing(faults), guarding(store)],
        client_max_size=BODY_LIMIT,
    )
    app.add_routes(control.routes())
    app.on_shutdown.append(control.end)
    for authority in (AtlassianAuthority(store), ServiceNowAuthority(store), EntraAuthority(store)):
        app.add_routes(authority.routes())
    confluence = (
        ConfluenceComments,
        ConfluenceFiles,
        ConfluenceFolders,
        ConfluenceAccess,
        ConfluenceSearch,
        ConfluenceCloud,
        ConfluenceContent,
    )
    for vendor in confluence:
        app.add_routes(through_gateway(vendor(store).routes(), "confluence"))
    app.add_routes(through_gateway(Jira(store).routes(), "jira"))
    for other in (ServiceNow(store), AzureDevOps(store)):
        app.add_routes(other.routes())
    return app


@web.middleware
async def _mark_own(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The control interface and the pages are no vendor's: they are neither logged nor spoilt."""
    own = getattr(request.match_info.handler, "__self__", None)
    request[OWN] = isinstance(own, Control)
    return await handler(request)


class Edit(BaseModel):
    """A person's change to an object. The vendor can be left out for a page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    vendor: str = "confluence"
    title: str | None = None
    body: str | None = None
    status: str | None = None
    number: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)


class Absence(BaseModel):
    """How long the listener stays away, in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(default=1.0, ge=0, le=300)


class Control:
    """What tests and people tell the sandbox itself."""

    def __init__(self, store: Store, faults: Faults, listener: Listener | None = None) -> None:
        self.store = store
        self.faults = faults
        self.listener = listener

    def routes(self) -> list[web.RouteDef]:
        """All routes of the control interface and of the pages."""
        return [
            web.get("/", self.overview),
            web.get("/favicon.ico", self.no_icon),
            web.get("/_sandbox/state", self.state),
            web.get("/_sandbox/faults", self.list_faults),
            web.post("/_sandbox/faults", self.add_fault),
            web.delete("/_sandbox/faults", self.clear_faults),
            web.post("/_sandbox/permissions", self.deny),
            web.delete("/_sandbox/permissions", self.permit),
            web.post("/_sandbox/tokens", self.tokens),
            web.post("/_sandbox/reset", self.reset),
            web.post("/_sandbox/listener", self.restart_listener),
            web.post("/_sandbox/edit", self.edit),
            web.post("/_sandbox/archive", self.archive),
            web.post("/_sandbox/comment", self.comment),
            web.get("/_sandbox/files/{id}/{name}", self.file),
            web.get("/wiki/spaces/{space}/pages/{id}", self.page),
            web.get("/wiki/spaces/{space}/pages/{id}/{title}", self.page),
            web.get("/wiki/pages/viewpage.action", self.page),
            web.get("/pages/viewpage.action", self.page),
            web.get("/nav_to.do", self.incident),
            web.get("/browse/{key}", self.jira_issue),
            web.get("/{org}/{project}/_workitems/edit/{id}", self.work_item),
            web.get("/tfs/{org}/{project}/_workitems/edit/{id}", self.work_item),
        ]

    async def state(self, _: web.Request) -> web.Response:
        """Counts, objects and requests."""
        return web.json_response(self.store.summary())

    async def list_faults(self, _: web.Request) -> web.Response:
        """The faults in force."""
        return web.json_response(self.faults.listed())

    async def add_fault(self, request: web.Request) -> web.Response:
        """Put a fault in force: 201, or 400 with what isn't understood."""
        try:
            fault = self.faults.add(await request.json())
        except ValueError as error:
            return web.json_response({"message": str(error)}, status=400)
        return web.json_response(fault.spec.model_dump(), status=201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        """End all faults."""
        self.faults.clear()
        return web.Response(status=204)

    async def deny(self, request: web.Request) -> web.Response:
        """Deny the account something in a space, project or table: 201, or 400 with what isn't understood."""
        try:
            given = Denial.model_validate(await request.json())
        except ValueError as error:
            return web.json_response({"message": str(error)}, status=400)
        self.store.denied[given.vendor, given.target] = frozenset(given.deny)
        return web.json_response(given.model_dump(), status=201)

    async def permit(self, _: web.Request) -> web.Response:
        """Permit everything again."""
        self.store.denied.clear()
        return web.Response(status=204)

    async def tokens(self, request: web.Request) -> web.Response:
        """Change what becomes of tokens: 200, or 400 with what isn't understood."""
        try:
            given = TokenRules.model_validate(await request.json())
        except ValueError as error:
            return web.json_response({"message": str(error)}, status=400)
        given.apply(self.store)
        live = sum(1 for token in self.store.issued if issued_to(self.store, token))
        return web.json_response({"access_tokens": live, "refresh_tokens": len(self.store.refreshes)})

    async def reset(self, _: web.Request) -> web.Response:
        """Forget everything delivered and end all faults."""
        self.faults.clear()
        self.store.reset()
        return web.Response(status=204)

    async def restart_listener(self, request: web.Request) -> web.Response:
        """Stop listening, cut all connections and come back after `seconds`; objects stay: 202, or 409 while away."""
        try:
            given = Absence.model_validate(await request.json())
        except (ValidationError, ValueError) as error:
            return web.json_response({"message": str(error)}, status=400)
        if self.listener is None or not await self.listener.restart(given.seconds, spare=request.transport):
            return web.json_response({"message": "there is no listener to restart now"}, status=409)
        answer = web.json_response({"seconds": given.seconds}, status=202)
        answer.force_close()
        return answer

    async def end(self, _: web.Application) -> None:
        """The sandbox stops: so does a listener that was to come back."""
        if self.listener is not None:
            await self.listener.close()

    async def edit(self, request: web.Request) -> web.Response:
        """Change a page or ticket as a person would: one version on."""
        try:
            given = Edit.model_validate(await request.json())
        except (ValidationError, ValueError) as error:
            return web.json_response({"message": str(error)}, status=400)
        version = self._edited(given)
        if version is None:
            return web.json_response({"message": "no such object"}, status=404)
        return web.json_response({"version": version})

    def _edited(self, given: Edit) -> int | None:
        page, row = self.store.pages.get(given.id), self.store.incidents.get(given.id)
        item = self.store.items.get(int(given.id)) if given.id.isdigit() else None
        if given.vendor == "confluence" and page:
            page.status = given.status or page.status
            Pages(self.store).rewrite(page, given.title or page.title, page.body if given.body is None else given.body)
            return page.version
        if given.vendor == "servicenow" and row:
            named = {"short_description": given.title, "description": given.body, "state": given.status}
            update(self.store, row, {n: value for n, value in named.items() if value is not None} | given.fields)
            return int(row["sys_mod_count"])
        if given.vendor == "jira" and given.id in self.store.issues:
            return self._edited_issue(self.store.issues[given.id], given)
        if given.vendor == "azure_devops" and item:
            bug = item["fields"]["System.WorkItemType"] == "Bug"
            body = "Microsoft.VSTS.TCM.ReproSteps" if bug else "System.Description"
            named = {"System.Title": given.title, body: given.body, "System.State": given.status}
            item["fields"] |= {name: value for name, value in named.items() if value is not None} | given.fields
            item["rev"] += 1
            return int(item["rev"])
        return None

    def _edited_issue(self, issue: dict[str, Any], given: Edit) -> int:
        issue["status"], issue["key"] = given.status or issue["status"], given.number or issue["key"]
        body = None if given.body is None else adf.plain(given.body)
        named = {"summary": given.title, "description": body}
        issue["fields"] |= {name: value for name, value in named.items() if value is not None} | given.fields
        issue["rev"], issue["updated"] = issue["rev"] + 1, self.store.clock()
        return int(issue["rev"])

    async def archive(self, request: web.Request) -> web.Response:
        """Archive a page as a person would: `{"id"}`; it keeps its title."""
        given: Any = await request.json()
        page = self.store.pages.get(str(given.get("id"))) if isinstance(given, dict) else None
        if page is None:
            return web.json_response({"message": "no such page"}, status=404)
        page.status = "archived"
        return web.json_response({"status": page.status})

    async def comment(self, request: web.Request) -> web.Response:
        """Comment on words of a page as a reader would: `{"id", "selection", "index"?, "new_version"?}`."""
        given: Any = await request.json()
        rules = Pages(self.store)
        try:
            page = rules.get(str(given.get("id")))
            made = add_comment(self.store, page, str(given.get("selection")), "Why?", index=int(given.get("index", 0)))
        except Refusal as refused:
            return web.json_response({"message": str(refused)}, status=400)
        if given.get("new_version"):
            rules.rewrite(page, page.title, page.body)
        return web.json_response({"ref": made.ref, "version": page.version})

    async def overview(self, _: web.Request) -> web.Response:
        """All that was delivered."""
        return _html(pages.overview(self.store.summary()["objects"], self.faults.listed()))

    async def no_icon(self, _: web.Request) -> web.Response:
        """Browsers ask for one."""
        return web.Response(status=204)

    async def page(self, request: web.Request) -> web.Response:
        """One Confluence page."""
        return await self._one("confluence", request.match_info.get("id") or request.query.get("pageId", ""))

    async def file(self, request: web.Request) -> web.Response:
        """A page's attachment as its page shows it: pictures as such, anything else to be saved."""
        page = self.store.pages.get(request.match_info["id"])
        name = request.match_info["name"]
        found = next((file for file in page.attachments.values() if file.name == name), None) if page else None
        if found is None:
            return _html(pages.nothing(), 404)
        picture = found.media_type in pages.PICTURES
        kind = found.media_type if picture else "application/octet-stream"
        headers = pages.FILE_HEADERS | ({} if picture else {"Content-Disposition": "attachment"})
        return web.Response(body=found.content, content_type=kind, headers=headers)

    async def incident(self, request: web.Request) -> web.Response:
        """One record of ServiceNow: the address is `nav_to.do?uri=incident.do?sys_id=…`."""
        return await self._one("servicenow", request.query.get("uri", "").rpartition("sys_id=")[2])

    async def work_item(self, request: web.Request) -> web.Response:
        """One work item."""
        return await self._one("azure_devops", request.match_info["id"])

    async def jira_issue(self, request: web.Request) -> web.Response:
        """One issue of Jira."""
        key = request.match_info["key"]
        return await self._one("jira", next((n for n, row in self.store.issues.items() if row["key"] == key), ""))

    async def _one(self, vendor: str, number: str) -> web.Response:
        """One object, written in a thread: a long document must not hold up the answers to everybody else."""
        for item in self.store.summary()["objects"]:
            if item["vendor"] == vendor and item["id"] == number:
                return _html(await asyncio.to_thread(pages.detail, item))
        return _html(pages.nothing(), 404)


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=pages.HEADERS)
