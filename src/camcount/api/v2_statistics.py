"""Cumulative counts of what each model did, in the shape of Triton's statistics extension."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from camcount.stats import ModelGauges, RequestStats, Stages


@dataclass(slots=True)
class _Span:
    """How often, and how long altogether."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds

    def written(self) -> dict[str, int]:
        return {"count": self.count, "ns": round(self.seconds * 1e9)}


@dataclass(slots=True)
class _Stages:
    """Preparing the input, running the model, making detections of its output."""

    compute_input: _Span = field(default_factory=_Span)
    compute_infer: _Span = field(default_factory=_Span)
    compute_output: _Span = field(default_factory=_Span)

    def add(self, stages: Stages) -> None:
        self.compute_input.add(stages.preprocess_s)
        self.compute_infer.add(stages.inference_s)
        self.compute_output.add(stages.postprocess_s)

    def written(self, *, executions_of: int = 1) -> dict[str, dict[str, int]]:
        spans = {name: getattr(self, name).written() for name in self.__dataclass_fields__}
        return {name: {**span, "count": round(span["count"] / executions_of)} for name, span in spans.items()}


@dataclass(slots=True)
class _Counts:
    success: _Span = field(default_factory=_Span)
    fail: _Span = field(default_factory=_Span)
    queue: _Span = field(default_factory=_Span)
    cache_hit: _Span = field(default_factory=_Span)
    cache_miss: _Span = field(default_factory=_Span)
    stages: _Stages = field(default_factory=_Stages)
    batches: defaultdict[int, _Stages] = field(default_factory=lambda: defaultdict(_Stages))
    last: datetime | None = None

    def add(self, stats: RequestStats, *, caching: bool) -> None:
        if stats.outcome != "ok":
            self.fail.add(stats.total_s)
            return
        self.success.add(stats.total_s)
        if stats.cached:
            self.cache_hit.add(stats.total_s)
            return
        if caching and stats.door != "camera" and stats.stages != Stages():  # cameras and tensors are never looked up
            self.cache_miss.count += 1
        self.queue.add(stats.queue_s)
        self.stages.add(stats.stages)
        self.batches[max(1, stats.batch)].add(stats.stages)
        self.last = stats.ended or datetime.now(UTC)


class Tally:
    """The `Recorder` behind the statistics of the Open Inference Protocol.

    ``inference_count`` is the pictures and tensor requests that a model ran for, ``execution_count`` the batches
    they ran in; ``success`` holds answers from the cache too, ``fail`` also requests whose client went away. A
    picture of a batch has its share of the batch's time, so that times add up to what the model was busy. Requests
    that asked for nothing that exists are not counted.

    Args:
        caching: whether the data plane has a result cache, so that a picture that was computed is a miss.

    >>> tally = Tally()
    >>> tally.record(RequestStats(model="person", version="1.0.0", stages=Stages(inference_s=0.014)))
    >>> tally.statistics("person", "1.0.0")["inference_stats"]["compute_infer"]
    {'count': 1, 'ns': 14000000}
    """

    def __init__(self, *, caching: bool = False) -> None:
        self._caching = caching
        self._counts: defaultdict[tuple[str, str], _Counts] = defaultdict(_Counts)
        self._lock = threading.Lock()

    def record(self, stats: RequestStats) -> None:
        """Adds a request that has ended; what no version answered is nobody's."""
        if not stats.version:
            return
        with self._lock:
            self._counts[stats.model, stats.version].add(stats, caching=self._caching)

    def close(self) -> None:
        """Nothing is open."""

    def statistics(self, model: str, version: str, gauges: Sequence[ModelGauges] = ()) -> dict[str, Any]:
        """One model's statistics as the extension names them; zeros for one that did nothing yet."""
        with self._lock:
            counts = self._counts.get((model, version), _Counts())
            return {
                "name": model,
                "version": version,
                "last_inference": round(counts.last.timestamp() * 1000) if counts.last else 0,
                "inference_count": counts.queue.count,
                "execution_count": round(sum(s.compute_infer.count / size for size, s in counts.batches.items())),
                "inference_stats": _inference(counts),
                "batch_stats": [
                    {"batch_size": size, **stages.written(executions_of=size)}
                    for size, stages in sorted(counts.batches.items())
                ],
                "memory_usage": _memory([g for g in gauges if (g.model, g.version) == (model, version)]),
            }


def _inference(counts: _Counts) -> dict[str, dict[str, int]]:
    return {
        "success": counts.success.written(),
        "fail": counts.fail.written(),
        "queue": counts.queue.written(),
        **counts.stages.written(),
        "cache_hit": counts.cache_hit.written(),
        "cache_miss": counts.cache_miss.written(),
    }


def _memory(gauges: Sequence[ModelGauges]) -> list[dict[str, Any]]:
    sizes = [("CPU", sum(g.memory_bytes for g in gauges)), ("GPU", sum(g.gpu_bytes for g in gauges))]
    return [{"type": kind, "id": 0, "byte_size": size} for kind, size in sizes if size]
