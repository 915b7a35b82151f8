"""A live sandbox with its own clock, requests to it, and the vendors' contracts to hold its answers against."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
from aiohttp import web

from tests.conftest import SHARED
from worker.sandbox.app import create_app
from worker.sandbox.setup import Setup
from worker.sandbox.store import Store

SECRET = "sandbox-not-a-secret"
JSON_PATCH = {"Content-Type": "application/json-patch+json"}

# What the vendors' files get wrong; each entry is taken out of the schema before an answer is held against it.
ADO_OBJECTS = {
    "fields",
    "value",
    "multilineFieldsFormat",
}  # typed `object`, or maps of `object`, but hold strings and numbers
NULLS_UNSAID = {"parentId", "parentType"}  # v2 gives null for a page at the top, though only its text says so
# Microsoft describes its lists as bare arrays; on the wire (and in the recordings) they are `{"count", "value"}`.
# The ServiceNow export has empty schemas and says 200 for a POST that answers 201: the recordings speak for it.


class Clock:
    """Time that passes when told to; sleeping is only noted."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Live:
    """One running sandbox."""

    def __init__(self, url: str, store: Store, clock: Clock, session: aiohttp.ClientSession) -> None:
        self.url, self.store, self.clock, self.session = url, store, clock, session

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    async def ask(self, method: str, path: str, *, secret: str | None = SECRET, **more: Any) -> Answer:
        headers = {"Accept": "application/json"} | more.pop("headers", {})
        if secret is not None:
            headers["Authorization"] = basic(secret)
        async with self.session.request(method, self.url + path, headers=headers, allow_redirects=False, **more) as got:
            return Answer(got.status, got.headers, await got.read())

    async def fault(self, **spec: Any) -> None:
        answer = await self.ask("POST", "/_sandbox/faults", json=spec)
        assert answer.status == 201, answer.body

    async def objects(self, vendor: str) -> list[dict[str, Any]]:
        return [row for row in (await self.ask("GET", "/_sandbox/state")).json["objects"] if row["vendor"] == vendor]

    async def new_page(self, title: str = "RCA", storage: str = "<p>x</p>", **more: Any) -> Answer:
        body = {"spaceId": self.store.spaces["OPS"], "status": "current", "title": title}
        body |= {"body": {"representation": "storage", "value": storage}} | more
        return await self.ask("POST", "/wiki/api/v2/pages", json=body)

    async def new_incident(self, **fields: str) -> Answer:
        return await self.ask("POST", "/api/now/table/incident", json={"short_description": "Down"} | fields)

    async def new_item(self, kind: str = "Bug", project: str = "Operations", query: str = "", **fields: Any) -> Answer:
        given = {"System.Title": "Down"} | {name.replace("__", "."): value for name, value in fields.items()}
        operations = [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in given.items()]
        path = f"/contoso/{project}/_apis/wit/workitems/${kind}?api-version=7.1{query}"
        return await self.ask("POST", path, data=json.dumps(operations), headers=JSON_PATCH)

    async def new_issue(self, where: str = "OPS", kind: str = "Task", version: int = 3, **fields: Any) -> Answer:
        given = {"project": {"key": where}, "issuetype": {"name": kind}, "summary": "Down"} | fields
        return await self.ask("POST", f"/rest/api/{version}/issue", json={"fields": given})

    async def jql(self, query: str) -> list[str]:
        found = await self.ask("POST", "/rest/api/3/search/jql", json={"jql": query, "fields": ["id"]})
        assert found.status == 200, found.body
        return [row["key"] for row in found.json["issues"]]

    async def wiql(self, where: str, project: str = "Operations") -> list[int]:
        query = {"query": f"SELECT [System.Id] FROM WorkItems WHERE {where}"}
        found = await self.ask("POST", f"/contoso/{project}/_apis/wit/wiql?api-version=7.1", json=query)
        assert found.status == 200, found.body
        return [row["id"] for row in found.json["workItems"]]


class Answer:
    """A response that was read to its end."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def basic(secret: str) -> str:
    """Basic authorization with that secret."""
    return "Basic " + base64.b64encode(f"someone:{secret}".encode()).decode()


@contextlib.asynccontextmanager
async def running(tls: ssl.SSLContext | None = None, setup: Setup | None = None) -> AsyncIterator[Live]:
    """A fresh sandbox, or one that begins as `setup` says, on a free port of the loopback; with `tls`, at https://localhost."""
    clock = Clock()
    store = setup.store() if setup else Store()
    store.clock = clock
    runner = web.AppRunner(create_app(store, sleep=clock.sleep), access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session:
            yield Live(f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}", store, clock, session)
    finally:
        await runner.cleanup()


def contract(name: str) -> dict[str, Any]:
    """One of the vendors' cut-down descriptions; skips where they are not beside the checkout."""
    return json.loads(_file("contracts", name).read_text())


def recorded(name: str) -> list[dict[str, Any]]:
    """Recorded exchanges, one a line; skips where they are not beside the checkout."""
    return [json.loads(line) for line in _file("recordings", name).read_text().splitlines()]


def recorded_body(name: str) -> dict[str, Any]:
    """One recorded body; skips where it is not beside the checkout."""
    return json.loads(_file("recordings", name).read_text())


def _file(*parts: str) -> Path:
    found = SHARED.joinpath(*parts)
    if not found.is_file():
        pytest.skip(f"{parts[-1]} is not beside the checkout")
    return found


def must_meet(description: dict[str, Any], method: str, path: str, answer: Answer) -> None:
    """Fail unless the answer's status and body are those of the description's operation."""
    operation = description["paths"][path][method]
    assert str(answer.status) in operation["responses"], f"{answer.status} isn't described for {method} {path}"
    response = operation["responses"][str(answer.status)]
    schema = response.get("schema") or response.get("content", {}).get("application/json", {}).get("schema")
    assert schema is not None, f"{method} {path} has no schema for {answer.status}"
    whole = {**plain(description), **plain(schema)}
    body = answer.json["value"] if schema.get("type") == "array" and "count" in answer.json else answer.json
    errors = sorted(jsonschema.Draft4Validator(whole).iter_errors(body), key=str)
    assert not errors, "\n".join(f"{list(error.absolute_path)}: {error.message[:300]}" for error in errors[:5])


def plain(schema: Any) -> Any:
    """OpenAPI's schema as JSON Schema: `nullable` becomes a type, and the known faults are taken out."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    done = {key: plain(value) for key, value in schema.items() if key not in ("example", "examples", "discriminator")}
    for name, part in (done.get("properties") or {}).items():
        if name in ADO_OBJECTS and isinstance(part, dict):
            part.pop("type", None)
            part.pop("additionalProperties", None)
        if name in NULLS_UNSAID:
            done["properties"][name] = {"anyOf": [part, {"type": "null"}]}
    if done.pop("nullable", False) and isinstance(done.get("type"), str):
        done["type"] = [done["type"], "null"]
    return done


def shape(value: Any) -> Any:
    """What a body is made of: names and kinds of values, without the values."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "date" if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", value) else type(value).__name__
