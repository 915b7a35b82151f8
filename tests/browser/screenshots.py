"""Takes the pictures of the documentation: `python -m tests.browser.screenshots [FOLDER]`, docs/images by default."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tasks.model import JobState
from tests.browser.instance import HELD, POST_MORTEM, Instance, running_instance

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


def furnish(instance: Instance) -> dict[str, str]:
    """Jobs in every state that a page can show; their ids by what they are for."""
    instance.connect(servicenow={"max_attempts": 2})
    instance.fault(vendor="confluence", operation="create", fault="commit_then_drop")
    jobs = {"delivered": instance.submit("Post-Mortem: Checkout outage", identifier="pm-checkout-0142")}
    instance.await_state(jobs["delivered"], JobState.DELIVERED)
    for number, title in enumerate(
        ("Search latency after the index move", "DNS time-outs in eu-west", "Cache stampede")
    ):
        job = instance.submit(f"RCA: {title}", POST_MORTEM.replace("Checkout", title), identifier=f"rca-{number + 207}")
        instance.await_state(job, JobState.DELIVERED)
    jobs["incident"] = instance.file("Payment webhooks delayed", severity=1)
    jobs["item"] = instance.file(
        "Add a limit to the retry queue", command="create_azuredevops_workitem", project="Operations"
    )
    jobs["dead"] = instance.submit("Post-Mortem: Billing export", identifier="pm-billing-0077", space_key="FINANCE")
    jobs["held"] = instance.submit("Post-Mortem: Login outage", HELD, identifier="pm-login-0143")
    instance.await_state(jobs["incident"], JobState.DELIVERED)
    instance.await_state(jobs["item"], JobState.DELIVERED)
    instance.await_state(jobs["dead"], JobState.DEAD)
    instance.await_state(jobs["held"], JobState.HELD)
    instance.fault(vendor="servicenow", fault="rate_limit", retry_after=240, times=50)
    jobs["waiting"] = instance.file("Disk pressure on db-3", severity=3)
    instance.await_state(jobs["waiting"], JobState.RETRYING, JobState.QUEUED)
    return jobs


def log_in(page: Page, instance: Instance, name: str = "Ada") -> None:
    """Log in as that person."""
    page.goto(f"{instance.url}/login")
    page.get_by_label("API key").fill(instance.keys[name])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def pages(jobs: dict[str, str]) -> dict[str, str]:
    """What to photograph, by the picture's name."""
    return {
        "jobs": "/jobs",
        "job": f"/jobs/{jobs['delivered']}",
        "job-dead": f"/jobs/{jobs['dead']}",
        "job-held": f"/jobs/{jobs['held']}",
        "job-waiting": f"/jobs/{jobs['waiting']}",
        "text": f"/jobs/{jobs['held']}/text",
        "held": "/jobs?state=held",
        "bulk-ask": "/bulk?verb=retry&state=dead",
        "integrations": "/settings/integrations",
        "edit": "/settings/integrations/confluence",
        "connect": "/settings/connect?kind=azure_devops",
        "publish": "/publish",
        "issue": "/publish/issue",
        "audit": "/audit",
        "workers": "/workers",
        "keys": "/settings/keys",
        "nothing": "/nowhere",
    }


DOCS = (("console", "jobs", "desktop", "light"), ("console-job", "job", "desktop", "dark"),
        ("console-integrations", "integrations", "desktop", "light"))  # fmt: skip


def main() -> None:
    """All pages in both sizes and colours into FOLDER, or the documentation's few."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="afterword-pictures-") as data, running_instance(Path(data)) as instance:
        jobs = furnish(instance)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for size, (width, height) in SIZES.items():
                for scheme in ("light", "dark"):
                    context = browser.new_context(
                        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
                    )
                    page = context.new_page()
                    log_in(page, instance)
                    if (size, scheme) == ("desktop", "light"):
                        test_all(page, instance)
                    for name, path in pages(jobs).items():
                        wanted = [doc for doc, *rest in DOCS if rest == [name, size, scheme]]
                        if folder is None and not wanted:
                            continue
                        page.goto(f"{instance.url}{path}", wait_until="networkidle" if name == "nothing" else "load")
                        page.wait_for_function("document.fonts.status === 'loaded'")
                        if folder is not None:
                            page.screenshot(path=folder / f"{name}-{size}-{scheme}.png", full_page=True)
                        for doc in wanted if folder is None else ():
                            page.screenshot(path=ROOT / "docs" / "images" / f"{doc}.png")
                    context.close()
            browser.close()


def test_all(page: Page, instance: Instance) -> None:
    """Test the connections, so that the cards have something to tell."""
    for name in ("azure_devops", "confluence", "servicenow"):
        page.goto(f"{instance.url}/settings/integrations")
        page.locator(f"#{name}").get_by_role("button", name="Test connection").click()
        page.wait_for_url(f"**#{name}")


if __name__ == "__main__":
    main()
