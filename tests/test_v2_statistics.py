"""The cumulative statistics of the Open Inference Protocol."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from camcount.api.v2_statistics import Tally
from camcount.protocols import Recorder
from camcount.stats import ModelGauges, RequestStats, Stages

_STAGES = Stages(preprocess_s=0.002, inference_s=0.01, postprocess_s=0.001)


def _stats(**given: object) -> RequestStats:
    facts = {"model": "m", "version": "1.0.0", "queue_s": 0.005, "total_s": 0.02, "stages": _STAGES, "door": "v2"}
    return RequestStats(**(facts | given))  # type: ignore[arg-type] # the tests name what there is


def test_times_and_counts_add_up() -> None:
    """Two answers: everything is there twice, in nanoseconds, with the time of the last."""
    tally = Tally()
    for second in (1, 2):
        tally.record(_stats(ended=datetime.fromtimestamp(second, UTC)))
    told = tally.statistics("m", "1.0.0")
    assert (told["inference_count"], told["execution_count"], told["last_inference"]) == (2, 2, 2000)
    assert told["inference_stats"] == {
        "success": {"count": 2, "ns": 40_000_000},
        "fail": {"count": 0, "ns": 0},
        "queue": {"count": 2, "ns": 10_000_000},
        "compute_input": {"count": 2, "ns": 4_000_000},
        "compute_infer": {"count": 2, "ns": 20_000_000},
        "compute_output": {"count": 2, "ns": 2_000_000},
        "cache_hit": {"count": 0, "ns": 0},
        "cache_miss": {"count": 0, "ns": 0},
    }


def test_pictures_that_went_through_the_model_together_are_one_execution() -> None:
    """Eight pictures in batches of four and two alone: ten inferences, four executions."""
    tally = Tally()
    for batch in (4,) * 8 + (1,) * 2:
        tally.record(_stats(batch=batch))
    told = tally.statistics("m", "1.0.0")
    assert (told["inference_count"], told["execution_count"]) == (10, 4)
    assert [(b["batch_size"], b["compute_infer"]["count"]) for b in told["batch_stats"]] == [(1, 2), (4, 2)]
    assert told["batch_stats"][1]["compute_infer"]["ns"] == 80_000_000


def test_hits_are_successes_and_no_inferences() -> None:
    """With a cache, what was computed is a miss; cameras never ask it."""
    tally = Tally(caching=True)
    for given in ({}, {"cached": True, "stages": Stages()}, {"door": "camera"}):
        tally.record(_stats(**given))
    told = tally.statistics("m", "1.0.0")
    counts = {name: span["count"] for name, span in told["inference_stats"].items()}
    assert told["inference_count"] == 2
    assert (counts["success"], counts["cache_hit"], counts["cache_miss"]) == (3, 1, 1)


def test_failures_count_apart() -> None:
    """Errors and clients that went away are failures and nothing else."""
    tally = Tally()
    tally.record(_stats(outcome="MODEL_003"))
    tally.record(_stats(outcome="cancelled", computed=False))
    told = tally.statistics("m", "1.0.0")
    assert told["inference_stats"]["fail"] == {"count": 2, "ns": 40_000_000}
    assert (told["inference_count"], told["last_inference"]) == (0, 0)


def test_what_no_version_was_found_for_is_nobodys() -> None:
    """Names that clients invent take no memory."""
    tally = Tally()
    tally.record(_stats(model="invented", version="", outcome="MODEL_001"))
    assert tally.statistics("invented", "")["inference_stats"]["fail"]["count"] == 0


@pytest.mark.parametrize(("cpu", "gpu", "kinds"), [(5, 0, ["CPU"]), (5, 7, ["CPU", "GPU"]), (0, 0, [])])
def test_memory_is_told_where_it_is_known(cpu: int, gpu: int, kinds: list[str]) -> None:
    """Of the model itself, not of others."""
    gauges = [
        ModelGauges(model=name, version="1.0.0", queued=0, in_flight=0, replicas=(), memory_bytes=cpu, gpu_bytes=gpu)
        for name in ("m", "other")
    ]
    told = Tally().statistics("m", "1.0.0", gauges)["memory_usage"]
    assert [entry["type"] for entry in told] == kinds
    assert sum(entry["byte_size"] for entry in told) == cpu + gpu


def test_it_is_a_recorder() -> None:
    """The data plane takes it as one."""
    recorder: Recorder = Tally()
    recorder.close()
