"""Time series of measurements in the database; the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, text

from camcount.errors import InvalidInput, UsageError
from camcount.storage.database import Database, open_database
from camcount.storage.measured import TABLE
from camcount.storage.measurements import METRICS, Measurements
from camcount.storage.recorder import TimeSeriesRecorder
from camcount.storage.retention import Retention, prune
from tests.databases import new_server, new_url, sqlite_url
from tests.requests_made import ended

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = NOON.timestamp()

    def __call__(self) -> float:
        return self.now

    def at(self, seconds: float) -> None:
        """So many seconds after noon."""
        self.now = NOON.timestamp() + seconds


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open, empty database of either kind."""
    database = open_database(new_url(request.param, tmp_path))
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    """Noon."""
    return Clock()


def record_minute(database: Database, clock: Clock, start_s: float = 0.0) -> list[float]:
    """A minute of one request a second to each of two versions, 10 to 69 ms long; returns the durations."""
    clock.at(start_s)
    recorder = TimeSeriesRecorder(database, clock=clock)
    totals = [0.010 + 0.001 * second for second in range(60)]
    for second, total in enumerate(totals):
        clock.at(start_s + second)
        recorder.record(ended(version="1.0.0", total_s=total))
        recorder.record(ended(version="1.1.0", total_s=total, batch=2))
    recorder.close()
    return totals


def series(database: Database, seconds: float = 60, model: str = "people", **how: Any) -> list[dict[str, Any]]:
    """The points of so many seconds from noon on."""
    how.setdefault("now", NOON + timedelta(hours=3))
    return Measurements(database).series(model, NOON, NOON + timedelta(seconds=seconds), **how)


def rounded(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sums in another order differ in their last digits."""
    return [{name: float(f"{v:.9g}") if isinstance(v, float) else v for name, v in p.items()} for p in points]


def rows(database: Database) -> int:
    """How many rows there are."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(TABLE)).scalar() or 0)


def test_a_series_has_a_point_every_ten_seconds(database: Database, clock: Clock) -> None:
    """In order, dated at the bucket's beginning in UTC, both versions together."""
    record_minute(database, clock)
    points = series(database)
    assert [point["time"] for point in points] == [NOON + 10 * k * SECOND for k in range(6)]
    assert all(point["time"].tzinfo is UTC for point in points)
    assert [point["requests"] for point in points] == [20] * 6
    assert {point["requests_per_s"] for point in points} == {2.0}
    assert [round(point["latency_avg_s"], 4) for point in points] == [0.0145 + 0.01 * k for k in range(6)]


def test_one_version_can_be_asked_for(database: Database, clock: Clock) -> None:
    """By name:version."""
    record_minute(database, clock)
    assert {point["batch_size_avg"] for point in series(database, model="people:1.1.0")} == {2.0}
    assert {point["batch_size_avg"] for point in series(database, model="people:1.0.0")} == {1.0}
    assert {point["requests"] for point in series(database, model="dogs")} == {0}


def test_percentiles_of_a_coarser_step_are_those_of_all_requests(database: Database, clock: Clock) -> None:
    """Not averages of the percentiles of its parts: within 2 % of NumPy's over the raw durations."""
    totals = record_minute(database, clock)
    [point] = series(database, step_s=60)
    for share, name in ((0.5, "latency_p50_s"), (0.95, "latency_p95_s"), (0.99, "latency_p99_s")):
        assert point[name] == pytest.approx(np.quantile(totals, share, method="lower"), rel=0.03)
    assert point["latency_avg_s"] == pytest.approx(np.mean(totals))
    assert point["requests"] == 120


def test_every_metric_means_what_it_says(database: Database, clock: Clock) -> None:
    """One bucket with one of each kind of request, reckoned by hand."""
    recorder = TimeSeriesRecorder(database, clock=clock)
    recorder.record(ended(total_s=0.060, queue_s=0.010))
    recorder.record(ended(total_s=0.100, queue_s=0.030, fallback="crowd"))
    recorder.record(ended(total_s=0.001, cached=True, computed=False))
    recorder.record(ended(outcome="INF_004", total_s=9.0))
    recorder.record(ended(outcome="RES_001", computed=False))
    recorder.record(ended(outcome="cancelled", computed=False))
    recorder.close()
    [point] = series(database, 10)
    expected = {
        "requests": 6,
        "requests_per_s": 0.6,
        "frames_per_s": 0.3,
        "errors": {"INF_004": 1, "RES_001": 1},
        "error_share": 0.4,
        "fallbacks": 1,
        "batch_size_avg": 1.0,
    }
    assert {name: point[name] for name in expected} == expected
    assert point["latency_avg_s"] == pytest.approx(0.161 / 3)
    assert point["queue_avg_s"] == pytest.approx(0.020)
    assert point["queue_p95_s"] == pytest.approx(0.010, rel=0.03)
    assert point["preprocess_avg_s"] == pytest.approx(0.005)
    assert point["inference_avg_s"] == pytest.approx(0.040)
    assert point["postprocess_avg_s"] == pytest.approx(0.001)
    assert point["cache_hit_share"] == pytest.approx(1 / 3)
    assert 0 <= point["cpu_share"] <= 1.5  # the system counts processor time in ticks
    assert point["memory_bytes"] > 10e6


def test_a_server_without_requests_shows_zero_and_no_server_nothing(database: Database, clock: Clock) -> None:
    """A gap in the series says that nobody measured; throughput 0 that nobody asked."""
    recorder = TimeSeriesRecorder(database, clock=clock)
    clock.at(10)
    recorder.record(ended())
    recorder.close()
    points = series(database)
    assert [(p["requests_per_s"], p["latency_p95_s"] is None) for p in points] == [(0.0, True), (0.1, False)]


def test_only_the_names_asked_for_come_back(database: Database, clock: Clock) -> None:
    """In the order they were asked for, after the time."""
    record_minute(database, clock)
    assert list(series(database, names=["queue_avg_s", "errors"])[0]) == ["time", "queue_avg_s", "errors"]
    assert list(series(database)[0]) == ["time", *METRICS]


def test_an_unknown_name_lists_the_known_ones(database: Database) -> None:
    """So that nobody has to look for the documentation."""
    with pytest.raises(InvalidInput, match=r"speed.*latency_avg_s.*memory_bytes"):
        series(database, names=["speed", "errors"])


@pytest.mark.parametrize(
    ("since", "until", "step_s", "words"),
    [
        (NOON.replace(tzinfo=None), NOON, None, "no zone"),
        (NOON, NOON, None, "ends before it begins"),
        (NOON, NOON + timedelta(days=30), 1.0, "more than 5000 points"),
        (NOON, NOON + SECOND, -1.0, "longer"),
        (NOON, NOON + SECOND, float("nan"), "longer"),
    ],
)
def test_ranges_without_sense_are_refused(
    tmp_path: Path, since: datetime, until: datetime, step_s: float | None, words: str
) -> None:
    """With the reason."""
    database = open_database(sqlite_url(tmp_path))
    with pytest.raises(InvalidInput, match=words):
        Measurements(database).series("people", since, until, step_s=step_s, now=NOON)
    database.close()


@pytest.mark.parametrize(
    ("hours", "step"), [(1, 10), (2, 30), (8, 60), (24, 300), (5 * 24, 900), (20 * 24, 3600), (700 * 24, 7 * 86400)]
)
def test_longer_ranges_have_coarser_steps(tmp_path: Path, hours: int, step: int) -> None:
    """At most 500 points, however long the range."""
    database = open_database(sqlite_url(tmp_path))
    since, until = NOON - timedelta(hours=hours), NOON
    assert Measurements(database)._step(since, until, None, NOON) == step
    assert (until - since).total_seconds() / step <= 500
    database.close()


def test_what_was_not_written_yet_does_not_count_as_silence(database: Database, clock: Clock) -> None:
    """The rate of the last point is over the time that has been written."""
    record_minute(database, clock)
    [point] = series(database, 3600, step_s=3600, now=NOON + timedelta(seconds=65))
    assert point["requests_per_s"] == 2.0


def test_old_rows_become_minutes_and_then_hours(database: Database, clock: Clock) -> None:
    """Nothing is lost on the way but detail; two years on it goes."""
    for minute in (0, 1, 61):
        record_minute(database, clock, 60 * minute)
    before = series(database, 7200, step_s=3600)
    assert rows(database) == 3 * 6 * 3
    prune(database, Retention(), NOON + timedelta(hours=49))
    assert rows(database) == 2 * 3 + 6 * 3  # the minutes of the first hour, the last one still raw
    assert rounded(series(database, 7200, step_s=3600)) == rounded(before)
    prune(database, Retention(), NOON + timedelta(days=31))
    assert rows(database) == 2 * 3
    after = Measurements(database).series(
        "people", NOON, NOON + timedelta(hours=2), step_s=10, now=NOON + timedelta(days=31)
    )
    assert [point["time"] for point in after] == [NOON, NOON + timedelta(hours=1)]
    assert [p["latency_p95_s"] for p in after] == [p["latency_p95_s"] for p in before]
    assert prune(database, Retention(), NOON + timedelta(days=800)) == 6
    assert rows(database) == 0


def test_two_servers_add_up(database: Database, clock: Clock) -> None:
    """Processes that share a database share its series."""
    first, second = TimeSeriesRecorder(database, clock=clock), TimeSeriesRecorder(database, clock=clock)
    first.record(ended(total_s=0.010))
    second.record(ended(total_s=0.030))
    first.close()
    second.close()
    [point] = series(database, 10)
    assert (point["requests"], point["latency_avg_s"]) == (2, pytest.approx(0.020))


def test_a_clock_that_is_set_back_loses_nothing(database: Database, clock: Clock) -> None:
    """The same ten seconds happen twice, and both count."""
    recorder = TimeSeriesRecorder(database, clock=clock)
    for seconds in (5, 15, 5):
        clock.at(seconds)
        recorder.record(ended())
    recorder.close()
    assert [point["requests"] for point in series(database)] == [2, 1]


@pytest.mark.alone
def test_a_killed_server_loses_one_bucket_at_most(database: Database) -> None:
    """kill -9 in the middle of a steady load: what is missing arrived within the last step."""
    code = (
        "import sys, time; from camcount.stats import RequestStats\n"
        "from camcount.storage.database import open_database\n"
        "from camcount.storage.recorder import TimeSeriesRecorder\n"
        f"recorder = TimeSeriesRecorder(open_database({database.url.render_as_string(False)!r}), step_s=1.0)\n"
        "for number in range(10_000):\n"
        "    recorder.record(RequestStats(model='people', version='1.0.0'))\n"
        "    print(time.time(), flush=True); time.sleep(0.01)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(3.5)
    process.send_signal(signal.SIGKILL)
    moments = [float(line) for line in process.stdout.read().splitlines()]
    process.wait()
    process.stdout.close()
    with database.reading() as connection:
        kept = int(connection.execute(select(func.sum(TABLE.c.requests))).scalar() or 0)
    assert 0 < kept <= len(moments) + 2  # the first line was read before, the last may not have been written
    missing = moments[kept - 1 :]  # none at all, if it was killed just after a step was written
    # the step, and the write of the one before on a busy machine
    assert not missing or missing[-1] - missing[0] <= 1.5


def test_measurements_wait_for_a_database_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """One line when it goes, one when it is back, and nothing missing."""
    server, clock = new_server(), Clock()
    try:
        database = open_database(server.url())
        recorder = TimeSeriesRecorder(database, clock=clock)
        server.stop()
        with caplog.at_level(logging.WARNING, "camcount.storage"):
            for second in range(0, 50, 10):
                clock.at(second)
                recorder.record(ended())
                recorder._write()
            assert [record.message[:8] for record in caplog.records] == ["SYS_002:"]
            server.start()
            recorder._write()
            assert "back; 0 rows" in caplog.messages[-1]
        recorder.close()
        assert [point["requests"] for point in series(database)] == [1] * 5
        database.close()
    finally:
        server.stop()


def test_the_backlog_is_bounded(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The oldest rows go first, and are counted."""
    database = open_database(sqlite_url(tmp_path))
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE measurements RENAME TO elsewhere"))
    recorder = TimeSeriesRecorder(database, clock=clock, backlog=8)
    for second in range(0, 100, 10):
        clock.at(second)
        recorder.record(ended())
    recorder._write()
    assert (len(recorder._backlog), recorder.lost) == (8, 10)
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO measurements"))
    recorder.close()
    assert rows(database) == 8
    database.close()


def test_a_row_that_no_database_takes_does_not_hold_up_the_others(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out, counted and logged; the next ones are written."""
    recorder = TimeSeriesRecorder(database, clock=clock)
    recorder._number = 2**63
    recorder.record(ended())
    clock.at(10)
    recorder.record(ended(total_s=0.5))
    recorder._write()
    assert (recorder.lost, len(recorder._backlog)) == (2, 0)
    assert "left out" in caplog.text
    recorder._number = 0
    recorder.close()
    assert [point["latency_avg_s"] for point in series(database)] == [0.5]


def test_rows_that_were_written_already_are_not_written_twice(database: Database, clock: Clock) -> None:
    """The answer to a commit may get lost, and then it is tried again."""
    recorder = TimeSeriesRecorder(database, clock=clock)
    recorder.record(ended())
    recorder._turn(recorder._bucket)
    waiting = list(recorder._backlog)
    recorder._write()
    recorder._backlog.extend(waiting)
    recorder._write()
    assert (len(recorder._backlog), recorder.lost) == (0, 0)
    recorder.close()
    assert series(database, 10)[0]["requests"] == 1


def test_retention_grows_with_coarseness() -> None:
    """Anything else would leave holes."""
    with pytest.raises(UsageError, match="by the hour"):
        Retention(raw=timedelta(days=40))
