"""The saved views, each sealed as a whole: Redis shows neither the words that somebody looks for nor whose they are.

Sets say which views to look at; whether somebody may see one is decided by what is sealed in it.
"""

from __future__ import annotations

import logging
import secrets
from typing import Annotated, Any

from pydantic import StringConstraints, TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tasks.errors import KeyTrouble, Refused
from tasks.model import Frozen
from tasks.state.access.rights import ApiKey, Scope
from tasks.state.audit.entries import Event
from tasks.state.jobs.asked import Asked, understood
from tasks.state.journal import Journal
from tasks.state.newest import Newest
from tasks.state.outages import unavailable
from tasks.state.vault import Vault
from tasks.state.wrong_types import all_of, read

log = logging.getLogger(__name__)

PURPOSE = "view"
MOST = 50  # views of one person
MOST_SHARED = 100  # views that everybody sees
_EDGE, _INNER = r"[^\s\x00-\x20\x7f-\xa0\u2028-\u202e\u2066-\u2069]", r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
Name = Annotated[str, StringConstraints(max_length=60, pattern=f"^{_EDGE}({_INNER}*{_EDGE})?$")]
_NAME: TypeAdapter[str] = TypeAdapter(Name)


class Person(Frozen):
    """Somebody who keeps or opens views: the key's id and name, and how the audit names them. `shares` may show views to
    everybody, `admin` may also change and delete what others share.
    """

    id: str
    name: str
    actor: str
    shares: bool = False
    admin: bool = False

    @classmethod
    def of(cls, key: ApiKey, actor: str) -> Person:
        """The person behind an API key."""
        return cls(id=key.id, name=key.name, actor=actor, shares=key.may(Scope.OPERATE), admin=key.may(Scope.ADMIN))


class View(Frozen):
    """One saved view. `owner` and `by` are the id and the name of who saved it; `saved_ms` is in epoch milliseconds."""

    id: str
    name: str
    asked: Asked
    shared: bool = False
    owner: str
    by: str
    saved_ms: int

    @property
    def troubles(self) -> tuple[str, ...]:
        """What of its filter isn't understood any more, in words; nothing where it is as good as when it was saved."""
        return understood(self.asked).troubles

    def belongs_to(self, person: Person) -> bool:
        """Whether that person may change it."""
        return self.owner == person.id or (self.shared and person.admin)


class Views:
    """Saved views. Raises `StateUnavailable` where Redis is away."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault, newest: Newest) -> None:
        self._redis: Any = redis  # redis-py's types for sets allow for a client that doesn't wait
        self._journal = journal
        self._vault = vault
        self._newest = newest

    async def list(self, person: Person) -> list[View]:
        """The person's own views and those that are shared, by name; without those that can't be opened."""
        try:
            listed = await self._redis.sunion(self._key("views", "of", person.id), self._key("views", "shared"))
            ids = [identifier.decode("utf-8", "replace") for identifier in listed]
            pipeline = self._redis.pipeline(transaction=False)
            for identifier in ids:
                pipeline.hget(self._key("view", identifier), "sealed")
            records = all_of(await pipeline.execute(raise_on_error=False), b"")
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
        found = [self._opened(identifier, sealed) for identifier, sealed in zip(ids, records, strict=True)]
        mine = [view for view in found if view and (view.owner == person.id or view.shared)]
        return sorted(mine, key=lambda view: (view.name.casefold(), view.id))

    async def require(self, identifier: str, person: Person) -> View:
        """One of the views that the person sees; raises `Refused` where it is none of them."""
        try:
            sealed = await read(self._redis.hget(self._key("view", identifier), "sealed"), b"")
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
        view = self._opened(identifier, sealed)
        if view is None or not (view.owner == person.id or view.shared):
            raise Refused(
                f"There is no view {identifier!r:.80}.",
                code="unknown_view",
                advice="It was deleted, or is somebody else's and not shared.",
            )
        return view

    async def save(self, person: Person, name: str, asked: Asked, *, shared: bool = False) -> View:
        """Keep a new view; raises `Refused` for a bad or second name, a filter that isn't understood, and too many."""
        return await self._store(person, None, name, asked, shared=shared)

    async def change(self, person: Person, identifier: str, name: str, asked: Asked, *, shared: bool) -> View:
        """Give a view another name, filter or sharing; raises `Refused` as `save`, and where it isn't theirs to change."""
        before = await self._theirs(person, identifier)
        return await self._store(person, before, name, asked, shared=shared)

    async def remove(self, person: Person, identifier: str) -> View:
        """Forget a view; raises `Refused` where it isn't theirs to delete."""
        view = await self._theirs(person, identifier)
        args = {
            "remove": [f"view:{view.id}"],
            "take": {f"views:of:{view.owner}": view.id, "views:shared": view.id},
        }
        await self._journal.commit("lua/record", args, Event.VIEW_REMOVED, view=view.id, actor=person.actor)
        self._newest.learn(_record(view.id), view.saved_ms + 1)  # nobody puts it back
        return view

    async def forget_those_of(self, owner: str, actor: str) -> None:
        """Forget what a key that was revoked kept for itself. What it shared stays; admins change and delete it."""
        own, shared = self._key("views", "of", owner), self._key("views", "shared")
        try:
            left = await self._redis.sdiff(own, shared)
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
        for identifier in sorted(raw.decode("utf-8", "replace") for raw in left):
            args = {"remove": [f"view:{identifier}"], "take": {f"views:of:{owner}": identifier}}
            await self._journal.commit("lua/record", args, Event.VIEW_REMOVED, view=identifier, actor=actor)
            self._newest.learn(_record(identifier), self._journal.clock.now_ms() + 1)

    async def _theirs(self, person: Person, identifier: str) -> View:
        view = await self.require(identifier, person)
        if not view.belongs_to(person):
            raise Refused(
                f"View {view.name!r} belongs to {view.by}.",
                code="not_yours",
                advice="Only they and admins change or delete it; save one of your own.",
            )
        return view

    async def _store(self, person: Person, before: View | None, name: str, asked: Asked, *, shared: bool) -> View:
        try:
            name = _NAME.validate_python(name)
        except ValidationError:
            raise Refused("The name is not valid.", code="bad_view", advice="Write 1 to 60 characters.") from None
        if shared and not person.shares and not (before and before.shared):
            raise Refused(
                "Sharing a view takes the right to operate.", code="not_shared", advice="Save it for yourself alone."
            )
        if troubles := understood(asked).troubles:
            raise Refused(" ".join(troubles), code="bad_view", advice="Correct the filter.")
        if not any(asked.model_dump().values()):
            raise Refused("This filter is empty.", code="bad_view", advice="Choose something first: every job matches.")
        owner, by = (before.owner, before.by) if before else (person.id, person.name)
        others = [
            view for view in await self.list(person) if view.owner == owner and not (before and view.id == before.id)
        ]
        if any(view.name.casefold() == name.casefold() for view in others):
            raise Refused(f"There is a view {name!r} already.", code="same_name", advice="Choose another name.")
        identifier = before.id if before else secrets.token_hex(8)
        view = View(
            id=identifier,
            name=name,
            asked=asked,
            shared=shared,
            owner=owner,
            by=by,
            saved_ms=max(self._journal.clock.now_ms(), self._newest.of(_record(identifier)) + 1),
        )
        args = {
            "id": view.id,
            "sealed": self._vault.seal(view.model_dump_json(), purpose=PURPOSE, owner=view.id),
            "owner": owner,
            "shared": shared,
            "fresh": before is None,
            "most": MOST,
            "most_shared": MOST_SHARED,
        }
        facts = {"view": view.id, "shared": shared, "actor": person.actor}
        reply = await self._journal.commit("views/keep", args, Event.VIEW_SAVED, **facts)
        if not reply.ok:
            raise _refusal(reply.reason)
        self._newest.learn(_record(view.id), view.saved_ms)
        return view

    def _opened(self, identifier: str, sealed: bytes | None) -> View | None:
        """The view as it was sealed under this id; None, with a warning, where it can't be opened, and where it is older than
        one that was seen here.
        """
        if sealed is None:
            return None
        try:
            plain = self._vault.open(sealed, purpose=PURPOSE, owner=identifier)
            view = View.model_validate_json(plain, extra="ignore")
        except (KeyTrouble, ValidationError) as trouble:
            log.warning("view %.40s can't be opened: %s", identifier, type(trouble).__name__)
            return None
        if view.saved_ms < self._newest.of(_record(identifier)):
            log.warning("view %.40s is older than one that was seen here: somebody put it back", identifier)
            return None
        self._newest.learn(_record(identifier), view.saved_ms)
        return view

    def _key(self, *parts: str) -> str:
        return ":".join((self._journal.prefix, *parts))


def _record(identifier: str) -> str:
    return f"view:{identifier}"


def _refusal(reason: str) -> Refused:
    if reason == "gone":
        return Refused("This view was deleted meanwhile.", code="unknown_view", advice="Save it anew.")
    most = f"{MOST_SHARED} shared views" if reason == "most_shared" else f"{MOST} views of yours"
    return Refused(f"There are {most} already.", code="too_many_views", advice="Delete one that nobody uses.")
