"""Counts of minutes into counts of longer spans: how they add up, and what is left open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from camcount.counting.bounds import Bounds, Evidence, Grounds
from camcount.counting.intervals import Interval
from camcount.errors import UsageError

MINUTE_S, QUARTER_S, HOUR_S = 60, 900, 3600
WAYS = ("in", "out")
_Limits = Mapping[str, Sequence[Any]]
"""``in``, ``out`` and ``total`` -> low and high, as they are stored."""


class Row(NamedTuple):
    """A row of the table as it is read: JSON is left as text, for most of it is never asked for."""

    line: str
    start: int
    known_s: int
    seen_s: float
    count_in: int
    count_out: int
    by_label: str | None
    bounds: str | None
    evidence: str | None
    missed_s: float
    rate_in: int
    rate_out: int
    rate_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInterval:
    """What one line of one camera counted in one span of time.

    Attributes:
        start, end: aware, on the clock that was asked for.
        counts: by direction; None in a gap, for what nobody saw is not zero.
        by_label: label -> direction -> count.
        coverage: share of the span, 0..1, that was seen; 0 in a gap.
        rows: what the bounds are made of once somebody asks, for that takes milliseconds; none in a gap, and for
            counts of one label.
        absent_s: how much of the span no row is about, though there are earlier and later ones.
    """

    camera_id: str
    line: str
    start: datetime
    end: datetime
    counts: dict[str, int] | None
    by_label: dict[str, dict[str, int]]
    coverage: float
    rows: Sequence[Row] = field(default=(), repr=False)
    absent_s: int = 0

    @property
    def bounds(self) -> dict[str, Bounds] | None:
        """Of ``in``, ``out`` and ``total``, see `camcount.counting.intervals.Interval`; None where there are none."""
        limits = self._limits()
        return {way: Bounds(low=low, high=high) for way, (low, high) in limits.items()} if limits else None

    @property
    def count(self) -> int | None:
        """In both directions; None in a gap."""
        return None if self.counts is None else sum(self.counts.values())

    @property
    def low(self) -> int | None:
        """Lower bound of the count in both directions."""
        return None if (limits := self.total_bounds) is None else limits.low

    @property
    def high(self) -> int | None:
        """Upper bound of the count in both directions; None also where nothing is known."""
        return None if (limits := self.total_bounds) is None else limits.high

    def _known(self) -> _Limits | None:
        """As they were stored, where the span is one row."""
        if len(self.rows) != 1 or self.absent_s > 0:
            return None
        text = self.rows[0].bounds
        return _QUIET if text is None else orjson.loads(text)

    def _limits(self) -> _Limits | None:
        if not self.rows:
            return None
        known = self._known()
        return _packed_bounds(grounds_of(self.rows, self.absent_s).bounds()) if known is None else known

    @property
    def total_bounds(self) -> Bounds | None:
        """Of the count in both directions, without those of each."""
        if (limits := self._known()) is not None:
            return Bounds(low=limits["total"][0], high=limits["total"][1])
        return grounds_of(self.rows, self.absent_s).total() if self.rows else None

    def of(self, label: str) -> StoredInterval:
        """The same of one label only."""
        found = self.by_label.get(label, dict.fromkeys(WAYS, 0))
        return StoredInterval(
            camera_id=self.camera_id,
            line=self.line,
            start=self.start,
            end=self.end,
            counts=None if self.counts is None else dict(found),
            by_label={label: dict(found)} if label in self.by_label else {},
            coverage=self.coverage,
        )

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; a gap has nulls."""
        counts = self.counts or dict.fromkeys(WAYS)
        limits = self._limits()
        low, high = limits["total"] if limits else (None, None)
        return {
            "camera_id": self.camera_id,
            "line": self.line,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            **counts,
            "count": self.count,
            "low": low,
            "high": high,
            "coverage": round(self.coverage, 4),
            "by_label": self.by_label,
            "bounds": {way: {"low": low, "high": high} for way, (low, high) in limits.items()} if limits else None,
        }


def row_of(camera_id: str, interval: Interval) -> dict[str, Any]:
    """A minute as a row of the table.

    Raises:
        UsageError: it is no whole minute on the clock.
    """
    start, end = interval.start, interval.end
    if start is None or end is None or start.timestamp() % MINUTE_S or (end - start).total_seconds() != MINUTE_S:
        span = f"{start.isoformat()} to {end.isoformat()}" if start and end else f"{interval.start_s:g} s on"
        raise UsageError(f"camera {camera_id!r}: only whole minutes on the clock are stored, not {span}")
    grounds = interval.grounds or _grounds(interval)
    key = {"step_s": MINUTE_S, "camera_id": camera_id, "line": interval.line, "start": int(start.timestamp())}
    return key | {
        "known_s": MINUTE_S,
        "seen_s": interval.coverage * MINUTE_S,
        **_content({way: interval.counts.get(way, 0) for way in WAYS}, interval.by_label, grounds, interval.bounds),
    }


def coarser(camera_id: str, step_s: int, start: int, rows: Sequence[Row]) -> dict[str, Any]:
    """The row of a longer span of a line from those of the shorter ones in it, in their order."""
    counts, by_label = added(rows)
    grounds = grounds_of(rows)
    key = {"step_s": step_s, "camera_id": camera_id, "line": rows[0].line, "start": start}
    sums = {"known_s": sum(row.known_s for row in rows), "seen_s": sum(row.seen_s for row in rows)}
    return key | sums | _content(counts, by_label, grounds, grounds.bounds())


def added(rows: Sequence[Row]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Counts, and counts by label, of rows together."""
    if len(rows) == 1:
        (row,) = rows
        return {"in": row.count_in, "out": row.count_out}, _read(row.by_label)
    by_label: dict[str, dict[str, int]] = {}
    for row in rows:
        for label, counts in _read(row.by_label).items():
            one = by_label.setdefault(label, dict.fromkeys(WAYS, 0))
            for way, many in counts.items():
                one[way] += many
    return {"in": sum(row.count_in for row in rows), "out": sum(row.count_out for row in rows)}, by_label


def grounds_of(rows: Sequence[Row], absent_s: float = 0.0) -> Grounds:
    """The grounds of the bounds of rows that follow each other, and of so much more time that nobody saw."""
    packed = [_read(row.evidence) for row in rows if row.evidence]
    return Grounds(
        evidence={way: _sum(one[way] for one in packed if way in one) for way in WAYS},
        missed_s=sum(row.missed_s for row in rows) + max(0.0, absent_s),
        counted={"in": rows[-1].rate_in, "out": rows[-1].rate_out},
        rate_s=rows[-1].rate_s,
    )


def _read(text: str | None) -> dict[str, Any]:
    return {} if text is None else orjson.loads(text)


def _packed_bounds(bounds: Mapping[str, Bounds]) -> dict[str, list[int | None]]:
    return {way: [one.low, one.high] for way, one in bounds.items()}


_QUIET = _packed_bounds(Grounds(evidence={}, missed_s=0.0, counted={}, rate_s=0.0).bounds())
"""The bounds of a span in which nothing happened: most are, and so need not be stored."""


def _content(
    counts: Mapping[str, int],
    by_label: Mapping[str, Mapping[str, int]],
    grounds: Grounds,
    bounds: Mapping[str, Bounds],
) -> dict[str, Any]:
    """The columns that are not the key; what says nothing takes no space."""
    limits = _packed_bounds(bounds)
    evidence = {way: _packed(one) for way, one in grounds.evidence.items() if one != Evidence()}
    return {
        **{f"count_{way}": counts[way] for way in WAYS},
        "by_label": dict(by_label) or None,
        "bounds": None if limits == _QUIET else limits,
        "evidence": evidence or None,
        "missed_s": grounds.missed_s,
        **{f"rate_{way}": grounds.counted.get(way, 0) for way in WAYS},
        "rate_s": grounds.rate_s,
    }


def _grounds(interval: Interval) -> Grounds:
    """Of an interval that came without: every crossing with the doubt of one not judged yet."""
    return Grounds(
        evidence={way: Evidence(counted=many) for way, many in interval.counts.items() if many},
        missed_s=(1 - interval.coverage) * MINUTE_S,
        counted=interval.counts,
        rate_s=interval.coverage * MINUTE_S,
    )


def _packed(evidence: Evidence) -> list[Any]:
    bins = [{str(at): many for at, many in sorted(found.items())} for found in (evidence.real, evidence.missed)]
    return [evidence.counted, *bins, evidence.silent]


def _sum(packed: Iterable[Sequence[Any]]) -> Evidence:
    whole = Evidence()
    for counted, real, missed, silent in packed:
        whole.counted += counted
        whole.silent += silent
        for bins, found in ((whole.real, real), (whole.missed, missed)):
            for at, many in found.items():
                bins[int(at)] += many
    return whole
