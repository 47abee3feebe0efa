"""How each model does at the moment: latency, throughput and errors of the last minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from camcount.models.memory import resident_bytes
from camcount.monitoring.process import GpuUse, gpus
from camcount.serving.options import cores
from camcount.stats import RequestStats
from camcount.tallies import PerModel, Sketch


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What this process uses, all its models together.

    ``cpu_share`` is of all cores that it may use, 0 to 1, over the window; ``memory_bytes`` is resident now; ``gpu``
    is ``None`` where there is none to ask.
    """

    cpu_share: float
    memory_bytes: int
    gpu: GpuUse | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One model over the last ``window_s`` seconds, or since the start where that is less.

    Latencies are in seconds, of answered requests; ``None`` where there were none. ``frames_per_s`` counts pictures
    that the model ran for. ``error_share``, 0 to 1, leaves out requests whose client went away.
    """

    window_s: float
    requests: int
    latency_avg_s: float | None
    latency_p95_s: float | None
    requests_per_s: float
    frames_per_s: float
    error_share: float
    resources: Resources


@dataclass(slots=True)
class _Slot:
    number: int
    requests: int = 0
    frames: int = 0
    failed: int = 0
    latency: Sketch = field(default_factory=Sketch)

    def add(self, stats: RequestStats) -> None:
        self.requests += 1
        self.frames += stats.computed and not stats.cached
        if stats.outcome == "ok":
            self.latency.add(stats.total_s)
        else:
            self.failed += stats.outcome != "cancelled"


class Rates:
    """Keeps the last ``window_s`` seconds of every model in ``slots`` slots; a recorder.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, window_s: float = 60.0, slots: int = 12, clock: Callable[[], float] = time.monotonic) -> None:
        self._window_s, self._slot_s, self._clock = window_s, window_s / slots, clock
        self._began = clock()
        self._lock = threading.Lock()
        self._models: PerModel[deque[_Slot]] = PerModel(lambda: deque(maxlen=slots))
        self._used: deque[tuple[float, float]] = deque([(self._began, time.process_time())], maxlen=slots)

    def record(self, stats: RequestStats) -> None:
        """Counts one request in the slot of this moment."""
        now = self._clock()
        number = int(now / self._slot_s)
        slots = self._models.of(stats)
        with self._lock:
            if not slots or slots[-1].number < number:
                slots.append(_Slot(number))
                self._sample(now)
            slots[-1].add(stats)

    def close(self) -> None:
        """What was counted stays readable."""

    def performance(self, model: str, version: str | None = None) -> Performance:
        """How a model, or one version of it, does; all zero and ``None`` for one that nothing was asked of."""
        now = self._clock()
        oldest = int((now - self._window_s) / self._slot_s)
        with self._lock:
            self._sample(now)
            total = self._added_up(model, version, oldest)
            cpu_share = self._cpu_share(now)
        # the slot of this moment has only begun, so that the slots span less than the window
        span = max(min(now - self._began, now - (oldest + 1) * self._slot_s), 1e-3)
        judged = total.latency.count + total.failed
        return Performance(
            window_s=span,
            requests=total.requests,
            latency_avg_s=total.latency.mean,
            latency_p95_s=total.latency.quantile(0.95),
            requests_per_s=total.requests / span,
            frames_per_s=total.frames / span,
            error_share=total.failed / judged if judged else 0.0,
            resources=Resources(cpu_share=cpu_share, memory_bytes=resident_bytes(), gpu=next(iter(gpus()), None)),
        )

    def _added_up(self, model: str, version: str | None, oldest: int) -> _Slot:
        total = _Slot(oldest)
        for name, its_version, slots in self._models:
            if name == model and version in (None, its_version):
                for slot in (slot for slot in slots if slot.number > oldest):
                    total.requests += slot.requests
                    total.frames += slot.frames
                    total.failed += slot.failed
                    total.latency.merge(slot.latency)
        return total

    def _sample(self, now: float) -> None:
        if now - self._used[-1][0] >= self._slot_s:
            self._used.append((now, time.process_time()))

    def _cpu_share(self, now: float) -> float:
        samples = [sample for sample in self._used if now - sample[0] >= self._slot_s / 2] or [self._used[0]]
        recent = [sample for sample in samples if now - sample[0] <= self._window_s]
        since, used = recent[0] if recent else samples[-1]
        share = (time.process_time() - used) / max(now - since, 1e-3) / cores()
        return min(max(share, 0.0), 1.0)
