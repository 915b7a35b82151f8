"""The walk of docs/walk.md, from a fresh clone to a failure that was found and corrected: `python -m tests.browser.walk` writes it.

A script's clicks are quicker than a person's, so each of them waits for `PACE_MS` first.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.instance import CHROMIUM, SANDBOXED

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "walk.md"
IMAGES = ROOT / "docs" / "images"
PACE_MS = 1500
SIZE = {"width": 1180, "height": 720}
WRONG_SPACE, RIGHT_SPACE = "FINANCE", "OPS"
CAUSE = "1 job dead: unknown space"
DOCUMENT = (ROOT / "docs" / "examples" / "rca.md").read_text("utf-8")


@dataclass(frozen=True)
class Walker:
    """Somebody with a browser, the console's address and the key that the first start printed."""

    page: Page
    url: str
    key: str


def logs_in(walker: Walker) -> None:
    walker.page.goto(walker.url)
    walker.page.get_by_label("API key").fill(walker.key)
    walker.page.get_by_role("button", name="Log in").click()
    expect(walker.page.get_by_role("heading", name="Overview")).to_be_visible()


def publishes(walker: Walker) -> None:
    walker.page.get_by_role("link", name="Publish").first.click()
    walker.page.get_by_label("Space key").fill(WRONG_SPACE)
    walker.page.get_by_label("Markdown").fill(DOCUMENT)
    walker.page.get_by_role("main").get_by_role("button", name="Publish").click()
    expect(walker.page.get_by_role("link", name="Edit and publish again")).to_be_visible()


def finds(walker: Walker) -> None:
    walker.page.get_by_role("link", name="Overview").click()
    expect(walker.page.get_by_role("link", name=CAUSE)).to_be_visible()


def opens(walker: Walker) -> None:
    walker.page.get_by_role("link", name=CAUSE).click()
    walker.page.get_by_role("main").locator("tbody a[href^='/jobs/']").first.click()
    expect(walker.page.get_by_role("link", name="Edit and publish again")).to_be_visible()


def edits(walker: Walker) -> None:
    walker.page.get_by_role("link", name="Edit and publish again").click()
    walker.page.get_by_label("Space key").fill(RIGHT_SPACE)


def sends_again(walker: Walker) -> None:
    walker.page.get_by_role("button", name="Publish again").click()
    expect(walker.page.get_by_role("link", name="Open it")).to_be_visible()


# What is done in the browser, as the page tells it, and the picture that is taken after it.
STEPS: tuple[tuple[str, Callable[[Walker], None], str], ...] = (
    ("Open the address that it prints, and log in with the key that it prints once.", logs_in, ""),
    (
        f"*Publish*: paste the document, and give the space key `{WRONG_SPACE}`, which Confluence doesn't have. The job fails, and says why.",
        publishes,
        "walk-failed",
    ),
    ("*Overview*: the failure is on top, under *Needs a person*, with its cause.", finds, "walk-overview"),
    ("Open the cause, and the job.", opens, ""),
    (f"*Edit and publish again*: the text is there; correct the space key to `{RIGHT_SPACE}`.", edits, "walk-edit"),
    (
        "*Publish again*: the new job is delivered, with a link to its page. The old one names it.",
        sends_again,
        "walk-delivered",
    ),
)


def walk(walker: Walker, done: Callable[[str, str], None]) -> None:
    """Go all steps in the browser; after each `done` is told its words and its picture's name."""
    for words, do, picture in STEPS:
        do(walker)
        done(words, picture)


@contextlib.contextmanager
def started(checkout: Path, data: Path) -> Iterator[dict[str, Any]]:
    """`afterword up --sandbox` of that checkout: what it says once it is ready."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AFTERWORD_")}
    command = [checkout / ".venv/bin/afterword", "up", "--sandbox", "--port", "0", "--json", "--data", data]
    process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    try:
        line = process.stdout.readline() if process.stdout else b""
        assert line, "`afterword up` did not start"
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    """Clone, walk, and write the page with its times and pictures."""
    times: list[tuple[str, float]] = []
    busy = os.getloadavg()[0]
    last = time.monotonic()

    def done(words: str, picture: str = "") -> None:
        nonlocal last
        times.append((words, time.monotonic() - last))
        if picture:
            page.screenshot(path=IMAGES / f"{picture}.png")
        last = time.monotonic()

    with tempfile.TemporaryDirectory(prefix="afterword-walk-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SANDBOXED, slow_mo=PACE_MS)
        page = browser.new_page(viewport=SIZE, reduced_motion="reduce")
        checkout = Path(folder) / "afterword"
        last = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", ROOT, checkout], check=True)
        subprocess.run(["make", "--silent", "demo"], cwd=checkout, check=True, stdout=subprocess.DEVNULL)
        done("`make demo` in a fresh clone: it installs Afterword, and delivers an RCA to three simulated vendors.")
        with started(checkout, Path(folder) / "data") as told:
            done("`afterword up --sandbox`")
            walk(Walker(page, told["api_url"], told["api_key"]), done)
        browser.close()
    PAGE.write_text(text(times, busy), "utf-8")


def text(times: list[tuple[str, float]], busy: float) -> str:
    """The page; `busy` is how many processes others ran when it began."""
    pictures = {words: picture for words, _, picture in STEPS}
    lines = [
        "# From a clone to a corrected failure",
        "",
        "What a first visit looks like, and how long it takes. `make walk` goes this way in a terminal and in Chromium, and writes this",
        f"page; it waits {PACE_MS / 1000:g} s before each click and each field, as somebody who reads does.",
        f"Measured on {os.cpu_count()} cores while {busy:.0f} other processes ran on them.",
        "",
        "| | step | seconds | in all |",
        "|---|---|---|---|",
    ]
    whole = 0.0
    for number, (words, seconds) in enumerate(times, 1):
        whole += seconds
        lines.append(f"| {number} | {words} | {seconds:.0f} | {int(whole) // 60}:{int(whole) % 60:02} |")
    for number, (words, _) in enumerate(times, 1):
        if picture := pictures.get(words):
            lines += [
                "",
                f"After step {number}:",
                "",
                f"![{words.replace('*', '').replace('`', '')}](images/{picture}.png)",
            ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
