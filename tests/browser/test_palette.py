"""The command palette in a browser: by keys alone, by a screen reader's roles, on a phone, and only what one may do."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tasks.model import JobState
from tests.browser.instance import log_in

pytestmark = pytest.mark.timeout(240)
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def options(page, **which):
    return page.get_by_role("listbox", name="Results").get_by_role("option", **which)


def opened(page, typed=""):
    """The palette with what is typed, once its results are there."""
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Go somewhere or do something")
    expect(field).to_be_focused()
    field.press_sequentially(typed)
    expect(options(page).first).to_be_visible()
    return field


def test_keys_alone_lead_to_a_page_and_a_destination(instance, open_page):
    """With the roles that a screen reader tells: which option is meant is said of the field."""
    page = log_in(open_page(), instance, "Omar", "/workers")
    field = opened(page, "destin")
    option = options(page, selected=True)
    expect(option).to_contain_text("Destinations")
    expect(field).to_have_attribute("aria-activedescendant", option.get_attribute("id"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/destinations")
    opened(page, "jobs of")
    expect(options(page, selected=True)).to_contain_text("Jobs of")
    first = options(page, selected=True).inner_text()
    page.keyboard.press("ArrowDown")
    expect(options(page, selected=True)).not_to_have_text(first)
    page.keyboard.press("ArrowUp")
    expect(options(page, selected=True)).to_have_text(first)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Command palette")).to_be_hidden()


def test_a_job_is_reached_by_its_number_and_by_the_beginning_of_its_id(instance, open_page):
    """As they stand in a chat; Enter right after the last letter is enough."""
    job = instance.file("Reached from the palette")
    instance.await_state(job, JobState.DELIVERED)
    number = instance.run(lambda services: services.ledger.require(job)).receipt.ticket_number
    page = log_in(open_page(), instance, "Vera", "/")
    for typed in (number, job[:7], "palette reached"):
        page.goto(f"{instance.url}/")
        page.keyboard.press("Control+k")
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{instance.url}/jobs/{job}")


def test_a_destination_is_paused_and_resumed_by_who_may(instance, open_page):
    """A viewer isn't offered it."""
    page = log_in(open_page(), instance, "Omar", "/")
    opened(page, "pause azure")
    page.keyboard.press("Enter")
    expect(page.get_by_text("azure_devops is paused.")).to_be_visible()
    opened(page, "resume azure")
    page.keyboard.press("Enter")
    expect(page.get_by_text("azure_devops is resumed.")).to_be_visible()
    viewer = log_in(open_page(), instance, "Vera", "/")
    opened(viewer, "pause azure")
    expect(options(viewer).filter(has_text="Search jobs")).to_be_visible()
    expect(options(viewer).filter(has_text="Pause azure_devops")).to_have_count(0)


def test_the_job_that_one_looks_at_comes_with_what_can_be_done(instance, open_page):
    """Retry, for a dead one."""
    job = instance.submit("Retried from the palette", space_key="NOWHERE", identifier="palette-retry")
    instance.await_state(job, JobState.DEAD)
    page = log_in(open_page(), instance, "Omar", f"/jobs/{job}")
    opened(page, "retry this")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Queued again.")).to_be_visible()
    assert instance.events("job.retried")[-1]["job"] == job


def test_a_phone_has_a_button_for_it_and_the_help_names_its_key(instance, open_page):
    """Nothing in it is wider than the screen, and axe finds no fault."""
    page = log_in(open_page(**PHONE), instance, "Ada", "/jobs")
    page.get_by_role("button", name="Go to…").tap()
    expect(options(page).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    found = Axe().run(page, options={"resultTypes": ["violations"], "iframes": False, "preload": False})
    assert found.violations_count == 0, found.generate_report()
    options(page).filter(has_text="Audit").tap()
    page.wait_for_url("**/audit")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("go to a page, destination, view or job")
