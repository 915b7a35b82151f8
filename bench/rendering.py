"""Rendering a 50 kB document, beside what the parser alone needs for parsing it and writing HTML."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib import resources

from markdown_it import MarkdownIt
from mdit_py_plugins.gfm import gfm_plugin

from tasks.markup import confluence

SIZE = 50_000
RUNS = 15


def median_ms(work: Callable[[], object]) -> float:
    """The median of several runs, in milliseconds; one run first to warm up."""
    work()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    """Print the figures."""
    text = resources.files("worker.demo").joinpath("rca.md").read_text("utf-8")
    document = (text * (SIZE // len(text) + 1))[:SIZE]
    parser = MarkdownIt("commonmark").use(gfm_plugin)
    plain = median_ms(lambda: parser.render(document))
    ours = median_ms(lambda: confluence.render(document))
    print(
        f"rendering {SIZE // 1000} kB: markdown-it-py to HTML {plain:.1f} ms, storage format {ours:.1f} ms, ratio {ours / plain:.2f}"
    )
