"""Rendering a 50 kB document, an incident, and 1 MB of nothing but one construct, beside what another parser needs for HTML."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib import resources

from markdown_it import MarkdownIt
from mdit_py_plugins.gfm import gfm_plugin

from bench.peers.apps.incident import DESCRIPTION
from tasks.markup import azure_devops, confluence, jira, servicenow

SIZE = 50_000
RUNS = 15
TARGETS: dict[str, Callable[[str], object]] = {
    "storage format": confluence.render,
    "work item": azure_devops.render,
    "work item's Markdown": azure_devops.render_markdown,
    "plain text": servicenow.render,
    "Jira's format": jira.render,
}
WORST_SIZE = 1_000_000
# What costs most for each character, in its smallest form; one of each kind, so that all of it ends in about two minutes.
WORST = ("- x\n", "- [ ] x\n", "> x\n\n", "|a|\n|-|\n\n", "*a* ")


def medians_ms(*works: Callable[[], object]) -> list[float]:
    """The median of several runs of each in milliseconds of processor time, taken in turn after one to warm up."""
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(RUNS):
        for work, taken in zip(works, times, strict=True):
            start = time.process_time()
            work()
            taken.append(time.process_time() - start)
    return [1000 * statistics.median(taken) for taken in times]


def main() -> None:
    """Print the figures."""
    text = resources.files("worker.demo").joinpath("rca.md").read_text("utf-8")
    document = (text * (SIZE // len(text) + 1))[:SIZE]
    parser = MarkdownIt("commonmark").use(gfm_plugin)
    for name, source in (
        (f"{SIZE // 1000} kB", document),
        (f"an incident of {len(DESCRIPTION)} characters", DESCRIPTION),
    ):
        plain, *ours = medians_ms(*(partial(form, source) for form in (parser.render, *TARGETS.values())))
        figures = [f"{target} {ms:.2f} ms ({ms / plain:.2f})" for target, ms in zip(TARGETS, ours, strict=True)]
        print(f"rendering {name}: markdown-it-py to HTML {plain:.2f} ms; with their ratio to that {', '.join(figures)}")
    for piece in WORST:
        text = piece * (WORST_SIZE // len(piece))
        plain, ours = (seconds(lambda: parser.render(text)), seconds(lambda: confluence.render(text)))  # noqa: B023
        print(
            f"rendering 1 MB of {piece!r}: markdown-it-py {plain:.1f} s, storage format {ours:.1f} s, ratio {ours / plain:.2f}"
        )


def seconds(work: Callable[[], object]) -> float:
    """One run's processor time."""
    start = time.process_time()
    work()
    return time.process_time() - start
