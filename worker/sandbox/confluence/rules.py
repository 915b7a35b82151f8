"""The rules of Confluence pages, whatever API they are asked for through: titles, versions, properties, files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from html.entities import name2codepoint
from typing import Any, Literal

from worker.sandbox.store import Attachment, Comment, Page, Property, Store

ACCOUNT = "557058:sandbox"
USER_KEY = "sandbox"  # of the same account, in a Data Center
OWN_GROUP = "automation"  # the group that the account is in
TITLE_LENGTH = 255
BODY_LENGTH = 5 * 2**20
OWNING = frozenset({"current", "archived", "trashed"})
XML_OWN = frozenset({"amp", "lt", "gt", "quot", "apos"})

Kind = Literal[
    "parameter",
    "title_taken",
    "title_long",
    "markup",
    "missing",
    "parent",
    "conflict",
    "property",
    "large",
    "forbidden",
    "folder_taken",
]


class Refusal(Exception):
    """The vendor says no. Each API has its own status and words for a kind; `facts` fill them in."""

    def __init__(self, kind: Kind, words: str = "", **facts: object) -> None:
        super().__init__(words or kind)
        self.kind: Kind = kind
        self.words = words
        self.facts = facts


class Pages:
    """What may be done with pages. Raises `Refusal`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, page_id: str) -> Page:
        """The page, unless it is too new to be seen (fault `page_404`)."""
        page = self.store.pages.get(page_id)
        if page is None or not self._seen(page) or not permitted(page, "read"):
            raise Refusal("missing", "No content found", id=page_id)
        return page

    def _seen(self, page: Page) -> bool:
        return page.home or self.store.clock() >= page.created + self.store.unseen_s

    def find(
        self,
        *,
        space: str | None = None,
        title: str | None = None,
        statuses: Iterable[str] = ("current",),
        parent: str | None = None,
        ids: Iterable[str] | None = None,
    ) -> Iterator[Page]:
        """Pages that meet all the filters; titles are compared without regard to case."""
        wanted, chosen = set(statuses), set(ids) if ids is not None else None
        for page in self.store.pages.values():
            if page.status not in wanted or not self._seen(page) or not permitted(page, "read"):
                continue
            if (space is not None and page.space != space) or (parent is not None and page.parent != parent):
                continue
            if (title is not None and page.title.lower() != title.lower()) or (
                chosen is not None and page.id not in chosen
            ):
                continue
            yield page

    def file(self, number: str) -> Attachment:
        """The file of that id, whatever page it is on."""
        for page in self.store.pages.values():
            if found := page.attachments.get(number):
                return found
        raise Refusal("missing", "No attachment found", id=number)

    def create(self, space: str, title: str, storage: str, parent: str | None, *, status: str = "current") -> Page:
        """A new page below `parent`, or below the space's first page."""
        self._check(space, title, storage, None)
        parent = self._parent(space, parent)
        now = self.store.clock()
        page = Page(self.store.next_id(), space, title, storage, parent=parent, status=status, created=now, changed=now)
        page.owner = ACCOUNT
        page.versions.append((1, "", now, False))
        self.store.pages[page.id] = page
        return page

    def _parent(self, space: str, parent: str | None) -> str:
        if parent is None:
            return self.store.homepage(space)
        folder = self.store.folders.get(parent)
        if folder is not None and folder.space == space:
            return parent
        found = self.store.pages.get(parent)
        if found is None or found.status != "current" or found.space != space:
            raise Refusal("parent", "Parent page not found, not in this space, or not permitted", id=parent)
        return parent

    def _check(self, space: str, title: str, storage: str, own: str | None) -> None:
        if not title.strip():
            raise Refusal("parameter", "A title must be given")
        if len(title) > TITLE_LENGTH:
            raise Refusal("title_long", "Title cannot be longer than 255 characters.")
        if len(storage.encode()) > BODY_LENGTH:
            raise Refusal("large", "The request is too large")
        if wrong := malformed(storage):
            raise Refusal("markup", f"Error parsing xhtml: {wrong}")
        held = (p for p in self.store.pages.values() if p.space == space and p.status in OWNING and p.id != own)
        if any(p.title.lower() == title.lower() for p in held):
            raise Refusal("title_taken", title=title, space=space)

    def update(
        self,
        page: Page,
        number: int,
        title: str,
        storage: str | None,
        *,
        parent: str | None,
        message: str,
        minor: bool = False,
    ) -> None:
        """The page's next version; any other number than the next is a conflict."""
        if number != page.version + 1:
            raise Refusal("conflict", current=page.version, given=number)
        self.must_be_ours(page)
        if page.status == "trashed":
            page.status, page.version = "current", number  # a restoration changes the status alone
            return
        storage = page.body if storage is None else storage
        self._check(page.space, title, storage, page.id)
        if parent is not None and parent != page.parent:
            page.parent = self._parent(page.space, parent)
        self.rewrite(page, title, storage, message, minor=minor)

    def must_be_ours(self, page: Page) -> None:
        """A page whose editors don't have our account among them takes no change of ours."""
        if not permitted(page, "update"):
            raise Refusal("forbidden", "Permission to edit the content is required")

    def rewrite(self, page: Page, title: str, storage: str, message: str = "", *, minor: bool = False) -> None:
        """Another title and body, one version on, without asking which: as a person's edit."""
        message = "" if self.store.drops_messages else message
        page.title, page.body, page.message, page.minor = title, storage, message, minor
        page.version, page.changed = page.version + 1, self.store.clock()
        page.versions.append((page.version, message, page.changed, minor))

    def discard(self, page: Page, *, purge: bool) -> None:
        """To the trash; from the trash for good with `purge`."""
        if purge and page.status == "trashed":
            del self.store.pages[page.id]
        else:
            page.status = "trashed"

    def add_property(self, holder: Page | Attachment, key: str, value: Any) -> Property:
        """A new property; its key must be free."""
        if not key:
            raise Refusal("parameter", "A property must have a key")
        if key in holder.properties:
            raise Refusal("property", f"A property with the key {key} exists already", key=key)
        holder.properties[key] = Property(self.store.next_id(), key, value, created=self.store.clock())
        return holder.properties[key]

    def property(self, holder: Page | Attachment, name: str) -> Property:
        """The property of that id or key."""
        for row in holder.properties.values():
            if name in (row.id, row.key):
                return row
        raise Refusal("missing", "No property found", id=name)

    def put_property(self, row: Property, number: int, value: Any) -> None:
        """The property's next version."""
        if number != row.version + 1:
            raise Refusal("conflict", current=row.version, given=number)
        row.value, row.version, row.created = value, number, self.store.clock()

    def remark(self, page: Page, text: str) -> Comment:
        """A new comment below the page."""
        if not text.strip():
            raise Refusal("parameter", "A comment must have a text")
        if wrong := malformed(text):
            raise Refusal("markup", f"Error parsing xhtml: {wrong}")
        page.remarks.append(Comment(self.store.next_id(), "", "", text, created=self.store.clock()))
        return page.remarks[-1]

    def attach(
        self, page: Page, name: str, media_type: str, content: bytes, comment: str, *, replace: bool
    ) -> Attachment:
        """Add a file; one of that name gets a new version where `replace` allows."""
        known = next((file for file in page.attachments.values() if file.name == name), None)
        if known is not None and not replace:
            text = f"Cannot add a new attachment with same file name as an existing attachment: {name}"
            raise Refusal("parameter", text)
        if known is None:
            number = f"att{self.store.next_id()}"
            known = Attachment(number, name, media_type, content, page.id, comment, created=self.store.clock())
            page.attachments[number] = known
        else:
            known.earlier.append(known.content)
            known.content, known.media_type, known.comment = content, media_type, comment
            known.version += 1
        return known


def permitted(page: Page, operation: str) -> bool:
    """Whether our account may do that with the page, by the page's own restrictions."""
    limit = page.limits.get(operation) or {}
    people, groups = limit.get("user") or [], limit.get("group") or []
    return not (people or groups) or not {ACCOUNT, USER_KEY}.isdisjoint(people) or OWN_GROUP in groups


def malformed(storage: str) -> str | None:
    """What Confluence's parser says against a storage-format fragment, or None."""
    entities = "".join(f'<!ENTITY {name} "&#{code};">' for name, code in name2codepoint.items() if name not in XML_OWN)
    try:
        ET.fromstring(  # noqa: S314 - no external entity is declared, and no other can be inside the root
            f"<!DOCTYPE r [{entities}]>\n<r xmlns:ac='ac' xmlns:ri='ri' xmlns:at='at'>{storage}</r>"
        )
    except ET.ParseError as error:
        row, column = error.position
        return f"{str(error).partition(':')[0]}\n at [row,col {{unknown-source}}]: [{row - 1},{column + 1}]"
    return None


def storage_of(body: dict[str, Any]) -> str | None:
    """The storage format in a request, flat as in v2 or nested as in v1; None where there is no body."""
    given = body.get("body")
    if not isinstance(given, dict):
        return None
    inner = given if "value" in given else given.get("storage") or given.get("editor") or given.get("wiki") or {}
    if not isinstance(inner, dict) or inner.get("representation", "storage") not in ("storage", "editor", "wiki"):
        raise Refusal("parameter", "This representation of the body is not known")
    return str(inner.get("value") or "")


def version_of(body: dict[str, Any]) -> tuple[int, str]:
    """The version's number and message in a request; number 0 where there is none."""
    given = body.get("version")
    if not isinstance(given, dict):
        return 0, ""
    number = given.get("number")
    return number if isinstance(number, int) else 0, str(given.get("message") or "")
