"""What a route is: the one description that serves requests and becomes the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel

from tasks.state.access.keys import Caller
from tasks.state.access.rights import ApiKey, Scope
from worker.runtime import Services
from worker.wakes import Wakes

SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
WAKES: web.AppKey[Wakes] = web.AppKey("wakes", Wakes)


@dataclass(frozen=True)
class Call:
    """One request, validated: its key, and path, query and body as their models. `caller` is to be let in by what the
    handler asks the ledger for; None where that was done.
    """

    request: web.Request
    services: Services
    key: ApiKey | None
    path: BaseModel | None
    query: BaseModel | None
    body: BaseModel | None
    caller: Caller | None = None

    @property
    def actor(self) -> str:
        """Who calls, for the audit: the key's id, which is the same for ever, and its name, which people look for."""
        return f"apikey:{self.key.id} {self.key.name}" if self.key else "api"

    @property
    def reason(self) -> str:
        """Why, for the audit, where the body says so."""
        return getattr(self.body, "reason", "")


@dataclass(frozen=True)
class Answer:
    """What a handler returns: a model (or bytes of another media type), status and headers."""

    content: BaseModel | bytes | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """One operation. `scopes`: any of them suffices, none leaves it open. `problems` are its own statuses beside
    those that follow from its other parts. `answers` are models, media types of anything else, or None for no body;
    `examples` are bodies by what they show. A handler that `lets_in` has the transition that it asks for count the request.
    """

    method: Literal["GET", "PUT", "POST", "DELETE"]
    address: str
    handler: Handler
    summary: str
    scopes: tuple[Scope, ...] = ()
    path: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_optional: bool = False
    lets_in: bool = False
    answers: Mapping[int, type[BaseModel] | str | None] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    request_headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The group that it belongs to in the reference: what its address is about."""
        parts = self.address.split("/")
        return parts[2] if parts[1] == "v1" else "service"

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.handler.__name__
