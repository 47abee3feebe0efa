"""What many requests come to: sketches of durations that can be added up, and names under which to count."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np

from camcount.stats import RequestStats

_GROWTH = 1.04
_LOG_GROWTH = math.log(_GROWTH)
_LEAST, _MOST = 1e-6, 1e3
_FIRST = math.ceil(math.log(_LEAST) / _LOG_GROWTH)
_BUCKETS = math.ceil(math.log(_MOST) / _LOG_GROWTH) - _FIRST + 1
_PACKED = np.dtype([("bucket", "<u2"), ("count", "<u4")])

_UNASKABLE = frozenset({"MODEL_001", "MODEL_004"})
UNKNOWN = ("(unknown)", "")
"""Model and version of requests for what there is not: the names come from clients, who know no end of them."""
OTHERS = ("(others)", "")
"""Model and version of what is counted together once there are too many."""

T = TypeVar("T")


def plausible(seconds: float) -> float:
    """The duration, at most 1000 s; 0 for what is no number above 0.

    >>> plausible(0.5), plausible(-1.0), plausible(math.nan), plausible(math.inf)
    (0.5, 0.0, 0.0, 1000.0)
    """
    return min(seconds, _MOST) if seconds > 0 else 0.0


class Sketch:
    """How durations are spread: buckets that grow by 4 %, so that a quantile is right within 2 % of itself.

    Two sketches add up to the sketch of all their values, which averages of percentiles do not. From a microsecond to
    1000 s, what lies outside counts as the nearest. Not safe from several threads.

    Masson, Rim, Lee: DDSketch, a fast and fully-mergeable quantile sketch with relative-error guarantees, VLDB 2019.

    >>> sketch = Sketch()
    >>> for value in (0.010, 0.020, 0.030, 0.040):
    ...     sketch.add(value)
    >>> round(sketch.quantile(0.5), 3), round(sketch.mean, 3)
    (0.02, 0.025)
    """

    __slots__ = ("_counts", "count", "sum")

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int32)
        self.count = 0
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Counts one duration; what is no number above 0 counts as 0."""
        seconds = plausible(seconds)
        self._counts[math.ceil(math.log(max(seconds, _LEAST)) / _LOG_GROWTH) - _FIRST] += 1
        self.count += 1
        self.sum += seconds

    def merge(self, other: Sketch) -> None:
        """Adds all values of another one."""
        self._counts += other._counts
        self.count += other.count
        self.sum += other.sum

    def packed(self) -> bytes:
        """The buckets that are not empty, for `merge_packed`; the sum is not in it."""
        filled = np.flatnonzero(self._counts)
        packed = np.empty(len(filled), _PACKED)
        packed["bucket"], packed["count"] = filled, self._counts[filled]
        return packed.tobytes()

    def merge_packed(self, buckets: bytes, total: float) -> None:
        """Adds all values of another one, or of several one after the other, of which ``total`` is the sum."""
        packed = np.frombuffer(buckets, _PACKED)
        counts = np.bincount(packed["bucket"], weights=packed["count"], minlength=_BUCKETS)
        self._counts += counts.astype(np.int32)
        self.count += int(counts.sum())
        self.sum += total

    @property
    def mean(self) -> float | None:
        """Exact; ``None`` where nothing was counted."""
        return self.sum / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The duration in seconds that ``share`` (0 to 1) of all values do not exceed; ``None`` of nothing."""
        if not self.count:
            return None
        seen = np.cumsum(self._counts, dtype=np.int64)
        bucket = int(np.searchsorted(seen, share * (self.count - 1), side="right"))
        return float(2 * _GROWTH ** (bucket + _FIRST) / (_GROWTH + 1)) if bucket else 0.0


class PerModel(Generic[T]):
    """One tally per model and version, at most ``limit``; what comes beyond is counted together as `OTHERS`.

    Safe from many threads; the tallies themselves are the caller's to lock.
    """

    def __init__(self, make: Callable[[], T], limit: int = 1000) -> None:
        self._make, self._limit = make, limit
        self._tallies: dict[tuple[str, str], T] = {}
        self._lock = threading.Lock()

    def of(self, stats: RequestStats) -> T:
        """The tally that a request belongs to."""
        key = (stats.model, stats.version)
        if stats.outcome in _UNASKABLE:
            key = UNKNOWN
        tally = self._tallies.get(key)
        return self._new(key) if tally is None else tally

    def _new(self, key: tuple[str, str]) -> T:
        if not key[0] or not "".join(key).isprintable():  # neither Prometheus nor PostgreSQL takes every character
            key = UNKNOWN
        with self._lock:
            if key not in (UNKNOWN, OTHERS) and key not in self._tallies and len(self._tallies) >= self._limit:
                key = OTHERS
            if key not in self._tallies:
                self._tallies[key] = self._make()
            return self._tallies[key]

    def __iter__(self) -> Iterator[tuple[str, str, T]]:
        """Model, version and tally of each, in order of the names."""
        with self._lock:
            known = sorted(self._tallies.items(), key=lambda item: item[0])
        return ((model, version, tally) for (model, version), tally in known)

    def take(self) -> list[tuple[str, str, T]]:
        """All of them, and begins anew."""
        with self._lock:
            known, self._tallies = self._tallies, {}
        return [(model, version, tally) for (model, version), tally in known.items()]
