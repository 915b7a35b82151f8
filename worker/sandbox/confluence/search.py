"""Search of the simulated Confluence by CQL, as much of it as programs send: comparisons joined with AND, and an order.

Source: Atlassian's pages on CQL. What can't be read is refused; an order is taken and not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from worker.sandbox.confluence.datacenter import CLOUD, DATA_CENTER, ConfluenceContent, guarded_v1, paged_v1
from worker.sandbox.confluence.rules import Refusal
from worker.sandbox.store import Folder, Page, Store, iso

_VALUE = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[^\s"\'(),]+'
_CLAUSE = re.compile(
    rf"\s*(?P<field>[\w.]+)\s*(?P<operator>!=|=|~|\bnot\s+in\b|\bin\b)\s*"
    rf"(?P<value>\(\s*(?:{_VALUE})(?:\s*,\s*(?:{_VALUE}))*\s*\)|{_VALUE})\s*(?:\band\b|$)",
    re.IGNORECASE,
)
_ORDER = re.compile(r"\border\s+by\s+[\w.]+(\s+(asc|desc))?(\s*,\s*[\w.]+(\s+(asc|desc))?)*\s*$", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Hit:
    """What can be found: a page or a folder."""

    kind: str
    held: Page | Folder

    @property
    def page(self) -> Page | None:
        """The page, where it is one."""
        return self.held if isinstance(self.held, Page) else None

    @property
    def words(self) -> str:
        """Title and text."""
        return f"{self.held.title} {_TAG.sub(' ', self.page.body) if self.page else ''}"


Test = Callable[[Hit], bool]
_FIELDS: dict[str, Callable[[Hit], list[str]]] = {
    "id": lambda hit: [hit.held.id],
    "content": lambda hit: [hit.held.id],
    "parent": lambda hit: [hit.held.parent or ""],
    "space": lambda hit: [hit.held.space],
    "space.key": lambda hit: [hit.held.space],
    "type": lambda hit: [hit.kind],
    "title": lambda hit: [hit.held.title],
    "label": lambda hit: hit.page.labels if hit.page else [],
    "text": lambda hit: [hit.words],
    "sitesearch": lambda hit: [hit.words],
}


def parsed(query: str) -> Test:
    """The condition of a query. Raises `Refusal`."""
    text, place, tests = _ORDER.sub("", query).strip(), 0, []
    while place < len(text):
        clause = _CLAUSE.match(text, place)
        values_of = _FIELDS.get(clause["field"].lower()) if clause else None
        if clause is None or values_of is None:
            raise Refusal("parameter", f"Could not parse cql : {query}")
        tests.append(_test(values_of, clause["operator"].lower(), clause["value"]))
        place = clause.end()
    if not tests:
        raise Refusal("parameter", f"Could not parse cql : {query}")
    return lambda hit: all(test(hit) for test in tests)


def _test(values_of: Callable[[Hit], list[str]], operator: str, value: str) -> Test:
    wanted = [_bare(part).casefold() for part in re.findall(_VALUE, value.strip("()"))]
    if operator == "~":
        return lambda hit: all(word.strip("*") in " ".join(values_of(hit)).casefold() for word in wanted[0].split())
    negative = operator == "!=" or operator.startswith("not")
    return lambda hit: any(text.casefold() in wanted for text in values_of(hit)) != negative


def _bare(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] in ("'", '"') else value


class ConfluenceSearch:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.content = ConfluenceContent(store)

    def routes(self) -> list[web.RouteDef]:
        """All routes; they stand before those of the content API, which ends with a route for all that isn't there."""
        found = []
        for base in (CLOUD, DATA_CENTER):
            found += [
                web.get(f"{base}/search", guarded_v1(self.everything)),
                web.get(f"{base}/content/search", guarded_v1(self.contents)),
            ]
        return found

    def _found(self, request: web.Request) -> list[Hit]:
        test = parsed(request.query.get("cql", ""))
        hits = [Hit("page", page) for page in self.content.rules.find()]
        hits += [Hit("folder", folder) for folder in self.store.folders.values()]
        return [hit for hit in hits if test(hit)]

    async def contents(self, request: web.Request) -> web.Response:
        """Pages, in the shape of the content API."""
        pages = [hit.page for hit in self._found(request) if hit.page]
        return paged_v1(request, [self.content.shown(page, request) for page in pages])

    async def everything(self, request: web.Request) -> web.Response:
        """Pages and folders, each with where it stands and a few words of it."""
        return paged_v1(request, [self._shown(hit, request) for hit in self._found(request)])

    def _shown(self, hit: Hit, request: web.Request) -> dict[str, Any]:
        held = hit.held
        bare = {"id": held.id, "type": hit.kind, "status": "current", "title": held.title}
        space = f"/spaces/{held.space}"
        return {
            "content": self.content.shown(hit.page, request) if hit.page else bare,
            "title": held.title,
            "excerpt": hit.words.removeprefix(held.title).strip()[:200],
            "url": f"{space}/pages/{held.id}",
            "resultGlobalContainer": {"title": held.space, "displayUrl": space},
            "entityType": "content",
            "lastModified": iso(hit.page.changed if hit.page else held.created),
        }
