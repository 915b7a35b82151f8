"""Files on pages of the simulated Confluence: calls of v1, in the Cloud and in a Data Center."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from worker.sandbox.confluence.cloud import sent
from worker.sandbox.confluence.datacenter import CLOUD, DATA_CENTER, error_v1, guarded_v1, paged_v1, version_v1
from worker.sandbox.confluence.rules import Pages, Refusal
from worker.sandbox.store import Attachment, Page, Store


class ConfluenceFiles:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Pages(store)

    def routes(self) -> list[web.RouteDef]:
        """All routes; they stand before those of the content API, which ends with a route for all that isn't there."""
        found: list[web.RouteDef] = []
        for base in (CLOUD, DATA_CENTER):
            files = f"{base}/content/{{id}}/child/attachment"
            found += [
                web.get(files, self.attachments),
                web.post(files, self.attach),
                web.put(files, self.attach),
                web.post(f"{files}/{{file}}/data", self.attach),
                web.put(f"{files}/{{file}}", self.attachment),
            ]
        for base in ("/wiki", ""):
            found.append(web.get(f"{base}/download/attachments/{{id}}/{{name}}", self.download))
        return [web.route(r.method, r.path, guarded_v1(r.handler)) for r in found]

    async def attachments(self, request: web.Request) -> web.Response:
        """The page's files, all or those of a name."""
        page, name = self.rules.get(request.match_info["id"]), request.query.get("filename")
        return paged_v1(request, [_attachment(f) for f in page.attachments.values() if name in (None, f.name)])

    async def attach(self, request: web.Request) -> web.Response:
        """A file in a multipart body: POST adds, PUT adds or replaces, POST to `…/data` replaces. Needs the XSRF header."""
        if request.headers.get("X-Atlassian-Token", "").replace("-", "").lower() != "nocheck":
            return error_v1(403, "XSRF check failed")
        page, form = self.rules.get(request.match_info["id"]), await request.post()
        file, comment = form.get("file"), str(form.get("comment") or "")
        if not isinstance(file, web.FileField):
            raise Refusal("parameter", "At least one file must be given in the part `file`")
        known = _known(page, request.match_info.get("file", ""))
        name = known.name if known else file.filename
        replace = known is not None or request.method == "PUT"
        done = self.rules.attach(page, name, file.content_type, file.file.read(), comment, replace=replace)
        return web.json_response(_attachment(done)) if known else paged_v1(request, [_attachment(done)])

    async def attachment(self, request: web.Request) -> web.Response:
        """Rename a file or change its comment."""
        page, body = self.rules.get(request.match_info["id"]), await sent(request)
        file = _known(page, request.match_info["file"])
        if file is None:
            raise Refusal("missing", "No attachment found")
        file.name, file.version = str(body.get("title") or file.name), file.version + 1
        return web.json_response(_attachment(file))

    async def download(self, request: web.Request) -> web.Response:
        """A file's content, of its newest version or the one asked for, never shown in the browser."""
        page, name = self.rules.get(request.match_info["id"]), request.match_info["name"]
        for file in page.attachments.values():
            contents = [*file.earlier, file.content]
            wanted = request.query.get("version", str(file.version))
            if file.name == name and wanted.isdigit() and 1 <= int(wanted) <= len(contents):
                headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
                return web.Response(
                    body=contents[int(wanted) - 1], content_type="application/octet-stream", headers=headers
                )
        raise Refusal("missing", "No attachment found")


def _known(page: Page, number: str) -> Attachment | None:
    """The page's file of that id, which some clients write without its `att`."""
    return page.attachments.get(f"att{number.removeprefix('att')}")


def _attachment(file: Attachment) -> dict[str, Any]:
    details = {"mediaType": file.media_type, "fileSize": len(file.content), "comment": file.comment}
    return {
        "id": file.id,
        "type": "attachment",
        "status": "current",
        "title": file.name,
        "version": version_v1(file.version, "", file.created),
        "metadata": {"mediaType": file.media_type, "comment": file.comment},
        "extensions": details,
        "_links": {"download": f"/download/attachments/{file.owner}/{file.name}"},
    }
