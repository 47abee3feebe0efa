"""The intervals of cameras: minutes come in, quarters and hours are kept beside them, any span is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, Literal

from sqlalchemy import JSON, Connection, Select, Text, cast, func, or_, select

from camcount.counting.intervals import Interval, clock_bounds, parse_duration
from camcount.errors import UsageError
from camcount.storage.count_tables import INTERVALS, replacing
from camcount.storage.rollup import (
    HOUR_S,
    MINUTE_S,
    QUARTER_S,
    Row,
    StoredInterval,
    added,
    coarser,
    row_of,
)

Step = Literal["1m", "15m", "1h", "1d"]
STEPS: tuple[Step, ...] = ("1m", "15m", "1h", "1d")
_MOST = 100_000
_KEPT = (MINUTE_S, QUARTER_S, HOUR_S)
_T = INTERVALS.c
_COLUMNS = [cast(_T[name], Text) if isinstance(_T[name].type, JSON) else _T[name] for name in Row._fields]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a camera, and from when to when there are minutes of it, in seconds since the epoch."""

    camera_id: str
    line: str
    since: int
    until: int


def store(connection: Connection, camera_id: str, intervals: Iterable[Interval]) -> None:
    """Writes minutes, each in the place of one that saw less of it, and the quarters and hours they are in.

    Whoever calls is alone with the table.
    """
    given: dict[tuple[str, int], dict[str, Any]] = {}
    for row in (row_of(camera_id, interval) for interval in intervals):
        key = row["line"], row["start"]
        if key not in given or _sight(row) > _sight(given[key]):
            given[key] = row
    if not given:
        return
    known = {(row.line, row.start): _sight(row._asdict()) for row in _there(connection, camera_id, given)}
    fresh = [row for key, row in given.items() if key not in known or _sight(row) > known[key]]
    if fresh:
        connection.execute(replacing(connection.dialect.name, INTERVALS), fresh)
        for finer_s, step_s in pairwise(_KEPT):
            spans = sorted({(row["line"], row["start"] // step_s * step_s) for row in fresh})
            rows = [_coarser(connection, camera_id, line, start, finer_s, step_s) for line, start in spans]
            connection.execute(replacing(connection.dialect.name, INTERVALS), rows)


def read(
    connection: Connection,
    *,
    camera_id: str | None,
    line: str | None,
    since: datetime,
    until: datetime,
    step: Step,
    zone: tzinfo,
) -> list[StoredInterval]:
    """Every span of every line, in order of camera, line and time; see `CountStore.intervals`."""
    bounds = _bounds(since, until, step, zone)
    spans = list(pairwise((bound, _moment(bound).astimezone(zone)) for bound in bounds))
    found: list[StoredInterval] = []
    for one in _lines(connection, camera_id, line):
        rows = _rows(connection, one, bounds)
        at = 0
        for begin, end in spans:
            stop = at
            while stop < len(rows) and rows[stop].start < end[0]:
                stop += 1
            found.append(_told(one, begin, end, rows[at:stop]))
            at = stop
    return found


def _bounds(since: datetime, until: datetime, step: Step, zone: tzinfo) -> list[int]:
    """Where spans begin, and where the last ends, in seconds since the epoch and whole minutes."""
    if since.tzinfo is None or until.tzinfo is None:
        raise UsageError("the time range has no zone: write it as in 2026-03-01T12:00:00Z")
    if step not in STEPS:
        raise UsageError(f"there are no intervals of {step!r}: choose from {', '.join(STEPS)}")
    if (until - since).total_seconds() / parse_duration(step) > _MOST:
        raise UsageError(f"steps of {step} give more than {_MOST} intervals a line: take longer ones")
    first, last = (_moment(t.timestamp() // MINUTE_S * MINUTE_S) for t in (since, until))
    if first >= last:
        raise UsageError(f"the time range {since.isoformat()} to {until.isoformat()} holds no whole minute")
    return [int(bound.timestamp()) for bound in clock_bounds(first, last, parse_duration(step), zone)]


def _lines(connection: Connection, camera_id: str | None, line: str | None) -> list[_Line]:
    where = [_T.step_s == HOUR_S]
    where += [_T.camera_id == camera_id] if camera_id is not None else []
    where += [_T.line == line] if line is not None else []
    keys = (_T.camera_id, _T.line)
    query = select(*keys, func.min(_T.start), func.max(_T.start)).where(*where).group_by(*keys).order_by(*keys)
    found = []
    for camera, name, first, last in connection.execute(query).all():
        first, last = (
            _edge(connection, camera, name, at, edge) for at, edge in ((first, func.min), (last, func.max))
        )
        found.append(_Line(camera, name, first, last + MINUTE_S))
    return found


def _edge(connection: Connection, camera_id: str, line: str, hour: int, edge: Any) -> int:
    of_line = (_T.step_s == MINUTE_S, _T.camera_id == camera_id, _T.line == line)
    within = (_T.start >= hour, _T.start < hour + HOUR_S)
    return int(connection.execute(select(edge(_T.start)).where(*of_line, *within)).scalar() or hour)


def _rows(connection: Connection, line: _Line, bounds: Sequence[int]) -> Sequence[Row]:
    """The longest rows that spans are made of whole ones of, and shorter ones at the ends; in order of time."""
    steps = [step_s for step_s in _KEPT if not any(bound % step_s for bound in bounds[1:-1])]
    parts = _parts(bounds[0], bounds[-1], steps)
    some = or_(*((_T.step_s == s) & (_T.start >= begin) & (_T.start < end) for s, begin, end in parts))
    query = select(*_COLUMNS).where(_T.camera_id == line.camera_id, _T.line == line.line, some)
    return _found(connection, query.order_by(_T.start))


def _parts(first: int, last: int, steps: Sequence[int]) -> list[tuple[int, int, int]]:
    """From when to when rows of which length are read; ``steps`` rise.

    >>> _parts(0, 8000, [60, 900, 3600])
    [(3600, 0, 7200), (60, 7200, 8000)]
    """
    *finer, step_s = steps
    whole = -(-first // step_s) * step_s, last // step_s * step_s
    if not finer:
        return [(step_s, first, last)]
    if whole[0] >= whole[1]:
        return _parts(first, last, finer)
    ends = [_parts(*end, finer) if end[0] < end[1] else [] for end in ((first, whole[0]), (whole[1], last))]
    return [*ends[0], (step_s, *whole), *ends[1]]


def _told(line: _Line, start: tuple[int, datetime], end: tuple[int, datetime], rows: Sequence[Row]) -> StoredInterval:
    """One span, from its beginning to its end: each in seconds since the epoch and on the clock."""
    counts: dict[str, int] | None = None
    by_label: dict[str, dict[str, int]] = {}
    known_s, seen_s, counted = _sums(rows)
    absent_s = 0
    if seen_s > 0 or counted:
        counts, by_label = added(rows)
        # minutes that nobody wrote while there are earlier and later ones were not seen
        absent_s = min(end[0], line.until) - max(start[0], line.since) - known_s
    return StoredInterval(
        camera_id=line.camera_id,
        line=line.line,
        start=start[1],
        end=end[1],
        counts=counts,
        by_label=by_label,
        coverage=min(seen_s / (end[0] - start[0]), 1.0),
        rows=rows if counts is not None else (),
        absent_s=absent_s,
    )


def _sums(rows: Sequence[Row]) -> tuple[int, float, int]:
    """Seconds known and seen, and how many were counted."""
    if len(rows) == 1:  # as in most questions, of which long ones have thousands
        row = rows[0]
        return row.known_s, row.seen_s, row.count_in + row.count_out
    counted = sum(row.count_in + row.count_out for row in rows)
    return sum(row.known_s for row in rows), sum(row.seen_s for row in rows), counted


def _there(connection: Connection, camera_id: str, keys: Iterable[tuple[str, int]]) -> list[Row]:
    starts = [start for _, start in keys]
    query = select(*_COLUMNS).where(_T.step_s == MINUTE_S, _T.camera_id == camera_id)
    query = query.where(_T.line.in_({line for line, _ in keys}), _T.start.between(min(starts), max(starts)))
    return _found(connection, query)


def _sight(row: Mapping[str, Any]) -> tuple[float, int]:
    """How much of a minute a row saw, and how many it counted: of two rows the one with more of it stays."""
    return round(row["seen_s"], 6), row["count_in"] + row["count_out"]


def _coarser(
    connection: Connection, camera_id: str, line: str, start: int, finer_s: int, step_s: int
) -> dict[str, Any]:
    within = (_T.start >= start, _T.start < start + step_s)
    query = select(*_COLUMNS).where(_T.step_s == finer_s, _T.camera_id == camera_id, _T.line == line, *within)
    return coarser(camera_id, step_s, start, _found(connection, query.order_by(_T.start)))


def _found(connection: Connection, query: Select[Any]) -> list[Row]:
    return [Row._make(row) for row in connection.execute(query).all()]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
