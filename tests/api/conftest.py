"""The API on a loopback port, over real Valkey, and clients with keys of different scopes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import aiohttp
import pytest

from worker.api.serve import serve

DOCUMENT = {
    "id": "doc-1",
    "issue_id": "issue-1",
    "doc_type": "rca",
    "title": "RCA: api down",
    "content_md": "# Root cause\n\nA certificate ran out.\n",
    "created_at": 1764000000000,
    "updated_at": "2026-11-24 10:00:00",
}
ISSUE = {"id": "issue-1", "title": "api down", "description": "It was down.", "severity": "P1", "tags": '["tls"]'}
PUBLISH = {"command": "publish_to_confluence", "doc_id": "doc-1", "space_key": "OPS", "document": DOCUMENT}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict = field(repr=False)
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def problem(self) -> str:
        """The problem's code; everything that a problem document must have is there."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), (self.status, self.text)
        found = self.json
        assert found["status"] == self.status
        assert {"type", "title", "detail", "code"} <= found.keys()
        return found["code"]


class Api:
    """A client with one key."""

    def __init__(self, url: str, session: aiohttp.ClientSession, key: str | None, services) -> None:
        self.url, self.session, self.key, self.services = url, session, key, services

    async def call(self, method: str, path: str, body=None, **headers) -> Answer:
        if self.key:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            headers.setdefault("Content_Type", "application/json")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, self.url + path, data=data, headers=sent) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.text())

    async def get(self, path: str, **headers) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body=None, **headers) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def put(self, path: str, body=None, **headers) -> Answer:
        return await self.call("PUT", path, body, **headers)

    async def with_scopes(self, *scopes: str, expires_ms: int | None = None) -> Api:
        _, text = await self.services.access.create("test", scopes, expires_ms, "test")
        return Api(self.url, self.session, text, self.services)

    def with_key(self, key: str | None) -> Api:
        return Api(self.url, self.session, key, self.services)


@pytest.fixture
async def api(services):
    """An admin's client."""
    runner, port = await serve(services, "127.0.0.1", 0)
    _, text = await services.access.create("admin", ["admin"], None, "test")
    async with aiohttp.ClientSession() as session:
        yield Api(f"http://127.0.0.1:{port}", session, text, services)
    await runner.cleanup()
