"""Somebody who has never seen Afterword connects Confluence, publishes a post-mortem and sees it delivered."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.instance import POST_MORTEM, log_in, running_instance

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def fresh(browser, tmp_path_factory):
    """An instance in which nothing was set up."""
    with running_instance(tmp_path_factory.mktemp("fresh")) as running:
        yield running


def test_a_first_visit_says_where_the_key_is_and_refuses_a_wrong_one(fresh, open_page):
    page = open_page()
    page.goto(fresh.url)
    expect(page.get_by_role("heading", name="Where is the key?")).to_be_visible()
    expect(page.get_by_text("afterword apikey new")).to_be_visible()
    page.get_by_label("API key").fill("ak_0000000000000000.not-a-key")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("isn't known here")


def test_empty_pages_say_what_to_do_first(fresh, open_page):
    page = log_in(open_page(), fresh, "Ada")
    expect(page.get_by_role("heading", name="First, connect a destination")).to_be_visible()
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("link", name="Connect a destination")).to_be_visible()
    page.get_by_role("link", name="Publish").click()
    expect(page.get_by_role("link", name="Connect Confluence")).to_be_visible()


def test_connecting_shows_a_failing_test_and_then_a_passing_one(fresh, open_page):
    page = log_in(open_page(), fresh, "Ada", "/settings/destinations")
    page.get_by_role("link", name="Connect Confluence").click()
    page.get_by_label("Base URL").fill(fresh.sandbox_url)
    page.get_by_label("Email").fill("bot@example.com")
    page.get_by_label("Space key").fill("OPS")
    page.get_by_label("API token").fill("wrong-token-of-a-test")
    page.get_by_role("button", name="Save and test connection").click()
    expect(page.get_by_role("alert")).to_contain_text("The address is plain http")

    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Allow plain http to this host").check()
    page.get_by_label("Allow private addresses").fill("127.0.0.0/8")
    page.get_by_label("API token").fill("wrong-token-of-a-test")
    page.get_by_role("button", name="Save and test connection").click()
    card = page.locator("#confluence")
    expect(card.get_by_text("failed", exact=True)).to_be_visible()
    expect(card.locator(".step-bad")).to_contain_text("401")
    expect(card.locator(".step-skipped").first).to_contain_text("not checked")

    card.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("API token")).to_have_value("")
    page.get_by_label("API token").fill("sandbox-not-a-secret")
    page.get_by_role("button", name="Save and test connection").click()
    expect(card.get_by_text("passed", exact=True)).to_be_visible()
    expect(card.locator(".step-good")).to_have_count(5)
    assert "not-a-secret" not in page.content()


def test_bad_settings_are_named_and_what_was_typed_stays(fresh, open_page):
    page = log_in(open_page(), fresh, "Ada", "/settings/connect?kind=servicenow")
    page.get_by_label("Instance URL").fill("https://user:secret@example.com")
    page.get_by_label("Username").fill("bot")
    page.get_by_label("Password (or client secret)").fill("hidden-word-of-a-test")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("must not hold a user name or password")
    expect(page.get_by_label("Username")).to_have_value("bot")
    assert "hidden-word-of-a-test" not in page.content()


def test_a_document_is_previewed_published_and_followed_to_its_page(fresh, open_page):
    page = log_in(open_page(), fresh, "Omar", "/publish")
    page.get_by_label("Markdown").fill(POST_MORTEM + "\nReach me at ada.l@corp-mail.com.\n")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("cell", name="Email", exact=True)).to_be_visible()
    paper = page.frame_locator("iframe")
    expect(paper.get_by_role("heading", name="Post-Mortem: Checkout outage")).to_be_visible()
    expect(paper.get_by_text("[Email]")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Post-Mortem: Checkout outage")

    page.get_by_role("main").get_by_role("button", name="Publish").click()
    expect(page.get_by_role("link", name="Open it")).to_be_visible()
    assert page.get_by_role("link", name="Open it").get_attribute("href").startswith(fresh.sandbox_url)
    expect(page.get_by_text("201").or_(page.get_by_text("200")).first).to_be_visible()
    assert fresh.events("job.submitted")[-1]["actor"] == "Omar"


def test_an_uploaded_file_is_published_and_its_heading_becomes_the_title(fresh, open_page, tmp_path):
    file = tmp_path / "pm.md"
    file.write_text("# RCA: Uploaded\n\nA file.\n")
    page = log_in(open_page(), fresh, "Omar", "/publish")
    page.get_by_label("Or a file").set_input_files(file)
    page.get_by_role("main").get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", name="RCA: Uploaded", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Open it")).to_be_visible()


def test_removing_asks_first(fresh, open_page):
    page = log_in(open_page(), fresh, "Ada", "/settings/destinations/confluence")
    page.get_by_role("link", name="Remove…").click()
    expect(page.get_by_role("heading", name="Remove confluence?")).to_be_visible()
    page.get_by_role("button", name="Remove confluence").click()
    expect(page.get_by_text("confluence and its credential are removed.")).to_be_visible()
    expect(page.get_by_role("heading", name="First, connect a destination")).to_be_visible()
    assert fresh.events("destination.removed")[-1]["actor"] == "Ada"
