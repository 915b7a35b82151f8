"""Every page for everybody: no fault that axe knows, on a phone nothing wider than the screen, and a keyboard suffices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tasks.destinations import parse_settings
from tasks.model import JobState
from tasks.state.jobs.asked import Asked
from tasks.state.receivers.settings import receiver_of
from tasks.state.views.registry import Person
from tests.browser.instance import HELD, log_in

pytestmark = pytest.mark.timeout(240)
# The frames are sandboxed: axe would wait for an answer of theirs that can't come.
WITHOUT_FRAMES = {"resultTypes": ["violations"], "iframes": False, "preload": False}
LONG_NAME = "servicenow-production-emea"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def paths(instance) -> Iterator[list[str]]:
    """Every page there is, but for the sandboxed frame, in which no script may run, not even axe."""
    held = instance.submit("Held for everybody", HELD, identifier="held-for-everybody")
    dead = instance.submit("Dead for everybody", space_key="NOWHERE", identifier="dead-for-everybody")
    instance.await_state(held, JobState.HELD)
    instance.await_state(dead, JobState.DEAD)
    paused = {"kind": "servicenow", "instance_url": "https://acme.example", "username": "bot"}
    instance.run(lambda services: services.destinations.set(LONG_NAME, parse_settings(paused), "fake", "test"))
    instance.run(
        lambda services: services.destinations.pause(LONG_NAME, "oidc:1 Augusta Ada King, Countess of Lovelace")
    )
    waits = instance.file("Waits for everybody", destination=LONG_NAME)
    slack = receiver_of("ops", {"kind": "slack", "url": "https://hooks.example/ops"})
    instance.run(lambda services: services.receivers.set("ops", slack, "test"))
    person = Person(id="test", name="Grace", actor="test", shares=True)
    dead_ones = Asked(state="dead", destination="confluence")
    instance.run(lambda services: services.views.save(person, "Dead in Confluence", dead_ones, shared=True))
    yield [
        "/jobs",
        f"/jobs/{held}",
        f"/jobs/{held}/text",
        f"/jobs/{dead}",
        "/bulk?verb=retry&state=dead",
        "/publish",
        "/publish/issue",
        "/settings/destinations",
        "/settings/destinations/confluence",
        "/settings/destinations/confluence/remove",
        "/settings/connect?kind=azure_devops",
        "/settings/keys",
        "/settings/notifications",
        "/audit",
        "/workers",
        "/nowhere",
        "/",
        "/jobs?state=dead",
        "/jobs?state=dead&q=nowhere",
        f"/jobs/{held}/edit",
        "/docs",
        "/views",
        "/jobs?state=asleep",
    ]
    instance.run(lambda services: services.ledger.cancel(waits, "test"))
    instance.run(lambda services: services.destinations.remove(LONG_NAME, "test"))


@pytest.mark.parametrize(("scheme", "rules"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})])
def test_axe_finds_nothing_on_any_page(instance, open_page, paths, scheme, rules):
    options = WITHOUT_FRAMES | rules
    page = open_page(color_scheme=scheme)
    page.goto(f"{instance.url}/login")
    found = {"/login": Axe().run(page, options=options)}
    log_in(page, instance, "Ada")
    for path in paths:
        page.goto(f"{instance.url}{path}")
        found[path] = Axe().run(page, options=options)
    troubles = {path: result.generate_report() for path, result in found.items() if result.violations_count}
    assert troubles == {}, "\n".join(troubles.values())


@pytest.mark.parametrize("name", ["Omar", "Petra"])
def test_axe_finds_nothing_on_what_operators_and_producers_see(instance, open_page, paths, name):
    """Their pages have other buttons, and say where a right is missing; a page that they may not open is one like any other."""
    page = log_in(open_page(), instance, name)
    troubles, refused = {}, set()
    for path in paths:
        if (answer := page.goto(f"{instance.url}{path}")).status == 403 and refused:
            continue
        refused |= {path} if answer.status == 403 else set()
        result = Axe().run(page, options=WITHOUT_FRAMES)
        troubles |= {path: result.generate_report()} if result.violations_count else {}
    assert troubles == {}, "\n".join(troubles.values())
    assert refused


def test_nothing_is_wider_than_a_phone(instance, open_page, paths):
    page = log_in(open_page(**PHONE), instance, "Ada")
    for path in paths:
        page.goto(f"{instance.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_a_phone_shows_which_state_is_chosen(instance, open_page):
    """The states scroll sideways there."""
    page = log_in(open_page(**PHONE), instance, "Ada", "/jobs?state=superseded")
    expect(page.locator(".tabs [aria-current]")).to_be_in_viewport(ratio=0.9)


def test_a_keyboard_suffices(instance, open_page):
    page = log_in(open_page(), instance, "Omar", "/jobs")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("main").get_by_role("link", name="Publish")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/publish")


SHIFTS = """() => {
    const observer = new PerformanceObserver(() => {});
    observer.observe({type: "layout-shift", buffered: true});
    return observer.takeRecords().reduce((sum, entry) => sum + entry.value, 0);
}"""


def test_nothing_moves_once_a_page_is_shown(instance, open_page, paths):
    page = log_in(open_page(), instance, "Ada")
    for path in ("/", "/jobs", paths[1], "/settings/destinations"):
        page.goto(f"{instance.url}{path}")
        expect(page.locator("[data-pulse]")).to_have_text("Live")
        assert page.evaluate(SHIFTS) < 0.02, path
