"""What Prometheus is told: counters, histograms, gauges and the names of Triton's metrics."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from camcount.monitoring import process
from camcount.monitoring.prometheus import PrometheusRecorder
from camcount.stats import ModelGauges, ReplicaState, RequestStats
from tests.requests_made import ended

STATE = ModelGauges(
    model="people",
    version="1.0.0",
    queued=7,
    in_flight=2,
    replicas=(
        ReplicaState(name="r0", busy=True, answered=5, failed=1),
        ReplicaState(name="r1", breaker="open", healthy=False, remote="http://far:8000"),
    ),
    cancelled_unrun=3,
    expired_unrun=4,
    refused=5,
    memory_bytes=1000,
    gpu_bytes=2000,
)


def samples(recorder: PrometheusRecorder) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample as a Prometheus server reads it: by name, and the values of its labels in order of their names."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    # its parser, unlike the server, insists on _total for the counters of Triton, which have none
    for family in text_string_to_metric_families(recorder.render().decode()):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in sorted(sample.labels))
            found.setdefault(_plain(sample.name), {})[labels] = sample.value
    return found


def _plain(name: str) -> str:
    return name.removesuffix("_total") if name.startswith("nv_") else name


def after(*requests: RequestStats, triton_names: bool = False) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples after these requests."""
    recorder = PrometheusRecorder(lambda: [STATE], triton_names=triton_names)
    for request in requests:
        recorder.record(request)
    return samples(recorder)


PEOPLE = ("people", "1.0.0")


def test_requests_are_counted_by_door_and_outcome() -> None:
    """With model and version; errors once more by their code, without clients that went away."""
    found = after(ended(), ended(), ended(door="grpc"), ended(outcome="INF_004"), ended(outcome="cancelled"))
    assert found["camcount_requests_total"] == {
        ("rest", "people", "ok", "1.0.0"): 2,
        ("grpc", "people", "ok", "1.0.0"): 1,
        ("rest", "people", "INF_004", "1.0.0"): 1,
        ("rest", "people", "cancelled", "1.0.0"): 1,
    }
    assert found["camcount_errors_total"] == {("INF_004", *PEOPLE): 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [("queue", 0.010), ("preprocess", 0.005), ("inference", 0.040), ("postprocess", 0.001), ("total", 0.060)],
)
def test_every_stage_is_a_histogram_in_seconds(name: str, value: float) -> None:
    """The value counts in every bucket whose edge is not below it, an equal edge included."""
    found = after(ended())
    buckets = {float(edge): count for (edge, *_), count in found[f"camcount_{name}_seconds_bucket"].items()}
    assert buckets == {edge: float(value <= edge) for edge in buckets}
    assert len(buckets) == 16
    assert found[f"camcount_{name}_seconds_sum"] == {PEOPLE: value}
    assert found[f"camcount_{name}_seconds_count"] == {PEOPLE: 1}


def test_confidences_objects_and_batches_are_histograms() -> None:
    """Of each object, each picture and each run."""
    found = after(ended(batch=4), ended(confidences=np.empty(0, np.float32)))
    confidences = {float(edge): count for (edge, *_), count in found["camcount_confidence_bucket"].items()}
    assert (confidences[0.35], confidences[0.4], confidences[0.85], confidences[0.9]) == (0, 1, 1, 2)
    assert found["camcount_confidence_sum"][PEOPLE] == pytest.approx(1.3)
    assert found["camcount_detections_per_frame_sum"] == {PEOPLE: 2}
    assert found["camcount_detections_per_frame_count"] == {PEOPLE: 2}
    assert found["camcount_batch_size_sum"] == {PEOPLE: 5}


def test_cached_answers_are_hits_and_no_frames() -> None:
    """They count in the total time, not in the stages; a camera's frames are no misses, for they are never cached."""
    found = after(ended(cached=True, computed=False, total_s=0.001), ended(), ended(door="camera"))
    assert found["camcount_cache_hits_total"] == {PEOPLE: 1}
    assert found["camcount_cache_misses_total"] == {PEOPLE: 1}
    assert found["camcount_frames_total"] == {PEOPLE: 2}
    assert found["camcount_total_seconds_count"] == {PEOPLE: 3}
    assert found["camcount_inference_seconds_count"] == {PEOPLE: 2}


def test_retries_and_fallbacks_are_visible() -> None:
    """With what had been asked for."""
    found = after(ended(fallback="crowd", attempts=3), ended())
    assert found["camcount_fallbacks_total"] == {("crowd", *PEOPLE): 1}
    assert found["camcount_retries_total"] == {PEOPLE: 2}


def test_what_clients_write_does_not_grow_the_metrics() -> None:
    """Neither models that there are not nor ever new ways of asking for one."""
    recorder = PrometheusRecorder()
    for number in range(300):
        recorder.record(ended(model=f"guess-{number}", outcome="MODEL_001"))
        recorder.record(ended(fallback=f"crowd:{number}"))
    recorder.record(ended(fallback="\ud800\n"))
    found = samples(recorder)
    assert found["camcount_errors_total"] == {("MODEL_001", "(unknown)", ""): 300}
    assert len(found["camcount_fallbacks_total"]) == 101
    assert found["camcount_fallbacks_total"][("(others)", *PEOPLE)] == 201


def test_gauges_are_asked_when_prometheus_asks() -> None:
    """Queue, replicas, breakers and the counters of work that was not done."""
    found = after()
    expected = {
        "camcount_queued_requests": 7,
        "camcount_in_flight_requests": 2,
        "camcount_replicas": 2,
        "camcount_model_memory_bytes": 1000,
        "camcount_model_gpu_memory_bytes": 2000,
        "camcount_cancelled_unrun_total": 3,
        "camcount_expired_unrun_total": 4,
        "camcount_refused_total": 5,
    }
    assert {name: found[name] for name in expected} == {name: {PEOPLE: value} for name, value in expected.items()}
    first, second = ("people", "", "r0", "1.0.0"), ("people", "http://far:8000", "r1", "1.0.0")
    assert found["camcount_replica_healthy"] == {first: 1, second: 0}
    assert found["camcount_replica_busy"] == {first: 1, second: 0}
    assert found["camcount_replica_answered_total"] == {first: 5, second: 0}
    assert found["camcount_replica_failed_total"] == {first: 1, second: 0}
    states = {
        (replica, state) for (_, _, replica, state, _), value in found["camcount_breaker_state"].items() if value
    }
    assert states == {("r0", "closed"), ("r1", "open")}


def test_the_process_is_measured() -> None:
    """Processor seconds and resident memory under the names that every Prometheus client uses."""
    found = after()
    assert found["process_cpu_seconds_total"][()] > 0
    assert found["process_resident_memory_bytes"][()] > 10e6


def test_recorders_do_not_share_what_they_count() -> None:
    """Each has a registry of its own, so that two servers in one process do not meet."""
    first, second = PrometheusRecorder(), PrometheusRecorder()
    first.record(ended())
    assert "camcount_requests_total" not in samples(second)
    assert samples(first)["camcount_frames_total"] == {PEOPLE: 1}


def test_tritons_names_appear_only_when_asked_for() -> None:
    """Both sets say the same; microseconds there, seconds here."""
    requests = [ended(batch=2), ended(batch=2), ended(cached=True, computed=False, total_s=0.001)]
    requests.append(ended(outcome="MODEL_003"))
    assert not [name for name in after(*requests) if name.startswith("nv_")]
    found = after(*requests, triton_names=True)
    assert {name: values[PEOPLE] for name, values in found.items() if name.startswith("nv_")} == {
        "nv_inference_request_success": 3,
        "nv_inference_request_failure": 1,
        "nv_inference_count": 2,
        "nv_inference_exec_count": 1,
        "nv_inference_pending_request_count": 7,
        "nv_inference_request_duration_us": 121_000,
        "nv_inference_queue_duration_us": 20_000,
        "nv_inference_compute_input_duration_us": 10_000,
        "nv_inference_compute_infer_duration_us": 80_000,
        "nv_inference_compute_output_duration_us": 2_000,
        "nv_cache_num_hits_per_model": 1,
        "nv_cache_num_misses_per_model": 2,
    }


def test_tritons_counters_are_counters_under_their_own_names() -> None:
    """Without the _total that the library would add to their types."""
    text = PrometheusRecorder(lambda: [STATE], triton_names=True).render().decode()
    assert "# TYPE nv_inference_request_success counter\n" in text
    assert "# TYPE nv_inference_pending_request_count gauge\n" in text
    assert "# TYPE camcount_requests_total counter\n" in text
    assert "nv_inference_count_total" not in text


class _NVMLError(Exception):
    """What the library raises."""


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """NVIDIA's library on a machine with one GPU, which this one is not."""
    library = SimpleNamespace(
        NVMLError=_NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda device: SimpleNamespace(used=3_000, total=8_000),
        nvmlDeviceGetUtilizationRates=lambda device: SimpleNamespace(gpu=25),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    process._nvml.cache_clear()
    yield library
    process._nvml.cache_clear()


def test_gpus_are_measured_where_there_are_some(nvml: SimpleNamespace) -> None:
    """Share of time, and bytes."""
    found = after()
    assert found["camcount_gpu_busy_ratio"] == {("0",): 0.25}
    assert found["camcount_gpu_memory_used_bytes"] == {("0",): 3_000}
    assert found["camcount_gpu_memory_size_bytes"] == {("0",): 8_000}


def test_a_gpu_that_stops_answering_takes_nothing_else_along(nvml: SimpleNamespace) -> None:
    """Its figures are missing, the others are not."""

    def lost(device: int) -> None:
        raise _NVMLError("GPU is lost")

    nvml.nvmlDeviceGetUtilizationRates = lost
    found = after(ended())
    assert "camcount_gpu_busy_ratio" not in found
    assert found["camcount_frames_total"] == {PEOPLE: 1}


@pytest.mark.parametrize("installed", [True, False])
def test_without_a_gpu_its_metrics_are_absent(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    """Not zero: nobody should take a missing GPU for an idle one."""
    if not installed:
        monkeypatch.setitem(sys.modules, "pynvml", None)
    process._nvml.cache_clear()
    if installed and process.gpus():
        pytest.skip("this machine has a GPU")
    assert not [name for name in after() if "gpu_busy" in name]
    process._nvml.cache_clear()


@pytest.mark.alone
def test_recording_costs_less_than_thirty_microseconds() -> None:
    """Of processor time, with twenty objects in the picture; best of five, for the machine may be busy."""
    recorder, request = PrometheusRecorder(), ended(confidences=np.linspace(0.25, 0.9, 20, dtype=np.float32))

    def cost() -> float:
        began = time.thread_time()
        for _ in range(2000):
            recorder.record(request)
        return (time.thread_time() - began) / 2000

    assert min(cost() for _ in range(5)) < 30e-6
