"""The contract of a recorder, over every one there is."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from camcount.monitoring.logs import LogRecorder
from camcount.monitoring.prometheus import PrometheusRecorder
from camcount.monitoring.rates import Rates
from camcount.monitoring.traces import TraceRecorder
from camcount.protocols import Recorder
from camcount.stats import Stages
from camcount.storage.database import open_database
from camcount.storage.recorder import TimeSeriesRecorder
from tests.databases import sqlite_url
from tests.requests_made import ended

RECORDERS: dict[str, Callable[[Path], Recorder]] = {
    "prometheus": lambda folder: PrometheusRecorder(triton_names=True),
    "logs": lambda folder: LogRecorder(),
    "traces": lambda folder: TraceRecorder(InMemorySpanExporter()),
    "rates": lambda folder: Rates(),
    "time series": lambda folder: TimeSeriesRecorder(open_database(sqlite_url(folder)), step_s=0.2),
}

ODD = [
    ended(model="", version="", door="", outcome=""),
    ended(model="x" * 10_000, request_id="\x00\ud800\n", trace="\ud800", fallback="\ud800"),
    ended(queue_s=math.nan, total_s=math.inf, stages=Stages(-1.0, math.nan, math.inf)),
    ended(batch=0, attempts=0),
    ended(confidences=np.array([math.nan, -1.0, 2.0], np.float32)),
    ended(confidences=np.empty(0, np.float32), outcome="cancelled", computed=False),
    ended(outcome="MODEL_001", model="nobody"),
]


@pytest.fixture(params=RECORDERS)
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorder]:
    """Each of them in turn."""
    logging.getLogger("camcount.requests").setLevel(logging.CRITICAL)
    recorder = RECORDERS[request.param](tmp_path)
    yield recorder
    recorder.close()
    logging.getLogger("camcount.requests").setLevel(logging.NOTSET)
    if isinstance(recorder, TimeSeriesRecorder):
        assert recorder.lost == 0
        recorder._database.close()


def test_many_threads_record_at_once(recorder: Recorder) -> None:
    """No request is lost, and none raises."""
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for count in range(200):
                recorder.record(ended(version=f"1.0.{count % 3}", door=f"door-{number}"))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    if isinstance(recorder, PrometheusRecorder):
        assert sum(tally.frames for _, _, tally in recorder._tallies) == 1600
    if isinstance(recorder, Rates):
        assert recorder.performance("people").requests == 1600


def test_no_request_makes_it_raise(recorder: Recorder) -> None:
    """Whatever a client wrote and whatever was measured; nor does reading what was recorded."""
    for stats in ODD:
        recorder.record(stats)
    if isinstance(recorder, PrometheusRecorder):
        text = recorder.render().decode()
        assert "camcount_requests_total" in text
        assert not [line for line in text.splitlines() if line.endswith(("NaN", " +Inf"))]
    if isinstance(recorder, Rates):
        assert math.isfinite(recorder.performance("people").latency_avg_s or 0.0)


def test_closing_twice_and_recording_afterwards_do_no_harm(recorder: Recorder) -> None:
    """A request may end while the server stops."""
    recorder.record(ended())
    recorder.close()
    recorder.close()
    recorder.record(ended())


@pytest.mark.alone
def test_recording_is_quick(recorder: Recorder) -> None:
    """Less than 50 microseconds of processor time in the caller's thread, best of five."""
    request = ended()

    def cost() -> float:
        began = time.thread_time()
        for _ in range(500):
            recorder.record(request)
        return (time.thread_time() - began) / 500

    assert min(cost() for _ in range(5)) < 50e-6
