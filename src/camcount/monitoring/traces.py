"""Requests as OpenTelemetry spans: one per request, one per stage within, joined to the caller's trace."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from camcount import __version__
from camcount.errors import UsageError
from camcount.stats import RequestStats

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter

_DOORS_OF_CLIENTS = frozenset({"rest", "v2", "grpc", "websocket"})


class TraceRecorder:
    """Hands spans to an exporter; a thread of its own makes them, so that recording costs a microsecond.

    A span's stages follow one another from the submission on; a picture of a batch shows its share of the batch's
    time. Requests that come faster than spans can be made are left out and counted in ``dropped``.

    Args:
        exporter: where spans go; over OTLP to ``OTEL_EXPORTER_OTLP_ENDPOINT`` unless given.
        backlog: how many requests may wait for their spans.

    Raises:
        UsageError: the libraries are not installed.
    """

    def __init__(self, exporter: SpanExporter | None = None, backlog: int = 4096) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError:
            raise UsageError('traces need the OpenTelemetry libraries: pip install "camcount[otel]"') from None
        names = {"service.version": __version__}
        if not _named_by_environment():
            names["service.name"] = "camcount"
        self._provider = TracerProvider(resource=Resource.create(names), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("camcount", __version__)
        self._joined = TraceContextTextMapPropagator().extract
        self.dropped = 0
        self._waiting: deque[tuple[RequestStats, int]] = deque()
        self._backlog = backlog
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._make_spans, name="camcount-traces", daemon=True)
        self._thread.start()

    def record(self, stats: RequestStats) -> None:
        """Puts the request in line for its spans."""
        if len(self._waiting) >= self._backlog or self._closing.is_set():
            self.dropped += 1
            return
        self._waiting.append((stats, time.time_ns()))
        self._wake.set()

    def close(self) -> None:
        """Exports what waits, for a few seconds at most; what comes later is dropped."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=5)
        self._provider.force_flush(timeout_millis=3000)
        self._provider.shutdown()

    def _make_spans(self) -> None:
        while not self._closing.is_set() or self._waiting:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                try:
                    self._span(*self._waiting.popleft())
                except Exception:  # the next request's spans must not suffer
                    self.dropped += 1

    def _span(self, stats: RequestStats, recorded_ns: int) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        end = _nanoseconds(stats.ended) if stats.ended else recorded_ns
        start = end - int(stats.total_s * 1e9)
        span = self._tracer.start_span(
            f"detect {stats.model}",
            context=self._joined({"traceparent": stats.trace}) if stats.trace else None,
            kind=SpanKind.SERVER if stats.door in _DOORS_OF_CLIENTS else SpanKind.INTERNAL,
            attributes=_attributes(stats),
            start_time=start,
        )
        if span.is_recording():
            if stats.outcome not in ("ok", "cancelled"):
                span.set_status(Status(StatusCode.ERROR, stats.outcome))
            self._stages(stats, set_span_in_context(span), start, end)
        span.end(end)

    def _stages(self, stats: RequestStats, parent: Context, start: int, end: int) -> None:
        stages = stats.stages
        for name, seconds in (
            ("queue", stats.queue_s),
            ("preprocess", stages.preprocess_s),
            ("inference", stages.inference_s),
            ("postprocess", stages.postprocess_s),
        ):
            if seconds > 0:
                until = min(start + int(seconds * 1e9), end)
                self._tracer.start_span(name, context=parent, start_time=start).end(until)
                start = until


def _attributes(stats: RequestStats) -> dict[str, str | int | bool]:
    values: dict[str, str | int | bool] = {
        "model": stats.model,
        "version": stats.version,
        "outcome": stats.outcome,
        "door": stats.door,
        "request_id": stats.request_id,
        "reason": stats.reason,
        "replica": stats.replica,
        "fallback": stats.fallback,
        "computed": stats.computed,
        "cached": stats.cached,
        "attempts": stats.attempts,
        "batch": stats.batch,
        "detections": len(stats.confidences),
    }
    return {f"camcount.{name}": value for name, value in values.items() if value != ""}


def _named_by_environment() -> bool:
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )


def _nanoseconds(moment: datetime) -> int:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
