"""Traces: one from the producer over submit and attempt to the remote request, and nothing secret in it."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config.settings import ConfigError, Settings
from tasks import lifecycle
from tasks.model import JobState, parse_command
from tasks.tracing import Untraced, checked_traceparent
from tests.conftest import ROOT, stop, until
from tests.integration.test_lifecycle import DOCUMENT, PUBLISH
from worker.runtime import open_services
from worker.tracing import open_tracing

PRODUCER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """A small OTLP receiver over HTTP."""

    def __init__(self) -> None:
        self.spans = []
        self.raw = b""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.take(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body: bytes) -> None:
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list:
        return [span for span in self.spans if span.name == name]


def facts(span) -> dict[str, object]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.server.shutdown()


@pytest.mark.usefixtures("destinations")
async def test_one_trace_leads_from_the_producer_to_the_remote_request(
    settings, services, sandbox, collector, start_worker, monkeypatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    await services.contents.put_document(DOCUMENT, "test")
    await sandbox.fault(vendor="confluence", operation="create", fault="status", status=503)
    async with open_services(settings) as traced:
        job = await traced.submit(parse_command(PUBLISH), actor="test", traceparent=PRODUCER)
    worker = start_worker()

    async def delivered():
        return (await services.ledger.require(job.id)).state is JobState.DELIVERED

    await until(delivered, what="the delivery")
    stop(worker)
    (submitted,) = collector.named("afterword.submit")
    attempts = collector.named("afterword.attempt")
    assert {span.trace_id.hex() for span in collector.spans} == {PRODUCER.split("-")[1]}
    assert submitted.parent_span_id.hex() == PRODUCER.split("-")[2]
    assert {span.parent_span_id for span in attempts} == {submitted.span_id}
    assert [facts(span)["afterword.attempt"] for span in attempts] == [1, 2]
    assert [facts(span)["afterword.state"] for span in attempts] == ["retrying", "delivered"]
    for span in collector.named("afterword.screen") + collector.named("afterword.request"):
        assert span.parent_span_id in {attempt.span_id for attempt in attempts}
    statuses = {facts(span)["http.response.status_code"] for span in collector.named("afterword.request")}
    assert {503, 200} <= statuses
    assert all(facts(span)["afterword.destination"] == "confluence" for span in collector.spans)
    assert facts(attempts[0])["error.type"] == "remote_failure"
    said = "\n".join(f"{span.name} {facts(span)} {span.status.message} {span.events}" for span in collector.spans)
    for secret in (DOCUMENT.content_md, DOCUMENT.title, "sandbox-not-a-secret", "Basic ", "?"):
        assert secret not in said
    assert b"sandbox-not-a-secret" not in collector.raw


def test_without_an_endpoint_opentelemetry_need_not_be_installed():
    code = (
        "import sys; sys.modules['opentelemetry'] = None  # as if it were not there\n"
        "from config.settings import Settings; import worker.celery; import worker.tracing as tracing\n"
        "tracing.open_tracing(Settings(), {})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_traces_can_be_switched_off_by_the_standard_variables():
    settings = Settings(otlp_endpoint="http://127.0.0.1:1")
    assert isinstance(open_tracing(settings, {"OTEL_SDK_DISABLED": "true"}), Untraced)
    assert isinstance(open_tracing(settings, {"OTEL_TRACES_EXPORTER": "none"}), Untraced)


def test_missing_packages_are_named_instead_of_traces_being_lost(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match="extra `tracing`"):
        open_tracing(Settings(otlp_endpoint="http://127.0.0.1:1"), {})


@pytest.mark.usefixtures("destinations")
async def test_a_collector_that_is_away_holds_no_job_up(settings, services, sandbox, unused_tcp_port):
    await services.contents.put_document(DOCUMENT, "test")
    traced = settings.model_copy(update={"otlp_endpoint": f"http://127.0.0.1:{unused_tcp_port}"})
    async with open_services(traced) as opened:
        job = await opened.submit(parse_command(PUBLISH), actor="test")
        assert (await lifecycle.attempt(opened.core, job.id)).state is JobState.DELIVERED


@pytest.mark.parametrize(
    "header",
    [None, "", 7, "x" * 5000, PRODUCER + "\n", PRODUCER.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01", "00-1-2-3"],
)
def test_a_malformed_context_is_not_continued(header):
    assert checked_traceparent(header) is None
