"""The console over HTTP, and somebody else's Celery application."""

from __future__ import annotations

import re

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from tests.integration.celery_support import somebody
from worker.api.app import build

__all__ = ["somebody"]  # a fixture

HTML = {"Accept": "text/html"}
SCOPES = {"viewer": ["read"], "operator": ["submit", "read", "operate"], "admin": ["admin"]}


@pytest.fixture
async def client(services):
    """The console over HTTP, as a browser without a script would use it."""
    server = TestServer(build(services))
    async with TestClient(server, cookie_jar=CookieJar(unsafe=True), headers=HTML) as opened:
        yield opened


@pytest.fixture
def log_in(services, client):
    """Logs in with a fresh key of that role; returns the form token."""

    async def log_in(role: str) -> str:
        _, text = await services.access.create(role, SCOPES[role], None, "test")
        answer = await client.post("/login", data={"key": text, "next": "/workers"})
        assert answer.status == 200, await answer.text()
        return re.search(r'name="csrf" value="([0-9a-f]{64})"', await answer.text())[1]

    return log_in
