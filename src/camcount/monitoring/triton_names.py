"""The same figures under the names of NVIDIA Triton's metrics, so that its dashboards go on working."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import Metric

from camcount.monitoring.buckets import Buckets, ModelTally
from camcount.stats import ModelGauges


def _failed(tally: ModelTally) -> int:
    return sum(count for (_, outcome), count in tally.requests.items() if outcome != "ok")


def _us(buckets: Buckets) -> int:
    return round(buckets.sum * 1e6)


_COUNTERS: dict[str, tuple[str, Callable[[ModelTally], float]]] = {
    "nv_inference_request_success": ("Successful requests", lambda tally: tally.total.count),
    "nv_inference_request_failure": ("Failed requests", _failed),
    "nv_inference_count": ("Inferences performed, a batch of n counts n", lambda tally: tally.queue.count),
    "nv_inference_exec_count": ("Executions of the model", lambda tally: round(tally.executions)),
    "nv_inference_request_duration_us": ("Time of successful requests, cached ones too", lambda t: _us(t.total)),
    "nv_inference_queue_duration_us": ("Time in the queue", lambda tally: _us(tally.queue)),
    "nv_inference_compute_input_duration_us": ("Time of making inputs", lambda tally: _us(tally.preprocess)),
    "nv_inference_compute_infer_duration_us": ("Time of running the model", lambda tally: _us(tally.inference)),
    "nv_inference_compute_output_duration_us": ("Time of reading outputs", lambda tally: _us(tally.postprocess)),
    "nv_cache_num_hits_per_model": ("Answers from the cache", lambda tally: tally.hits),
    "nv_cache_num_misses_per_model": ("Requests that the cache had no answer for", lambda tally: tally.misses),
}


def triton_metrics(tallies: Sequence[tuple[str, str, ModelTally]], models: Sequence[ModelGauges]) -> Iterator[Metric]:
    """Triton's counters and its gauge of waiting requests, by model and version."""
    for name, (help_text, value) in _COUNTERS.items():
        counter = Metric(name, help_text, "counter")
        for model, version, tally in tallies:
            with tally.lock:
                counter.add_sample(name, {"model": model, "version": version}, value(tally))
        yield counter
    pending = Metric("nv_inference_pending_request_count", "Requests that wait", "gauge")
    for state in models:
        pending.add_sample(pending.name, {"model": state.model, "version": state.version}, state.queued)
    yield pending
