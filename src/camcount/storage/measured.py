"""What one row of measurements says, and the table of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, LargeBinary, MetaData, Table, Text

from camcount.stats import RequestStats
from camcount.storage.database import UtcDateTime
from camcount.tallies import Sketch, plausible

SUMS = (
    "requests",
    "frames",
    "cached",
    "fallbacks",
    "batches",
    "preprocess_s",
    "inference_s",
    "postprocess_s",
    "cpu_s",
    "core_s",
    "memory_byte_s",
    "observed_s",
)
"""Columns that add up."""

_WHOLE = frozenset({"requests", "frames", "cached", "fallbacks"})

TABLE = Table(
    "measurements",
    MetaData(),
    Column("process", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("start", UtcDateTime),
    Column("step_s", Float),
    Column("model", Text),
    Column("version", Text),
    *(Column(name, BigInteger if name in _WHOLE else Float) for name in SUMS),
    Column("latency_s", Float),
    Column("queue_s", Float),
    Column("outcomes", JSON),
    Column("latencies", LargeBinary),
    Column("queues", LargeBinary),
)
"""One row per process, model, version and bucket of time; a row without a model is about the process itself.

``latencies`` and ``queues`` are packed sketches, see `camcount.tallies.Sketch`, whose sums are ``latency_s``
and ``queue_s``.
"""

CONTENT = (*SUMS, "latency_s", "queue_s", "outcomes", "latencies", "queues")
"""The columns that `Measured` reads and writes."""


@dataclass(slots=True)
class Measured:
    """Everything that was measured in one bucket of time; two of them add up to a longer one.

    Attributes:
        frames: pictures that the model ran for; ``batches``: how many runs that took.
        preprocess_s, inference_s, postprocess_s: seconds in all, of answered requests that the model ran for, of
            which ``queue`` has the waiting times.
        latency: from submission to answer, of all answered requests.
        outcomes: how many requests ended how.
        cpu_s, core_s: processor seconds used, and those that there were.
        memory_byte_s: bytes of resident memory times seconds; ``observed_s``: the seconds.
    """

    requests: int = 0
    frames: int = 0
    cached: int = 0
    fallbacks: int = 0
    batches: float = 0.0
    preprocess_s: float = 0.0
    inference_s: float = 0.0
    postprocess_s: float = 0.0
    cpu_s: float = 0.0
    core_s: float = 0.0
    memory_byte_s: float = 0.0
    observed_s: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    latency: Sketch = field(default_factory=Sketch)
    queue: Sketch = field(default_factory=Sketch)

    def add(self, stats: RequestStats) -> None:
        """Counts one request."""
        ran, answered = stats.computed and not stats.cached, stats.outcome == "ok"
        self.requests += 1
        self.outcomes[stats.outcome] += 1
        self.fallbacks += stats.fallback != ""
        if ran:
            self.frames += 1
            self.batches += 1 / max(stats.batch, 1)
        if answered:
            self.latency.add(stats.total_s)
            self.cached += stats.cached
        if ran and answered:
            self.queue.add(stats.queue_s)
            self.preprocess_s += plausible(stats.stages.preprocess_s)
            self.inference_s += plausible(stats.stages.inference_s)
            self.postprocess_s += plausible(stats.stages.postprocess_s)

    def merge(self, rows: Sequence[Sequence[Any]]) -> None:
        """Adds what rows of the table say, each the columns `CONTENT`."""
        columns = dict(zip(CONTENT, zip(*rows, strict=True), strict=True))
        for name in SUMS:
            setattr(self, name, getattr(self, name) + sum(columns[name]))
        for outcomes in columns["outcomes"]:
            for outcome, count in outcomes.items():
                self.outcomes[outcome] += count
        self.latency.merge_packed(b"".join(columns["latencies"]), sum(columns["latency_s"]))
        self.queue.merge_packed(b"".join(columns["queues"]), sum(columns["queue_s"]))

    def row(self) -> dict[str, Any]:
        """The columns `CONTENT`."""
        return {
            **{name: getattr(self, name) for name in SUMS},
            "outcomes": dict(self.outcomes),
            "latency_s": self.latency.sum,
            "queue_s": self.queue.sum,
            "latencies": self.latency.packed(),
            "queues": self.queue.packed(),
        }
