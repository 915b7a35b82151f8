"""Simulated ServiceNow: the table API of `incident`, `problem` and `change_request`, and of what it refers to, with its silences, attachments and tokens.

Source: ServiceNow's Table API and Attachment API references.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from worker.sandbox.credentials import fault_of
from worker.sandbox.request_marks import QUERY_IGNORED, READ_ACL
from worker.sandbox.servicenow.batch import BATCH, batch
from worker.sandbox.servicenow.incident import (
    DEFAULTS,
    ENTRY,
    LABELS,
    columns_of,
    ended,
    entries,
    insert,
    settable,
    stamp,
    table_of,
    unfinished,
    update,
)
from worker.sandbox.servicenow.query import Reach, select
from worker.sandbox.servicenow.scripts import run
from worker.sandbox.servicenow.tables import TABLES, Column
from worker.sandbox.store import Attachment, Store

TABLE = "/api/now/table/{table}"
FILES = "/api/now/attachment"
READING = ("Exception while reading request", "The payload is not valid JSON.")
Row = dict[str, str]
Handler = Callable[[web.Request], Awaitable[web.Response]]


class No(Exception):
    """The vendor says no: status, message and detail."""

    def __init__(self, status: int, message: str, detail: str | None) -> None:
        super().__init__(message)
        self.status, self.message, self.detail = status, message, detail


class ServiceNow:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.tables = store.tables or dict(TABLES)

    def routes(self) -> list[web.RouteDef]:
        """All routes, also with a version in the path; what isn't there is a 400."""
        found: list[web.RouteDef] = []
        for table in (TABLE, TABLE.replace("/now/", "/now/{version:v[12]}/")):
            found += [
                web.get(table, self.find),
                web.post(table, self.create),
                web.get(table + "/{sys_id}", self.one),
                web.patch(table + "/{sys_id}", self.change),
                web.put(table + "/{sys_id}", self.change),
                web.delete(table + "/{sys_id}", self.delete),
            ]
        for files in (FILES, FILES.replace("/now/", "/now/{version:v[12]}/")):
            found += [
                web.post(f"{files}/file", self.attach),
                web.get(files, self.files),
                web.get(f"{files}/{{file}}", self.file),
                web.get(f"{files}/{{file}}/file", self.content),
                web.delete(f"{files}/{{file}}", self.drop_file),
            ]
        found += [web.post(BATCH, batch), web.route("*", "/api/now/{tail:.*}", self.nothing)]
        return [web.route(r.method, r.path, _guarded(r.handler)) for r in found]

    async def nothing(self, _: web.Request) -> web.Response:
        """No such API."""
        raise No(400, "Requested URI does not represent any resource", None)

    async def find(self, request: web.Request) -> web.Response:
        """Rows of a query. Rows hidden by a read ACL (fault `read_acl`) are counted all the same."""
        try:
            limit = int(request.query.get("sysparm_limit", "10000"))
            offset = int(request.query.get("sysparm_offset", "0"))
        except ValueError:
            limit, offset = 10000, 0
        held, columns = self._table(request)
        rows, known = list(held), frozenset(columns)
        # What a parameter that is a column wants has to be met as well.
        more = [f"{name}={value}" for name, value in request.query.items() if name in known]
        for query in () if request.get(QUERY_IGNORED) else (request.query.get("sysparm_query", ""), *more):
            rows = select(rows, run(query, self.store.me, self.store.clock()), known, self._reach(request))
        counted = {} if request.query.get("sysparm_no_count") == "true" else {"X-Total-Count": str(len(rows))}
        quiet = request.query.get("sysparm_suppress_pagination_header") == "true"
        headers = counted | ({} if quiet else _next(request, offset, limit, len(rows)))
        page = () if request.get(READ_ACL) else rows[offset : offset + limit]
        return web.json_response(
            {"result": [_shown(row, request, self.store) for row in page if self._sees(row)]}, headers=headers
        )

    def _reach(self, request: web.Request) -> Reach:
        """How a query follows the references of a table; where it can't, the condition is ignored like any other."""
        table = self.store.tables.get(request.match_info["table"])

        def reach(reference: str, column: str) -> Callable[[Row], str] | None:
            found = settable(table).get(reference) if table else None
            rows = self.store.people.get(found.table, []) if found else []
            if not rows or column not in rows[0]:
                return None
            values = {row["sys_id"]: row.get(column, "") for row in rows}
            return lambda row: values.get(row.get(reference, ""), "")

        return reach

    def _sees(self, row: Row) -> bool:
        """Whether the account may read the record: without the role `itil`, of the tickets only those that it made itself."""
        account = self.store.asking.get()
        own = row.get("sys_class_name") not in self.store.tables or row["sys_created_by"] == self.store.me["user_name"]
        return own or account is None or "itil" in account.roles

    def _table(self, request: web.Request) -> tuple[Iterable[Row], Iterable[str]]:
        """The rows of a table that can be read, and its columns."""
        table = request.match_info["table"]
        if table == "sys_journal_field":
            return entries(self.store), ENTRY
        if table in self.store.people:
            rows = self.store.people[table]
            return rows, rows[0]
        name = self._named(request)
        rows = [row for row in self.store.incidents.values() if row["sys_class_name"] == name]
        return rows, columns_of(self.store.tables[name])

    def _named(self, request: web.Request) -> str:
        """The table of tickets that a request names."""
        name = request.match_info["table"]
        if name not in self.store.tables:
            raise No(400, f"Invalid table {name}", None)
        return name

    async def create(self, request: web.Request) -> web.Response:
        """Create: 201 and where it is; what the table doesn't take is dropped without a word."""
        table = self._named(request)
        first = next(iter(self.store.tables[table].states))
        self._ruled({**DEFAULTS, "state": first, "sys_class_name": table}, given := await _sent(request), new=True)
        row = insert(self.store, table, given)
        where = f"{request.scheme}://{request.host}{request.path}/{row['sys_id']}"
        return web.json_response({"result": _shown(row, request, self.store)}, status=201, headers={"Location": where})

    def _row(self, request: web.Request) -> Row:
        table, row = self._named(request), self.store.incidents.get(request.match_info["sys_id"])
        if row is None or row["sys_class_name"] != table or request.get(READ_ACL) or not self._sees(row):
            raise _missing()
        return row

    async def one(self, request: web.Request) -> web.Response:
        """One record."""
        return web.json_response({"result": _shown(self._row(request), request, self.store)})

    async def change(self, request: web.Request) -> web.Response:
        """Change columns."""
        row = self._row(request)
        if reason := ended(self.store, row):
            raise No(403, "Operation Failed", reason)
        self._ruled(row, given := await _sent(request))
        update(self.store, row, given)
        return web.json_response({"result": _shown(row, request, self.store)})

    def _ruled(self, row: Row, given: dict[str, Any], *, new: bool = False) -> None:
        """Refuse what a data policy refuses: on a fresh instance an end without its code and notes."""
        if lacking := unfinished(self.store, row, given, new=new):
            text = f"Data Policy Exception: The following fields are mandatory: {', '.join(lacking)}"
            raise No(403, "Operation Failed", text)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a record."""
        del self.store.incidents[self._row(request)["sys_id"]]
        return web.Response(status=204)

    async def attach(self, request: web.Request) -> web.Response:
        """The raw body as a file on a record: 201."""
        query = request.query
        if query.get("table_name") not in self.store.tables or not query.get("file_name"):
            raise No(400, "Invalid table or file name", None)
        row = self.store.incidents.get(query.get("table_sys_id", ""))
        if row is None or row["sys_class_name"] != query["table_name"]:
            raise _missing()
        number, owner = uuid.uuid4().hex, query["table_sys_id"]
        kind, now = request.headers.get("Content-Type", "application/octet-stream"), self.store.clock()
        file = Attachment(number, query["file_name"], kind, await request.read(), owner, created=now)
        self.store.files[number] = file
        where = f"{request.scheme}://{request.host}{request.path.removesuffix('/file')}/{number}"
        return web.json_response({"result": self._file(file, request)}, status=201, headers={"Location": where})

    async def files(self, request: web.Request) -> web.Response:
        """Files, all or those of a query such as `table_sys_id=…`."""
        rows = [self._file(file, request) for file in self.store.files.values()]
        chosen = select(
            rows, request.query.get("sysparm_query", ""), ("table_sys_id", "file_name", "sys_id", "table_name")
        )
        return web.json_response({"result": chosen}, headers={"X-Total-Count": str(len(chosen))})

    def _stored(self, request: web.Request) -> Attachment:
        found = self.store.files.get(request.match_info["file"])
        if found is None:
            raise _missing()
        return found

    def _file(self, file: Attachment, request: web.Request) -> Row:
        owner = self.store.incidents.get(file.owner, {})
        return {
            "sys_id": file.id,
            "table_name": owner.get("sys_class_name", "incident"),
            "table_sys_id": file.owner,
            "file_name": file.name,
            "content_type": file.media_type,
            "size_bytes": str(len(file.content)),
            "hash": hashlib.sha256(file.content).hexdigest(),
            "sys_created_on": stamp(file.created),
            "sys_created_by": "admin",
            "download_link": f"{request.scheme}://{request.host}{FILES}/{file.id}/file",
        }

    async def file(self, request: web.Request) -> web.Response:
        """One file's description."""
        return web.json_response({"result": self._file(self._stored(request), request)})

    async def content(self, request: web.Request) -> web.Response:
        """One file's content, never shown in the browser."""
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return web.Response(
            body=self._stored(request).content, content_type="application/octet-stream", headers=headers
        )

    async def drop_file(self, request: web.Request) -> web.Response:
        """Delete a file."""
        del self.store.files[self._stored(request).id]
        return web.Response(status=204)


def _guarded(handler: Any) -> Handler:
    async def guarded(request: web.Request) -> web.Response:
        if fault_of(request):
            return _error(401, "User Not Authenticated", "Required to provide Auth information")
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except No as no:
            return _error(no.status, no.message, no.detail)

    return guarded


def _missing() -> No:
    return No(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


async def _sent(request: web.Request) -> dict[str, Any]:
    if not request.headers.get("Accept") or "application/json" not in request.headers.get("Content-Type", ""):
        raise No(400, READING[0], "Accept and Content-Type must be application/json")
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise No(400, *READING) from None
    if not isinstance(body, dict):
        raise No(400, *READING)
    return body


def _shown(row: Row, request: web.Request, store: Store) -> dict[str, Any]:
    """The wanted columns. References carry a link unless told not to; `sysparm_display_value` gives labels."""
    query = request.query
    wanted = query.get("sysparm_fields")
    names = [name for name in wanted.split(",") if name in row or "." in name] if wanted else list(row)
    display, bare = query.get("sysparm_display_value", "false"), query.get("sysparm_exclude_reference_link") == "true"
    site = f"{request.scheme}://{request.host}/api/now/table"
    shown: dict[str, Any] = {}
    table = table_of(store, row) if "sys_class_name" in row else None
    columns = settable(table) if table else {}
    for name in names:
        if name not in row:
            shown |= _dotted(name, row, columns, store, display)
            continue
        labels = table.states if name == "state" and table else LABELS.get(name, {})
        target = columns[name].table if name in columns else ""
        value, label = row[name], labels.get(row[name], _label(target, row[name], store))
        if display == "all":
            shown[name] = {"display_value": label, "value": value}
        elif value and target and not bare:
            field = "display_value" if display == "true" else "value"
            shown[name] = {"link": f"{site}/{target}/{value}", field: value}
        else:
            shown[name] = label if display == "true" else value
    return shown


def _dotted(name: str, row: Row, columns: Mapping[str, Column], store: Store, display: str) -> dict[str, Any]:
    """A column of the record that a reference leads to; empty where there is none, and left out where it can't be one."""
    reference, _, column = name.partition(".")
    if reference not in columns or columns[reference].kind != "reference":
        return {}
    rows = store.people.get(columns[reference].table, ())
    value = next((there.get(column, "") for there in rows if there["sys_id"] == row.get(reference)), "")
    return {name: {"display_value": value, "value": value} if display == "all" else value}


def _label(table: str, value: str, store: Store) -> str:
    """What a reference's record is called; any other value is its own label."""
    rows = store.people.get(table, ())
    return next((row["name"] for row in rows if row["sys_id"] == value), value)


def _next(request: web.Request, offset: int, limit: int, total: int) -> dict[str, str]:
    if limit <= 0 or offset + limit >= total:
        return {}
    following = request.url.update_query(sysparm_offset=offset + limit, sysparm_limit=limit)
    return {"Link": f'<{following}>;rel="next"'}


def _error(status: int, message: str, detail: str | None) -> web.Response:
    headers = {"WWW-Authenticate": 'BASIC realm="Service-now"'} if status == 401 else {}
    body = {"error": {"message": message, "detail": detail}, "status": "failure"}
    return web.json_response(body, status=status, headers=headers)
