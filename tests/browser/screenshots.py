"""Takes the pictures of the documentation: `python -m tests.browser.screenshots [FOLDER [PAGE…]]`, docs/images by default."""

from __future__ import annotations

import itertools
import sys
import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tasks.model import JobState
from tasks.state.jobs.asked import Asked
from tasks.state.views.registry import Person
from tests.browser.instance import CHROMIUM, HELD, POST_MORTEM, SANDBOXED, Instance, log_in, running_instance
from worker.runtime import Services

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


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
    person = Person(id="test", name="Grace", actor="test", shares=True)
    for name, asked in (
        ("Dead in Confluence", Asked(state="dead", destination="confluence")),
        ("Pools", Asked(q="pool")),
    ):
        instance.run(partial(save_view, person=person, name=name, asked=asked))
    instance.fault(vendor="servicenow", fault="rate_limit", retry_after=240, times=50)
    jobs["waiting"] = instance.file("Disk pressure on db-3", severity=3)
    instance.await_state(jobs["waiting"], JobState.RETRYING, JobState.QUEUED)
    return jobs


async def save_view(services: Services, person: Person, name: str, asked: Asked) -> None:
    """A view that everybody sees."""
    await services.views.save(person, name, asked, shared=True)


def pages(jobs: dict[str, str]) -> dict[str, str]:
    """What to photograph, by the picture's name."""
    return {
        "overview": "/",
        "jobs": "/jobs",
        "dead": "/jobs?state=dead",
        "job": f"/jobs/{jobs['delivered']}",
        "job-dead": f"/jobs/{jobs['dead']}",
        "job-held": f"/jobs/{jobs['held']}",
        "job-waiting": f"/jobs/{jobs['waiting']}",
        "text": f"/jobs/{jobs['held']}/text",
        "edit-job": f"/jobs/{jobs['held']}/edit",
        "reference": "/docs",
        "held": "/jobs?state=held",
        "bulk-ask": "/bulk?verb=retry&state=dead",
        "destinations": "/settings/destinations",
        "edit": "/settings/destinations/confluence",
        "connect": "/settings/connect?kind=azure_devops",
        "publish": "/publish",
        "issue": "/publish/issue",
        "audit": "/audit",
        "workers": "/workers",
        "views": "/views",
        "palette": "/workers",
        "odd-filter": "/jobs?state=asleep&destination=confluence",
        "keys": "/settings/keys",
        "notifications": "/settings/notifications",
        "nothing": "/nowhere",
    }


# Of all pictures those in the documentation, by their names there.
DOCS = {
    "overview-desktop-light": "console-overview",
    "jobs-desktop-light": "console",
    "job-desktop-dark": "console-job",
    "destinations-desktop-light": "console-destinations",
}


def main() -> None:
    """All pages in both sizes and colours, whole, into FOLDER, or those that are named; without one the documentation's few, as a screen shows them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    wanted = sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="afterword-pictures-") as data, running_instance(Path(data)) as instance:
        jobs = furnish(instance)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SANDBOXED)
            connections_tested(browser, instance)
            for (size, viewport), scheme in itertools.product(SIZES.items(), ("light", "dark")):
                context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
                page = log_in(context.new_page(), instance, "Ada")
                for name, path in pages(jobs).items():
                    if wanted and name not in wanted:
                        continue
                    picture = f"{name}-{size}-{scheme}"
                    file = folder / f"{picture}.png" if folder else IMAGES / f"{DOCS.get(picture)}.png"
                    if folder or picture in DOCS:
                        page.goto(f"{instance.url}{path}")
                        if name == "palette":
                            page.keyboard.press("Control+k")
                            page.get_by_role("option").first.wait_for()
                        page.wait_for_function("document.fonts.status === 'loaded'")
                        page.screenshot(path=file, full_page=folder is not None)
                context.close()
            browser.close()


def connections_tested(browser: Browser, instance: Instance) -> None:
    """Test each connection, so that the cards have something to tell."""
    page = log_in(browser.new_page(), instance, "Ada")
    for name in ("azure_devops", "confluence", "servicenow"):
        page.goto(f"{instance.url}/settings/destinations")
        page.locator(f"#{name}").get_by_role("button", name="Test connection").click()
        page.wait_for_url(f"**#{name}")
    page.close()


if __name__ == "__main__":
    main()
