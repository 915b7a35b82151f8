"""Simulated Azure DevOps: work items, WIQL and what connection tests read, for any organisation or on-premises collection.

Source: Microsoft's REST descriptions 7.1 and recorded traffic. Paths are matched without regard to case, as there.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from worker.sandbox.azure_devops import discussion, shapes
from worker.sandbox.azure_devops.call import Call, Route, listed, rows, written
from worker.sandbox.azure_devops.catalog import Catalog
from worker.sandbox.azure_devops.files import Files
from worker.sandbox.azure_devops.patch import Refused, patched
from worker.sandbox.azure_devops.process import fields_of, process_of
from worker.sandbox.azure_devops.wiql import parse, value_of
from worker.sandbox.credentials import fault_of
from worker.sandbox.store import Store, iso

SIGN_IN = (
    "<!DOCTYPE html><html><head><title>Azure DevOps Services | Sign In</title></head>"
    "<body>Sign in to your account</body></html>"
)
PATCH_TYPE = "application/json-patch+json"
IDS = 200
NEWEST = 7.2
EXPANSIONS = ("none", "relations", "fields", "links", "all")


class AzureDevOps:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.catalog = Catalog(store)
        routes: tuple[Route, ...] = (
            *self.catalog.routes(),
            *Files(store).routes(),
            ("POST", r"wit/workitems/\$(?P<type>[^/]+)", self.create),
            ("PATCH", r"wit/workitems/\$(?P<type>[^/]+)", self.create),
            ("GET", r"wit/workitems/(?P<id>\d+)", self.item),
            ("GET", r"wit/workitems/(?P<id>\d+)/updates", self.updates),
            ("GET", r"wit/workitems/(?P<id>\d+)/updates/(?P<number>\d+)", self.update),
            ("GET", r"wit/workitems/(?P<id>\d+)/revisions", self.revisions),
            ("GET", r"wit/workitems/(?P<id>\d+)/revisions/(?P<number>\d+)", self.revision),
            ("GET", r"wit/workitems/(?P<id>\d+)/comments/(?P<number>\d+)", self.one_comment),
            ("PATCH", r"wit/workitems/(?P<id>\d+)/comments/(?P<number>\d+)", self.change_comment),
            ("DELETE", r"wit/workitems/(?P<id>\d+)/comments/(?P<number>\d+)", self.drop_comment),
            ("GET", r"wit/workitems/(?P<id>\d+)/comments", self.comments),
            ("POST", r"wit/workitems/(?P<id>\d+)/comments", self.comment),
            ("GET", r"wit/recyclebin", self.bin),
            ("PATCH", r"wit/workitems/(?P<id>\d+)", self.change),
            ("DELETE", r"wit/workitems/(?P<id>\d+)", self.delete),
            ("GET", r"wit/recyclebin/(?P<id>\d+)", self.recycled),
            ("PATCH", r"wit/recyclebin/(?P<id>\d+)", self.restore),
            ("DELETE", r"wit/recyclebin/(?P<id>\d+)", self.destroy),
            ("GET", r"wit/workitems", self.items),
            ("POST", r"wit/workitemsbatch", self.batch),
            ("POST", r"wit/wiql", self.wiql),
        )
        self.table = [(method, re.compile(path, re.IGNORECASE), handler) for method, path, handler in routes]

    def routes(self) -> list[web.RouteDef]:
        """One route for all: the path holds an organisation (or `tfs/Collection`), maybe a project and a team."""
        return [web.route("*", "/{org}/{tail:.*}", self.dispatch)]

    async def dispatch(self, request: web.Request) -> web.Response:
        """Find the handler, check the credential and the project, and answer in the vendor's words."""
        head, found, tail = request.rel_url.raw_path.partition("/_apis")
        if not found:
            return web.Response(status=404, text="The resource cannot be found.", content_type="text/html")
        if fault := fault_of(request):
            return _sign_in(fault)
        segments = [unquote(part) for part in head.strip("/").split("/")]
        depth = 2 if segments[0].lower() == "tfs" else 1
        base = f"{request.scheme}://{request.host}/{'/'.join(segments[:depth])}"
        try:
            project = self.catalog.named(segments[depth]) if len(segments) > depth else None
            for method, path, handler in self.table:
                match = path.fullmatch(unquote(tail.strip("/")))
                if match and method == request.method:
                    _versioned(request)
                    call = Call(request, base, "/".join(segments[:depth]), project, match)
                    answer = await handler(call)
                    return answer if isinstance(answer, web.Response) else written(request, answer)
        except Refused as refused:
            return _error(refused)
        text = f"The controller for path '{request.path}' was not found or does not implement IController."
        return web.Response(status=404, text=text)

    async def create(self, call: Call) -> Any:
        """Create: 200. With `validateOnly=true` all rules run and nothing is kept."""
        project, process, kind = self.catalog.type_of(call)
        _is_patch(call.request)
        now = iso(self.store.clock())
        fields = {"System.AreaPath": project, "System.TeamProject": project, "System.IterationPath": project}
        fields |= {"System.WorkItemType": kind, "System.CreatedDate": now, "System.ChangedDate": now}
        item: dict[str, Any] = {
            "id": 0,
            "rev": 0,
            "org": call.org,
            "comments": 0,
            "history": [],
            "updates": [],
            "formats": {},
            "relations": [],
        }
        item["fields"] = {**fields, **process.defaults(kind), "Microsoft.VSTS.Common.StateChangeDate": now}
        blank = item | {"fields": {}}
        item = discussion.noted(blank, patched(item, await call.json(), process, self.store.users), self.store.clock())
        if call.request.query.get("validateOnly", "").lower() != "true":
            item["id"] = int(self.store.next_id())
            self.store.items[item["id"]] = item
        return shapes.work_item(item, call.base, expand="relations", only=[], single=True)

    def _item(self, call: Call) -> dict[str, Any]:
        number = int(call.part["id"])
        item = self.store.items.get(number)
        if item is None or call.project not in (None, item["fields"]["System.TeamProject"]):
            raise _no_item(number)
        return item

    async def item(self, call: Call) -> Any:
        """One work item."""
        expand, only = _expansion(call.request.query.get("$expand")), listed(call.request.query.get("fields"))
        return shapes.work_item(self._item(call), call.base, expand=expand, only=only, single=True)

    async def change(self, call: Call) -> Any:
        """Change fields and links; a `test` of the revision that fails is 412."""
        self._item(call)
        _is_patch(call.request)
        patch, item = await call.json(), self._item(call)
        process = process_of(self.store, item["fields"]["System.TeamProject"])
        done = discussion.noted(item, patched(item, patch, process, self.store.users), self.store.clock())
        if call.request.query.get("validateOnly", "").lower() != "true":
            self.store.items[item["id"]] = done
        return shapes.work_item(done, call.base, expand="relations", only=[], single=True)

    async def updates(self, call: Call) -> Any:
        """What was changed, an update for each revision."""
        skip, top = call.number("$skip", 0), call.number("$top", 200)
        return rows(discussion.updates(self._item(call), call.base)[skip : skip + top])

    async def update(self, call: Call) -> Any:
        """One update."""
        return _numbered(discussion.updates(self._item(call), call.base), call)

    async def revisions(self, call: Call) -> Any:
        """The item as it was after each revision."""
        skip, top = call.number("$skip", 0), call.number("$top", 200)
        return rows(discussion.revisions(self._item(call), call.base)[skip : skip + top])

    async def revision(self, call: Call) -> Any:
        """The item as it was after one revision."""
        return _numbered(discussion.revisions(self._item(call), call.base), call)

    def _said(self, call: Call) -> tuple[dict[str, Any], int]:
        """The item, and the number of the comment that the path names."""
        item, number = self._item(call), int(call.part["number"])
        if not discussion.spoken(item, number):
            text = f"Comment {number} does not exist on work item {item['id']}."
            raise Refused(404, "WorkItemCommentNotFoundException", text)
        return item, number

    async def one_comment(self, call: Call) -> Any:
        """One comment."""
        item, number = self._said(call)
        return next(row for row in discussion.comments(item, call.base) if row["id"] == number)

    async def change_comment(self, call: Call) -> Any:
        """Another text of a comment."""
        given = await call.json()
        item, number = self._said(call)
        self.store.items[item["id"]] = discussion.edited(item, number, given or {})
        return await self.one_comment(call)

    async def drop_comment(self, call: Call) -> Any:
        """Delete a comment: 204."""
        item, number = self._said(call)
        self.store.items[item["id"]] = discussion.edited(item, number, None)
        return web.Response(status=204)

    async def comments(self, call: Call) -> Any:
        """The item's discussion, the newest comment first unless told otherwise."""
        rows = discussion.comments(self._item(call), call.base)
        ordered = rows if call.request.query.get("order", "").lower() == "asc" else rows[::-1]
        shown = ordered[: call.number("$top", 200)]
        return {"totalCount": len(rows), "count": len(shown), "comments": shown}

    async def comment(self, call: Call) -> Any:
        """Add a comment, which is a revision of its own."""
        given, item = await call.json(), self._item(call)
        done = discussion.commented(item, given, self.store.clock())
        self.store.items[item["id"]] = done
        return discussion.comments(done, call.base)[-1]

    async def delete(self, call: Call) -> Any:
        """To the recycle bin, or for good: gone for GET and WIQL."""
        item = self._item(call)
        del self.store.items[item["id"]]
        if call.request.query.get("destroy", "").lower() != "true":
            self.store.recycled[item["id"]] = item
        return self._deleted(item, call)

    async def restore(self, call: Call) -> Any:
        """Back from the recycle bin."""
        given, item = await call.json(), self._thrown(call)
        if not isinstance(given, dict) or given.get("isDeleted", given.get("IsDeleted")) is not False:
            raise Refused(400, "VssPropertyValidationException", "isDeleted must be false to restore a work item.")
        shown = self._deleted(item, call)
        self.store.items[item["id"]] = self.store.recycled.pop(item["id"])
        return shown

    async def destroy(self, call: Call) -> Any:
        """Out of the recycle bin for good: 204."""
        del self.store.recycled[self._thrown(call)["id"]]
        return web.Response(status=204)

    async def bin(self, call: Call) -> Any:
        """The deleted work items of these ids."""
        ids = [int(part) for part in listed(call.request.query.get("ids")) if part.isdigit()]
        return rows(
            [self._deleted(self.store.recycled[number], call) for number in ids if number in self.store.recycled]
        )

    async def recycled(self, call: Call) -> Any:
        """One deleted work item."""
        return self._deleted(self._thrown(call), call)

    def _thrown(self, call: Call) -> dict[str, Any]:
        item: dict[str, Any] | None = self.store.recycled.get(int(call.part["id"]))
        if item is None:
            raise _no_item(int(call.part["id"]))
        return item

    def _deleted(self, item: dict[str, Any], call: Call) -> dict[str, Any]:
        shown, fields = shapes.work_item(item, call.base, expand="none", only=[], single=False), item["fields"]
        names = {
            "type": fields["System.WorkItemType"],
            "name": fields["System.Title"],
            "project": fields["System.TeamProject"],
        }
        return {"id": item["id"], "code": 200, "url": shown["url"], "resource": shown} | names

    async def items(self, call: Call) -> Any:
        """Several work items by id."""
        query = call.request.query
        ids = [int(part) for part in listed(query.get("ids")) if part.isdigit()]
        return self._several(call, ids, query.get("fields"), query.get("$expand"), query.get("errorPolicy"))

    async def batch(self, call: Call) -> Any:
        """Several work items, asked for by POST."""
        given = await call.json()
        ids = [int(number) for number in given.get("ids", [])]
        return self._several(
            call, ids, ",".join(given.get("fields") or []), given.get("$expand"), given.get("errorPolicy")
        )

    def _several(self, call: Call, ids: list[int], fields: str | None, expand: object, policy: object) -> Any:
        if not ids or len(ids) > IDS:
            raise Refused(400, "VssPropertyValidationException", f"Between 1 and {IDS} ids must be given.")
        absent = next((number for number in ids if number not in self.store.items), None)
        if absent is not None and str(policy).lower() not in ("omit", "2"):
            raise _no_item(absent)
        wide, only = _expansion(expand), listed(fields)
        found = [self.store.items.get(number) for number in ids]
        return rows(
            [shapes.work_item(i, call.base, expand=wide, only=only, single=False) if i else None for i in found]
        )

    async def wiql(self, call: Call) -> Any:
        """A query over an index that lags on request: blind for a while (`wiql_blind`), or to new items (`wiql_lag`)."""
        given = await call.json()
        columns, test, order = parse(
            str(given.get("query", "")), call.project, fields_of(self.store), self.store.clock()
        )
        blind = self.store.clock() < self.store.blind_until
        newest = iso(self.store.clock() - self.store.index_lag_s)
        indexed = [i for i in self.store.items.values() if not blind and i["fields"]["System.CreatedDate"] <= newest]
        found = [item for item in indexed if test(item)]
        for name, down in reversed(order):
            found.sort(key=lambda item: str(value_of(item, name)).zfill(20), reverse=down)
        top = call.request.query.get("$top", "20000")
        found = found[: int(top)] if top.isdigit() else found
        return {
            "queryType": "flat",
            "queryResultType": "workItem",
            "asOf": iso(self.store.clock()),
            "columns": [shapes.column(name, call.base) for name in columns],
            "workItems": [{"id": i["id"], "url": f"{call.base}/_apis/wit/workItems/{i['id']}"} for i in found],
        }


def _numbered(found: list[dict[str, Any]], call: Call) -> dict[str, Any]:
    """The row of a list that a path names, from 1 on."""
    number = int(call.part["number"])
    if not 0 < number <= len(found):
        raise Refused(
            404, "VssResourceNotFoundException", f"There is no number {number} of work item {call.part['id']}."
        )
    return found[number - 1]


def _expansion(given: object) -> str:
    """What is to be shown, by its name or, as some clients send it, by its number."""
    name = str(given or "none").lower()
    return EXPANSIONS[int(name)] if name in tuple("01234") else name


def _sign_in(fault: str) -> web.Response:
    """An expired token is an empty 401; any other bad one, or none, is the sign-in page."""
    if fault == "expired":
        return web.Response(
            status=401, headers={"WWW-Authenticate": 'Basic realm="https://tfsprodweu.visualstudio.com/"'}
        )
    return web.Response(text=SIGN_IN, status=203, content_type="text/html")


def _versioned(request: web.Request) -> None:
    """A write must name its api-version, in the query or in `Accept`; none may be newer than the newest."""
    asked = re.search(r"api-version=(\d+\.\d+)", request.query_string + ";" + request.headers.get("Accept", ""))
    if asked and float(asked[1]) > NEWEST:
        text = f"The requested REST API version of {asked[1]} is out of range for this server. The latest REST API version this server supports is {NEWEST}."
        raise Refused(400, "VssVersionOutOfRangeException", text)
    named = "api-version" in request.query or "api-version" in request.headers.get("Accept", "")
    if not named and request.method not in ("GET", "OPTIONS"):
        text = f'No api-version was supplied for the "{request.method}" request. The version must be supplied either as part of the Accept header (e.g. "application/json; api-version=1.0") or as a query parameter (e.g. "?api-version=1.0").'
        raise Refused(400, "VssVersionNotSpecifiedException", text)


def _is_patch(request: web.Request) -> None:
    if request.content_type != PATCH_TYPE:
        text = f'The request indicated a Content-Type of "{request.content_type}" for method type "{request.method}" which is not supported. Valid content types for this method are: {PATCH_TYPE}.'
        raise Refused(415, "VssRequestContentTypeNotSupportedException", text)


def _no_item(number: int) -> Refused:
    text = f"TF401232: Work item {number} does not exist, or you do not have permissions to read it."
    return Refused(404, "WorkItemUnauthorizedAccessException", text)


def _error(refused: Refused) -> web.Response:
    body: dict[str, Any] = {
        "$id": "1",
        "innerException": None,
        "message": refused.message,
        "typeName": f"Microsoft.TeamFoundation.{refused.type_key}, Microsoft.TeamFoundation",
        "typeKey": refused.type_key,
        "errorCode": 0,
        "eventId": 3000,
    }
    if refused.fields:
        rows = [{"fieldReferenceName": name, "errorMessage": refused.message} for name in refused.fields]
        body["customProperties"] = {"RuleValidationErrors": rows}
    return web.json_response(body, status=refused.status)
