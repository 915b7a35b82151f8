"""What several files start from: content that is stored, a page's destination, the console over HTTP, others' Celery."""

from __future__ import annotations

import re

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from celery import Celery

from tests.integration.celery_support import somebody
from tests.integration.page_support import Bench
from tests.integration.test_lifecycle import DOCUMENT, ISSUE
from worker.api.app import build

__all__ = ["somebody"]  # a fixture

HTML = {"Accept": "text/html"}
SCOPES = {"viewer": ["read"], "operator": ["submit", "read", "operate"], "admin": ["admin"]}


@pytest.fixture
async def content(services):
    """A document and its issue, stored."""
    await services.contents.put_document(DOCUMENT, "test")
    await services.contents.put_issue(ISSUE, "test")


@pytest.fixture(params=["cloud", "datacenter"])
async def bench(request, services, sandbox, destinations):
    """Attempts on a page that is not there yet, over both of Confluence's APIs."""
    made = Bench(services, sandbox)
    await made.set("confluence", flavor=request.param)
    await made.put()
    return made


@pytest.fixture
def plain(valkey):
    """A Celery client that knows nothing of our code."""
    app = Celery("somebody", broker=valkey.url, backend=valkey.url, set_as_current=False)
    yield app
    app.close()


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
