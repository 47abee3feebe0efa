"""Requests as OpenTelemetry spans."""

from __future__ import annotations

import gzip
import http.server
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from camcount.errors import UsageError
from camcount.monitoring.traces import TraceRecorder
from camcount.stats import RequestStats
from tests.requests_made import ended

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def spans_of(*requests: RequestStats) -> list[ReadableSpan]:
    """What is exported after these requests."""
    exporter = InMemorySpanExporter()
    recorder = TraceRecorder(exporter)
    for request in requests:
        recorder.record(request)
    recorder.close()
    return list(exporter.get_finished_spans())


def ids(span: ReadableSpan) -> tuple[str, str]:
    """Its trace and its own, as a traceparent writes them."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def named(spans: list[ReadableSpan], name: str) -> ReadableSpan:
    """The one span of that name."""
    [span] = [span for span in spans if span.name == name]
    return span


def test_a_request_is_a_span_with_one_per_stage() -> None:
    """One after the other from the submission on, each as long as it took, within the request's."""
    spans = spans_of(ended(ended=NOON))
    request = named(spans, "detect people")
    noon_ns = int(NOON.timestamp()) * 10**9 + 123_456_000
    begin_ns = noon_ns - 60_000_000
    assert (request.start_time, request.end_time) == (begin_ns, noon_ns)
    at = begin_ns
    for name, milliseconds in (("queue", 10), ("preprocess", 5), ("inference", 40), ("postprocess", 1)):
        stage = named(spans, name)
        assert (stage.start_time, stage.end_time) == (at, at + milliseconds * 1_000_000)
        assert stage.parent is not None
        assert f"{stage.parent.span_id:016x}" == ids(request)[1]
        at += milliseconds * 1_000_000
    assert len(spans) == 5


def test_a_span_joins_the_callers_trace() -> None:
    """Its parent is the span of the traceparent; without one it begins a trace of its own."""
    spans = spans_of(ended(trace=f"00-{TRACE}-{PARENT}-01", model="joined"), ended(model="own"))
    joined, own = named(spans, "detect joined"), named(spans, "detect own")
    assert ids(joined)[0] == TRACE
    assert joined.parent is not None
    assert f"{joined.parent.span_id:016x}" == PARENT
    assert own.parent is None


@pytest.mark.parametrize("trace", ["nonsense", "00-0-0-01", f"00-{TRACE}-{PARENT}", "\ud800"])
def test_a_traceparent_that_cannot_be_read_is_ignored(trace: str) -> None:
    """The request gets a trace of its own."""
    assert named(spans_of(ended(trace=trace)), "detect people").parent is None


def test_a_caller_that_does_not_sample_is_obeyed() -> None:
    """The flag of the traceparent says so; nothing is exported."""
    assert spans_of(ended(trace=f"00-{TRACE}-{PARENT}-00")) == []


def test_attributes_say_what_is_known() -> None:
    """Under camcount.*, empty ones left out."""
    span = named(spans_of(ended(attempts=2, fallback="crowd", reason="alias")), "detect people")
    assert dict(span.attributes or {}) == {
        "camcount.model": "people",
        "camcount.version": "1.0.0",
        "camcount.outcome": "ok",
        "camcount.door": "rest",
        "camcount.request_id": "req-1",
        "camcount.reason": "alias",
        "camcount.replica": "r0",
        "camcount.fallback": "crowd",
        "camcount.computed": True,
        "camcount.cached": False,
        "camcount.attempts": 2,
        "camcount.batch": 1,
        "camcount.detections": 2,
    }
    assert span.kind is SpanKind.SERVER
    assert named(spans_of(ended(door="camera")), "detect people").kind is SpanKind.INTERNAL


@pytest.mark.parametrize(
    ("outcome", "status"), [("ok", StatusCode.UNSET), ("cancelled", StatusCode.UNSET), ("INF_004", StatusCode.ERROR)]
)
def test_failed_requests_are_failed_spans(outcome: str, status: StatusCode) -> None:
    """With their code; a client that went away is no error of ours."""
    span = named(spans_of(ended(outcome=outcome)), "detect people")
    assert span.status.status_code is status
    assert span.status.description == (outcome if status is StatusCode.ERROR else None)


class _Collector(http.server.BaseHTTPRequestHandler):
    """Takes what an OpenTelemetry collector takes."""

    received: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.path == "/v1/traces"
        self.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """A test's output is its own."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ExportTraceServiceRequest]]:
    """A web server that OTEL_EXPORTER_OTLP_ENDPOINT names, and what it received."""
    received: list[ExportTraceServiceRequest] = []
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Collector", (_Collector,), {"received": received})
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield received
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", [None, "gate-7"])
def test_spans_reach_a_collector(
    collector: list[ExportTraceServiceRequest], monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """Over HTTP, as OTLP, under the name that OTEL_SERVICE_NAME gives or as camcount."""
    if name:
        monkeypatch.setenv("OTEL_SERVICE_NAME", name)
    recorder = TraceRecorder()
    recorder.record(ended(trace=f"00-{TRACE}-{PARENT}-01"))
    recorder.close()
    [resource] = [resource for request in collector for resource in request.resource_spans]
    attributes = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert attributes["service.name"] == (name or "camcount")
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert {span.name for span in spans} == {"detect people", "queue", "preprocess", "inference", "postprocess"}
    assert {span.trace_id.hex() for span in spans} == {TRACE}


def test_a_collector_that_is_away_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither recording nor, for more than a few seconds, closing."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    recorder = TraceRecorder()
    began = time.monotonic()
    for _ in range(100):
        recorder.record(ended())
    assert time.monotonic() - began < 1
    recorder.close()
    assert time.monotonic() - began < 15


def test_more_requests_than_spans_can_be_made_are_dropped_and_counted() -> None:
    """Memory stays bounded; the hot path never waits."""
    exporter = InMemorySpanExporter()
    recorder = TraceRecorder(exporter, backlog=10)
    for _ in range(5000):
        recorder.record(ended())
    recorder.close()
    made = [span for span in exporter.get_finished_spans() if span.name == "detect people"]
    assert recorder.dropped > 0
    assert len(made) <= 5000 - recorder.dropped
    recorder.record(ended())
    recorder.close()


def test_without_the_libraries_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is in the message."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(UsageError, match=r'pip install "camcount\[otel\]"'):
        TraceRecorder()
