"""Minutes into quarters, hours and days: nothing lost, nothing doubled, gaps stay gaps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.counting.bounds import Grounds
from camcount.counting.evidence import CROSSING_CAUSES, MISS_CAUSES, Finding
from camcount.counting.intervals import Interval, Intervals
from camcount.errors import UsageError
from camcount.geometry import Line
from camcount.storage.counts import CountBatch, CountStore, StoredInterval
from camcount.storage.database import open_database
from tests.counted import GATE, MINUTE, NOON, counted, crossing
from tests.databases import new_url, sqlite_url

HOUR, DAY = 60 * MINUTE, timedelta(days=1)
BERLIN, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CountStore]:
    """A store in an empty database of either kind."""
    database = open_database(new_url(request.param, tmp_path))
    yield CountStore(database)
    database.close()


def quiet(start: datetime, minutes: int) -> tuple[Interval, ...]:
    """Minutes that were seen and in which nobody came, from a clock and not from frames."""
    return tuple(
        Interval(
            line="gate",
            start_s=60.0 * k,
            end_s=60.0 * k + 60,
            start=start + k * MINUTE,
            end=start + (k + 1) * MINUTE,
            counts={"in": 1, "out": 0},
            by_label={"person": {"in": 1, "out": 0}},
            coverage=1.0,
            bounds=Grounds(evidence={}, missed_s=0, counted={}, rate_s=0).bounds(),
        )
        for k in range(minutes)
    )


def commit(store: CountStore, *intervals: Interval) -> None:
    """Of the one camera that there is."""
    store.commit(CountBatch(camera_id="door", intervals=intervals))


def told(found: list[StoredInterval]) -> list[tuple[str, float, int | None]]:
    """Local start, length in hours, count."""
    return [(f"{one.start:%d %H:%M%z}", elapsed(one) / HOUR, one.count) for one in found]


def elapsed(one: StoredInterval) -> timedelta:
    """Moments of one zone would be subtracted as the clock shows them."""
    return one.end.astimezone(UTC) - one.start.astimezone(UTC)


def test_a_minute_without_rows_is_a_gap_and_never_zero(store: CountStore) -> None:
    """Nor is one that was not seen; a minute that was seen and in which nobody came is zero."""
    commit(store, *counted([crossing(5)], [*range(121), *range(300, 361)]))
    found = store.intervals(since=NOON - MINUTE, until=NOON + 8 * MINUTE, step="1m", zone=UTC)
    assert [one.count for one in found] == [None, 1, 0, 0, None, None, 0, None, None]
    assert [round(one.coverage, 2) for one in found] == [0, 1, 1, 0.02, 0, 0, 1, 0, 0]
    assert all((one.counts, one.bounds, one.low, one.high) == (None,) * 4 for one in found if one.count is None)


def test_quarters_hours_and_days_add_up(store: CountStore) -> None:
    """Counts, labels, directions and coverage of minutes, whatever the step."""
    crossings = [
        crossing(37 * k, "out" if k % 3 else "in", label="car" if k % 4 else "person") for k in range(300)
    ]  # 3 h 5 min
    commit(store, *counted(crossings, range(4 * 3600 + 1)))
    for step, spans in (("1m", 1440), ("15m", 96), ("1h", 24), ("1d", 1)):
        found = store.intervals(since=NOON - 12 * HOUR, until=NOON + 12 * HOUR, step=step, zone=UTC)  # type: ignore[arg-type]
        assert len(found) == spans
        assert sum(one.counts["in"] for one in found if one.counts) == 100
        assert sum(one.counts["out"] for one in found if one.counts) == 200
        cars = [one.of("car") for one in found]
        assert sum(one.count or 0 for one in cars) == 225
        assert all(one.bounds is None for one in cars)
        seen_h = sum(one.coverage * (elapsed(one) / HOUR) for one in found)
        assert seen_h == pytest.approx(4)


def doubts(random: st.DataObject, spans: int) -> list[Finding]:
    """Findings of any kind anywhere in the hours."""
    shares = st.floats(0, 1, width=16)
    findings = []
    for _ in range(random.draw(st.integers(0, 12))):
        sure = random.draw(st.booleans())
        causes = tuple(random.draw(shares) for _ in (CROSSING_CAUSES if sure else MISS_CAUSES))
        time_s = random.draw(st.floats(0, 3600 * spans - 1))
        findings.append(Finding("gate", random.draw(st.sampled_from(("in", "out"))), time_s, sure, causes))
    return findings


@settings(max_examples=25, deadline=None)
@given(random=st.data())
def test_bounds_of_an_hour_are_those_of_the_hour_counted_at_once(
    random: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The doubts of its minutes add up: low and high are the same as if they had been weighed together."""
    spans = 2
    findings = doubts(random, spans)
    gap = random.draw(st.integers(0, 3000))
    frames = [*range(gap), *range(gap + 500, 3600 * spans + 1)]
    database = open_database(sqlite_url(tmp_path_factory.mktemp("rollup")))
    store = CountStore(database)
    by_step = []
    for every_s in (60, 3600):
        intervals = Intervals(every_s, [GATE], start_time=NOON)
        for time_s in frames:
            intervals.frame(time_s)
        for finding in findings:
            intervals.weigh(finding)
            if finding.counted:
                intervals.add(crossing(finding.time_s, finding.direction))
        by_step.append(intervals.closed(3600.0 * spans, settle_s=0))
    commit(store, *by_step[0])
    found = store.intervals(since=NOON, until=NOON + spans * HOUR, step="1h", zone=UTC)
    database.close()
    assert [(one.counts, one.bounds) for one in found] == [(one.counts, one.bounds) for one in by_step[1]]
    assert [one.coverage for one in found] == pytest.approx([one.coverage for one in by_step[1]])


def test_what_nobody_wrote_widens_the_bounds(store: CountStore) -> None:
    """An hour that the camera was away for half of may hold twice as many."""
    commit(store, *quiet(NOON, 30), *quiet(NOON + HOUR, 60))
    first, second = store.intervals(since=NOON, until=NOON + 2 * HOUR, step="1h", zone=UTC)
    assert (first.count, first.coverage) == (30, 0.5)
    assert (second.count, second.coverage) == (60, 1.0)
    assert first.high is not None
    assert first.high > 50
    assert first.low == pytest.approx(30, abs=6)


@pytest.mark.parametrize(
    ("day", "hours", "zone"),
    [
        (date(2026, 3, 29), 23, BERLIN),
        (date(2026, 10, 25), 25, BERLIN),
        (date(2026, 6, 1), 24, BERLIN),
        (date(2026, 10, 25), 24, KATHMANDU),
        (date(2026, 4, 5), 24.5, ZoneInfo("Australia/Lord_Howe")),
    ],
)
def test_days_are_those_of_the_clock(store: CountStore, day: date, hours: float, zone: tzinfo) -> None:
    """Also when it is changed, where zones are off by quarters of an hour, and where it is changed by half of one."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    start = (midnight.astimezone(UTC) - 2 * HOUR).replace(minute=0)
    commit(store, *quiet(start, 60 * 30))
    (whole,) = store.intervals(
        since=midnight, until=datetime.combine(day + DAY, midnight.timetz()), step="1d", zone=zone
    )
    assert (whole.count, elapsed(whole)) == (60 * hours, hours * HOUR)
    assert whole.coverage == pytest.approx(1)
    by_hour = store.intervals(since=whole.start, until=whole.end, step="1h", zone=zone)
    assert sum(one.count or 0 for one in by_hour) == whole.count
    assert [one.end for one in by_hour[:-1]] == [one.start for one in by_hour[1:]]


def test_an_hour_that_the_clock_shows_twice_is_two(store: CountStore) -> None:
    """Each with its own count."""
    commit(store, *quiet(datetime(2026, 10, 24, 23, 0, tzinfo=UTC), 240))
    since = datetime(2026, 10, 25, 1, 0, tzinfo=BERLIN)
    found = store.intervals(since=since, until=since.astimezone(UTC) + 4 * HOUR, step="1h", zone=BERLIN)
    assert told(found) == [
        ("25 01:00+0200", 1, 60),
        ("25 02:00+0200", 1, 60),
        ("25 02:00+0100", 1, 60),
        ("25 03:00+0100", 1, 60),
    ]


def test_a_range_may_begin_and_end_anywhere(store: CountStore) -> None:
    """The first and the last span are as long as asked for, in whole minutes."""
    commit(store, *quiet(NOON, 180))
    since, until = NOON + 7 * MINUTE + timedelta(seconds=30), NOON + 128 * MINUTE
    assert told(store.intervals(since=since, until=until, step="1h", zone=UTC)) == [
        ("01 12:07+0000", pytest.approx(53 / 60), 53),
        ("01 13:00+0000", 1, 60),
        ("01 14:00+0000", pytest.approx(8 / 60), 8),
    ]
    (few,) = store.intervals(since=since, until=since + 3 * MINUTE, step="1d", zone=UTC)
    assert few.count == 3


def test_lines_and_cameras_are_kept_apart(store: CountStore) -> None:
    """And one that was not there yet has gaps, so that every line has every span."""
    lines = [GATE, Line("back", ((0, 0.2), (1, 0.2)))]
    commit(
        store, *counted([crossing(5), crossing(6, line="back"), crossing(7, line="back")], range(121), lines=lines)
    )
    later = counted([], range(61), start=NOON + MINUTE)
    store.commit(CountBatch(camera_id="yard", intervals=later))
    found = store.intervals(since=NOON, until=NOON + 2 * MINUTE, step="1m", zone=UTC)
    assert [(one.camera_id, one.line, one.count) for one in found] == [
        ("door", "back", 2),
        ("door", "back", 0),
        ("door", "gate", 1),
        ("door", "gate", 0),
        ("yard", "gate", None),
        ("yard", "gate", 0),
    ]
    only = store.intervals(camera_id="door", line="back", since=NOON, until=NOON + MINUTE, step="1m", zone=UTC)
    assert [one.count for one in only] == [2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"since": datetime(2026, 3, 1)}, "no zone"),
        ({"until": NOON}, "no whole minute"),
        ({"step": "5m"}, "choose from 1m, 15m"),
        ({"until": NOON + 400 * DAY}, "take longer ones"),
    ],
)
def test_ranges_that_cannot_be_are_refused(store: CountStore, change: dict[str, object], words: str) -> None:
    """With what would be right."""
    asked: dict[str, object] = {"since": NOON, "until": NOON + HOUR, "step": "1m", "zone": UTC} | change
    with pytest.raises(UsageError, match=words):
        store.intervals(**asked)  # type: ignore[arg-type]
