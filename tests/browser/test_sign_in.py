"""Signing in by the button, in a browser: the provider is another site to it, so what it does with our cookies is what it does at work."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.instance import Instance, running_instance
from tests.oidc_provider import CALLBACK, CLIENT_ID, SECRET, Provider, running_provider

pytestmark = pytest.mark.timeout(240)
WITHOUT_FRAMES = {"resultTypes": ["violations"], "iframes": False, "preload": False}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
STAFF = {"name": "Ada Lovelace", "groups": ["staff", "sre"]}


@dataclass(frozen=True)
class Place:
    """A console, and the provider that its people sign in at."""

    instance: Instance
    provider: Provider


@contextlib.contextmanager
def provider_elsewhere() -> Iterator[Provider]:
    """A provider on a loop of its own, under another host name than the console: that makes it another site."""
    loop, closing = asyncio.new_event_loop(), contextlib.AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    provider = asyncio.run_coroutine_threadsafe(closing.enter_async_context(running_provider()), loop).result()
    provider.url = provider.url.replace("127.0.0.1", "localhost")
    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(closing.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture(scope="module")
def place(browser, tmp_path_factory) -> Iterator[Place]:
    """A whole instance with a provider."""
    with provider_elsewhere() as provider:
        variables = {
            "ISSUER": provider.url,
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": SECRET,
            "ROLES": "viewer=staff; operator=sre",
            "NAME": "Keycloak",
            "PRIVATE": "127.0.0.0/8,::1/128",
        }
        more = {f"AFTERWORD_OIDC_{name}": value for name, value in variables.items()}
        with running_instance(tmp_path_factory.mktemp("sign-in"), more) as instance:
            provider.redirects = {f"{instance.url}{CALLBACK}"}
            yield Place(instance, provider)


@pytest.fixture(autouse=True)
def _who(place):
    """Everybody begins as Ada, who is an operator."""
    place.provider.claims, place.provider.answer = dict(STAFF), None


def test_a_person_signs_in_by_the_button_and_out_again(place, open_page):
    """And is where they wanted to go, without pressing anything else."""
    page = open_page()
    page.goto(f"{place.instance.url}/publish")
    page.get_by_role("link", name="Sign in with Keycloak").click()
    page.wait_for_url(f"{place.instance.url}/publish")
    expect(page.get_by_text("Ada Lovelace")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are signed out here.")).to_be_visible()
    page.get_by_role("link", name="sign out there, too").click()
    expect(page.get_by_text(f"signed out of {CLIENT_ID}")).to_be_visible()
    page.goto(f"{place.instance.url}/publish")
    expect(page.get_by_role("heading", name="Afterword")).to_be_visible()


def test_whom_no_group_lets_in_reads_what_to_ask_for_and_can_try_again(place, open_page):
    """Once the group is there, the same button leads on to where they wanted to go."""
    place.provider.claims["groups"] = ["sales"]
    page = open_page()
    page.goto(f"{place.instance.url}/login?next=/workers")
    page.get_by_role("link", name="Sign in with Keycloak").click()
    expect(page.get_by_role("alert")).to_contain_text("none of your groups may use this console")
    expect(page.get_by_text("staff (viewer), sre (operator)")).to_be_visible()
    place.provider.claims["groups"] = ["staff"]
    page.get_by_role("link", name="Sign in with Keycloak").click()
    page.wait_for_url(f"{place.instance.url}/workers")


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
def test_axe_finds_nothing_on_the_pages_of_the_sign_in(place, open_page, options):
    """The login page with the button, a refusal, and the page after signing out; none is wider than the screen."""
    page, troubles = open_page(**options), {}

    def look(name: str) -> None:
        result = Axe().run(page, options=WITHOUT_FRAMES)
        wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        if result.violations_count or wide:
            troubles[name] = result.generate_report() or "too wide"

    page.goto(f"{place.instance.url}/login")
    look("login")
    place.provider.answer = {"error": "access_denied", "error_description": "The user said no."}
    page.get_by_role("link", name="Sign in with Keycloak").click()
    expect(page.get_by_text("The user said no.")).to_be_visible()
    look("refused")
    place.provider.answer = None
    page.get_by_role("link", name="Sign in with Keycloak").click()
    page.wait_for_url(lambda url: url.startswith(place.instance.url) and "/login" not in url)
    page.goto("about:blank")  # what runs in the page would lead to the login without its cookie
    page.context.clear_cookies()
    page.goto(f"{place.instance.url}/login?left=oidc")
    expect(page.get_by_text("You are signed out here.")).to_be_visible()
    look("signed out")
    assert troubles == {}, "\n".join(troubles.values())
