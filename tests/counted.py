"""Crossings and intervals as cameras give them, for the tests of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from camcount.counting.intervals import Interval, Intervals
from camcount.events import Crossing, Direction
from camcount.geometry import Line

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GATE = Line("gate", ((0, 0.5), (1, 0.5)))
MINUTE = timedelta(minutes=1)


def crossing(
    seconds: float = 0.0,
    direction: Direction = "in",
    *,
    camera_id: str = "door",
    line: str = "gate",
    label: str = "person",
    start: datetime | None = NOON,
) -> Crossing:
    """Somebody goes over the line so many seconds after the start."""
    return Crossing(
        camera_id=camera_id,
        time_s=float(seconds),
        time=None if start is None else start + timedelta(seconds=seconds),
        track_id=int(seconds * 10),
        label=label,
        confidence=0.9,
        reason="stayed beyond the line",
        point=(12.0, 34.5),
        line=line,
        direction=direction,
    )


def counted(
    crossings: Iterable[Crossing],
    frames: Sequence[float],
    *,
    start: datetime = NOON,
    every_s: float = 60,
    zone: tzinfo | None = None,
    lines: Sequence[Line] = (GATE,),
) -> tuple[Interval, ...]:
    """The finished intervals of a camera whose frames came at these seconds, one second apart where it was well."""
    intervals = Intervals(every_s, lines, start_time=start, zone=zone)
    for time_s in frames:
        intervals.frame(time_s)
    for one in crossings:
        intervals.add(one)
    return tuple(intervals.closed(frames[-1], settle_s=0))
