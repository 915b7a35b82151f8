"""One request to the console, and what its handler works with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from aiohttp import web
from jinja2 import Environment
from multidict import MultiDict, MultiDictProxy

from tasks.state.look_first.flag import LookFirst
from worker.console.addresses import client_address
from worker.console.sessions import Session, Sessions
from worker.runtime import Services
from worker.signin.signing_in import SigningIn

Form = MultiDictProxy[Any]


@dataclass
class Console:
    """What every page shares. `closing` is set when the server stops, so that live streams end."""

    services: Services
    sessions: Sessions
    pages: Environment
    specification: Mapping[str, Any]
    signing_in: SigningIn | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    streams: int = 0


@dataclass
class Visit:
    """One request of one browser."""

    request: web.Request
    console: Console
    someone: Session | None = None
    form: Form = field(default_factory=lambda: MultiDictProxy(MultiDict()))

    @property
    def services(self) -> Services:
        """What the console is about."""
        return self.console.services

    @property
    def session(self) -> Session:
        """Who is logged in; only for pages that need a login."""
        if self.someone is None:
            raise web.HTTPUnauthorized
        return self.someone

    @property
    def actor(self) -> str:
        """Who acts, as the audit names them."""
        return self.session.actor

    @property
    def address(self) -> str:
        """The client's address, as far as it can be believed."""
        forwarded = self.request.headers.getall("X-Forwarded-For", [])
        return client_address(self.request.remote, forwarded, self.services.settings.trusted_proxies)

    @property
    def now_ms(self) -> int:
        """The time, in epoch milliseconds."""
        return self.services.core.clock_ms()

    def said(self, name: str) -> str:
        """A field of the form, without surrounding blanks; empty where it is absent or a file."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def asked(self, name: str) -> str:
        """A parameter of the address."""
        return self.request.query.get(name, "").strip()

    def part(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]

    async def page(self, template: str, *, status: int = 200, **facts: Any) -> web.Response:
        """A rendered page."""
        text = await asyncio.to_thread(self.console.pages.get_template(template).render, **await self._frame(), **facts)
        return web.Response(text=text, content_type="text/html", status=status)

    async def _frame(self) -> Mapping[str, Any]:
        """What the frame around every page shows."""
        someone = self.someone
        counts = await self.services.ledger.counts() if someone else {}
        flag = await self.services.look_first.read() if someone else LookFirst()
        notes = await self.console.sessions.take_notes(someone) if someone and self._is_shown else []
        return {
            "session": someone,
            "may": someone.may if someone else lambda _: False,
            "path": self.request.path,
            "here": self.request.path_qs,
            "now_ms": self.now_ms,
            "counts": counts,
            "notes": notes,
            "look_first": flag,
        }

    @property
    def _is_shown(self) -> bool:
        """Whether the answer becomes a page that somebody sees; a script that fetches it takes no note from them."""
        return self.request.headers.get("Sec-Fetch-Dest", "document") == "document"

    async def go(self, path: str, text: str = "", kind: Literal["good", "bad"] = "good") -> NoReturn:
        """Answer a form: on to `path`, with something to say there."""
        if text and self.someone:
            await self.console.sessions.leave_note(self.someone, kind, text)
        raise web.HTTPSeeOther(path)


Handler = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """A page or an action. `scope` is the right it takes; None is for everybody. `most_bytes` is the longest form."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    scope: Literal["read", "submit", "operate", "admin"] | None = "read"
    most_bytes: int = 1024**2
