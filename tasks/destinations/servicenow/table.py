"""The requests about the records of one table of an instance: incidents, or another table that extends `task`.

The table API accepts anything: unknown or protected fields are dropped with a 201, a query part it can't parse is ignored,
and rows that the account may not read look like no rows. So values are read back, keys hold nothing that a query could trip
over, and a count that contradicts an empty list stops the job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tasks.destinations.servicenow.answers import as_strings, stored_record, stored_rows
from tasks.errors import AttemptFailed, Permanent
from tasks.http.exchange import Http
from tasks.http.message import Request, Response
from tasks.markup.options import Attachment

JOURNAL = "/api/now/table/sys_journal_field"
FILES = "/api/now/attachment"
MOST_ENTRIES = 500


def path_of(table: str) -> str:
    """The path of a table's records."""
    return f"/api/now/table/{table}"


@dataclass(frozen=True)
class Records:
    """A table's records over one client; `columns` are what answers are to show."""

    http: Http
    table: str
    columns: tuple[str, ...]

    @property
    def _params(self) -> dict[str, str]:
        names = dict.fromkeys(("sys_id", "number", "priority", "state", *self.columns))
        return {"sysparm_fields": ",".join(names), "sysparm_exclude_reference_link": "true"}

    async def record(self, sys_id: str) -> dict[str, str] | None:
        """The record of that id; None where there is none to be seen."""
        path = f"{path_of(self.table)}/{quote(sys_id)}"
        request = Request("GET", path, f"GET /table/{self.table}/{{sys_id}}", params=self._params)
        response = await self.http.send(request, accept=frozenset({404}))
        return None if response.status == 404 else stored_record(response)

    async def look_up(self, key: str) -> dict[str, str] | None:
        """The record with our key; raises `Permanent` where the answer can't tell whether there is one.

        That is an empty list beside a count above nought (a read ACL), and rows without our key (a field ACL on
        `correlation_id`, or an instance that ignored the query).
        """
        params = self._params | {"sysparm_query": f"correlation_id={key}", "sysparm_limit": "2"}
        request = Request("GET", path_of(self.table), f"GET /table/{self.table}", params=params)
        response = await self.http.send(request)
        rows = stored_rows(response)
        matching = [row for row in rows if row.get("correlation_id") == key]
        if matching:
            return response.parsed(lambda _: as_strings(matching[0]))
        if rows:
            raise self._hidden(
                "the look-up by correlation_id answered with records that don't show it.",
                f"{self.table}.correlation_id",
            )
        if counted(response):
            raise self._hidden("the account can't read it (rows are counted and not shown).", self.table)
        return None

    async def create(self, fields: Mapping[str, str], tries: str) -> dict[str, str]:
        """A new record, as it was stored."""
        return await self._write("POST", path_of(self.table), f"POST /table/{self.table}", fields, tries)

    async def change(self, sys_id: str, fields: Mapping[str, str], tries: str = "") -> dict[str, str]:
        """The record as it is after a change of these fields."""
        path, operation = f"{path_of(self.table)}/{quote(sys_id)}", f"PATCH /table/{self.table}/{{sys_id}}"
        return await self._write("PATCH", path, operation, fields, tries)

    async def _write(
        self, method: str, path: str, operation: str, fields: Mapping[str, str], tries: str
    ) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        request = Request(
            method, path, operation, params=self._params, headers=headers, json=dict(fields), writes=True, tries=tries
        )
        return stored_record(await self.http.send(request))

    async def journal(self, sys_id: str, names: Iterable[str]) -> list[tuple[str, str]] | None:
        """The entries of these journals, by name and text; None where the account may not read them."""
        params = {
            "sysparm_query": f"element_id={sys_id}^elementIN{','.join(names)}^ORDERBYDESCsys_created_on",
            "sysparm_fields": "element,element_id,value",
            "sysparm_limit": str(MOST_ENTRIES),
        }
        try:
            response = await self.http.send(Request("GET", JOURNAL, "GET /table/sys_journal_field", params=params))
        except AttemptFailed as refused:
            if getattr(refused, "status", None) in (400, 401, 403, 404):
                return None
            raise
        rows = stored_rows(response)
        if not rows and counted(response):
            return None
        return [
            (str(row.get("element")), str(row.get("value", "")))
            for row in rows
            if row.get("element_id", sys_id) == sys_id
        ]

    async def attach(self, sys_id: str, file: Attachment) -> bool:
        """Upload the file, unless the record has one of its name and content. True where it was missing."""
        query = f"table_sys_id={sys_id}^file_name={file.name}"
        response = await self.http.send(
            Request("GET", FILES, "GET /attachment", params={"sysparm_query": query, "sysparm_limit": "50"})
        )
        present = stored_rows(response)
        digest = hashlib.sha256(file.content).hexdigest()
        if any(_is_copy(row, file, digest) for row in present):
            return False
        request = Request(
            "POST",
            f"{FILES}/file",
            "POST /attachment/file",
            params={"table_name": self.table, "table_sys_id": sys_id, "file_name": file.name},
            headers={"Content-Type": file.media_type},
            body=file.content,
            writes=True,
        )
        stored_record(await self.http.send(request))
        return True

    def _hidden(self, words: str, place: str) -> Permanent:
        return Permanent(
            f"The {self.table} may exist, but {words}",
            code="hidden",
            advice=f"Give the account read access to {place}, then `afterword job retry`.",
        )


def counted(response: Response) -> bool:
    """Whether rows are counted, also where none is shown."""
    return response.headers.get("X-Total-Count", "0").strip() not in ("", "0")


def _is_copy(row: Mapping[str, Any], file: Attachment, digest: str) -> bool:
    """The instance's hash decides; where it gives none, the size has to."""
    if row.get("file_name") != file.name:
        return False
    return row["hash"] == digest if row.get("hash") else str(row.get("size_bytes")) == str(len(file.content))
