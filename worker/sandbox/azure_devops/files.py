"""Files of the simulated Azure DevOps: uploaded first, then linked to a work item."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from worker.sandbox.azure_devops.call import Call, Route, written
from worker.sandbox.azure_devops.patch import Refused
from worker.sandbox.store import Attachment, Store


class Files:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self) -> tuple[Route, ...]:
        """Methods, paths and handlers."""
        return (
            ("POST", r"wit/attachments", self.attach),
            ("GET", r"wit/attachments/(?P<file>[^/]+)", self.attached),
        )

    async def attach(self, call: Call) -> Any:
        """Keep a file, to be linked to a work item afterwards: 201."""
        name = call.request.query.get("fileName") or "attachment"
        number = str(uuid.uuid4())
        kind, content = "application/octet-stream", await call.request.read()
        self.store.files[number] = Attachment(number, name, kind, content, "", created=self.store.clock())
        url = f"{call.base}/_apis/wit/attachments/{number}?{urlencode({'fileName': name})}"
        return written(call.request, {"id": number, "url": url}, status=201)

    async def attached(self, call: Call) -> Any:
        """A file's content, never shown in the browser."""
        found = self.store.files.get(call.part["file"])
        if found is None:
            raise Refused(404, "AttachmentNotFoundException", "TF400821: The attachment does not exist.")
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=found.content, content_type="application/octet-stream", headers=headers)
