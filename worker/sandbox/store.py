"""What the simulated vendors hold. Pure memory; time comes in as a function."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tasks.markup import jira
from worker.sandbox.accounts import Account
from worker.sandbox.people import people

SPACES = ("OPS", "ENG", "SRE", "DOCS", "KB")
PROJECTS = {"Operations": "Agile", "Payments": "Agile", "Platform": "Scrum", "Starter": "Basic"}
# What each project of Azure DevOps has below its own name, by field and by path.
NODES = {
    "System.AreaPath": ("Database", "Database\\Postgres", "Database\\Tools", "Web", "Web\\Tools"),
    "System.IterationPath": ("Release 1", "Release 1\\Sprint 1", "Release 1\\Sprint 2"),
}
FIRST_SPACE = 98300
OWN = "sandbox"  # the user whom a credential of no account stands for
NAMESPACE = uuid.UUID("7d3c4f62-6f0b-4f8e-9a53-3f0c2f1f7a10")


@dataclass
class Property:
    """A content property of a page."""

    id: str
    key: str
    value: Any
    version: int = 1
    created: float = 0.0


@dataclass
class Attachment:
    """A file on a page or an incident."""

    id: str
    name: str
    media_type: str
    content: bytes
    owner: str
    comment: str = ""
    version: int = 1
    created: float = 0.0
    earlier: list[bytes] = field(default_factory=list)
    properties: dict[str, Property] = field(default_factory=dict)


@dataclass
class Comment:
    """A reader's comment. An inline one has the reference of its markers in the body, and the words it was put on."""

    id: str
    ref: str
    selection: str
    text: str
    created: float = 0.0


@dataclass
class Page:
    """One Confluence page with all that hangs on it. `home` marks a space's own first page; `comments` are inline, `remarks` below it. `limits` are who may `read` and
    `update` it: accounts and groups.
    """

    id: str
    space: str
    title: str
    body: str
    version: int = 1
    parent: str | None = None
    status: str = "current"
    created: float = 0.0
    changed: float = 0.0
    message: str = ""
    home: bool = False
    minor: bool = False
    versions: list[tuple[int, str, float, bool]] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    remarks: list[Comment] = field(default_factory=list)
    properties: dict[str, Property] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    limits: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    owner: str = ""
    state: dict[str, Any] | None = None


@dataclass
class Folder:
    """A folder of Confluence Cloud: a place for pages without a text of its own."""

    id: str
    space: str
    title: str
    parent: str
    created: float = 0.0


@dataclass(frozen=True)
class Issued:
    """An access token of an authorization server: whose, for what, until when (seconds since the epoch)."""

    vendor: str
    client: str
    scopes: tuple[str, ...]
    expires: float

    def ended(self) -> Issued:
        """The same, ended."""
        return replace(self, expires=0.0)


@dataclass
class Refresh:
    """A refresh token. `family` is the login that it goes back to, `successors` what it was rotated to."""

    vendor: str
    client: str
    scopes: tuple[str, ...]
    family: str
    rotated_at: float | None = None
    successors: list[str] = field(default_factory=list)
    revoked: bool = False


@dataclass(frozen=True)
class Code:
    """An authorization code, with the challenge (PKCE) that its user has to answer."""

    vendor: str
    client: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    at: float


@dataclass
class Store:
    """Everything delivered so far, and every request seen. `clock` gives seconds since the epoch."""

    clock: Callable[[], float] = time.time
    space_keys: Iterable[str] = SPACES
    projects: dict[str, str] = field(default_factory=lambda: dict(PROJECTS))
    nodes: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(NODES))
    processes: dict[str, Any] = field(default_factory=dict)  # those of a set-up, by name
    item_fields: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    jira_projects: dict[str, Any] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()
    asking: ContextVar[Account | None] = field(default_factory=lambda: ContextVar("asking", default=None))
    spaces: dict[str, str] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    page_states: list[dict[str, Any]] = field(default_factory=list)
    incidents: dict[str, dict[str, str]] = field(default_factory=dict)
    journals: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    people: dict[str, list[dict[str, str]]] = field(default_factory=people)
    files: dict[str, Attachment] = field(default_factory=dict)
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    recycled: dict[int, dict[str, Any]] = field(default_factory=dict)
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    issue_numbers: dict[str, int] = field(default_factory=dict)  # the last one of each project: none is given twice
    issue_links: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    blind_until: float = 0.0
    index_lag_s: float = 0.0
    jql_blind_until: float = 0.0
    jql_lag_s: float = 0.0
    unseen_s: float = 0.0
    drops_messages: bool = False
    denied: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    issued: dict[str, Issued] = field(default_factory=dict)
    refreshes: dict[str, Refresh] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    assertions: set[str] = field(default_factory=set)
    certificates: dict[str, str] = field(default_factory=dict)
    token_life_s: float | None = None

    def __post_init__(self) -> None:
        self.spaces = {key: str(FIRST_SPACE + i) for i, key in enumerate(self.space_keys)}
        self._seed()

    def _seed(self) -> None:
        self.ids = itertools.count(1001)
        self.incident_numbers = itertools.count(10001)
        for number, key in enumerate(self.spaces, start=101):
            self.pages[str(number)] = Page(str(number), key, f"{key} Home", "<p></p>", home=True, created=self.clock())

    def reset(self) -> None:
        """Forget all that was delivered and all that was asked."""
        for held in (
            self.pages,
            self.folders,
            self.page_states,
            self.incidents,
            self.journals,
            self.files,
            self.items,
            self.recycled,
            self.issues,
            self.issue_numbers,
            self.issue_links,
        ):
            held.clear()
        self.requests.clear()
        self.denied.clear()
        for given in (self.issued, self.refreshes, self.codes, self.assertions, self.certificates):
            given.clear()
        self.token_life_s = None
        self.drops_messages = False
        self.blind_until = self.index_lag_s = self.unseen_s = 0.0
        self.jql_blind_until = self.jql_lag_s = 0.0
        self._seed()

    @property
    def users(self) -> list[dict[str, str]]:
        """All people whom the vendors know."""
        return self.people["sys_user"]

    @property
    def me(self) -> dict[str, str]:
        """The user whom the request that is being answered comes from."""
        account = self.asking.get()
        name = account.user_name if account else OWN
        return next(row for row in self.users if row["user_name"] == name)

    def denies(self, vendor: str, target: str, action: str) -> bool:
        """Whether the account that asks may not do that in the space, project or table."""
        account = self.asking.get()
        own = {(row.vendor, row.target): frozenset(row.deny) for row in account.deny} if account else {}
        denied = self.denied | own
        found = denied.get((vendor, target), denied.get((vendor, "*"), frozenset()))
        return bool(target) and action in found

    def next_id(self) -> str:
        """An id that nothing here has."""
        return str(next(self.ids))

    def above(self, page: Page) -> list[str]:
        """The ids of the pages above a page, the nearest last. It ends at a folder."""
        found: list[str] = []
        parent = page.parent
        while parent and parent in self.pages:
            found.insert(0, parent)
            parent = self.pages[parent].parent
        return found

    def homepage(self, space: str) -> str:
        """The id of the space's first page."""
        return next(page.id for page in self.pages.values() if page.home and page.space == space)

    def space_of(self, number: str) -> str | None:
        """The key of the space of that id."""
        return next((key for key, known in self.spaces.items() if known == number), None)

    def delivered(self) -> list[Page]:
        """The pages that came from outside."""
        return [page for page in self.pages.values() if not page.home]

    def summary(self) -> dict[str, Any]:
        """Counts, objects and the last 1,000 requests; never a credential."""
        objects = [_page(p) for p in self.delivered()]
        objects += [
            _incident(r, self.journals.get(r["sys_id"], []))
            | {"attachments": _names_of_files(self.files.values(), r["sys_id"])}
            for r in self.incidents.values()
        ]
        objects += [_item(i, project_id(i["fields"]["System.TeamProject"]), self.files) for i in self.items.values()]
        objects += [
            _issue(row) | {"attachments": _names_of_files(self.files.values(), row["id"])}
            for row in self.issues.values()
        ]
        counts = {"pages": len(self.delivered()), "incidents": len(self.incidents), "work_items": len(self.items)}
        counts["issues"] = len(self.issues)
        return {"counts": counts, "objects": objects, "requests": self.requests[-1000:]}


def project_id(name: str) -> str:
    """The GUID of a project: always the same for a name."""
    return str(uuid.uuid5(NAMESPACE, name))


def tags_of(item: dict[str, Any]) -> list[str]:
    """A work item's tags."""
    return [tag.strip() for tag in str(item["fields"].get("System.Tags", "")).split(";") if tag.strip()]


def iso(moment: float) -> str:
    """Seconds since the epoch as Atlassian and Microsoft write them: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _page(page: Page) -> dict[str, Any]:
    values = [row.value for row in page.properties.values() if isinstance(row.value, dict)]
    return {
        "vendor": "confluence",
        "kind": "page",
        "id": page.id,
        "title": page.title,
        "url": f"/wiki/spaces/{page.space}/pages/{page.id}",
        "version": page.version,
        "key": next((value["subject"] for value in values if "subject" in value), None),
        "space": page.space,
        "parent": page.parent,
        "status": page.status,
        "labels": list(page.labels),
        "properties": {key: row.value for key, row in page.properties.items()},
        "attachments": sorted(file.name for file in page.attachments.values()),
        "files": {
            file.name: {"version": file.version, "size": len(file.content)} for file in page.attachments.values()
        },
        "message": page.message,
        "minor": page.minor,
        "limits": page.limits,
        "owner": page.owner,
        "state": (page.state or {}).get("name"),
        "comments": [{"ref": c.ref, "selection": c.selection, "open": c.ref in page.body} for c in page.comments],
        "body": page.body,
    }


def _incident(row: dict[str, str], journal: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "vendor": "servicenow",
        "kind": row["sys_class_name"],
        "id": row["sys_id"],
        "title": row["short_description"],
        "url": f"/nav_to.do?uri={row['sys_class_name']}.do?sys_id={row['sys_id']}",
        "version": int(row["sys_mod_count"]),
        "key": row["correlation_id"],
        "number": row["number"],
        "priority": row["priority"],
        "status": row["state"],
        "journal": [{"field": name, "text": text} for name, text in journal],
        "fields": dict(row),
        "body": row["description"],
    }


def _names_of_files(files: Iterable[Attachment], owner: str) -> list[str]:
    return [file.name for file in files if file.owner == owner]


def _item(item: dict[str, Any], project: str, files: dict[str, Attachment]) -> dict[str, Any]:
    fields = item["fields"]
    attached = [
        row["url"].partition("?")[0].rpartition("/")[2] for row in item["relations"] if row["rel"] == "AttachedFile"
    ]
    repro = "Microsoft.VSTS.TCM.ReproSteps"
    name = repro if fields.get(repro) else "System.Description"
    return {
        "vendor": "azure_devops",
        "kind": fields["System.WorkItemType"],
        "id": str(item["id"]),
        "title": fields.get("System.Title", ""),
        "url": f"/{item['org']}/{project}/_workitems/edit/{item['id']}",
        "version": item["rev"],
        "key": next((tag for tag in tags_of(item) if tag.startswith("aw-")), None),
        "project": fields["System.TeamProject"],
        "tags": tags_of(item),
        "links": [row["url"] for row in item["relations"] if row["rel"] == "Hyperlink"],
        "status": fields["System.State"],
        "body": str(fields.get(name) or ""),
        "format": item["formats"].get(name, "html"),
        "fields": dict(fields),
        "attachments": [files[number].name for number in attached if number in files],
        "history": list(item.get("history", ())),
    }


def _issue(row: dict[str, Any]) -> dict[str, Any]:
    fields = row["fields"]
    described = fields.get("description")
    return {
        "vendor": "jira",
        "kind": row["type"],
        "id": row["id"],
        "number": row["key"],
        "title": fields["summary"],
        "url": f"/browse/{row['key']}",
        "version": row["rev"],
        "key": next((label for label in fields["labels"] if label.startswith("aw-")), None),
        "project": row["project"],
        "labels": list(fields["labels"]),
        "properties": row["properties"],
        "links": [link["object"]["url"] for link in row["links"].values()],
        "status": row["status"],
        "priority": (fields.get("priority") or {}).get("name"),
        "fields": fields,
        "comments": [jira.words(c["body"]) if isinstance(c["body"], dict) else str(c["body"]) for c in row["comments"]],
        "body": jira.words(described) if isinstance(described, dict) else str(described or ""),
    }
