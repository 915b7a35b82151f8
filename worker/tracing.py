"""Traces over OpenTelemetry, by option: nothing of it is imported, or has to be installed, where they are off.

Switched on by AFTERWORD_OTLP_ENDPOINT or the standard OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from config.settings import ConfigError, Settings
from tasks.tracing import Fact, Span, Tracing, Untraced

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan

STANDARD = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORT_LIMIT_S = 5


class ClosableTracing(Tracing):
    """Traces of this process, whose last spans are sent when it is closed."""

    def close(self) -> None:
        """Send what is left; blocks for seconds at most."""


class NoTracing(Untraced, ClosableTracing):
    """No traces."""


def open_tracing(settings: Settings, environ: Mapping[str, str]) -> ClosableTracing:
    """The tracing that the environment asks for; raises `ConfigError` where its packages are missing."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    if off or not (settings.otlp_endpoint or any(environ.get(name) for name in STANDARD)):
        return NoTracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(
            "Traces are switched on, but OpenTelemetry isn't installed; install Afterword with its extra `tracing`, "
            "or unset AFTERWORD_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT."
        ) from None
    about = {"service.version": version("afterword")}
    if not environ.get("OTEL_SERVICE_NAME"):
        about["service.name"] = "afterword"
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces" if settings.otlp_endpoint else None
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_LIMIT_S)))
    return OpenTelemetry(provider)


class OpenTelemetry(ClosableTracing):
    """Spans by a provider of its own; nothing global is set."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("afterword")

    @contextmanager
    def span(
        self, name: str, facts: Mapping[str, Fact], *, parent: str | None = None, outgoing: bool = False
    ) -> Iterator[Span]:
        """A span inside the block. An outgoing request's is nobody's parent, and may end in another task."""
        from opentelemetry.trace import SpanKind, use_span
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
        kind = SpanKind.CLIENT if outgoing else SpanKind.INTERNAL
        inner = self._tracer.start_span(f"afterword.{name}", context=context, kind=kind)
        span = OpenSpan(inner)
        span.note(facts)
        try:
            if outgoing:
                yield span
            else:
                with use_span(inner, record_exception=False, set_status_on_exception=False):
                    yield span
        except BaseException as error:
            span.fail(str(getattr(error, "code", type(error).__name__)))
            raise
        finally:
            inner.end()

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class OpenSpan:
    """A span of OpenTelemetry, by our names. An exception's text stays out: it may quote a vendor's answer."""

    def __init__(self, inner: OtelSpan) -> None:
        self._inner = inner

    @property
    def traceparent(self) -> str | None:
        """The context that a later step continues from."""
        context = self._inner.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def note(self, facts: Mapping[str, Fact]) -> None:
        """Add facts, by the names of OpenTelemetry's conventions where there is one."""
        for name, value in facts.items():
            if value is not None:
                self._inner.set_attribute(CONVENTIONS.get(name, f"afterword.{name}"), _plain(value))

    def fail(self, code: str) -> None:
        """Mark the span as failed."""
        from opentelemetry.trace import Status, StatusCode

        self._inner.set_attribute("error.type", code)
        self._inner.set_status(Status(StatusCode.ERROR))


CONVENTIONS = {"status": "http.response.status_code", "method": "http.request.method", "host": "server.address"}


def _plain(value: Any) -> str | int | bool:
    return value if isinstance(value, bool | int) else str(value)
