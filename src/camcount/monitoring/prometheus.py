"""Requests as Prometheus reads them: what was recorded, and the state of models, process and GPUs when it asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import ClassVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from camcount import __version__
from camcount.monitoring.buckets import Buckets, ModelTally
from camcount.monitoring.gauges import model_metrics
from camcount.monitoring.process import gpus
from camcount.monitoring.triton_names import triton_metrics
from camcount.stats import ModelGauges, RequestStats
from camcount.tallies import PerModel

_MODEL = ["model", "version"]

HISTOGRAMS: dict[str, tuple[str, Callable[[ModelTally], Buckets]]] = {
    "camcount_queue_seconds": ("Waiting for a replica", lambda tally: tally.queue),
    "camcount_preprocess_seconds": (
        "From the picture to the model's input, decoding included",
        lambda t: t.preprocess,
    ),
    "camcount_inference_seconds": (
        "The model's run; a picture of a batch has its share",
        lambda tally: tally.inference,
    ),
    "camcount_postprocess_seconds": ("From the model's output to detections", lambda tally: tally.postprocess),
    "camcount_total_seconds": ("From submission to answer, of answered requests, cached ones too", lambda t: t.total),
    "camcount_batch_size": ("Pictures that went through the model together", lambda tally: tally.batch),
    "camcount_detections_per_frame": ("Objects found in one picture", lambda tally: tally.objects),
    "camcount_confidence": ("Confidence of each object found", lambda tally: tally.confidence),
}
COUNTERS: dict[str, tuple[str, Callable[[ModelTally], float]]] = {
    "camcount_cache_hits": ("Requests answered from the result cache", lambda tally: tally.hits),
    "camcount_cache_misses": (
        "Answered requests of clients that the model had to run for",
        lambda tally: tally.misses,
    ),
    "camcount_frames": ("Pictures that the model ran for", lambda tally: tally.frames),
    "camcount_retries": ("Attempts after the first", lambda tally: tally.retries),
}


class PrometheusRecorder:
    """Counts requests in a registry of its own and renders it.

    Args:
        gauges: asked at every rendering for the models' state now.
        triton_names: whether the same figures also appear under the names of Triton's metrics.
    """

    content_type: ClassVar[str] = CONTENT_TYPE_LATEST

    def __init__(self, gauges: Callable[[], list[ModelGauges]] = lambda: [], *, triton_names: bool = False) -> None:
        self._gauges, self._triton_names = gauges, triton_names
        self._tallies = PerModel(ModelTally)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def record(self, stats: RequestStats) -> None:
        """Counts one request, in microseconds."""
        self._tallies.of(stats).add(stats)

    def close(self) -> None:
        """What was counted stays readable."""

    def render(self) -> bytes:
        """Everything as text in Prometheus' format, see `content_type`."""
        text = generate_latest(self._registry)
        # the library ends every counter's name in _total, Triton none
        return re.sub(rb"(?m)^(# (?:HELP|TYPE) nv_\w+?)_total ", rb"\1 ", text)

    def collect(self) -> Iterator[Metric]:
        """All metrics as they stand now; the registry asks for them."""
        gauges = self._gauges()
        yield from self._requests()
        yield from self._tallied()
        yield from model_metrics(gauges)
        yield from _machine()
        if self._triton_names:
            yield from triton_metrics(list(self._tallies), gauges)

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "camcount_requests", "Requests that ended, however they did", labels=[*_MODEL, "door", "outcome"]
        )
        errors = CounterMetricFamily("camcount_errors", "Requests that failed, by code", labels=[*_MODEL, "code"])
        fallbacks = CounterMetricFamily(
            "camcount_fallbacks", "Requests answered in place of the model asked for", labels=[*_MODEL, "asked"]
        )
        for model, version, tally in self._tallies:
            with tally.lock:
                by_door, by_asked = dict(tally.requests), dict(tally.fallbacks)
            failed: dict[str, int] = {}
            for (door, outcome), count in by_door.items():
                requests.add_metric([model, version, door, outcome], count)
                if outcome not in ("ok", "cancelled"):
                    failed[outcome] = failed.get(outcome, 0) + count
            for code, count in failed.items():
                errors.add_metric([model, version, code], count)
            for asked, count in by_asked.items():
                fallbacks.add_metric([model, version, asked], count)
        yield from (requests, errors, fallbacks)

    def _tallied(self) -> Iterator[Metric]:
        histograms = {name: HistogramMetricFamily(name, HISTOGRAMS[name][0], labels=_MODEL) for name in HISTOGRAMS}
        counters = {name: CounterMetricFamily(name, COUNTERS[name][0], labels=_MODEL) for name in COUNTERS}
        for model, version, tally in self._tallies:
            with tally.lock:
                for name, histogram in histograms.items():
                    buckets = HISTOGRAMS[name][1](tally)
                    histogram.add_metric([model, version], buckets.cumulative(), buckets.sum)
                for name, counter in counters.items():
                    counter.add_metric([model, version], COUNTERS[name][1](tally))
        yield from histograms.values()
        yield from counters.values()


def _machine() -> Iterator[Metric]:
    build = GaugeMetricFamily("camcount_build_info", "Always 1; the version is in the label", labels=["release"])
    build.add_metric([__version__], 1)
    yield build
    busy = GaugeMetricFamily("camcount_gpu_busy_ratio", "Share of time that the GPU was busy", labels=["gpu"])
    used = GaugeMetricFamily("camcount_gpu_memory_used_bytes", "Memory of the GPU in use", labels=["gpu"])
    size = GaugeMetricFamily("camcount_gpu_memory_size_bytes", "Memory that the GPU has", labels=["gpu"])
    for gpu in gpus():
        busy.add_metric([str(gpu.index)], gpu.busy)
        used.add_metric([str(gpu.index)], gpu.used_bytes)
        size.add_metric([str(gpu.index)], gpu.total_bytes)
    yield from (family for family in (busy, used, size) if family.samples)
