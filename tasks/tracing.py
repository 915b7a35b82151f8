"""The seam for traces: what the lifecycle tells of a job's way, without knowing who listens.

Spans go from `submit` over `attempt` and `screen` to `request`. They name the job, its destination, attempt and status;
never a body, a query or a secret. The trace's context (W3C `traceparent`) travels in the job's record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tasks.http.exchange import Exchange, Recorder
    from tasks.http.message import Request
    from tasks.http.origin import Origin

Fact = str | int | bool | None
TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Span(Protocol):
    """One step under way. Facts that are None are left out."""

    @property
    def traceparent(self) -> str | None:
        """The context that a later step continues from; None where nothing is traced."""
        ...

    def note(self, facts: Mapping[str, Fact]) -> None:
        """Add facts."""
        ...

    def fail(self, code: str) -> None:
        """Mark the step as failed, by the error's code."""
        ...


class Tracing(Protocol):
    """Opens spans."""

    def span(
        self, name: str, facts: Mapping[str, Fact], *, parent: str | None = None, outgoing: bool = False
    ) -> AbstractContextManager[Span]:
        """A span inside the block, below the current one, or below `parent` (a `traceparent`)."""
        ...


class SilentSpan:
    """The span of nobody."""

    traceparent: str | None = None

    def note(self, facts: Mapping[str, Fact]) -> None:
        """Nothing listens."""

    def fail(self, code: str) -> None:
        """Nothing listens."""


class Untraced:
    """No traces."""

    @contextmanager
    def span(
        self, name: str, facts: Mapping[str, Fact], *, parent: str | None = None, outgoing: bool = False
    ) -> Iterator[Span]:
        """A span of nobody."""
        yield SilentSpan()


def checked_traceparent(value: object) -> str | None:
    """A well-formed `traceparent` (W3C Trace Context), or None: other people's headers are not to be trusted."""
    return value if isinstance(value, str) and TRACEPARENT.fullmatch(value) else None


@dataclass
class TracedRequests:
    """A recorder around another one that makes a span of each request, from permission to outcome."""

    recorder: Recorder
    tracing: Tracing
    facts: Mapping[str, Fact]

    async def before(self, request: Request, origin: Origin, begin: Callable[[], None]) -> object:
        """Begin the span; where the request isn't permitted it ends at once."""
        facts = {**self.facts, "operation": request.operation, "method": request.method, "host": origin.netloc}
        opened = self.tracing.span("request", facts, outgoing=True)
        span = opened.__enter__()
        try:
            mark = await self.recorder.before(request, origin, begin)
        except BaseException as error:
            span.fail(getattr(error, "code", type(error).__name__))
            opened.__exit__(None, None, None)
            raise
        return opened, span, mark

    async def after(self, mark: Any, exchange: Exchange) -> None:
        """End the span, then record the outcome."""
        opened, span, inner = mark
        span.note({"status": exchange.status, "outcome": exchange.outcome})
        if exchange.outcome != "ok":
            span.fail(exchange.detail or exchange.outcome)
        opened.__exit__(None, None, None)
        await self.recorder.after(inner, exchange)
