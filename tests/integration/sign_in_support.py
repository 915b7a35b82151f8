"""A console that people sign in at, a provider, and a browser between them."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from config.settings import Settings
from tests.integration.conftest import HTML
from tests.oidc_provider import CALLBACK, CLIENT_ID, SECRET, running_provider
from worker.api.app import build

LOCAL = "afterword-signin-local"


@pytest.fixture
async def provider():
    async with running_provider() as running:
        yield running


@pytest.fixture
def configured(services, provider):
    """Services whose console signs people in at the provider; `changes` are further settings."""

    def make(**changes):
        given = {
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SECRET,
            "oidc_roles": "viewer=staff; operator=sre; admin=leads",
            "oidc_private": "127.0.0.0/8",
            **changes,
        }
        return replace(services, settings=Settings(**services.settings.model_dump() | given))

    return make


@pytest.fixture
async def browser(configured, provider):
    """A browser at a console that signs people in."""
    async with opened(configured(), provider) as client:
        yield client


def opened(services, provider) -> TestClient:
    """A client of the console, whose address the provider knows once it is there."""

    class Browser(TestClient):
        async def __aenter__(self) -> TestClient:
            await super().__aenter__()
            provider.redirects = {str(self.make_url(CALLBACK))}
            return self

    return Browser(TestServer(build(services)), cookie_jar=CookieJar(unsafe=True), headers=HTML)


async def leave(client, path: str = "/jobs?state=dead") -> str:
    """Press the button; returns the provider's address."""
    answer = await client.get("/login/oidc", params={"next": path}, allow_redirects=False)
    assert answer.status == 303, await answer.text()
    return answer.headers["Location"]


async def consent(address: str) -> str:
    """Visit the provider; returns the path that it leads back to."""
    async with aiohttp.ClientSession() as outside, outside.get(address, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        back = urlsplit(answer.headers["Location"])
        return f"{back.path}?{back.query}"


async def sign_in(client, path: str = "/jobs?state=dead"):
    """The whole way in a browser that nobody is signed in with; returns the page at its end."""
    client.session.cookie_jar.clear()
    return await client.get(await consent(await leave(client, path)), allow_redirects=False)


async def audited(services, event: str) -> list[dict]:
    return [entry.data for entry in await services.audit.tail(500) if entry.event == event]


async def must_be_refused(services, answer, code: str) -> str:
    """The page of a sign-in that was refused with that code, without a session."""
    page = await answer.text()
    assert f"<code>{code}</code>" in page, page
    assert not any("afterword-local=" in each for each in answer.headers.getall("Set-Cookie", []))
    assert (await audited(services, "session.refused"))[-1]["reason"] == code
    assert not await audited(services, "session.opened")
    return page
