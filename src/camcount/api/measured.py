"""What the doors show of what is measured: how a model does now, and how it did over time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from camcount.errors import InvalidInput

SERIES: Mapping[str, tuple[str, str]] = {
    "latency": ("latency_avg_s", "mean milliseconds from submission to answer"),
    "latencyP50": ("latency_p50_s", "milliseconds that half of the answers did not exceed"),
    "latencyP95": ("latency_p95_s", "milliseconds that 95 % of the answers did not exceed"),
    "latencyP99": ("latency_p99_s", "milliseconds that 99 % of the answers did not exceed"),
    "queue": ("queue_avg_s", "mean milliseconds of waiting for a replica"),
    "queueP95": ("queue_p95_s", "milliseconds of waiting that 95 % did not exceed"),
    "preprocess": ("preprocess_avg_s", "mean milliseconds of making the model's input"),
    "inference": ("inference_avg_s", "mean milliseconds of the model's run"),
    "postprocess": ("postprocess_avg_s", "mean milliseconds of reading its output"),
    "requests": ("requests", "requests that ended"),
    "throughput": ("requests_per_s", "requests per second"),
    "frames": ("frames_per_s", "pictures per second that the model ran for"),
    "errors": ("errors", "failed requests by code"),
    "errorRate": ("error_share", "share of failed requests, 0 to 1"),
    "fallbacks": ("fallbacks", "requests answered in place of another model"),
    "batchSize": ("batch_size_avg", "mean pictures in one run"),
    "cacheHitRate": ("cache_hit_share", "share of answers from the result cache, 0 to 1"),
    "cpu": ("cpu_share", "share of all cores that the server used, 0 to 1"),
    "memory": ("memory_bytes", "mean resident bytes of the server"),
}
"""What a time series can be asked for: its name in the database, in seconds, and what it means here."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_RANGE = re.compile(r"(\d{1,6})([smhdw])")
_LONGEST = timedelta(days=366)


class GpuShare(Protocol):
    """One GPU: the share of time it is busy, 0 to 1."""

    @property
    def busy(self) -> float: ...


class Resources(Protocol):
    """What this process uses: share of its cores, 0 to 1, resident bytes, and its GPU, if it has one."""

    @property
    def cpu_share(self) -> float: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def gpu(self) -> GpuShare | None: ...


class Performance(Protocol):
    """One model at the moment; the latency, in seconds, is ``None`` where nothing was answered."""

    @property
    def latency_avg_s(self) -> float | None: ...
    @property
    def requests_per_s(self) -> float: ...
    @property
    def resources(self) -> Resources: ...


class Rates(Protocol):
    """How each model does; `camcount.monitoring.rates.Rates` is one. Safe from many threads."""

    def performance(self, model: str, version: str | None = None) -> Performance: ...


class TimeSeries(Protocol):
    """What was measured of each model over time, from the database. Safe from many threads.

    ``series`` gives points of a model, ``name`` or ``name:version``, in order of time, each with ``time`` (aware,
    UTC) and a value, or ``None``, under each of ``names``.

    Raises:
        CamcountError: there is no measurement of that name, or the database does not answer.
    """

    def series(self, model: str, since: datetime, until: datetime, names: Sequence[str]) -> list[dict[str, Any]]: ...


def wanted(text: str) -> list[str]:
    """The metrics that ``latency,throughput`` names, each once.

    Raises:
        InvalidInput: one of them is unknown, or there is none.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in SERIES]
    if unknown or not names:
        raise InvalidInput(f"metrics={text[:60]!r} names no measurement: choose from {', '.join(SERIES)}")
    return names


def points_of(
    source: TimeSeries, model: str, since: datetime, until: datetime, names: Sequence[str]
) -> list[dict[str, Any]]:
    """The points of a series under the names and in the units of this interface."""
    points = source.series(model, since, until, [SERIES[name][0] for name in names])
    return [{"time": point["time"], **{name: _shown(name, point) for name in names}} for point in points]


def _shown(name: str, point: Mapping[str, Any]) -> Any:
    value = point[SERIES[name][0]]
    in_milliseconds = "milliseconds" in SERIES[name][1] and value is not None
    return round(value * 1000, 3) if in_milliseconds else value


def time_range(text: str) -> timedelta:
    """The span that ``30s``, ``15m``, ``1h``, ``7d`` or ``4w`` means.

    Raises:
        InvalidInput: it is none, or longer than a year.

    >>> time_range("90m")
    datetime.timedelta(seconds=5400)
    """
    found = _RANGE.fullmatch(text)
    span = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < span <= _LONGEST:
        raise InvalidInput(f"timeRange {text[:40]!r} is no span up to a year: write 30s, 15m, 1h, 7d or 4w")
    return span
