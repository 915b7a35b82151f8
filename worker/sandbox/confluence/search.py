"""Search of the simulated Confluence by CQL, as much of it as programs send: comparisons with AND, OR, NOT and brackets, and an order.

Source: Atlassian's pages on CQL. What can't be read is refused; an order is taken and not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from worker.sandbox.conditions import ORDERING, SECONDS, BadQuery, bare, read, says
from worker.sandbox.confluence.datacenter import CLOUD, DATA_CENTER, ConfluenceContent, guarded_v1, paged_v1
from worker.sandbox.confluence.rules import Refusal
from worker.sandbox.store import Folder, Page, Store, iso

_ORDER = re.compile(r"\border\s+by\s+[\w.]+(\s+(asc|desc))?(\s*,\s*[\w.]+(\s+(asc|desc))?)*\s*$", re.IGNORECASE)
ME = "currentuser()"  # one account makes all pages
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
    "creator": lambda _: [ME],
    "contributor": lambda _: [ME],
    "sitesearch": lambda hit: [hit.words],
}


_MOMENTS: dict[str, Callable[[Hit], float]] = {
    "created": lambda hit: hit.held.created,
    "lastmodified": lambda hit: hit.page.changed if hit.page else hit.held.created,
}


def parsed(query: str, store: Store, now: float) -> Test:
    """The condition of a query. Raises `Refusal`."""
    try:
        return read(_ORDER.sub("", query), partial(_compared, store, now))
    except BadQuery:
        raise Refusal("parameter", f"Could not parse cql : {query}") from None


def _compared(store: Store, now: float, field: str, operator: str, values: list[str]) -> Test:
    name = field.lower()
    if name in _MOMENTS:
        return _dated(_MOMENTS[name], operator, values[0], now)
    values_of = _FIELDS.get(name)
    if name == "ancestor":
        values_of = lambda hit: store.above(hit.page) if hit.page else []  # noqa: E731
    if values_of is None or operator in (*ORDERING, "is", "is not"):
        raise BadQuery(field)
    wanted = [bare(value).casefold() for value in values]
    negative = operator.startswith(("!", "not"))
    if "~" in operator:
        return lambda hit: says(values_of(hit), wanted[0]) != negative
    return lambda hit: any(text.casefold() in wanted for text in values_of(hit)) != negative


def _dated(moment_of: Callable[[Hit], float], operator: str, value: str, now: float) -> Test:
    moment = _moment(value, now)
    if operator not in ORDERING:
        raise BadQuery(operator)
    return lambda hit: ORDERING[operator](moment_of(hit), moment)


def _moment(value: str, now: float) -> float:
    if ago := re.fullmatch(r"""now\(\s*(?:["']?-(\d{1,5})([wdhm])["']?)?\s*\)""", value, re.IGNORECASE):
        return now - (int(ago[1]) * SECONDS[ago[2].lower()] if ago[1] else 0)
    try:
        return datetime.fromisoformat(bare(value).replace("/", "-")).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise BadQuery(value) from None


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
        test = parsed(request.query.get("cql", ""), self.store, self.store.clock())
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
