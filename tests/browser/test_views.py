"""Saved views in a browser: saved from the jobs page, opened anywhere, renamed, shared by a link, deleted."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.instance import log_in

pytestmark = pytest.mark.timeout(240)


def save(page, name, *, shared=False):
    page.get_by_text("Save this view…").click()
    page.get_by_label("Name", exact=True).fill(name)
    if shared:
        page.get_by_label("Everybody sees it").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(f"Saved as {name}.")).to_be_visible()


def test_a_view_is_saved_and_opened_in_another_browser(instance, open_page):
    """It belongs to the person's key, and the filter is in the address as before."""
    page = log_in(open_page(), instance, "Vera", "/jobs")
    expect(page.get_by_text("Save this view…")).to_have_count(0)
    page.goto(f"{instance.url}/jobs?state=dead&destination=confluence&q=pool")
    save(page, "Dead pools")
    elsewhere = log_in(open_page(), instance, "Vera", "/jobs")
    elsewhere.get_by_role("navigation", name="Saved views").get_by_role("link", name="Dead pools").click()
    elsewhere.wait_for_url(lambda url: "state=dead" in url and "destination=confluence" in url and "q=pool" in url)
    expect(elsewhere.get_by_role("link", name="Dead pools")).to_have_attribute("aria-current", "true")
    expect(elsewhere.get_by_text("Save this view…")).to_have_count(0)
    other = log_in(open_page(), instance, "Omar", "/views")
    expect(other.get_by_role("link", name="Dead pools")).to_have_count(0)


def test_a_view_is_renamed_shared_by_its_link_and_deleted(instance, open_page):
    """A viewer who opens the link sees the same jobs, and can't change the view."""
    page = log_in(open_page(), instance, "Omar", "/jobs?kind=servicenow&since=2026-01-01")
    save(page, "Tickets")
    page.get_by_role("link", name="Manage views").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Tickets"))
    expect(row).to_contain_text("ServiceNow · from 2026-01-01")
    row.get_by_text("Rename…").click()
    row.get_by_label("New name").fill("All tickets")
    row.get_by_role("button", name="Rename").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="All tickets"))
    row.get_by_role("button", name="Share").click()
    expect(row).to_contain_text("everybody")
    link = row.get_by_role("link", name="All tickets").get_attribute("href")
    vera = log_in(open_page(), instance, "Vera", link)
    vera.wait_for_url(re.compile("kind=servicenow"))
    vera.goto(f"{instance.url}/views")
    hers = vera.get_by_role("row").filter(has=vera.get_by_role("link", name="All tickets"))
    expect(hers).to_contain_text("saved by Omar")
    expect(hers.get_by_text("Delete…")).to_have_count(0)
    row.get_by_text("Delete…").click()
    row.get_by_role("button", name="Delete All tickets").click()
    expect(page.get_by_text("All tickets is deleted.")).to_be_visible()
    assert vera.goto(f"{instance.url}{link}").status == 404


def test_a_filter_that_is_not_understood_says_what_it_leaves_out(instance, open_page):
    """And isn't offered to be saved, which would be refused."""
    page = log_in(open_page(), instance, "Vera", "/jobs?state=asleep&since=soon&destination=confluence")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("There is no state 'asleep'.")
    expect(alert).to_contain_text("'soon' is not a day")
    expect(page.get_by_text("Save this view…")).to_have_count(0)
    page.goto(f"{instance.url}/jobs?destination=confluence")
    expect(page.get_by_text("Save this view…")).to_be_visible()
