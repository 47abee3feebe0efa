"""Counts of minutes into counts of longer spans: how they add up, and what is left open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from camcount.counting.bounds import Bounds, Evidence, Grounds, total
from camcount.counting.intervals import Interval
from camcount.errors import UsageError

MINUTE_S, QUARTER_S, HOUR_S = 60, 900, 3600
WAYS = ("in", "out")
_QUIET = Grounds(evidence={}, missed_s=0.0, counted={}, rate_s=0.0).bounds()
"""The bounds of a span in which nothing happened: most are, and so need not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInterval:
    """What one line of one camera counted in one span of time.

    Attributes:
        start, end: aware, on the clock that was asked for.
        counts: by direction; None in a gap, for what nobody saw is not zero.
        by_label: label -> direction -> count.
        coverage: share of the span, 0..1, that was seen; 0 in a gap.
        grounds: what the bounds are made of once somebody asks, for that takes milliseconds; None in a gap, and for
            counts of one label.
        known: the bounds, where they were stored.
    """

    camera_id: str
    line: str
    start: datetime
    end: datetime
    counts: dict[str, int] | None
    by_label: dict[str, dict[str, int]]
    coverage: float
    grounds: Grounds | None = None
    known: dict[str, Bounds] | None = None

    @property
    def bounds(self) -> dict[str, Bounds] | None:
        """Of ``in``, ``out`` and ``total``, see `camcount.counting.intervals.Interval`; None where there are none."""
        return self.known if self.known is not None or self.grounds is None else self.grounds.bounds()

    @property
    def count(self) -> int | None:
        """In both directions; None in a gap."""
        return None if self.counts is None else sum(self.counts.values())

    @property
    def low(self) -> int | None:
        """Lower bound of the count in both directions."""
        return None if (limits := self._total()) is None else limits.low

    @property
    def high(self) -> int | None:
        """Upper bound of the count in both directions; None also where nothing is known."""
        return None if (limits := self._total()) is None else limits.high

    def _total(self) -> Bounds | None:
        if self.known is not None:
            return self.known["total"]
        return None if self.grounds is None else self.grounds.total()

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
        bounds = self.bounds
        total = bounds["total"] if bounds else None
        return {
            "camera_id": self.camera_id,
            "line": self.line,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            **counts,
            "count": self.count,
            "low": total.low if total else None,
            "high": total.high if total else None,
            "coverage": round(self.coverage, 4),
            "by_label": self.by_label,
            "bounds": {way: one.as_dict() for way, one in bounds.items()} if bounds else None,
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


def coarser(step_s: int, start: int, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The row of a longer span from those of the shorter ones in it, in their order."""
    counts, by_label, grounds = merged(rows)
    key = {name: rows[0][name] for name in ("camera_id", "line")} | {"step_s": step_s, "start": start}
    sums = {name: sum(row[name] for row in rows) for name in ("known_s", "seen_s")}
    return key | sums | _content(counts, by_label, grounds, grounds.bounds())


def merged(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, int], dict[str, dict[str, int]], Grounds]:
    """Counts, counts by label, and the grounds of their bounds, of rows that follow each other."""
    by_label: dict[str, dict[str, int]] = {}
    for row in rows:
        for label, counts in (row["by_label"] or {}).items():
            one = by_label.setdefault(label, dict.fromkeys(WAYS, 0))
            for way, many in counts.items():
                one[way] += many
    packed = [row["evidence"] for row in rows if row["evidence"]]
    grounds = Grounds(
        evidence={way: _sum(one[way] for one in packed if way in one) for way in WAYS},
        missed_s=sum(row["missed_s"] for row in rows),
        counted={way: rows[-1][f"rate_{way}"] for way in WAYS},
        rate_s=rows[-1]["rate_s"],
    )
    return {way: sum(row[f"count_{way}"] for row in rows) for way in WAYS}, by_label, grounds


def bounds_of_row(row: Mapping[str, Any]) -> dict[str, Bounds]:
    """As they were stored."""
    if row["bounds"] is None:
        return dict(_QUIET)
    return {way: Bounds(low=low, high=high) for way, (low, high) in row["bounds"].items()}


def _content(
    counts: Mapping[str, int],
    by_label: Mapping[str, Mapping[str, int]],
    grounds: Grounds,
    bounds: Mapping[str, Bounds],
) -> dict[str, Any]:
    """The columns that are not the key; what says nothing takes no space."""
    limits = {way: [one.low, one.high] for way, one in bounds.items()}
    evidence = {way: _packed(one) for way, one in grounds.evidence.items() if one != Evidence()}
    return {
        **{f"count_{way}": counts[way] for way in WAYS},
        "by_label": dict(by_label) or None,
        "bounds": None if bounds == _QUIET else limits,
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
    return total(
        Evidence(
            counted,
            Counter({int(at): many for at, many in real.items()}),
            Counter({int(at): many for at, many in missed.items()}),
            silent,
        )
        for counted, real, missed, silent in packed
    )
