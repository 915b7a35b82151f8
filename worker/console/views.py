"""Saved views of the jobs page: open, save, rename, share and delete."""

from __future__ import annotations

from aiohttp import web

from tasks.errors import Refused
from tasks.state.jobs.asked import Asked, asked_of
from tasks.state.views.registry import Person, View
from worker.console.rendering import KIND_WORDS, STATE_WORDS, part, query
from worker.console.visit import Route, Visit

HERE = "/views"
MOST_BESIDE = 8  # views that the jobs page shows by itself


def person_of(visit: Visit) -> Person:
    """Whose views they are."""
    session = visit.session
    return Person(
        id=session.owner,
        name=session.name,
        actor=visit.actor,
        shares=session.may("operate"),
        admin=session.may("admin"),
    )


def address_of(asked: Asked) -> str:
    """The jobs page with that filter."""
    return query("/jobs", **asked.model_dump())


def link_of(view: View) -> str:
    """What to give to somebody else: the view where they see it, else the jobs page with its filter."""
    return f"{HERE}/{part(view.id)}" if view.shared else address_of(view.asked)


def in_words(asked: Asked) -> str:
    """A filter as people say it."""
    parts = [
        STATE_WORDS.get(asked.state, asked.state),
        asked.destination,
        KIND_WORDS.get(asked.kind, asked.kind),
        asked.cause.replace("_", " "),
        f"“{asked.q}”" if asked.q else "",
        f"from {asked.since[:10]}" if asked.since else "",
        f"to {asked.until[:10]}" if asked.until else "",
    ]
    return " · ".join(each for each in parts if each)


async def views(visit: Visit) -> web.StreamResponse:
    """All that the person sees, with what they may do with each."""
    person = person_of(visit)
    return await visit.page(
        "views.html",
        views=await visit.services.views.list(person),
        person=person,
        in_words=in_words,
        link_of=link_of,
    )


async def open_view(visit: Visit) -> web.StreamResponse:
    """On to the jobs page with the view's filter; what of it isn't understood any more is said there."""
    view = await visit.services.views.require(visit.part("id"), person_of(visit))
    raise web.HTTPSeeOther(address_of(view.asked))


async def save(visit: Visit) -> web.StreamResponse:
    """Keep the filter that the form names, and go back to its jobs."""
    asked = asked_of({name: visit.said(name) for name in Asked.model_fields})
    back = address_of(asked)
    shared = visit.said("shared") == "yes"
    try:
        view = await visit.services.views.save(person_of(visit), visit.said("name"), asked, shared=shared)
    except Refused as refused:
        return await visit.go(back, f"The view is not saved. {refused}", "bad")
    return await visit.go(back, f"Saved as {view.name}.")


async def change(visit: Visit) -> web.StreamResponse:
    """Give a view another name, or show it to everybody or only to its owner."""
    person, identifier = person_of(visit), visit.part("id")
    before = await visit.services.views.require(identifier, person)
    name = visit.said("name") or before.name
    shared = visit.said("shared") == "yes" if "shared" in visit.form else before.shared
    try:
        view = await visit.services.views.change(person, identifier, name, before.asked, shared=shared)
    except Refused as refused:
        return await visit.go(HERE, f"{before.name} stays as it is. {refused}", "bad")
    said = {True: "Everybody sees it.", False: "Only its owner sees it."}[shared] if "shared" in visit.form else ""
    return await visit.go(HERE, f"{view.name} is saved. {said}".strip())


async def delete(visit: Visit) -> web.StreamResponse:
    """Forget a view."""
    view = await visit.services.views.remove(person_of(visit), visit.part("id"))
    return await visit.go(HERE, f"{view.name} is deleted.")


ROUTES = (
    Route("GET", HERE, views),
    Route("POST", HERE, save),
    Route("GET", f"{HERE}/{{id}}", open_view),
    Route("POST", f"{HERE}/{{id}}", change),
    Route("POST", f"{HERE}/{{id}}/delete", delete),
)
