"""Counts per time span."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.counting.intervals import Interval, Intervals, parse_duration
from camcount.errors import UsageError
from camcount.events import Crossing, Direction, Event
from camcount.geometry import Line

GATE = Line("gate", ((0, 0.5), (1, 0.5)))
BERLIN = ZoneInfo("Europe/Berlin")
BEIRUT = ZoneInfo("Asia/Beirut")
"""Where summer time begins at midnight, so that one day has none."""


def _crossing(time_s: float, direction: Direction = "in", line: str = "gate", label: str = "person") -> Crossing:
    return Crossing(
        camera_id="",
        time_s=time_s,
        track_id=1,
        label=label,
        confidence=1,
        reason="",
        point=(0, 0),
        line=line,
        direction=direction,
    )


def _spans(intervals: list[Interval]) -> list[tuple[float, float]]:
    return [(i.start_s, i.end_s) for i in intervals]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("1h", 3600),
        ("1d", 86400),
        ("1h30m", 5400),
        ("90", 90),
        ("0.5h", 1800),
        (" 2M ", 120),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Units and their sums; a bare number is seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "15 minutes", "m15", "-5m", "0s", "1h30", "5x", "1e3s", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """With an example of what is one."""
    with pytest.raises(UsageError, match="15m"):
        parse_duration(text)


def test_without_a_clock_spans_are_multiples_since_the_start() -> None:
    """Ten frames a second for 25 s in spans of 10 s: two full ones, one half seen."""
    intervals = Intervals(10, [GATE])
    for index in range(250):
        intervals.frame(index / 10)
    for event in (_crossing(3), _crossing(9.99, "out"), _crossing(10), _crossing(24, label="car")):
        intervals.add(event)
    first, second, third = intervals.all()
    assert _spans([first, second, third]) == [(0, 10), (10, 20), (20, 30)]
    assert first.counts == {"in": 1, "out": 1}
    assert second.counts == {"in": 1, "out": 0}
    assert third.by_label == {"car": {"in": 1, "out": 0}}
    assert [i.coverage for i in (first, second, third)] == pytest.approx([1, 1, 0.5])


def test_as_dict_is_ready_for_json() -> None:
    """Seconds where there is no clock, ISO 8601 in the camera's zone where there is."""
    intervals = Intervals(60, [GATE])
    intervals.frame(0.0)
    intervals.add(_crossing(1))
    (row,) = [i.as_dict() for i in intervals.all()]
    assert (row["line"], row["start"], row["end"], row["in"], row["out"]) == ("gate", 0.0, 60.0, 1, 0)
    clocked = Intervals(60, [GATE], start_time=datetime(2024, 5, 1, 12, 0, 30, tzinfo=BERLIN))
    clocked.frame(0.0)
    assert clocked.all()[0].as_dict()["start"] == "2024-05-01T12:00:00+02:00"


def test_spans_begin_on_the_cameras_clock() -> None:
    """A camera started at 10:07:30 closes its first quarter at 10:15, seen for half of it."""
    intervals = Intervals(900, [GATE], start_time=datetime(2024, 5, 1, 10, 7, 30, tzinfo=BERLIN))
    for second in range(1000):
        intervals.frame(float(second))
    first, second_one = intervals.all()
    assert first.start == datetime(2024, 5, 1, 10, 0, tzinfo=BERLIN)
    assert first.end == second_one.start == datetime(2024, 5, 1, 10, 15, tzinfo=BERLIN)
    assert (first.start_s, first.end_s) == (-450, 450)
    assert first.coverage == pytest.approx(0.5)


def test_the_given_zone_goes_before_that_of_the_start() -> None:
    """Half past the hour in UTC is a quarter past in Kathmandu, where the day begins 5:45 earlier."""
    start = datetime(2024, 5, 1, 10, 30, tzinfo=UTC)
    intervals = Intervals(3600, [GATE], start_time=start, zone=ZoneInfo("Asia/Kathmandu"))
    intervals.frame(0.0)
    assert intervals.all()[0].start == datetime(2024, 5, 1, 10, 15, tzinfo=UTC)
    fixed = Intervals(3600, [GATE], start_time=start.astimezone(timezone(timedelta(hours=5, minutes=45))))
    fixed.frame(0.0)
    assert fixed.all()[0].start == datetime(2024, 5, 1, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "every_h", "hours"),
    [
        (datetime(2024, 3, 31, tzinfo=BERLIN), 1, [1.0] * 23),
        (datetime(2024, 10, 27, tzinfo=BERLIN), 1, [1.0] * 25),
        (datetime(2024, 3, 31, tzinfo=BERLIN), 6, [5.0, 6.0, 6.0, 6.0]),
        (datetime(2024, 10, 27, tzinfo=BERLIN), 6, [7.0, 6.0, 6.0, 6.0]),
        (datetime(2024, 3, 31, tzinfo=BERLIN), 24, [23.0]),
        (datetime(2024, 10, 27, tzinfo=BERLIN), 24, [25.0]),
        (datetime(2023, 3, 26, 1, tzinfo=BEIRUT), 24, [23.0]),
        (datetime(2024, 5, 1, tzinfo=BERLIN), 7, [7.0, 7.0, 7.0, 3.0]),
    ],
)
def test_days_when_the_clock_changes_are_covered_once(day: datetime, every_h: int, hours: list[float]) -> None:
    """Spans follow one another without gap or overlap from midnight to midnight, and begin on the wall clock."""
    intervals = Intervals(every_h * 3600, [GATE], start_time=day)
    intervals.frame(0.0)
    intervals.frame(sum(hours) * 3600 - 1)
    told = intervals.all()
    assert [(i.end_s - i.start_s) / 3600 for i in told] == hours
    assert all(a.end_s == b.start_s for a, b in pairwise(told))
    assert all(i.start is not None and i.start.minute == 0 for i in told)
    assert all(i.start is not None and i.start.hour % every_h == day.hour for i in told)


def test_quarters_of_the_hour_that_comes_twice_are_told_apart() -> None:
    """From 2:00 to 3:00 in October there are eight quarters, each of fifteen minutes."""
    start = datetime(2024, 10, 27, 2, 0, tzinfo=BERLIN)
    intervals = Intervals(900, [GATE], start_time=start)
    intervals.frame(0.0)
    intervals.frame(7199.0)
    told = intervals.all()
    assert [i.end_s - i.start_s for i in told] == [900.0] * 8
    assert len({i.as_dict()["start"] for i in told}) == 8


def test_a_camera_that_was_away_leaves_a_gap_in_the_coverage() -> None:
    """Frames until 20 s and again from 50 s: half of the first minute was seen."""
    intervals = Intervals(60, [GATE], gap_s=2)
    for index in [*range(20), 50]:
        intervals.frame(float(index))
    assert intervals.all()[0].coverage == pytest.approx(21 / 60)
    for index in range(51, 60):
        intervals.frame(float(index))
    assert intervals.all()[0].coverage == pytest.approx(0.5)


def test_a_slow_camera_is_no_gap() -> None:
    """A picture every five seconds is that camera's rate, not an outage."""
    intervals = Intervals(60, [GATE], gap_s=2)
    for index in range(13):
        intervals.frame(index * 5.0)
    assert intervals.all()[0].coverage == pytest.approx(1.0)


def test_empty_spans_and_idle_lines_are_there() -> None:
    """A line that joins later, too; a report without holes."""
    lines = [GATE]
    intervals = Intervals(10, lines)
    intervals.frame(1.0)
    intervals.frame(35.0)
    lines.append(Line("door", ((0, 0.2), (1, 0.2))))
    told = intervals.all()
    assert [(i.line, i.start_s) for i in told] == [(n, s) for s in (0, 10, 20, 30) for n in ("gate", "door")]
    assert told[2].coverage == 0
    assert sum(sum(i.counts.values()) for i in told) == 0


def test_events_dated_back_count_where_they_happened() -> None:
    """A crossing understood a second after the turn belongs before it; other events are not counted."""
    intervals = Intervals(10, [GATE])
    intervals.frame(9.0)
    intervals.frame(10.5)
    intervals.add(_crossing(9.8))
    intervals.add(Event(camera_id="", time_s=1, track_id=1, label="", confidence=1, reason="", point=(0, 0)))
    assert [i.counts["in"] for i in intervals.all()] == [1, 0]


def test_closed_intervals_come_once_and_are_forgotten() -> None:
    """For a camera that never ends; what arrives too late goes to the next span instead of nowhere."""
    intervals = Intervals(10, [GATE])
    told: list[Interval] = []
    for index in range(1000):
        intervals.frame(index / 10)
        told += intervals.closed(index / 10)
        assert len(intervals._spans) <= 2
    assert _spans(told) == [(n * 10.0, n * 10.0 + 10) for n in range(9)]
    assert all(i.coverage == pytest.approx(1.0) for i in told)
    intervals.add(_crossing(5.0))
    first = intervals.all()[0]
    assert (first.start_s, first.counts["in"]) == (90.0, 1)


@pytest.mark.parametrize("every_s", [0.5, 0, -1, 86401, float("nan")])
def test_spans_that_make_no_sense_are_refused(every_s: float) -> None:
    """Below a second, above a day."""
    with pytest.raises(UsageError, match="1s to 1d"):
        Intervals(every_s, [GATE])


@settings(deadline=None)  # the first bounds of a process take longer than all later ones
@given(
    start=st.datetimes(datetime(2023, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    every_s=st.sampled_from([60, 420, 900, 3600, 7200, 21600, 86400]),
    times=st.lists(st.floats(0, 4000), min_size=1, max_size=12),
)
def test_every_crossing_is_counted_once_in_its_own_span(
    start: datetime, zone: str, every_s: int, times: list[float]
) -> None:
    """In any zone at any time of year: spans join up, hold what happened in them, and lose nothing."""
    intervals = Intervals(every_s, [GATE], start_time=start, zone=ZoneInfo(zone))
    for time_s in sorted(times):
        intervals.frame(time_s)
        intervals.add(_crossing(time_s))
    told = intervals.all()
    assert all(a.end_s == b.start_s for a, b in pairwise(told))
    for interval in told:
        assert interval.counts["in"] == sum(interval.start_s <= t < interval.end_s for t in times)
        assert 0 <= interval.coverage <= 1
        assert interval.start is not None
        assert interval.start == start + timedelta(seconds=interval.start_s)
    assert sum(i.counts["in"] for i in told) == len(times)
