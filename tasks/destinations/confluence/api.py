"""What Confluence's two APIs have in common: pages as they show them, refusals told apart, labels and files over v1.

A look-up gives None or nothing where the vendor says 404. A write that the vendor refuses raises what the refusal means:
`TitleTaken`, `VersionConflict`, `NotVisible`, or `Permanent` with the vendor's words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from tasks.destinations.contract import identifier, rows_of
from tasks.errors import Permanent, Transient
from tasks.http.exchange import Http
from tasks.http.message import Request, Response
from tasks.http.multipart import multipart
from tasks.model import Frozen

PROPERTY = "afterword"
T = TypeVar("T")
PAGE_SIZE = 200
MOST_ROWS = 5000


class Page(Frozen):
    """A page as the API shows it. `body` is its storage format where it was asked for, `message` its version's, `space` what the
    API calls its space, where it said so.
    """

    id: str
    title: str
    status: str
    version: int
    url: str
    message: str = ""
    parent_id: str | None = None
    owner: str = ""
    space: str = ""
    body: str = ""


class Draft(Frozen):
    """A page to be written. `minor` keeps watchers undisturbed where the API can. `private` creates it for our own account
    alone, where the API can; `owner` hands over a page that is there.
    """

    title: str
    body: str
    space: str = ""
    parent_id: str | None = None
    message: str = ""
    minor: bool = False
    private: bool = False
    owner: str = ""


class Person(Frozen):
    """Somebody with an account: the id that restrictions know it by, and what it is called otherwise."""

    id: str
    names: tuple[str, ...] = ()


class Allowed(Frozen):
    """Who may do something with a page: ids of people, and names of groups. Nobody means everybody."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[tuple[str, str], ...]:
        """Everybody, each with the kind."""
        return (*(("user", one) for one in self.users), *(("group", one) for one in self.groups))


class Folder(Frozen):
    """A folder, or whatever else pages stand below that has no text of its own."""

    id: str
    title: str


class PageFile(Frozen):
    """A file on a page. `comment` is what its uploader said of it."""

    id: str
    name: str
    comment: str = ""


# How a taken title may be refused without words that say so: a bare 500 of a Data Center, or a 400 in another language.
MAY_BE_TAKEN = frozenset({400, 500})


class TitleTaken(Permanent):
    """Another page of the space, perhaps one that is archived or in the trash, owns the title."""


class VersionConflict(Transient):
    """409: the version isn't the next one any more, or the server says so although it is."""


class NotVisible(Transient):
    """404 for a page that was there a moment ago: just created, or out of the account's sight."""


class Dialect(ABC):
    """Verbs over one HTTP client. `v1` is the path of the old API, which labels and uploads still need on Cloud."""

    v1: str
    restricting: str  # the path of the API that sets restrictions
    user_key: str  # what restrictions call the id of an account
    creates_private = False  # whether a page can be created for our own account alone

    def __init__(self, http: Http) -> None:
        self.http = http

    @abstractmethod
    async def space(self, key: str) -> str | None:
        """What the API calls the space of that key."""

    @abstractmethod
    async def any_space(self) -> None:
        """Ask for a list of spaces; raises where the answer isn't Confluence's own."""

    async def account(self) -> str | None:
        """The name of the account that the credential belongs to; None for an anonymous visitor."""
        path = f"{self.v1}/user/current"
        response = await self.http.send(Request("GET", path, "GET /user/current"))

        def name(user: dict[str, Any]) -> str | None:
            if user.get("type") == "anonymous" or str(user.get("username") or "") == "anonymous":
                return None
            known = (user.get(key) for key in ("displayName", "publicName", "username", "accountId", "userKey"))
            found = [str(text) for text in known if text]
            return found[0]

        return response.parsed(name)

    @abstractmethod
    async def own_id(self) -> str:
        """The id of our own account, as restrictions know it."""

    @abstractmethod
    async def people(self, name: str) -> list[Person]:
        """The people whom that id, name or e-mail address may mean."""

    async def restrictions(self, page_id: str) -> dict[str, Allowed]:
        """Who may read and who may update the page; what everybody may do is missing."""
        path = f"{self.v1}/content/{quote(page_id)}/restriction/byOperation"
        shown = ",".join(f"{name}.restrictions.{kind}" for name in ("read", "update") for kind in ("user", "group"))
        operation = "GET /content/{id}/restriction/byOperation"
        found = await self.read(path, operation, self._restrictions, {"expand": shown})
        if found is None:
            raise not_visible(page_id)
        return {name: allowed for name, allowed in found.items() if allowed.all}

    def _restrictions(self, answer: dict[str, Any]) -> dict[str, Allowed]:
        found = {}
        for name in ("read", "update"):
            held = (answer.get(name) or {}).get("restrictions") or {}
            users, groups = (rows_of(held.get(kind) or {"results": []}) for kind in ("user", "group"))
            found[name] = Allowed(
                users=tuple(identifier(row[self.user_key]) for row in users),
                groups=tuple(identifier(row["name"]) for row in groups),
            )
        return found

    async def restrict(self, page_id: str, allowed: Mapping[str, Allowed]) -> None:
        """Set all restrictions of the page at once; raises `Permanent` where Confluence doesn't take them."""
        rows = []
        for name, one in allowed.items():
            users = [{"type": "known", self.user_key: user} for user in one.users]
            groups = [{"type": "group", "name": group} for group in one.groups]
            held = {"user": users, "group": groups}
            rows.append({"operation": name, "restrictions": {kind: given for kind, given in held.items() if given}})
        path = f"{self.restricting}/content/{quote(page_id)}/restriction"
        response = await self.write("PUT", path, "PUT /content/{id}/restriction", rows, frozenset({400}))
        if response.status == 400:
            raise Permanent(
                f"Confluence refused the readers or editors of the page. It said: {response.words()!r}",
                code="access_refused",
                advice="Correct `readers` and `editors` of the destination, then `afterword job retry`.",
                status=400,
                excerpt=response.words(),
            )

    async def set_status(self, page_id: str, name: str) -> None:
        """Give the page that status where it has another one, which makes a new version."""
        raise TypeError(type(self).__name__)

    async def place(self, space: str, number: str) -> str | None:
        """The title of what has that number and can be the parent of a page of that space; None where there is no such thing."""
        page = await self.page(number)
        if page is None or page.status != "current" or page.space.casefold() not in ("", space.casefold()):
            return None
        return page.title

    async def folder(self, space: str, key: str, title: str, above: str | None) -> Folder | None:
        """The folder of that title right below `above`, or anywhere in the space; None where the API has none."""
        return None

    async def create_folder(self, space: str, title: str, above: str | None) -> Folder:
        """Create a folder; raises `TitleTaken`."""
        raise TypeError(type(self).__name__)

    @abstractmethod
    async def may_create(self, space: str, what: str = "page") -> bool | None:
        """Whether the account may create pages (or attachments) there; None where the API can't say."""

    @abstractmethod
    async def titled(self, space: str, title: str) -> list[Page]:
        """Pages of that title in the space in any case of letters, archived and trashed ones too; without bodies."""

    @abstractmethod
    async def page(self, page_id: str) -> Page | None:
        """The page of that id with its body."""

    @abstractmethod
    async def create(self, draft: Draft) -> Page:
        """Create a page with one POST; raises `TitleTaken`."""

    @abstractmethod
    async def update(self, page: Page, draft: Draft) -> Page:
        """Write the version after the page's; raises `TitleTaken` and `VersionConflict`."""

    @abstractmethod
    async def property(self, page_id: str, key: str) -> tuple[Any, int] | None:
        """A content property's value and version."""

    @abstractmethod
    async def set_property(self, page_id: str, key: str, value: object, version: int | None) -> None:
        """Write a content property: a new one, or the version after `version`."""

    async def mark(self, page_id: str) -> tuple[dict[str, Any], int] | None:
        """Our own content property and its version."""
        found = await self.property(page_id, PROPERTY)
        return (found[0] if isinstance(found[0], dict) else {}, found[1]) if found else None

    async def set_mark(self, page_id: str, value: dict[str, Any], version: int | None) -> None:
        """Write our own content property."""
        await self.set_property(page_id, PROPERTY, value, version)

    @abstractmethod
    async def labels(self, page_id: str) -> list[str]:
        """The names of the page's labels."""

    @abstractmethod
    async def files(self, page_id: str) -> list[PageFile]:
        """The page's files."""

    async def add_labels(self, page_id: str, names: Sequence[str]) -> None:
        """Add labels; one that is there stays as it is."""
        rows = [{"prefix": "global", "name": name} for name in names]
        path = f"{self.v1}/content/{quote(page_id)}/label"
        (await self.write("POST", path, "POST /content/{id}/label", rows)).parsed(rows_of)

    async def drop_label(self, page_id: str, name: str) -> None:
        """Take a label away; one that isn't there is fine."""
        path = f"{self.v1}/content/{quote(page_id)}/label"
        request = Request("DELETE", path, "DELETE /content/{id}/label", params={"name": name}, writes=True)
        await self.http.send(request, accept=frozenset({404}))

    async def upload(self, page_id: str, name: str, media_type: str, content: bytes, comment: str) -> None:
        """Create the file, or its next version where the page has one of that name."""
        form, body = multipart(name, media_type, content, {"minorEdit": "true", "comment": comment})
        headers = {"X-Atlassian-Token": "nocheck", "Content-Type": form}
        path = f"{self.v1}/content/{quote(page_id)}/child/attachment"
        request = Request("PUT", path, "PUT /content/{id}/child/attachment", headers=headers, body=body, writes=True)
        response = await self.http.send(request, accept=frozenset({404}))
        if response.status == 404:
            raise not_visible(page_id)
        response.parsed(rows_of)

    async def write(
        self,
        method: str,
        path: str,
        operation: str,
        json: object,
        accept: frozenset[int] = frozenset(),
        *,
        tries: str = "",
        params: Mapping[str, str] | None = None,
    ) -> Response:
        """A write with JSON in and out. Statuses in `accept` come back; any other 404 is `NotVisible`.

        `tries` is what a later look-up needs to find the object by, should this write's end stay unknown.
        """
        request = Request(method, path, operation, params=params or {}, json=json, writes=True, tries=tries)
        response = await self.http.send(request, accept=accept | {404})
        if response.status == 404 and 404 not in accept:
            raise not_visible(path)
        if response.body:
            response.json()  # an answer that is no JSON is the exchange's error, whoever needs the answer
        return response

    async def read(
        self, path: str, operation: str, parse: Callable[[Any], T], params: dict[str, str] | None = None
    ) -> T | None:
        """What `parse` makes of the answer to a read; None on 404."""
        response = await self.http.send(Request("GET", path, operation, params=params or {}), accept=frozenset({404}))
        return None if response.status == 404 else response.parsed(parse)


def not_visible(what: str) -> NotVisible:
    """The error of a write to a page that the vendor says isn't there."""
    return NotVisible(
        "The page can't be seen yet, or not any more.",
        code="page_not_visible",
        advice="A page just created shows after a few seconds; else check the account's rights.",
        status=404,
        answered=True,
        certain=False,
        excerpt=what[-80:],
    )


def key_of(row: Mapping[str, Any]) -> str:
    """The key of a content property."""
    return identifier(row["key"])


def storage_of(row: dict[str, Any]) -> str:
    """The storage format of a page's description; empty where it has none."""
    return str(((row.get("body") or {}).get("storage") or {}).get("value") or "")


def refusal(response: Response, draft: Draft) -> Permanent | VersionConflict | NotVisible:
    """What a refused create or update means, by the vendor's words."""
    status, said = response.status, response.words()
    lowered = response.body[:20_000].decode("utf-8", "replace").lower()
    if status == 409:
        return VersionConflict(
            f"The page's version is not the one that was read (409). It said: {said!r}",
            code="conflict",
            status=409,
            answered=True,
            excerpt=said,
        )
    if status == 400 and "title" in lowered and ("already exists" in lowered or "same title" in lowered):
        return TitleTaken(
            "Another page of this space has the document's title.",
            code="title_taken",
            advice="Give the document another title, or set `on_title_conflict` to adopt or number.",
            status=status,
        )
    if draft.parent_id and ("parent" in lowered or "ancestor" in lowered or status == 404):
        return Permanent(
            f"There is no parent page {draft.parent_id} in this space, or the account can't see it. It said: {said!r}",
            code="unknown_parent",
            advice="Name another parent page, or none; a 404 also means that the account may not create pages here.",
            status=status,
            excerpt=said,
        )
    unseen = (
        "A 404 here also means that the account may not create pages in this space: check its rights, "
        "then `afterword job retry`."
    )
    return Permanent(
        f"Confluence refused the page ({status}). It said: {said!r}",
        code="refused",
        advice=unseen if status == 404 else "Correct what it names, then `afterword job retry`.",
        status=status,
        excerpt=said,
    )
