"""Reads time series of a model's measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import and_, or_, select

from camcount.errors import InvalidInput
from camcount.storage.database import Database
from camcount.storage.measured import CONTENT, TABLE, Measured
from camcount.storage.recorder import STEP_S
from camcount.storage.retention import Retention, aligned

_STEPS = (10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 86400.0, 7 * 86400.0)
_POINTS = 500
"""At most so many points where no step is asked for."""
_MOST_POINTS = 5_000

Value = float | int | dict[str, int] | None


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _failed(measured: Measured) -> dict[str, int]:
    return {code: count for code, count in sorted(measured.outcomes.items()) if code not in ("ok", "cancelled")}


METRICS: dict[str, tuple[str, Callable[[Measured, float], Value]]] = {
    "latency_avg_s": ("mean time from submission to answer", lambda m, s: m.latency.mean),
    "latency_p50_s": ("time that half of the answers did not exceed", lambda m, s: m.latency.quantile(0.5)),
    "latency_p95_s": ("time that 95 % of the answers did not exceed", lambda m, s: m.latency.quantile(0.95)),
    "latency_p99_s": ("time that 99 % of the answers did not exceed", lambda m, s: m.latency.quantile(0.99)),
    "queue_avg_s": ("mean time of waiting for a replica", lambda m, s: m.queue.mean),
    "queue_p95_s": ("waiting time that 95 % did not exceed", lambda m, s: m.queue.quantile(0.95)),
    "preprocess_avg_s": ("mean time of making the model's input", lambda m, s: _share(m.preprocess_s, m.queue.count)),
    "inference_avg_s": ("mean time of the model's run", lambda m, s: _share(m.inference_s, m.queue.count)),
    "postprocess_avg_s": ("mean time of reading its output", lambda m, s: _share(m.postprocess_s, m.queue.count)),
    "requests": ("requests that ended", lambda m, s: m.requests),
    "requests_per_s": ("the same per second", lambda m, s: m.requests / s),
    "frames_per_s": ("pictures per second that the model ran for", lambda m, s: m.frames / s),
    "errors": ("failed requests by code", lambda m, s: _failed(m)),
    "error_share": (
        "share of failed requests, without those whose client went away",
        lambda m, s: _share(sum(_failed(m).values()), m.requests - m.outcomes["cancelled"]),
    ),
    "fallbacks": ("requests answered in place of another model", lambda m, s: m.fallbacks),
    "batch_size_avg": ("mean number of pictures in one run", lambda m, s: _share(m.frames, m.batches)),
    "cache_hit_share": ("share of answers from the result cache", lambda m, s: _share(m.cached, m.latency.count)),
    "cpu_share": ("share of all cores that the process used", lambda m, s: _share(m.cpu_s, m.core_s)),
    "memory_bytes": ("mean resident memory of the process", lambda m, s: _share(m.memory_byte_s, m.observed_s)),
}
"""Every metric: what it means, and its value from what was measured and the seconds that it took."""


class Measurements:
    """Reads what a `TimeSeriesRecorder` wrote, this process' or another's.

    Args:
        database: open.
        retention: what the recorder was given.
        raw_step_s: the recorder's step.
    """

    def __init__(self, database: Database, *, retention: Retention | None = None, raw_step_s: float = STEP_S) -> None:
        self._database, self._raw_step_s = database, raw_step_s
        self._retention = retention or Retention()

    def series(
        self,
        model: str,
        since: datetime,
        until: datetime,
        names: Sequence[str] | None = None,
        step_s: float | None = None,
        *,
        now: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """Points in order of time, one per step in which a server ran.

        Args:
            model: ``name``, all its versions together, or ``name:version``.
            since, until: aware; points begin at whole steps, the first at or before ``since``.
            names: keys of `METRICS`; all unless given.
            step_s: seconds from point to point, made longer where only coarser ones were kept; unless given, such
                that there are at most 500 points.
            now: this moment, unless given.

        Returns:
            Per point ``time`` (aware, UTC, its beginning) and the value of each name; ``None`` where there was
            nothing to measure.

        Raises:
            InvalidInput: an unknown name, times without a zone or in the wrong order, or too many points.
            DatabaseUnavailable: the database does not answer.
        """
        chosen = _known(names)
        now = now or datetime.now(UTC)
        step_s = self._step(since, until, step_s, now)
        begin = aligned(since, step_s)
        # what was measured since the last boundary is not written yet
        end = min(until, aligned(now, self._raw_step_s))
        step = timedelta(seconds=step_s)
        points: list[dict[str, Any]] = []
        for start, measured in sorted(self._merged(model, begin, end, step_s).items()):
            seconds = max((min(start + step, end) - start).total_seconds(), self._raw_step_s)
            values = {name: METRICS[name][1](measured, seconds) for name in chosen}
            points.append({"time": start, **values})
        return points

    def _step(self, since: datetime, until: datetime, asked: float | None, now: datetime) -> float:
        if since.tzinfo is None or until.tzinfo is None:
            raise InvalidInput("the time range has no zone: write it as in 2026-03-01T12:00:00Z")
        if since >= until:
            raise InvalidInput(f"the time range ends before it begins: {since.isoformat()} to {until.isoformat()}")
        span = (until - since).total_seconds()
        finest = self._retention.step(since, now, self._raw_step_s)
        if asked is None:
            return max(finest, next((step for step in _STEPS if span / step <= _POINTS), span / _POINTS))
        if not asked > 0 or span / max(asked, finest) > _MOST_POINTS:
            raise InvalidInput(f"a step of {asked:g} s gives more than {_MOST_POINTS} points: make it longer")
        return max(asked, finest)

    def _merged(self, model: str, since: datetime, until: datetime, step_s: float) -> dict[datetime, Measured]:
        name, _, version = model.partition(":")
        wanted = TABLE.c.model == name
        if version:
            wanted = and_(wanted, TABLE.c.version == version)
        query = select(TABLE.c.start, *(TABLE.c[column] for column in CONTENT)).where(
            or_(wanted, TABLE.c.model == ""), TABLE.c.start >= since, TABLE.c.start < until
        )
        merged: dict[datetime, Measured] = {}
        with self._database.reading() as connection:
            found = connection.execution_options(yield_per=1000).execute(query.order_by(TABLE.c.start))
            for point, rows in groupby(found, lambda row: row[0].timestamp() // step_s * step_s):
                measured = merged[datetime.fromtimestamp(point, UTC)] = Measured()
                measured.merge([row[1:] for row in rows])
        return merged


def _known(names: Sequence[str] | None) -> list[str]:
    if unknown := [name for name in names or () if name not in METRICS]:
        raise InvalidInput(f"no metric is called {', '.join(unknown)}: there are {', '.join(METRICS)}")
    return list(names) if names else list(METRICS)
