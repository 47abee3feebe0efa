"""What the doors show of what is measured: how a model does now, and how it did over time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from camcount.errors import InvalidInput

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

    ``series`` gives points in order of time, each with ``time`` (UTC, ISO 8601), ``version`` and a value, or
    ``None``, under each of ``names``.

    Raises:
        CamcountError: there is no measurement of that name, or the database does not answer.
    """

    def series(self, model: str, since: datetime, until: datetime, names: Sequence[str]) -> list[dict[str, Any]]: ...


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
