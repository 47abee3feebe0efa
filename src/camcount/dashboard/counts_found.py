"""Stored spans to what charts, tables and files show: no page in here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from camcount.counting.bounds import Bounds
from camcount.dashboard.counts_asked import BACK, Asked
from camcount.storage.counts import CountStore, StoredInterval
from camcount.storage.exports import COLUMNS
from camcount.storage.interval_log import Step

EXPORTED = (*COLUMNS[:2], "label", *COLUMNS[2:])
Values = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One curve, or one part of the bars; None where nobody saw anything."""

    name: str
    values: Values

    @property
    def total(self) -> int:
        """Of all that was seen."""
        return sum(value or 0 for value in self.values)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for a view.

    Attributes:
        starts: of the spans; ``end`` is that of the last.
        rows: the spans of every line, as they are stored.
        series: as the view splits them; ``whole`` all together, ``before`` the same of the time compared with.
        seen: share of each span that was seen, over all lines.
        lines: camera and line. labels: all that were counted.
    """

    asked: Asked
    step: Step
    starts: tuple[datetime, ...]
    end: datetime
    rows: tuple[StoredInterval, ...]
    series: tuple[Series, ...]
    whole: Series
    before: Series | None
    seen: tuple[float, ...]
    lines: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]

    @property
    def gaps(self) -> tuple[int, ...]:
        """Numbers of the spans that nobody saw."""
        return tuple(k for k, value in enumerate(self.whole.values) if value is None)

    @property
    def ways(self) -> dict[str, int]:
        """All that was counted, by direction."""
        label = self.asked.label
        return {way: sum(counted(row, label, way) or 0 for row in self.rows) for way in ("in", "out")}


@dataclass(frozen=True, slots=True)
class Limits:
    """Between which numbers the true ones lie; None where that is not known, ``high`` also where nothing is."""

    low: Values
    high: Values


def load(store: CountStore, asked: Asked, now: datetime, zone: tzinfo, names: dict[str, str]) -> Found:
    """Asks the database; takes up to a second for a year.

    Args:
        names: how ``in``, ``out`` and ``all`` are called.

    Raises:
        UsageError: the period cannot be.
        DatabaseUnavailable: it does not answer.
    """
    begin, end = asked.span(now, zone)
    step = asked.steps(begin, end)
    camera, line = asked.place

    def read(since: datetime, until: datetime) -> list[StoredInterval]:
        return store.intervals(camera_id=camera, line=line, since=since, until=until, step=step, zone=zone)

    rows = read(begin, end)
    by_line = _by_line(rows)
    spans = next(iter(by_line.values()), [])
    whole = Series(names["all"], _added(by_line.values(), asked.label, asked.way))
    before = None
    if back := BACK.get(asked.compare):
        earlier = _by_line(read(begin - back, end - back))
        values = _added(earlier.values(), asked.label, asked.way)[: len(spans)]
        before = Series(names[asked.compare], values + (None,) * (len(spans) - len(values)))
    return Found(
        asked=asked,
        step=step,
        starts=tuple(one.start for one in spans),
        end=spans[-1].end if spans else end,
        rows=tuple(rows),
        series=_split(by_line, asked, names),
        whole=whole,
        before=before,
        seen=tuple(sum(one.coverage for one in at) / len(at) for at in zip(*by_line.values(), strict=True)),
        lines=tuple(by_line),
        labels=tuple(sorted({label for row in rows for label in row.by_label})),
    )


def counted(row: StoredInterval, label: str, way: str) -> int | None:
    """Of one span: of one label or of all, one way or both."""
    if row.counts is None:
        return None
    counts = row.by_label.get(label, {}) if label else row.counts
    return counts.get(way, 0) if way else sum(counts.values())


def limits(found: Found) -> Limits | None:
    """Of the whole, which takes milliseconds for each busy day; None where a label is asked for.

    Those of several lines are added up, which is wider than it need be.
    """
    if found.asked.label or not found.rows:
        return None
    way = found.asked.way or "total"
    bounds = [[_of(row, way) for row in rows] for rows in _by_line(found.rows).values()]
    columns = list(zip(*bounds, strict=True))
    seen = [[one for one in column if one is not None] for column in columns]
    low = tuple(sum(one.low for one in some) if some else None for some in seen)
    return Limits(low, tuple(_sum(one.high for one in some) if some else None for some in seen))


def exported(found: Found) -> list[dict[str, Any]]:
    """What is seen as rows of `EXPORTED`: a row a span and line, or of each label where it is split by them."""
    asked = found.asked
    if not asked.label and asked.split != "label":
        return [_row(one, "", asked.way) for one in found.rows]
    labels = [asked.label] if asked.label else found.labels
    return [_row(one.of(label), label, asked.way) for one in found.rows for label in labels]


def _row(one: StoredInterval, label: str, way: str) -> dict[str, Any]:
    row = one.as_dict() | {"label": label}
    if way:
        bounds = (one.bounds or {}).get(way)
        row |= {"in": None, "out": None, way: row[way], "count": row[way]}
        row |= {"low": bounds.low if bounds else None, "high": bounds.high if bounds else None}
    return {name: row[name] for name in EXPORTED}


def _by_line(rows: Iterable[StoredInterval]) -> dict[tuple[str, str], list[StoredInterval]]:
    lines: dict[tuple[str, str], list[StoredInterval]] = {}
    for row in rows:
        lines.setdefault((row.camera_id, row.line), []).append(row)
    return lines


def _split(
    by_line: dict[tuple[str, str], list[StoredInterval]], asked: Asked, names: dict[str, str]
) -> tuple[Series, ...]:
    if asked.split == "way":
        ways = (asked.way,) if asked.way else ("in", "out")
        return tuple(Series(names[way], _added(by_line.values(), asked.label, way)) for way in ways)
    if asked.split == "label":
        labels = sorted({label for rows in by_line.values() for row in rows for label in row.by_label})
        labels = [label for label in labels if asked.label in ("", label)]
        found = [Series(label, _added(by_line.values(), label, asked.way)) for label in labels]
        return tuple(sorted(found, key=lambda one: -one.total))
    several = len({camera for camera, _ in by_line}) > 1
    title: Callable[[str, str], str] = (
        (lambda camera, line: f"{camera} · {line}") if several else (lambda _, line: line)
    )
    return tuple(Series(title(*key), _added([rows], asked.label, asked.way)) for key, rows in by_line.items())


def _added(lines: Iterable[Sequence[StoredInterval]], label: str, way: str) -> Values:
    """Span by span over lines; a gap where none of them saw anything."""
    columns = zip(*([counted(row, label, way) for row in rows] for rows in lines), strict=True)
    return tuple(_known(column) for column in columns)


def _known(values: Sequence[int | None]) -> int | None:
    seen = [value for value in values if value is not None]
    return sum(seen) if seen else None


def _of(row: StoredInterval, way: str) -> Bounds | None:
    if way == "total":
        return row.total_bounds
    return None if (bounds := row.bounds) is None else bounds[way]


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
