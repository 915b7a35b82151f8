"""`afterword worker` with screening and rendering replaced by nothing: what they cost is the difference.

Only the benchmark starts it, in a process of its own: `python -m bench.peers.stubbed`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping
from unittest import mock

from tasks import redaction
from tasks.destinations.servicenow import plan
from tasks.markup import clean, servicenow
from tasks.screening import Policy, Verdict
from worker import siblings
from worker.cli import main, sibling


def unscreened(
    texts: Mapping[str, str],
    policy: Policy,  # noqa: ARG001
    *,
    released: bool = False,  # noqa: ARG001
    named: Collection[str] = (),  # noqa: ARG001
    fixed: Collection[str] = (),  # noqa: ARG001
) -> dict[str, Verdict]:
    """Whatever the texts are, they pass."""
    return {name: Verdict("pass", text) for name, text in texts.items()}


class Unparsed(str):
    """A document that nobody read: its text, without tokens and warnings."""

    __slots__ = ()
    tokens = ()
    warnings = ()


def unrendered(
    text: str,
    limit: int | None = None,
    *,
    title: str = "",  # noqa: ARG001
    link_base: str | None = None,  # noqa: ARG001
) -> str:
    """The text as it stands."""
    return text[:limit]


@contextlib.contextmanager
def without_screening_and_rendering() -> Iterator[None]:
    """Both replaced within this process. `patch` raises where a name isn't there any more: nothing is taken for stubbed that
    isn't.
    """
    with (
        mock.patch.object(redaction, "screen_all", unscreened),
        mock.patch.object(plan, "parse_document", Unparsed),
        mock.patch.object(servicenow, "render", unrendered),
        mock.patch.object(servicenow, "without_code_tags", str),
        mock.patch.object(clean, "plain_title", unrendered),
    ):
        yield


if __name__ == "__main__":
    run = sibling.main if len(sys.argv) > 1 else main  # a further process is told the id of the first
    if run is main:
        sys.argv = ["afterword", "worker"]
    with without_screening_and_rendering(), mock.patch.object(siblings, "PROGRAM", "bench.peers.stubbed"):
        run()
