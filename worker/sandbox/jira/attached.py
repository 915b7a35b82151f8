"""What hangs on an issue of the simulated Jira: files, links to other issues, and links to elsewhere."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from worker.sandbox.jira.answers import NO_ISSUE, No, address_of, is_cloud, issue_of, sent, site_of
from worker.sandbox.store import Attachment, Store, iso

LINK_TYPES = (
    {"id": "10000", "name": "Blocks", "inward": "is blocked by", "outward": "blocks"},
    {"id": "10001", "name": "Cloners", "inward": "is cloned by", "outward": "clones"},
    {"id": "10002", "name": "Duplicate", "inward": "is duplicated by", "outward": "duplicates"},
    {"id": "10003", "name": "Relates", "inward": "relates to", "outward": "relates to"},
)


class JiraAttached:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self, base: str) -> list[web.RouteDef]:
        """The routes of files and links below the API's address."""
        return [
            web.post(f"{base}/issue/{{issue}}/attachments", self.attach),
            web.get(f"{base}/attachment/content/{{file}}", self.content),
            web.get(f"{base}/attachment/{{file}}", self.file),
            web.delete(f"{base}/attachment/{{file}}", self.drop),
            web.get(f"{base}/issueLinkType", self.link_types),
            web.post(f"{base}/issueLink", self.link),
            web.get(f"{base}/issueLink/{{link}}", self.one_link),
            web.delete(f"{base}/issueLink/{{link}}", self.unlink),
            web.get(f"{base}/issue/{{issue}}/remotelink", self.links),
            web.post(f"{base}/issue/{{issue}}/remotelink", self.add_link),
            web.delete(f"{base}/issue/{{issue}}/remotelink", self.drop_link),
            web.get(f"{base}/issue/{{issue}}/remotelink/{{link}}", self.remote_link),
            web.put(f"{base}/issue/{{issue}}/remotelink/{{link}}", self.change_remote_link),
            web.delete(f"{base}/issue/{{issue}}/remotelink/{{link}}", self.drop_remote_link),
        ]

    async def attach(self, request: web.Request) -> web.Response:
        """Files in a multipart body: 200 with all of them. Needs the XSRF header; a name may be there twice."""
        if request.headers.get("X-Atlassian-Token", "").replace("-", "").lower() != "nocheck":
            return web.Response(status=403, text="XSRF check failed")
        row, form = issue_of(self.store, request), await request.post()
        given = [part for part in form.getall("file", []) if isinstance(part, web.FileField)]
        if not given:
            raise No(400, "No file was given in the part `file`.")
        made = []
        for part in given:
            number, now = self.store.next_id(), self.store.clock()
            file = Attachment(number, part.filename, part.content_type, part.file.read(), row["id"], created=now)
            self.store.files[number] = file
            made.append(shown_file(file, request))
        row["updated"] = self.store.clock()
        return web.json_response(made)

    def _file(self, request: web.Request) -> Attachment:
        found = self.store.files.get(request.match_info["file"])
        if found is None:
            raise No(404, f"The attachment with id '{request.match_info['file']}' does not exist")
        return found

    async def file(self, request: web.Request) -> web.Response:
        """One file's description."""
        return web.json_response(shown_file(self._file(request), request))

    async def content(self, request: web.Request) -> web.Response:
        """One file's content, never shown in the browser."""
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        body = self._file(request).content
        return web.Response(body=body, content_type="application/octet-stream", headers=headers)

    async def drop(self, request: web.Request) -> web.Response:
        """Delete a file."""
        del self.store.files[self._file(request).id]
        return web.Response(status=204)

    async def link_types(self, _: web.Request) -> web.Response:
        """How issues can be linked."""
        return web.json_response({"issueLinkTypes": LINK_TYPES})

    async def link(self, request: web.Request) -> web.Response:
        """Link two issues: 201. The same link made again stays one."""
        given = await sent(request)
        name = _part(given, "type").get("name")
        kind = next((row for row in LINK_TYPES if row["name"] == name), None)
        if kind is None:
            raise No(404, f"No issue link type with name '{name}' found.")
        ends = {end: self._end(_part(given, end)) for end in ("inwardIssue", "outwardIssue")}
        link = {"type": kind} | {end: row["id"] for end, row in ends.items()}
        if link not in self.store.issue_links.values():
            self.store.issue_links[self.store.next_id()] = link
        return web.Response(status=201)

    def _end(self, given: dict[str, Any]) -> dict[str, Any]:
        name = str(given.get("key") or given.get("id") or "").upper()
        found = next((row for row in self.store.issues.values() if name in (row["key"], row["id"])), None)
        if found is None:
            raise No(404, NO_ISSUE)
        return found

    async def one_link(self, request: web.Request) -> web.Response:
        """One link with both its ends."""
        number = request.match_info["link"]
        if (link := self.store.issue_links.get(number)) is None:
            raise No(404, f"No issue link with id '{number}' exists.")
        ends = {end: linked(link[end], self.store) for end in ("inwardIssue", "outwardIssue")}
        return web.json_response({"id": number, "type": link["type"]} | ends)

    async def unlink(self, request: web.Request) -> web.Response:
        """Take a link away."""
        if self.store.issue_links.pop(request.match_info["link"], None) is None:
            raise No(404, f"No issue link with id '{request.match_info['link']}' exists.")
        return web.Response(status=204)

    async def links(self, request: web.Request) -> web.Response:
        """The links to elsewhere."""
        return web.json_response(list(issue_of(self.store, request)["links"].values()))

    async def add_link(self, request: web.Request) -> web.Response:
        """Set a link by its global id: 201 for a new one, 200 for one that was there."""
        row, given = issue_of(self.store, request), await sent(request)
        shown = _object(given)
        name = str(given.get("globalId") or self.store.next_id())
        before = row["links"].get(name)
        number = before["id"] if before else int(self.store.next_id())
        where = f"{address_of(request, row['id'])}/remotelink/{number}"
        row["links"][name] = {"id": number, "self": where, "globalId": name, "object": shown}
        return web.json_response({"id": number, "self": where}, status=200 if before else 201)

    def _remote(self, request: web.Request) -> tuple[dict[str, Any], str]:
        """The links to elsewhere of an issue, and the global id of the one that a path names."""
        links, number = issue_of(self.store, request)["links"], request.match_info["link"]
        found = next((name for name, link in links.items() if str(link["id"]) == number), None)
        if found is None:
            raise No(404, "The remote issue link was not found.")
        return links, found

    async def remote_link(self, request: web.Request) -> web.Response:
        """One link to elsewhere, by its number."""
        links, name = self._remote(request)
        return web.json_response(links[name])

    async def change_remote_link(self, request: web.Request) -> web.Response:
        """Another object of a link to elsewhere: 204."""
        links, name = self._remote(request)
        links[name] = links[name] | {"object": _object(await sent(request))}
        return web.Response(status=204)

    async def drop_remote_link(self, request: web.Request) -> web.Response:
        """Drop a link by its number: 204."""
        links, name = self._remote(request)
        del links[name]
        return web.Response(status=204)

    async def drop_link(self, request: web.Request) -> web.Response:
        """Drop a link by its global id."""
        row, name = issue_of(self.store, request), request.query.get("globalId", "")
        if row["links"].pop(name, None) is None:
            raise No(404, "The remote issue link was not found.")
        return web.Response(status=204)


def _object(given: dict[str, Any]) -> dict[str, Any]:
    shown = given.get("object")
    if not isinstance(shown, dict) or not shown.get("url") or not shown.get("title"):
        raise No(400, url="'url' is required.", title="'title' is required.")
    return shown


def _part(given: dict[str, Any], name: str) -> dict[str, Any]:
    part = given.get(name)
    if not isinstance(part, dict):
        raise No(400, f"Field '{name}' is missing or no object.")
    return part


def shown_file(file: Attachment, request: web.Request) -> dict[str, Any]:
    """A file as answers show it."""
    base = f"{site_of(request)}/rest/api/{3 if is_cloud(request) else 2}/attachment"
    size = {"size": len(file.content), "mimeType": file.media_type, "created": iso(file.created)}
    where = {"self": f"{base}/{file.id}", "content": f"{base}/content/{file.id}"}
    return {"id": file.id, "filename": file.name} | size | where


def linked(number: str, store: Store) -> dict[str, Any]:
    """An issue as a link names it; nothing but its id where it was deleted."""
    there = store.issues.get(number)
    if there is None:
        return {"id": number}
    return {"id": number, "key": there["key"], "fields": {"summary": there["fields"]["summary"]}}


def hung_on(row: dict[str, Any], store: Store, request: web.Request) -> dict[str, Any]:
    """The fields of an issue that show its files and its links to other issues."""
    files = [shown_file(file, request) for file in store.files.values() if file.owner == row["id"]]
    links = list(
        row["fields"].get("issuelinks") or ()
    )  # those to issues that aren't here, as somebody set them from outside
    for number, link in store.issue_links.items():
        # The issue that a link was made with as its inner end shows the outer one, and the other way round.
        for own, other in (("inwardIssue", "outwardIssue"), ("outwardIssue", "inwardIssue")):
            if link[own] == row["id"] and link[other] in store.issues:
                links.append({"id": number, "type": link["type"], other: linked(link[other], store)})
    return {"attachment": files, "issuelinks": links}
