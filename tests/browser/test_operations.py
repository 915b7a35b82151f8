"""What operators do all day: understand a failure, mend it, decide about held jobs, act on many at once."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from tasks.model import JobState
from tests.browser.instance import HELD, POST_MORTEM, log_in

pytestmark = pytest.mark.timeout(240)


def test_a_dead_job_says_why_and_goes_out_once_the_cause_is_gone(instance, open_page):
    instance.fault(vendor="confluence", operation="create", fault="status", status=400)
    job = instance.submit("Refused at first")
    instance.await_state(job, JobState.DEAD)
    page = log_in(open_page(), instance, "Omar", f"/jobs/{job}")
    expect(page.locator(".state")).to_contain_text("Dead")
    expect(page.locator(".attempts")).to_contain_text("400")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("link", name="Open it")).to_be_visible()
    assert instance.events("job.retried")[-1]["actor"] == "Omar"


def test_a_job_page_follows_its_job_without_a_reload(instance, open_page):
    instance.fault(vendor="confluence", operation="create", fault="status", status=503, retry_after=3)
    job = instance.submit("Followed live")
    page = log_in(open_page(), instance, "Vera", f"/jobs/{job}")
    page.evaluate("window.unreloaded = true")
    expect(page.locator(".state .pill")).to_have_text("Delivered")
    expect(page.locator(".attempts > li")).to_have_count(2)
    assert page.evaluate("window.unreloaded") is True


@pytest.mark.parametrize("off_s", [-3600, 3600])
def test_ages_are_right_in_a_browser_whose_clock_is_wrong(instance, open_page, off_s):
    """They count from the moment at which the page was made, by the server's clock."""
    page = open_page()
    page.clock.install(time=time.time() + off_s)
    log_in(page, instance, "Ada", "/settings/keys")
    ages = page.locator("time[data-ago]")
    page.evaluate("document.querySelectorAll('time[data-ago]').forEach((age) => { age.textContent = 'unknown'; })")
    page.clock.run_for(6000)
    expect(ages.first).not_to_have_text("unknown")
    assert all(re.fullmatch(r"now|\d+ (s|min) ago", age) for age in ages.all_text_contents())
    assert not any("60 min" in age or "59 min" in age for age in ages.all_text_contents())


def test_a_refresh_waits_while_somebody_writes(instance, open_page):
    job = instance.submit("Read in peace", HELD)
    instance.await_state(job, JobState.HELD)
    page = log_in(open_page(), instance, "Omar", f"/jobs/{job}")
    expect(page.locator("[data-pulse]")).to_have_text("Live")
    page.get_by_label("Reason for the release").fill("Half a reas")
    instance.run(lambda services: services.ledger.cancel(job, "somebody else"))
    expect(page.locator("[data-pulse]")).to_have_text("Paused while you read")
    expect(page.get_by_label("Reason for the release")).to_have_value("Half a reas")
    page.get_by_label("Reason for the release").fill("")
    page.get_by_label("Reason for the release").blur()
    expect(page.locator(".state .pill")).to_have_text("Cancelled")


def test_a_held_job_is_looked_at_and_released_with_a_reason(instance, open_page):
    job = instance.submit("Held for a password", HELD)
    instance.await_state(job, JobState.HELD)
    page = log_in(open_page(), instance, "Omar", "/jobs?state=held")
    page.get_by_role("link", name="Held for a password").click()
    expect(page.get_by_role("row", name="Password Document, line 19 stops the job")).to_be_visible()
    assert "Tr0ub4dor" not in page.content()
    expect(page.frame_locator("iframe").get_by_text("[Password]")).to_be_visible()

    page.get_by_role("link", name="See it in the text").click()
    expect(page.locator("mark")).to_contain_text("Tr0ub4dor-and-3-horses")
    assert {"job": job, "actor": "Omar"}.items() <= instance.events("content.viewed")[-1].items()
    page.get_by_label("Reason").fill("Rotated an hour ago")
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_role("link", name="Open it")).to_be_visible()
    released = {"job": job, "actor": "Omar", "reason": "Rotated an hour ago"}
    assert released.items() <= instance.events("job.released")[-1].items()


def test_all_dead_jobs_of_a_destination_are_retried_at_once(instance, open_page):
    instance.fault(vendor="confluence", operation="create", fault="status", status=400, times=4)
    jobs = [instance.submit(f"One of many {number}") for number in range(4)]
    for job in jobs:
        instance.await_state(job, JobState.DEAD)
    page = log_in(open_page(), instance, "Omar", "/jobs?state=dead&destination=confluence")
    page.get_by_role("link", name="Retry all…").click()
    expect(page.get_by_role("heading", name=re.compile(r"Retry \d+ jobs\?"))).to_be_visible()
    page.get_by_label("Reason").fill("The template was mended")
    page.get_by_role("button", name=re.compile("Retry")).click()
    expect(page.get_by_text("Finished")).to_be_visible()
    for job in jobs:
        instance.await_state(job, JobState.DELIVERED)
    retried = {event["job"] for event in instance.events("job.retried") if event["actor"] == "Omar"}
    assert set(jobs) <= retried


def test_a_filter_stays_in_the_address_and_counts_tell_how_many(instance, open_page):
    job = instance.submit("Filtered", space_key="NOWHERE")
    instance.await_state(job, JobState.DEAD)
    page = log_in(open_page(), instance, "Vera", "/jobs")
    page.get_by_label("Destination").select_option("confluence")
    page.wait_for_url("**destination=confluence*")
    page.get_by_role("navigation", name="States").get_by_role("link", name="Dead").click()
    page.wait_for_url("**state=dead*destination=confluence*")
    expect(page.get_by_role("link", name="Filtered", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Filtered", exact=True)).to_be_visible()
    instance.run(lambda services: services.ledger.cancel(job, "test"))


def test_a_destination_is_paused_and_goes_on(instance, open_page):
    page = log_in(open_page(), instance, "Omar", "/settings/destinations")
    card = page.locator("#azure_devops")
    card.get_by_role("button", name="Pause").click()
    expect(card.locator(".pill")).to_have_text("Paused by Omar")
    expect(card).to_contain_text("Paused by Omar", ignore_case=True)
    job = instance.file("Waits", command="create_azuredevops_workitem", project="Operations")
    page.goto(f"{instance.url}/jobs/{job}")
    expect(page.locator(".state")).to_contain_text("azure_devops is paused")
    page.goto(f"{instance.url}/settings/destinations")
    card.get_by_role("button", name="Resume").click()
    instance.await_state(job, JobState.DELIVERED)
    expect(card.locator(".pill")).to_contain_text("Healthy for")


def test_an_incident_is_filed_from_the_console(instance, open_page):
    page = log_in(open_page(), instance, "Omar", "/publish/issue")
    page.get_by_label("Title").fill("Queue stuck")
    page.get_by_label("Description").fill("The *queue* is stuck.")
    page.get_by_label("Destination").select_option("servicenow")
    page.get_by_label("Severity").select_option("P2")
    page.get_by_role("button", name="Create").click()
    expect(page.locator(".receipt")).to_contain_text("INC")


def test_the_audit_is_searched_verified_and_exported(instance, open_page, tmp_path):
    job = instance.submit("In the audit")
    instance.await_state(job, JobState.DELIVERED)
    page = log_in(open_page(), instance, "Vera", "/audit")
    page.get_by_label("Job").fill(job)
    page.get_by_label("Event").select_option("job.delivered")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".trail tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 1
    assert job in lines[0]
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("The audit trail is intact.")).to_be_visible()


def test_workers_show_what_they_are(instance, open_page):
    page = log_in(open_page(), instance, "Vera", "/workers")
    expect(page.get_by_role("row").filter(has_text="Alive")).to_contain_text("0.")


def test_an_admin_makes_a_key_that_is_shown_once_and_revokes_it(instance, open_page):
    page = log_in(open_page(), instance, "Ada", "/settings/keys")
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("Operator").check()
    page.get_by_role("button", name="Make the key").click()
    instance.keys["Grace"] = page.locator("#fresh-key").inner_text()
    grace = log_in(open_page(), instance, "Grace", "/jobs")
    expect(grace.get_by_role("link", name="Publish").first).to_be_visible()
    page.goto(f"{instance.url}/settings/keys")
    assert instance.keys["Grace"] not in page.content()
    row = page.get_by_role("row").filter(has_text="Grace")
    row.get_by_text("Revoke…").click()
    row.get_by_role("button", name="Revoke Grace").click()
    expect(row).to_contain_text("Revoked")
    grace.reload()
    expect(grace.get_by_role("button", name="Log in")).to_be_visible()


def test_a_viewer_is_offered_nothing_that_they_may_not_do(instance, open_page):
    job = instance.submit("Only looked at", HELD)
    instance.await_state(job, JobState.HELD)
    page = log_in(open_page(), instance, "Vera", f"/jobs/{job}")
    expect(page.get_by_role("button")).to_have_count(2)  # the command palette, log out
    for path in (f"/jobs/{job}/text", "/publish", "/settings/keys", "/settings/destinations/confluence"):
        page.goto(f"{instance.url}{path}")
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()


def test_everything_works_without_javascript(instance, open_page):
    page = log_in(open_page(java_script_enabled=False), instance, "Omar", "/publish")
    page.get_by_label("Markdown").fill(POST_MORTEM.replace("Checkout", "Scriptless"))
    page.get_by_role("main").get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", name="Post-Mortem: Scriptless outage", level=1)).to_be_visible()
    instance.await_state(page.url.rpartition("/")[2], JobState.DELIVERED)
    page.reload()
    expect(page.get_by_role("link", name="Open it")).to_be_visible()
    page.goto(f"{instance.url}/jobs")
    page.get_by_label("Destination").select_option("servicenow")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**destination=servicenow*")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


@pytest.mark.parametrize("words", ["<script>document.title='owned'</script>", "{{7*7}}", "\u202egnp.exe"])
def test_words_of_a_document_stay_words(instance, open_page, words):
    job = instance.submit(
        f"Title {words}", f"# {words}\n\n{words}\n\n[link](javascript:alert(1))\n", identifier="words"
    )
    instance.await_state(job, JobState.DELIVERED, JobState.DEAD)
    page = log_in(open_page(), instance, "Vera", f"/jobs/{job}")
    shown = words.replace("\u202e", "")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Title {shown}")
    expect(page.frame_locator("iframe").get_by_text(shown.strip()).last).to_be_attached()
    assert page.title().startswith("Title")
    assert page.frame_locator("iframe").locator("script, [href^=javascript]").count() == 0
