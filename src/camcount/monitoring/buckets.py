"""Counts per model for Prometheus: plain integers in fixed buckets, as its library's own cost much more."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from camcount.stats import RequestStats

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PICTURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
OBJECTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)
SHARES = tuple(round(0.05 * step, 2) for step in range(1, 21))

_MOST = 1e9
_MOST_ASKED = 100


class Buckets:
    """How often a value came to lie at or below each edge, as Prometheus counts; not safe from several threads."""

    __slots__ = ("_array", "_counts", "_many", "edges", "sum")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.sum = 0.0
        self._array = np.array(edges, np.float32)
        self._counts = [0] * (len(edges) + 1)
        self._many = np.zeros(len(edges) + 1, np.int64)

    def add(self, value: float) -> None:
        """Counts one value; what is no number above 0 counts as 0."""
        value = min(value, _MOST) if value > 0 else 0.0
        self._counts[bisect_left(self.edges, value)] += 1
        self.sum += value

    def add_all(self, values: NDArray[np.float32]) -> None:
        """Counts many values at once, those that are numbers."""
        total = float(values.sum())
        if not math.isfinite(total):
            values = values[np.isfinite(values)]
            total = float(values.sum())
        self._many += np.bincount(self._array.searchsorted(values), minlength=len(self._many))
        self.sum += total

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts) + int(self._many.sum())

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper edge as text and how many values do not exceed it, ``+Inf`` last."""
        edges = [str(edge) for edge in self.edges] + ["+Inf"]
        return list(zip(edges, np.cumsum(self._many + self._counts).tolist(), strict=True))


class ModelTally:
    """All that Prometheus is told of one model's requests.

    ``queue`` to ``postprocess``, ``batch``, ``objects`` and ``confidence`` are of requests that the model ran for and
    that were answered; ``total`` is of all answered ones, from the cache too. Failed requests count in ``requests``.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: Counter[tuple[str, str]] = Counter()
        """By door and outcome."""
        self.fallbacks: Counter[str] = Counter()
        """By what was asked for."""
        self.hits = self.misses = self.frames = self.retries = 0
        self.executions = 0.0
        self.queue, self.preprocess, self.inference = Buckets(SECONDS), Buckets(SECONDS), Buckets(SECONDS)
        self.postprocess, self.total = Buckets(SECONDS), Buckets(SECONDS)
        self.batch, self.objects, self.confidence = Buckets(PICTURES), Buckets(OBJECTS), Buckets(SHARES)

    def add(self, stats: RequestStats) -> None:
        """Counts one request."""
        with self.lock:
            self.requests[stats.door, stats.outcome] += 1
            self.retries += max(stats.attempts - 1, 0)
            if stats.fallback:
                self.fallbacks[self._label(stats.fallback)] += 1
            ran = stats.computed and not stats.cached
            self.frames += ran
            if stats.outcome != "ok":
                return
            self.total.add(stats.total_s)
            self.hits += stats.cached
            if ran:
                self.misses += stats.door != "camera"
                self._add_stages(stats)

    def _label(self, asked: str) -> str:
        """A client may have written it, and Prometheus keeps every label for ever."""
        known = asked in self.fallbacks or (len(self.fallbacks) < _MOST_ASKED and asked.isprintable())
        return asked if known else "(others)"

    def _add_stages(self, stats: RequestStats) -> None:
        self.queue.add(stats.queue_s)
        self.preprocess.add(stats.stages.preprocess_s)
        self.inference.add(stats.stages.inference_s)
        self.postprocess.add(stats.stages.postprocess_s)
        self.batch.add(stats.batch)
        self.executions += 1 / max(stats.batch, 1)
        self.objects.add(len(stats.confidences))
        if len(stats.confidences):
            self.confidence.add_all(stats.confidences)
