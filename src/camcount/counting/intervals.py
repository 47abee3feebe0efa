"""Counts per time span, with how sure they are and how much of the span was truly seen."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache, partial
from typing import Any

from camcount.counting.bounds import Bounds, Evidence, Grounds
from camcount.counting.evidence import Finding
from camcount.counting.seen import Seen
from camcount.errors import UsageError
from camcount.events import Crossing, Event
from camcount.geometry import Line

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
DAY_S = 86400.0


def parse_duration(text: str) -> float:
    """Seconds from ``90``, ``30s``, ``15m``, ``1h``, ``1d`` or a sum such as ``1h30m``.

    >>> parse_duration("1h30m")
    5400.0

    Raises:
        UsageError: the text is not of that form, or is nothing.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms]?)", text.strip().lower())
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    bare = sum(not unit for _, unit in parts)
    if "".join(number + unit for number, unit in parts) != text.strip().lower() or bare > (len(parts) == 1):
        raise UsageError(f"{text!r} is no duration: write 30s, 15m, 1h, 1d or a sum such as 1h30m")
    if not 0 < seconds < float("inf"):
        raise UsageError(f"the duration {text!r} is nothing: give one above 0, for example 15m")
    return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What one line counted in one time span.

    Attributes:
        start_s, end_s: the span in seconds since the start of the source; ``start_s`` may be below 0, for spans
            begin on the clock.
        start, end: the same on the clock of the camera, where it is known.
        counts: by direction.
        by_label: label -> direction -> count.
        coverage: share of the span, 0..1, in which frames arrived.
        bounds: of ``in``, ``out`` and ``total``. They speak of the part of the span between the first and the last
            frame of all: for what was not seen of it at the line's usual rate, for nothing before or after.
        grounds: what the bounds were made of, from which those of several intervals together can be made.
    """

    line: str
    start_s: float
    end_s: float
    start: datetime | None = None
    end: datetime | None = None
    counts: dict[str, int]
    by_label: dict[str, dict[str, int]]
    coverage: float
    bounds: dict[str, Bounds]
    grounds: Grounds | None = None

    @property
    def count(self) -> int:
        """In both directions."""
        return sum(self.counts.values())

    @property
    def low(self) -> int:
        """Lower bound of the count in both directions."""
        return self.bounds["total"].low

    @property
    def high(self) -> int | None:
        """Upper bound of the count in both directions; None where nothing is known."""
        return self.bounds["total"].high

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; ``start`` and ``end`` are ISO 8601 where the clock is known, else seconds."""
        return {
            "line": self.line,
            "start": self.start.isoformat() if self.start else self.start_s,
            "end": self.end.isoformat() if self.end else self.end_s,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            **self.counts,
            "by_label": self.by_label,
            "count": self.count,
            "low": self.low,
            "high": self.high,
            "bounds": {way: bounds.as_dict() for way, bounds in self.bounds.items()},
            "coverage": round(self.coverage, 4),
        }


@dataclass(slots=True)
class _Span:
    """One time span being filled."""

    start_s: float
    end_s: float
    seen_s: float = 0.0
    lines: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    evidence: dict[tuple[str, str], Evidence] = field(default_factory=partial(defaultdict, Evidence))


class Intervals:
    """Crossings into time spans of ``every_s`` seconds.

    Spans begin on the clock in the camera's time zone, counted from midnight, where ``start_time`` is known (``zone``
    goes before the zone of ``start_time``), else at multiples of ``every_s`` since the start. On days when the clock
    is changed no span is counted twice and none is lost; one that holds the change is longer or shorter.
    What was seen: see `Seen`. A line that joins ``lines`` later is told of too.

    Raises:
        UsageError: ``every_s`` is below a second, or above a day.
    """

    def __init__(
        self,
        every_s: float,
        lines: Sequence[Line],
        *,
        start_time: datetime | None = None,
        zone: tzinfo | None = None,
        gap_s: float = 2.0,
    ) -> None:
        if not 1 <= every_s <= DAY_S:
            raise UsageError(f"intervals of {every_s:g} s cannot be had: --every takes 1s to 1d, for example 15m")
        self._every_s = every_s
        self._lines = lines
        self._start = start_time if start_time is None or zone is None else start_time.astimezone(zone)
        self._seen = Seen(gap_s)
        self._counted: Counter[tuple[str, str]] = Counter()
        self._spans: list[_Span] = []
        self._closed_s = float("-inf")

    def frame(self, time_s: float) -> None:
        """A frame arrived."""
        self._span(time_s)
        for begin_s, end_s in self._seen.frame(time_s):
            self._see(begin_s, end_s)

    def passed(self, time_s: float) -> None:
        """Time went by without a frame: spans up to there are told of too, as not seen."""
        if self._spans or self._closed_s > float("-inf"):
            self._span(time_s)

    def add(self, event: Event) -> None:
        """Counts a crossing where it happened; other events are not counted here."""
        if isinstance(event, Crossing):
            by_label = self._span(event.time_s).lines.setdefault(event.line, {})
            by_label.setdefault(event.label, {"in": 0, "out": 0})[event.direction] += 1
            self._span(event.time_s).evidence[event.line, event.direction].counted += 1
            self._counted[event.line, event.direction] += 1

    def weigh(self, finding: Finding) -> None:
        """Takes what a `Witness` found into the bounds of its span."""
        self._span(finding.time_s).evidence[finding.line, finding.direction].add(finding)

    def all(self) -> list[Interval]:
        """Every span from the first to the last, a line each; the last frame lasts as long as the closest two."""
        last = self._seen.last_s
        return [i for span in self._spans for i in self._told(span, last)]

    def closed(self, time_s: float, settle_s: float = 6.0) -> list[Interval]:
        """The intervals that ended ``settle_s`` ago or earlier; they are forgotten here, so that each comes once.

        Whoever walks on behind something is counted so much later at most; what comes still later goes to the next.
        """
        done = [span for span in self._spans if span.end_s + settle_s <= time_s]
        self._spans = self._spans[len(done) :]
        self._closed_s = done[-1].end_s if done else self._closed_s
        return [i for span in done for i in self._told(span, None)]

    def _told(self, span: _Span, last_s: float | None) -> Iterator[Interval]:
        seen_s = span.seen_s
        if last_s is not None and span.start_s <= last_s < span.end_s:
            seen_s += min(self._seen.frame_s, span.end_s - last_s)
        names = dict.fromkeys([line.name for line in self._lines] + list(span.lines))
        for name in names:
            by_label = span.lines.get(name, {})
            grounds = self._grounds(name, span, self._missed_s(span, seen_s, last_s))
            yield Interval(
                line=name,
                start_s=span.start_s,
                end_s=span.end_s,
                start=self._clock(span.start_s),
                end=self._clock(span.end_s),
                counts={d: sum(counts[d] for counts in by_label.values()) for d in ("in", "out")},
                by_label={label: dict(counts) for label, counts in by_label.items()},
                coverage=min(seen_s / (span.end_s - span.start_s), 1.0),
                bounds=grounds.bounds(),
                grounds=grounds,
            )

    def _missed_s(self, span: _Span, seen_s: float, last_s: float | None) -> float:
        """How much of the span was not seen though the source ran."""
        begin_s = max(span.start_s, self._seen.start_s)
        end_s = span.end_s if last_s is None else min(span.end_s, last_s + self._seen.frame_s)
        missed_s = end_s - begin_s - seen_s
        return missed_s if missed_s > 1e-6 else 0.0

    def _grounds(self, line: str, span: _Span, missed_s: float) -> Grounds:
        ways = ("in", "out")
        return Grounds(
            evidence={way: span.evidence[line, way] for way in ways if (line, way) in span.evidence},
            missed_s=missed_s,
            counted={way: self._counted[line, way] for way in ways},
            rate_s=self._seen.seen_s,
        )

    def _see(self, begin_s: float, end_s: float) -> None:
        begin_s = max(begin_s, self._closed_s)
        while begin_s < end_s:
            span = self._span(begin_s)
            until = min(end_s, span.end_s)
            span.seen_s += until - begin_s
            begin_s = until

    def _span(self, time_s: float) -> _Span:
        """The span that holds a moment; spans between it and the others are opened too."""
        time_s = max(time_s, self._closed_s)
        if not self._spans:  # those told last are followed without a gap
            begin_s = self._closed_s if self._closed_s > float("-inf") else time_s
            self._spans.append(_Span(*self._bounds(begin_s)))
        while time_s >= self._spans[-1].end_s:
            self._spans.append(_Span(*self._bounds(self._spans[-1].end_s)))
        while time_s < self._spans[0].start_s:
            self._spans.insert(0, _Span(*self._bounds(self._spans[0].start_s, before=True)))
        at = bisect_right(self._spans, time_s, key=lambda span: span.start_s)
        return self._spans[at - 1]

    def _bounds(self, time_s: float, before: bool = False) -> tuple[float, float]:
        """Start and end in seconds of the span that holds ``time_s``, or of the one that ends there."""
        if self._start is None:
            number = round(time_s / self._every_s, 9) // 1 - before
            return number * self._every_s, (number + 1) * self._every_s
        start = self._start.astimezone(UTC)
        # whole microseconds, so that a bound found from seconds is the same bound again
        moment = start + timedelta(microseconds=round(time_s * 1e6)) - timedelta(microseconds=before)
        begin, end = _on_the_clock(moment, self._every_s, self._start.tzinfo or UTC)
        return (begin - start).total_seconds(), (end - start).total_seconds()

    def _clock(self, time_s: float) -> datetime | None:
        if self._start is None:
            return None
        moment = self._start.astimezone(UTC) + timedelta(microseconds=round(time_s * 1e6))
        return moment.astimezone(self._start.tzinfo)


def clock_bounds(since: datetime, until: datetime, every_s: float, zone: tzinfo) -> list[datetime]:
    """Where spans begin on the clock of a zone from ``since`` to ``until``, both of them included, in UTC.

    >>> bounds = clock_bounds(datetime(2026, 3, 1, 0, 50, tzinfo=UTC), datetime(2026, 3, 1, 2, tzinfo=UTC), 3600, UTC)
    >>> [f"{bound:%H:%M}" for bound in bounds]
    ['00:50', '01:00', '02:00']
    """
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    found, day = [since], since.astimezone(zone).date()
    while day <= until.astimezone(zone).date():
        found += [bound for bound in _bounds_of_day(day, every_s, zone) if since < bound < until]
        day += timedelta(days=1)
    return [*found, until]


def _on_the_clock(moment: datetime, every_s: float, zone: tzinfo) -> tuple[datetime, datetime]:
    """The UTC bounds of the span that holds a UTC moment."""
    day = moment.astimezone(zone).date()
    bounds = _bounds_of_day(day, every_s, zone) + _bounds_of_day(day + timedelta(days=1), every_s, zone)[:1]
    at = bisect_right(bounds, moment)
    return bounds[at - 1], bounds[at]


@lru_cache(maxsize=8)
def _bounds_of_day(day: date, every_s: float, zone: tzinfo) -> list[datetime]:
    """The UTC moments at which spans begin on one local day, rising."""
    midnight = datetime.combine(day, time())
    steps = [timedelta(seconds=number * every_s) for number in range(int(-(-DAY_S // every_s)))]
    first = midnight.replace(tzinfo=zone)
    if first.utcoffset() == (first + steps[-1]).utcoffset() == (first + timedelta(days=1)).utcoffset():
        began = first.astimezone(UTC)
        return [began + step for step in steps]
    moments = set()
    for number, step in enumerate(steps):
        wall = midnight + step
        for fold in (0, 1):  # an hour that the clock shows twice begins spans twice
            moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            if (number, fold) == (0, 0) or moment.astimezone(zone).replace(tzinfo=None) == wall:
                moments.add(moment)
    return sorted(moments)
