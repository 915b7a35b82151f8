"""An instance that holds a record of every kind, and what has to be true of it whatever somebody with Redis does to one of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web
from redis.exceptions import RedisError

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.errors import AfterwordError
from tasks.lifecycle import Ended
from tasks.model import Callback, Document, Issue, Job, JobState, parse_command
from tasks.state.access.rights import Scope
from tasks.state.jobs.asked import Asked
from tasks.state.receivers.settings import receiver_of
from tasks.state.views.registry import Person
from tests.listening import listening
from worker.console.sessions import Sessions
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import Services
from worker.sandbox.serve import serve
from worker.sandbox.store import Store

OLDER, ELSEWHERE, RESTING = (f"{word}-{FAKE_SECRET}" for word in ("older", "elsewhere", "resting"))
SIGNING = "whsec_" + "A" * 43 + "="
STOPPED = "token ghp_" + "b3J9x7Kq2LmZ8vT4yW6nR1cD5fG0hS3aE7uP"  # what screening holds a job for
REFUSED = (
    AfterwordError,
    RedisError,
)  # the second is what a record of a wrong type comes to: 503 of the API, an exit of a command
LOCAL = {"allow_http": True, "allow_private": ("127.0.0.0/8",)}
COMMANDS = {
    "confluence": {"command": "publish_to_confluence", "space_key": "OPS"},
    "servicenow": {"command": "create_servicenow_incident"},
    "azure_devops": {"command": "create_azuredevops_workitem", "project": "Operations"},
    "jira": {"command": "create_jira_issue", "project": "OPS"},
}
# Words of what is stored for each destination's job: before anything was published, first, then newly.
BEFORE = {name: f"early words of {name}" for name in (*COMMANDS, "renewing")}
FIRST = {name: f"first words of {name}" for name in (*COMMANDS, "renewing")}
NEWER = {name: f"newer words of {name}" for name in (*FIRST, "elsewhere", "resting", "stopped")}


class Listening:
    """A host that somebody else owns: keeps all that it is sent."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.url = ""

    async def note(self, request: web.Request) -> web.Response:
        self.heard.append(f"{request.headers.get('Authorization')} {request.path_qs} {await request.text()}")
        return web.json_response({"result": []})


@contextlib.asynccontextmanager
async def hearing() -> AsyncIterator[Listening]:
    made = Listening()
    async with listening(made.note) as made.url:
        yield made


class Vendors:
    """The sandbox in this process, whose objects can be put back as they were."""

    def __init__(self, url: str, store: Store) -> None:
        self.url, self._store, self._kept = url, store, {}

    def keep(self) -> None:
        self._kept = {name: copy.deepcopy(value) for name, value in vars(self._store).items() if name in self._names()}

    def put_back(self) -> None:
        for name, value in self._kept.items():
            held = vars(self._store)[name]
            held.clear()
            held.update(copy.deepcopy(value))

    def _names(self) -> list[str]:
        return [name for name, value in vars(self._store).items() if isinstance(value, dict)]

    @property
    def objects(self) -> list[str]:
        return [json.dumps(made, default=str) for made in self._store.summary()["objects"]]


@contextlib.asynccontextmanager
async def vendors() -> AsyncIterator[Vendors]:
    store = Store()
    runner, port = await serve("127.0.0.1", 0, store)
    try:
        yield Vendors(f"http://127.0.0.1:{port}", store)
    finally:
        await runner.cleanup()


@dataclass
class Instance:
    """What the instance's people set up, and how it is asked what they may do and what leaves."""

    services: Services
    vendors: Vendors
    elsewhere: Listening
    resting: Listening
    keys: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)

    # -- what is set up --------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """The first versions of everything: what somebody could put back later."""
        for name, given in sandbox_destinations(self.vendors.url).items():
            await self._destination(name, {**given, "write_lag_s": 0.2}, OLDER)
        renewing = {**sandbox_destinations(self.vendors.url)["jira"], "write_lag_s": 0.2}
        renewing["auth"] = {"type": "client-credentials", "client_id": "afterword"}
        await self._destination("renewing", renewing, "sandbox-client-secret")
        for name, host, secret in (("elsewhere", self.elsewhere, ELSEWHERE), ("resting", self.resting, RESTING)):
            await self._destination(name, {"kind": "servicenow", "instance_url": host.url, "username": "x"}, secret)
        for name, scopes in (("viewer", ["read"]), ("operator", ["submit", "read", "operate"]), ("boss", ["admin"])):
            await self._person(name, scopes)
        await self._person("revoked", ["admin"])
        await self._person("left", ["admin"])
        for name in ("ops", "team"):
            await self._receiver(name, "before")
        for name, words in BEFORE.items():
            await self._put(name, words)

    async def go_on(self) -> None:
        """What changed since, what was delivered, and what waits."""
        for name, given in sandbox_destinations(self.vendors.url).items():
            await self._destination(name, {**given, "write_lag_s": 0.2}, FAKE_SECRET)
        await self.services.destinations.pause("resting", "test")
        (revoked,) = [key for key in await self.services.access.list() if key.name == "revoked"]
        await self.services.access.revoke(revoked.id, "test")
        session = await self._console().find(self.sessions["left"], self._now_ms())
        await self._console().close(session.digest, self._now_ms())
        for name in ("ops", "team"):
            await self._receiver(name, name)
        for name, words in FIRST.items():
            job = await self._submit(name, words)
            ended = await lifecycle.attempt(self.services.core, job.id)
            assert ended.state is JobState.DELIVERED, (name, ended)
        for name, words in NEWER.items():
            self.jobs[name] = await self._submit(name, f"{words} {STOPPED}" if name == "stopped" else words)
        held = await lifecycle.attempt(self.services.core, self.jobs["stopped"].id)
        assert held.state is JobState.HELD
        await self.services.dead_list.keep(b"[1]", kind="body", words="its body is none")
        self.vendors.keep()

    async def _destination(self, name: str, given: dict, secret: str) -> None:
        quick = {**LOCAL, **given, "total_timeout_s": 3}
        await self.services.destinations.set(name, parse_settings(quick), secret, "test")

    async def _person(self, name: str, scopes: list[str]) -> None:
        made, self.keys[name] = await self.services.access.create(name, scopes, None, "test")
        self.sessions[name] = await self._console().open(made, self._now_ms())
        self.people[name] = Person.of(made, "test")
        await self.services.views.save(self.people[name], f"{name}'s", Asked(state="dead"))

    async def _receiver(self, name: str, path: str) -> None:
        given = {"kind": "webhook", "url": f"{self.elsewhere.url}/{path}", "secret": SIGNING, **LOCAL}
        await self.services.receivers.set(name, receiver_of(name, given), "test")

    async def _put(self, name: str, words: str) -> dict[str, Document | Issue]:
        of_pages = self._kind(name) == "confluence"
        made: Document | Issue = (
            Document(id=f"doc-{name}", issue_id=f"about-{name}", title=name, content_md=f"# A\n\n{words}\n")
            if of_pages
            else Issue(id=f"inc-{name}", title=name, description=words)
        )
        await self.services.put(made, "test")
        return {"document" if of_pages else "issue": made}

    async def _submit(self, name: str, words: str) -> Job:
        kind = self._kind(name)
        given = await self._put(name, words)
        named = {"doc_id": f"doc-{name}"} if kind == "confluence" else {"issue_id": f"inc-{name}"}
        to = "servicenow" if name == "stopped" else name
        command = parse_command({**COMMANDS[kind], **named, "destination": to})
        callback = Callback(
            url=f"{self.elsewhere.url}/callback", origin=self.elsewhere.url, apikey=self.people["operator"].id
        )
        return await self.services.submit(
            command, actor="test", idempotency_key=f"{name} {words[:5]}", callback=callback, **given
        )

    def _kind(self, name: str) -> str:
        return name if name in COMMANDS else "jira" if name == "renewing" else "servicenow"

    def _console(self) -> Sessions:
        own = self.services
        return Sessions(own.redis, own.vault, own.access, own.settings.prefix, own.ended)

    def _now_ms(self) -> int:
        return self.services.core.clock_ms()

    # -- what has to be true ---------------------------------------------------------------------------------------------

    async def wrongs(self) -> list[str]:
        """What is more than a refusal, a wait, or what people asked for; in words."""
        found = [*await self._rights(), *await self._sealed()]
        for attempted in await asyncio.gather(*(self._attempted(name, job) for name, job in self.jobs.items())):
            found += attempted
        return [*found, *self._left()]

    async def _rights(self) -> list[str]:
        may = {"viewer": {"read"}, "operator": {"submit", "read", "operate"}, "boss": {"admin"}, "left": {"admin"}}
        found = []
        for name, text in self.keys.items():
            with contextlib.suppress(*REFUSED):
                key = await self.services.access.authenticate(text)
                has = {scope.value for scope in Scope if key and scope in key.scopes}
                if not has <= may.get(name, set()):
                    found.append(f"the key of {name} may {has}")
        for name, cookie in self.sessions.items():
            with contextlib.suppress(*REFUSED):
                session = await self._console().find(cookie, self._now_ms())
                role = {"viewer": "viewer", "operator": "operator", "boss": "admin"}.get(name)
                if session and session.role != role:
                    found.append(f"the session of {name} is that of {session.role}")
        for name, person in self.people.items():
            with contextlib.suppress(*REFUSED):
                seen = {view.name for view in await self.services.views.list(person)} - {f"{name}'s"}
                found += [f"{name} sees {seen}"] * bool(seen)
        return found

    async def _sealed(self) -> list[str]:
        secrets = dict.fromkeys(COMMANDS, FAKE_SECRET)
        secrets |= {
            "renewing": json.dumps({"client_secret": "sandbox-client-secret"}),
            "elsewhere": ELSEWHERE,
            "resting": RESTING,
        }
        origins = {"elsewhere": self.elsewhere.url, "resting": self.resting.url}
        found = []
        for name, secret in secrets.items():
            with contextlib.suppress(*REFUSED):
                record = await self.services.destinations.require(name)
                opened = self.services.destinations.secret(record)
                if opened != secret or not record.settings.address.startswith(origins.get(name, self.vendors.url)):
                    found.append(f"{name} would send {opened} to {record.settings.address}")
        for name in ("ops", "team"):
            with contextlib.suppress(*REFUSED):
                receiver = await self.services.receivers.get(name)
                if receiver and not receiver.url.endswith(f"/{name}"):
                    found.append(f"{name} would be told at {receiver.url}")
        return found

    async def _attempted(self, name: str, job: Job) -> list[str]:
        try:
            ended = await lifecycle.attempt(self.services.core, job.id)
        except REFUSED:
            return []
        if not isinstance(ended, Ended):
            return []
        if name in ("elsewhere", "resting", "stopped") and ended.state is JobState.DELIVERED:
            return [f"the job of {name} was delivered"]
        if ended.state is not JobState.DELIVERED:
            return [f"the job of {name} is {ended.state} without a word"] if not await self._told(name, ended) else []
        there = [made for made in self.vendors.objects if NEWER[name] in made or BEFORE[name] in made]
        return [] if there else [f"the job of {name} counts as delivered, and there is nothing of it"]

    async def _told(self, name: str, ended: Ended) -> bool:
        if ended.error and ended.error.message:
            return True
        try:
            record = await self.services.destinations.require(name)
        except REFUSED:  # which is told to whoever looks at it
            return True
        return bool(record.reason or record.doubt)

    def _left(self) -> list[str]:
        found = []
        for made in self.vendors.objects:
            whose = {name for words in (BEFORE, FIRST, NEWER) for name, said in words.items() if said in made}
            if len(whose) > 1 or not whose <= FIRST.keys():
                found.append(f"an object says words of {whose}: {made[:300]}")
            if STOPPED in made:
                found.append("a secret that screening had stopped was sent")
        found += [f"the paused one was asked: {asked[:200]}" for asked in self.resting.heard]
        others = {FAKE_SECRET, OLDER, RESTING, *FIRST.values(), *NEWER.values()} - {NEWER["elsewhere"]}
        for asked in self.elsewhere.heard:
            found += [f"elsewhere was sent {word}" for word in others if _sent(word, asked)]
        self.elsewhere.heard.clear()
        self.resting.heard.clear()
        return found


def _sent(word: str, asked: str) -> bool:
    """Whether a request has the word, in the clear or as the password of basic authentication."""
    header = asked.split(" ")[1] if asked.startswith("Basic ") else ""
    plain = base64.b64decode(header + "=" * (-len(header) % 4)).decode("utf-8", "replace") if header else ""
    return f":{word}" == plain[-len(word) - 1 :] or word in asked
