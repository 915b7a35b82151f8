"""Finding and mending, in a browser: the overview, the search, groups of failures, edit and publish again, and the keys."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tasks.model import JobState
from tests.browser.instance import HELD, POST_MORTEM, log_in

pytestmark = pytest.mark.timeout(240)


def test_the_overview_says_what_needs_a_person_and_leads_there(instance, open_page):
    job = instance.submit("Overview of a lost space", space_key="NOWHERE")
    instance.await_state(job, JobState.DEAD)
    page = log_in(open_page(), instance, "Vera", "/")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("navigation", name="Time").get_by_role("link", name="1 hour").click()
    page.wait_for_url("**span=1h")
    expect(page.get_by_role("img", name=re.compile("Jobs that ended"))).to_be_visible()
    page.get_by_role("link", name=re.compile(r"dead: unknown space")).click()
    page.wait_for_url("**state=dead*cause=unknown_space**")
    expect(page.get_by_role("link", name="Overview of a lost space")).to_be_visible()


def test_a_job_is_found_by_words_of_its_title_and_by_the_beginning_of_its_id(instance, open_page):
    job = instance.submit("Findable: zeppelin cache stampede")
    instance.await_state(job, JobState.DELIVERED)
    page = log_in(open_page(), instance, "Vera", "/jobs")
    page.keyboard.press("/")
    page.keyboard.type("stampede zeppelin")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=stampede+zeppelin*")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.goto(f"{instance.url}/jobs?q={job[:6]}")
    page.wait_for_url(f"**/jobs/{job}")
    page.goto(f"{instance.url}/jobs?q=zeppelin&until=2020-01-01")
    expect(page.get_by_text("No job matches")).to_be_visible()


def test_jobs_that_failed_alike_are_retried_together(instance, open_page):
    instance.fault(vendor="confluence", operation="create", fault="status", status=400, times=2)
    alike = [instance.submit(f"Fails alike {number}") for number in range(2)]
    for job in alike:
        instance.await_state(job, JobState.DEAD)
    other = instance.submit("Fails otherwise", space_key="NOWHERE")
    instance.await_state(other, JobState.DEAD)
    page = log_in(open_page(), instance, "Omar", "/jobs?state=dead")
    cause = instance.run(lambda services: services.ledger.require(alike[0])).last_error
    group = (
        page.get_by_role("list", name="Causes")
        .get_by_role("listitem")
        .filter(has_text=f"{cause.code.replace('_', ' ')} {cause.status}")
    )
    group.get_by_role("link", name="Retry these…").click()
    page.get_by_role("button", name=re.compile("Retry")).click()
    expect(page.get_by_text("Finished")).to_be_visible()
    for job in alike:
        instance.await_state(job, JobState.DELIVERED)
    assert instance.run(lambda services: services.ledger.require(other)).state is JobState.DEAD


def test_a_held_text_is_edited_and_published_again_with_a_live_preview(instance, open_page):
    job = instance.submit("Edited and sent", HELD, identifier="edited-and-sent")
    instance.await_state(job, JobState.HELD)
    page = log_in(open_page(), instance, "Omar", f"/jobs/{job}")
    page.get_by_role("link", name="Edit and publish again").click()
    expect(page.get_by_text("Screening would hold this.")).to_be_visible()
    text = page.get_by_label("Markdown")
    assert "Tr0ub4dor" in text.input_value()
    text.fill(POST_MORTEM.replace("Checkout", "Mended words"))
    expect(page.get_by_text("Screening would hold this.")).to_have_count(0)
    expect(page.frame_locator("iframe").get_by_text("Mended words").first).to_be_visible()
    page.get_by_role("button", name="Publish again").click()
    expect(page.get_by_role("link", name="Open it")).to_be_visible()
    new = page.url.rpartition("/")[2]
    old = instance.run(lambda services: services.ledger.require(job))
    assert (old.state, old.superseded_by) == (JobState.CANCELLED, new)
    page.goto(f"{instance.url}/jobs/{job}")
    expect(page.get_by_role("link", name=f"job {new[:8]}")).to_be_visible()


def test_a_viewer_can_neither_read_the_text_nor_edit_it(instance, open_page):
    job = instance.submit("Not for viewers", HELD)
    instance.await_state(job, JobState.HELD)
    page = log_in(open_page(), instance, "Vera", f"/jobs/{job}")
    expect(page.get_by_role("link", name="Edit and publish again")).to_have_count(0)
    assert page.goto(f"{instance.url}/jobs/{job}/edit").status == 403


def test_the_keyboard_leads_through_pages_and_rows(instance, open_page):
    job = instance.submit("Reached by keys")
    instance.await_state(job, JobState.DELIVERED)
    page = log_in(open_page(), instance, "Omar", "/")
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url("**/jobs")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/jobs/.+"))
    page.locator("a.back").click()
    page.wait_for_url("**/jobs")


def test_times_are_asked_for_in_the_readers_zone(instance, open_page):
    """The address has them in UTC, or with the zone, so that it means the same to whom it is sent."""
    page = log_in(open_page(timezone_id="Asia/Tokyo"), instance, "Omar", "/audit")
    page.get_by_label("From", exact=True).fill("2026-01-02T08:30")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**since=2026-01-01T23%3A30*")
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-01-02T08:30")
    page.goto(f"{instance.url}/jobs")
    page.get_by_label("From", exact=True).fill("2026-01-02")
    page.wait_for_url("**since=2026-01-02%2B09%3A00*")
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-01-02")


def test_times_are_local_with_utc_in_the_tooltip(instance, open_page):
    page = log_in(open_page(timezone_id="Asia/Tokyo", locale="en-GB"), instance, "Omar", "/audit")
    time = page.locator("tbody time").first
    expect(time).to_have_attribute("title", re.compile(r" UTC$"))
    hours = [int(re.search(r"(\d\d):\d\d:\d\d", text)[1]) for text in (time.inner_text(), time.get_attribute("title"))]
    assert (hours[0] - hours[1]) % 24 == 9


def test_jobs_are_ticked_and_cancelled(instance, open_page):
    """With the mouse or the keyboard; what can be done shows once there are any."""
    titles = [f"Ticked {number}" for number in range(3)]
    jobs = [instance.submit(title, space_key="NOWHERE") for title in titles]
    for job in jobs:
        instance.await_state(job, JobState.DEAD)
    page = log_in(open_page(), instance, "Omar", "/jobs?state=dead&q=ticked")
    actions = page.get_by_role("form", name="Chosen jobs")
    expect(page.get_by_role("checkbox")).to_have_count(3)
    expect(actions).to_be_hidden()
    page.get_by_role("checkbox", name="Choose Ticked 0").check()
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.get_by_role("link", name="Ticked 2", exact=True).focus()
    page.keyboard.press("x")
    expect(actions).to_contain_text("2 chosen")
    actions.get_by_role("button", name="All on this page").click()
    expect(actions).to_contain_text("3 chosen")
    page.get_by_role("checkbox", name="Choose Ticked 1").uncheck()
    actions.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel 2 jobs").click()
    expect(page.get_by_text("Finished")).to_be_visible()
    assert [instance.state(job) for job in jobs] == [JobState.CANCELLED, JobState.DEAD, JobState.CANCELLED]


IN_ONE_LINE = """job => {
    const link = document.querySelector(`a[href="/jobs/${job}"]`);
    if (!link) return false;
    const range = document.createRange();
    range.selectNodeContents(link.closest("tr").cells[1].querySelector(".row").lastChild);
    return range.getClientRects().length === 1;
}"""


def test_a_long_state_does_not_break_the_name_of_a_destination(instance, open_page):
    """Who paused it may have a long name."""
    actor = "oidc:248289761001 Augusta Ada King, Countess of Lovelace"
    instance.run(lambda services: services.destinations.pause("servicenow", actor))
    try:
        job = instance.file("Waits for somebody with a long name")
        page = log_in(open_page(), instance, "Vera", "/jobs?state=queued&destination=servicenow")
        row = page.get_by_role("row").filter(has=page.locator(f"a[href='/jobs/{job}']"))
        expect(row).to_contain_text("destination paused by Augusta Ada King, Countess of Lovelace")
        page.wait_for_function(IN_ONE_LINE, arg=job)  # the list may be replaced at any time
        page.goto(f"{instance.url}/audit?event=destination.paused")
        expect(page.get_by_title(actor)).to_have_text("Augusta Ada King, Countess of Lovelace")
        assert page.locator(".trail").evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")
    finally:
        instance.run(lambda services: services.destinations.resume("servicenow", "test"))
    instance.await_state(job, JobState.DELIVERED)
