"""`afterword worker` with screening and rendering replaced by nothing: what they cost is the difference.

Only the benchmark starts it, in a process of its own: `python -m bench.peers.stubbed`.
"""

from __future__ import annotations

import sys

from tasks import redaction
from tasks.markup import clean, servicenow
from tasks.screening import Policy, Verdict
from worker.cli import main


def unscreened(text: str, policy: Policy, *, released: bool = False) -> Verdict:  # noqa: ARG001
    """Whatever the text is, it passes."""
    return Verdict(action="pass", text=text, findings=())


def unrendered(text: str, *, limit: int | None = None) -> str:
    """The text as it stands."""
    return text[:limit]


def cut(text: str, limit: int) -> str:
    """The title as it stands."""
    return text[:limit]


if __name__ == "__main__":
    redaction.screen = unscreened  # type: ignore[assignment]
    servicenow.render = unrendered  # type: ignore[assignment]
    servicenow.without_code_tags = str  # type: ignore[assignment]
    clean.plain_title = cut  # type: ignore[assignment]
    sys.argv = ["afterword", "worker"]
    main()
