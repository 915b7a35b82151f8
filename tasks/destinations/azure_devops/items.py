"""The requests about one project's work items.

A bad PAT gets a sign-in page, not a 401. WIQL lags behind writes by seconds and `CONTAINS` matches loosely, so hits are
read and their tags compared exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tasks.destinations.azure_devops.answers import dry_run, work_item
from tasks.destinations.azure_devops.patches import Operations, dump, operation
from tasks.destinations.azure_devops.settings import HISTORY
from tasks.destinations.azure_devops.trees import TREES, paths, shown
from tasks.destinations.contract import identifier, rows_of
from tasks.errors import Permanent, Transient
from tasks.http.exchange import Http
from tasks.http.message import Request, Response
from tasks.markup.options import Attachment

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
UPDATES = 200
MOST_UPDATES = 2000
HOLDS_S = 600.0
REFUSALS = 400  # statuses from here on
_NAMED = re.compile(r"(?:field '?|field reference name:? '?|[Ff]ield )([A-Z][A-Za-z0-9]*(?:\.[A-Za-z0-9]+)+)")


class FieldsRefused(Permanent):
    """The server refused values of fields; `fields` are those that it named. Nothing was written."""

    fields: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Items:
    """Work items of one project over one client."""

    http: Http
    version: str
    project: str

    def _path(self, rest: str) -> str:
        return f"/{quote(self.project)}/_apis/wit/{rest}"

    @property
    def _params(self) -> dict[str, str]:
        return {"api-version": self.version}

    async def patch(
        self, item: Mapping[str, Any], operations: Operations, *, kind: str, tries: str = ""
    ) -> dict[str, Any]:
        """Change the work item, if it is still the revision that was read."""
        request = Request(
            "PATCH",
            self._path(f"workitems/{quote(str(item['id']))}"),
            "PATCH /wit/workitems/{id}",
            params=self._params,
            headers=JSON_PATCH,
            body=dump([operation("test", "/rev", item["rev"]), *operations]),
            writes=True,
            tries=tries,
        )
        response = await self.http.send(request, accept=frozenset({400, 404, 412}))
        if response.status == 412:
            raise Transient("Somebody changed the work item meanwhile.", code="conflict", status=412, answered=True)
        if response.status < REFUSALS:
            return response.parsed(work_item)
        if b"RelationAlreadyExists" in response.body:
            raise Transient("The link was added meanwhile.", code="conflict", status=response.status, answered=True)
        raise await self._explain(response, kind)

    async def create(
        self, kind: str, operations: Operations, *, tries: str = "", validate: bool = False
    ) -> dict[str, Any]:
        """A new work item; with `validate` all rules run and nothing is kept."""
        response = await self.http.send(
            Request(
                "POST",
                self._path(f"workitems/${quote(kind)}"),
                "POST /wit/workitems/${type}",
                params=self._params | ({"validateOnly": "true"} if validate else {}),
                headers=JSON_PATCH,
                body=dump(operations),
                writes=not validate,
                tries=tries,
            ),
            accept=frozenset({400, 404}),
        )
        if response.status >= REFUSALS:
            raise await self._explain(response, kind)
        return response.parsed(dry_run if validate else work_item)

    async def upload(self, file: Attachment) -> str:
        """The address of a file that is kept, to be attached to a work item."""
        request = Request(
            "POST",
            self._path("attachments"),
            "POST /wit/attachments",
            params=self._params | {"fileName": file.name},
            headers={"Content-Type": "application/octet-stream"},
            body=file.content,
            writes=True,
        )
        return (await self.http.send(request)).parsed(lambda answer: str(answer["url"]))

    async def item(self, item_id: str) -> dict[str, Any] | None:
        """The work item of that id, as far as it can be seen."""
        path = self._path(f"workitems/{quote(item_id)}")
        request = Request("GET", path, "GET /wit/workitems/{id}", params=self._params | {"$expand": "all"})
        response = await self.http.send(request, accept=frozenset({404}))
        return None if response.status == 404 else response.parsed(work_item)

    async def known(self, item_id: str) -> dict[str, Any] | None:
        """The item of an earlier delivery; None where it lies in the recycle bin.

        A 404 says "doesn't exist, or no permission to read it". Raises `Permanent` where the bin doesn't hold it
        either: a second work item would stand beside one that this account can't see.
        """
        item = await self.item(item_id)
        if item is not None:
            return item
        path = self._path(f"recyclebin/{quote(item_id)}")
        request = Request("GET", path, "GET /wit/recyclebin/{id}", params=self._params)
        response = await self.http.send(request, accept=frozenset({403, 404}))
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

    async def look_up(self, tag: str) -> dict[str, Any] | None:
        """The work item with our tag."""
        query = (
            "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject]=@project "
            f"AND [System.Tags] CONTAINS '{tag}' ORDER BY [System.Id]"
        )
        request = Request("POST", self._path("wiql"), "POST /wit/wiql", params=self._params, json={"query": query})
        response = await self.http.send(request, accept=frozenset({404}))
        if response.status == 404:
            raise self._no_project(response)
        for number in response.parsed(lambda answer: [identifier(row["id"]) for row in answer["workItems"]]):
            item = await self.item(number)
            if item is not None and tag in tags_of(item):
                return item
        return None

    async def comments(self, item_id: str) -> list[str]:
        """What was added to the item's discussion so far, as HTML."""
        found: list[str] = []
        for skip in range(0, MOST_UPDATES, UPDATES):
            params = self._params | {"$top": str(UPDATES), "$skip": str(skip)}
            path = self._path(f"workitems/{quote(item_id)}/updates")
            response = await self.http.send(Request("GET", path, "GET /wit/workitems/{id}/updates", params=params))
            rows = response.parsed(lambda answer: rows_of(answer, "value"))
            found += response.parsed(lambda answer: [_said(row) for row in answer["value"]])
            if len(rows) < UPDATES:
                break
        return [text for text in found if text]

    async def states(self, kind: str) -> dict[str, str]:
        """The states of a type in their order, with the category of each."""
        path = self._path(f"workitemtypes/{quote(kind)}/states")
        request = Request("GET", path, "GET /wit/workitemtypes/{type}/states", params=self._params)
        response = await self.http.recall(
            request, lambda answer: answer.status == 200, for_s=HOLDS_S, accept=frozenset({404})
        )
        if response.status == 404:
            return {}
        return response.parsed(
            lambda a: {str(row["name"]): str(row.get("category", "")) for row in rows_of(a, "value")}
        )

    async def tree(self, field: str) -> list[str]:
        """The paths of the project's areas or iterations; none where they can't be seen."""
        path = self._path(f"classificationnodes/{TREES[field]}")
        params = self._params | {"$depth": "20"}
        request = Request("GET", path, "GET /wit/classificationnodes/{tree}", params=params)
        response = await self.http.recall(
            request, lambda answer: answer.status == 200, for_s=HOLDS_S, accept=frozenset({404})
        )
        return [] if response.status == 404 else response.parsed(paths)

    async def types(self) -> list[str]:
        """The project's work item types; none where they can't be seen."""
        request = Request("GET", self._path("workitemtypes"), "GET /wit/workitemtypes", params=self._params)
        response = await self.http.send(request, accept=frozenset({404}))
        if response.status == 404:
            return []
        return response.parsed(lambda answer: [str(row["name"]) for row in answer["value"]])

    async def _explain(self, response: Response, kind: str) -> Permanent:
        """What was refused: the project, the type (naming those that exist), or a field."""
        try:
            answer = response.json()
        except Transient:
            answer = {}
        answer = answer if isinstance(answer, dict) else {}
        words = response.words()
        reason = str(answer.get("typeKey", "")) + words
        if "ProjectDoesNotExist" in reason or "TF200016" in reason:
            return self._no_project(response)
        if "WorkItemTypeNotFound" in reason or "VS402323" in reason:
            names = ", ".join(await self.types()) or "none to be seen"
            return Permanent(
                f"Project {self.project!r} has no work item type {kind!r}; it has: {names}.",
                code="unknown_type",
                advice="Name one of these (`--type`, `work_item_type`).",
                status=response.status,
            )
        code = "unknown_field" if "TF51535" in reason else "refused"
        code = "unknown_reference" if "TF401347" in reason or "unknown identity" in reason.casefold() else code
        refused = FieldsRefused(
            f"Azure DevOps refused the work item ({response.status}). It said: {words!r}",
            code=code,
            advice="Correct what it names, then `afterword job retry`.",
            status=response.status,
            excerpt=words,
        )
        refused.fields = _fields_named(answer, words)
        tree = next((name for name in TREES if name in refused.fields), None)
        if tree and "TF401347" in reason and (known := await self.tree(tree)):
            refused.advice = f"The project has: {shown(known)}. {refused.advice}"
        return refused

    def _no_project(self, response: Response) -> Permanent:
        return Permanent(
            f"There is no project {self.project!r}, or the account can't see it. It said: {response.words()!r}",
            code="unknown_project",
            advice="Check the name and the account's rights, then submit again.",
            status=response.status,
        )


def tags_of(item: Mapping[str, Any]) -> list[str]:
    """A work item's tags."""
    return [tag.strip() for tag in str(item.get("fields", {}).get("System.Tags") or "").split(";") if tag.strip()]


def _said(update: Mapping[str, Any]) -> str:
    """The comment of one update; empty where it has none."""
    change = (update.get("fields") or {}).get(HISTORY) or {}
    return str(change.get("newValue") or "")


def _fields_named(answer: Mapping[str, Any], words: str) -> frozenset[str]:
    """The fields that a refusal names: each has an entry of its own, beside the first one's words."""
    own = answer.get("customProperties")
    rows = answer.get("RuleValidationErrors") or (own.get("RuleValidationErrors") if isinstance(own, dict) else None)
    listed = [str(row.get("fieldReferenceName", "")) for row in rows or () if isinstance(row, dict)]
    return frozenset(filter(None, (*listed, *_NAMED.findall(words))))
