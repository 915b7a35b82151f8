"""The sandbox's application: three vendors, a control interface, and pages that show what was delivered."""

from __future__ import annotations

import html
from typing import Any

from aiohttp import web

from worker.sandbox.azure_devops import AzureDevOps
from worker.sandbox.confluence import Confluence
from worker.sandbox.faults import Faults
from worker.sandbox.pages import show
from worker.sandbox.servicenow import ServiceNow
from worker.sandbox.store import Store


def create_app(store: Store | None = None) -> web.Application:
    """A fresh sandbox over `store`."""
    store = store or Store()
    faults = Faults(store)
    app = web.Application(middlewares=[faults.middleware()], client_max_size=20 * 2**20)
    control = Control(store, faults)
    app.add_routes(control.routes())
    app.add_routes(Confluence(store).routes())
    app.add_routes(ServiceNow(store).routes())
    app.add_routes(AzureDevOps(store).routes())
    return app


class Control:
    """What tests and people tell the sandbox itself."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults

    def routes(self) -> list[web.RouteDef]:
        """All routes of the control interface and of the pages."""
        return [
            web.get("/", self.page),
            web.get("/_sandbox/state", self.state),
            web.get("/_sandbox/faults", self.list_faults),
            web.post("/_sandbox/faults", self.add_fault),
            web.delete("/_sandbox/faults", self.clear_faults),
            web.post("/_sandbox/reset", self.reset),
            web.post("/_sandbox/edit", self.edit),
            web.get("/wiki/spaces/{space}/pages/{id}", self.page),
            web.get("/nav_to.do", self.page),
            web.get("/{org}/{project}/_workitems/edit/{id}", self.page),
        ]

    async def state(self, _: web.Request) -> web.Response:
        """Counts, objects and requests."""
        return web.json_response(self.store.summary())

    async def list_faults(self, _: web.Request) -> web.Response:
        """The faults in force."""
        return web.json_response([{"fault": f.fault, "vendor": f.vendor, "times": f.times} for f in self.faults.active])

    async def add_fault(self, request: web.Request) -> web.Response:
        """Put a fault in force."""
        try:
            fault = self.faults.add(await request.json())
        except (ValueError, TypeError) as error:
            return web.json_response({"message": str(error)}, status=400)
        return web.json_response({"fault": fault.fault}, status=201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        """End all faults."""
        self.faults.active.clear()
        self.store.blind_until = self.store.unseen_until = 0.0
        return web.Response(status=204)

    async def reset(self, _: web.Request) -> web.Response:
        """Forget everything delivered."""
        self.store.reset()
        return web.Response(status=204)

    async def edit(self, request: web.Request) -> web.Response:
        """Change a page as a person would: another title or body, one version on."""
        given: dict[str, Any] = await request.json()
        page = self.store.pages.get(str(given.get("id")))
        if page is None:
            return web.json_response({"message": "no such page"}, status=404)
        page.title, page.body = given.get("title", page.title), given.get("body", page.body)
        page.status = given.get("status", page.status)
        page.version += 1
        return web.json_response({"version": page.version})

    async def page(self, request: web.Request) -> web.Response:
        """What was delivered: all of it, or one object."""
        wanted = request.match_info.get("id") or request.query.get("uri", "").rpartition("sys_id=")[2]
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src http: https:"
        text = show(self.store.summary()["objects"], html.escape(wanted))
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})
