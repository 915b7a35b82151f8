"""Saved views of the jobs page: a filter under a name, for the key that saved it or for everybody."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tasks.model import Frozen, JobState
from tasks.state.jobs.asked import Asked, Words
from tasks.state.views.registry import Name, Person, View
from worker.api.fields import DayOrNothing
from worker.api.inputs import STRICT
from worker.api.outputs import rfc3339
from worker.api.problems import ProblemError
from worker.api.route import Answer, Call


class FilterIn(BaseModel):
    """A filter, each part empty or left out where all jobs are meant."""

    model_config = STRICT

    q: Words = Field(default="", description="whole words, as `q` of `GET /v1/jobs`")
    state: JobState | Literal[""] = ""
    destination: Words = ""
    kind: Literal["confluence", "servicenow", "azure_devops", "jira", ""] = ""
    cause: Words = Field(default="", description="goes with the state `retrying`, `held` or `dead`")
    since: DayOrNothing = Field(
        default="", description="the first day: in UTC, such as 2026-11-28, or with its zone, such as 2026-11-28+09:00"
    )
    until: DayOrNothing = Field(default="", description="the last day")


class ViewIn(BaseModel):
    """A view: its name, its filter, and whether everybody sees it, which takes the right to operate."""

    model_config = STRICT

    name: Name
    filter: FilterIn = Field(description="What the jobs page's address has; one part at least.")
    shared: bool = False


class ViewPath(BaseModel):
    """A view's id."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    view_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class ViewOut(Frozen):
    """A saved view. `by` is the name of the key that saved it, `mine` whether it is this one; `troubles` say what of its
    filter isn't understood any more.
    """

    id: str
    name: str
    filter: Asked
    shared: bool
    mine: bool
    by: str
    saved_at: str
    troubles: tuple[str, ...] = ()


class ViewList(Frozen):
    """The key's own views and the shared ones, by name."""

    views: tuple[ViewOut, ...]


async def list_views(call: Call) -> Answer:
    """The key's own views and the shared ones."""
    person = _person(call)
    return Answer(ViewList(views=tuple(_shown(view, person) for view in await call.services.views.list(person))))


async def create_view(call: Call) -> Answer:
    """Save a view."""
    person, given = _person(call), cast(ViewIn, call.body)
    view = await call.services.views.save(person, given.name, _asked(given), shared=given.shared)
    return Answer(_shown(view, person), status=201, headers={"Location": f"/v1/views/{view.id}"})


async def get_view(call: Call) -> Answer:
    """One view."""
    person = _person(call)
    return Answer(_shown(await call.services.views.require(_id(call), person), person))


async def put_view(call: Call) -> Answer:
    """Give a view another name, filter or sharing."""
    person, given = _person(call), cast(ViewIn, call.body)
    view = await call.services.views.change(person, _id(call), given.name, _asked(given), shared=given.shared)
    return Answer(_shown(view, person))


async def delete_view(call: Call) -> Answer:
    """Forget a view."""
    await call.services.views.remove(_person(call), _id(call))
    return Answer(None, status=204)


def _person(call: Call) -> Person:
    if call.key is None:
        raise ProblemError(401, "no_key", "A view belongs to an API key.", "Send one.")
    return Person.of(call.key, call.actor)


def _asked(given: ViewIn) -> Asked:
    return Asked(**given.filter.model_dump(mode="json"))


def _id(call: Call) -> str:
    return cast(ViewPath, call.path).view_id


def _shown(view: View, person: Person) -> ViewOut:
    return ViewOut(
        id=view.id,
        name=view.name,
        filter=view.asked,
        shared=view.shared,
        mine=view.owner == person.id,
        by=view.by,
        saved_at=rfc3339(view.saved_ms) or "",
        troubles=view.troubles,
    )
