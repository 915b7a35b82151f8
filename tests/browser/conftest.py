"""A browser, and a whole instance for it to look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.instance import CHROMIUM, SANDBOXED, Instance, running_instance

expect.set_options(timeout=40_000)  # a busy machine is slow; a page that never gets there still fails


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; it ends before tests that need an event loop of their own begin."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=SANDBOXED)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def instance(browser, tmp_path_factory) -> Iterator[Instance]:
    """An instance with the sandbox's three destinations."""
    with running_instance(tmp_path_factory.mktemp("instance")) as running:
        running.connect()
        yield running


@pytest.fixture
def open_page(browser):
    """Opens pages; at the end no script failed and the browser refused nothing under the page's policy."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            troubles.append(message.text)

    def open_(**options) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []
