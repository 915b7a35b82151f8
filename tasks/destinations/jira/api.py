"""The requests to Jira: v3 of the Cloud, v2 of a Data Center."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tasks.destinations.contract import identifier, rows_of
from tasks.destinations.jira.answers import (
    PROPERTY,
    FieldShape,
    IssueType,
    Person,
    StoredIssue,
    comments,
    done,
    field_shapes,
    file_names,
    hits,
    issue_types,
    made,
    people,
    permission,
    remote_links,
    signed_in,
    stored_issue,
)
from tasks.destinations.jira.observed import observed
from tasks.destinations.jira.workflow import Transition, transitions
from tasks.errors import Permanent
from tasks.http.exchange import Http
from tasks.http.message import Request, Response
from tasks.http.multipart import multipart
from tasks.markup.options import Attachment
from tasks.model import Link
from tasks.model.remote import Observed

MISSING = frozenset({404})
REFUSED = frozenset({400, 404})
FOLLOWED = ("status", "assignee", "issuelinks", "parent")
OUR_LINKS = "afterword:"
MOST_HITS = 50


class JiraApi:
    """One attempt's client."""

    def __init__(self, http: Http, *, cloud: bool) -> None:
        self.http = http
        self.cloud = cloud
        self.base = "/rest/api/3" if cloud else "/rest/api/2"

    async def _get(
        self, path: str, operation: str, params: dict[str, str] | None = None, accept: frozenset[int] = frozenset()
    ) -> Response:
        request = Request("GET", self.base + path, f"GET {operation}", params=params or {})
        return await self.http.send(request, accept=accept)

    async def _write(
        self, method: str, path: str, operation: str, body: object, accept: frozenset[int], tries: str = ""
    ) -> Response:
        request = Request(method, self.base + path, f"{method} {operation}", json=body, writes=True, tries=tries)
        return await self.http.send(request, accept=accept)

    async def myself(self) -> str:
        """Whose the credential is."""
        return (await self._get("/myself", "/myself")).parsed(signed_in)

    async def has_project(self, project: str) -> bool:
        """Whether the account sees the project."""
        path = f"/project/{quote(project)}"
        return (await self._get(path, "/project/{key}", accept=MISSING)).status != 404

    async def may(self, project: str, name: str) -> bool:
        """Whether the account has a permission in the project."""
        params = {"projectKey": project, "permissions": name}
        response = await self._get("/mypermissions", "/mypermissions", params, MISSING)
        return response.status != 404 and response.parsed(lambda answer: permission(answer, name))

    async def types(self, project: str) -> list[IssueType] | None:
        """The types that can be created; None where the account sees no such project."""
        path = f"/issue/createmeta/{quote(project)}/issuetypes"
        params = {"maxResults": "200"}
        response = await self._get(path, "/issue/createmeta/{project}/issuetypes", params, REFUSED)
        return None if response.status in REFUSED else response.parsed(issue_types)

    async def fields(self, project: str, issue_type: str) -> list[FieldShape]:
        """The fields that an issue of the type is created with."""
        path = f"/issue/createmeta/{quote(project)}/issuetypes/{quote(issue_type)}"
        params = {"maxResults": "200"}
        response = await self._get(path, "/issue/createmeta/{project}/issuetypes/{id}", params)
        return response.parsed(field_shapes)

    async def issue(self, number: str) -> StoredIssue | None:
        """The issue of that id; None where there is none to be seen."""
        params = {"fields": "*all", "properties": PROPERTY}
        response = await self._get(f"/issue/{quote(number)}", "/issue/{id}", params, MISSING)
        return None if response.status == 404 else response.parsed(stored_issue)

    async def labelled(self, label: str) -> list[str]:
        """The ids of the issues with a label, the oldest first, as far as the index knows yet."""
        path = "/search/jql" if self.cloud else "/search"
        query = {"jql": f'labels = "{label}" ORDER BY created ASC', "maxResults": MOST_HITS, "fields": ["labels"]}
        request = Request("POST", self.base + path, f"POST {path}", json=query)
        return (await self.http.send(request)).parsed(hits)

    async def followed(self, labels: list[str], site: str) -> dict[str, Observed]:
        """The issues with one of these labels as the index has them, by id; their pages are at `site`."""
        path = "/search/jql" if self.cloud else "/search"
        named = ", ".join(f'"{label}"' for label in labels)
        query = {"jql": f"labels in ({named})", "maxResults": 2 * len(labels), "fields": list(FOLLOWED)}
        request = Request("POST", self.base + path, f"POST {path}", json=query)
        response = await self.http.send(request)
        return response.parsed(
            lambda answer: {identifier(row["id"]): observed(row, site) for row in rows_of(answer, "issues")}
        )

    async def create(self, body: dict[str, Any], tries: str) -> Response:
        """Create an issue: 201, or a refusal."""
        return await self._write("POST", "/issue", "/issue", body, REFUSED, tries)

    async def change(self, number: str, body: dict[str, Any], tries: str) -> Response:
        """Change an issue: 204, or a refusal."""
        return done(await self._write("PUT", f"/issue/{quote(number)}", "/issue/{id}", body, REFUSED, tries))

    async def transitions(self, number: str) -> list[Transition]:
        """The ways out of the issue's present status, with the fields of their screens."""
        params = {"expand": "transitions.fields"}
        response = await self._get(f"/issue/{quote(number)}/transitions", "/issue/{id}/transitions", params)
        return response.parsed(transitions)

    async def transit(self, number: str, way: str, fields: Mapping[str, Any], tries: str) -> Response:
        """Take one of them: 204, or a refusal."""
        path, body = f"/issue/{quote(number)}/transitions", {"transition": {"id": way}, "fields": fields}
        return done(await self._write("POST", path, "/issue/{id}/transitions", body, frozenset({400}), tries))

    async def assignable(self, project: str, words: str) -> list[Person] | None:
        """Who can be assigned in the project and has these words in a name or address; None where the account may not look."""
        params = {"project": project, "query" if self.cloud else "username": words, "maxResults": str(MOST_HITS)}
        path = "/user/assignable/search"
        response = await self._get(path, path, params, REFUSED | {403})
        return None if response.status >= 400 else response.parsed(people)

    async def comments(self, number: str) -> list[object]:
        """The bodies of the issue's newest comments."""
        params = {"orderBy": "-created", "maxResults": "100"}
        response = await self._get(f"/issue/{quote(number)}/comment", "/issue/{id}/comment", params)
        return response.parsed(comments)

    async def comment(self, number: str, body: object, tries: str) -> None:
        """Add a comment."""
        path = f"/issue/{quote(number)}/comment"
        response = await self._write("POST", path, "/issue/{id}/comment", {"body": body}, frozenset(), tries)
        response.parsed(made)

    async def file_names(self, number: str) -> list[str]:
        """The names of the issue's files."""
        response = await self._get(f"/issue/{quote(number)}", "/issue/{id}", {"fields": "attachment"})
        return response.parsed(file_names)

    async def attach(self, number: str, file: Attachment) -> None:
        """Add a file; Jira keeps several of one name."""
        form, body = multipart(file.name, file.media_type, file.content, {})
        headers = {"X-Atlassian-Token": "no-check", "Content-Type": form}
        path, operation = f"{self.base}/issue/{quote(number)}/attachments", "POST /issue/{id}/attachments"
        response = await self.http.send(Request("POST", path, operation, headers=headers, body=body, writes=True))
        response.parsed(lambda answer: made(answer[0]))

    async def relink(self, number: str, links: tuple[Link, ...]) -> bool | None:
        """Make our links to elsewhere lead to these pages; a person's are left alone. True where that changed something,
        None where there is no such issue to be seen.
        """
        path, operation = f"/issue/{quote(number)}/remotelink", "/issue/{id}/remotelink"
        response = await self._get(path, operation, accept=MISSING)
        if response.status == 404:
            return None
        present = response.parsed(remote_links)
        wanted = {OUR_LINKS + link.key: (link.url, link.title) for link in links}
        stale = [name for name in present if name.startswith(OUR_LINKS) and name not in wanted]
        missing = {name: shown for name, shown in wanted.items() if present.get(name) != shown}
        for name in stale:
            params = {"globalId": name}
            drop = Request("DELETE", self.base + path, f"DELETE {operation}", params=params, writes=True)
            done(await self.http.send(drop, accept=MISSING))
        for name, (url, title) in missing.items():
            link = {"globalId": name, "object": {"url": url, "title": title}}
            (await self._write("POST", path, operation, link, frozenset())).parsed(made)
        return bool(stale or missing)


def no_project(project: str, status: int | None = None, words: str = "") -> Permanent:
    """There is no such project, or none to be seen; `words` are Jira's, which speaks the account's language."""
    said = f" It said: {words!r}" if words else ""
    return Permanent(
        f"There is no project {project!r}, or the account can't see it or create issues in it.{said}",
        code="unknown_project",
        advice="Check the key and the account's rights, then submit again.",
        status=status,
    )
