"""Runs and schedules in the database, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from camcount.batch.cron import Cron
from camcount.batch.gate import Gate
from camcount.batch.record import Record
from camcount.batch.schedule import Schedule, scheduled
from camcount.batch.work import Progress
from camcount.errors import UsageError
from camcount.storage.batch_runs import TABLE, Runs
from camcount.storage.batch_schedules import Schedules
from camcount.storage.database import Database, open_database
from tests.databases import new_url

PROGRESS = Progress(items=4, kept=1, done=1, failed=1, share=0.5, frames=10, elapsed_s=1.0)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty one of either kind."""
    database = open_database(new_url(request.param, tmp_path))
    yield database
    database.close()


def test_a_run_that_is_taken_up_again_stays_one(database: Database) -> None:
    """With the time at which it was begun first."""
    runs = Runs(database)
    runs.begin("abc123", "/out", items=4, done=0)
    begun = runs.one("abc").started
    runs.note("abc123", "running", done=2, failed=1)
    runs.begin("abc123", "/out", items=5, done=2)
    (run,) = runs.all()
    assert (run.items, run.done, run.failed, run.state, run.started) == (5, 2, 0, "running", begun)


def test_a_run_whose_process_is_silent_is_cut_off(database: Database) -> None:
    """A killed process cannot say so itself; nobody can pause it any more."""
    runs = Runs(database)
    runs.begin("abc", "/out", items=4, done=0)
    with database.writing() as connection:
        connection.execute(update(TABLE).values(updated=datetime.now(UTC) - timedelta(minutes=5)))
    assert runs.one("abc").state == "cut off"
    with pytest.raises(UsageError, match="cut off"):
        runs.pause("abc")
    assert runs.forget(datetime.now(UTC) - timedelta(minutes=1)) == 1


def test_runs_are_named_by_the_beginning_of_their_id(database: Database) -> None:
    """If it is enough."""
    runs = Runs(database)
    for run_id in ("ab1", "ab2"):
        runs.begin(run_id, "/out", items=1, done=0)
    assert runs.one("ab2").run_id == "ab2"
    for unclear in ("ab", "x", "", "%"):
        with pytest.raises(UsageError):
            runs.one(unclear)


def test_a_run_is_paused_continued_and_cancelled_through_the_database(database: Database) -> None:
    """The gate does what was asked, and a pause by signal is left alone."""
    runs, gate = Runs(database), Gate()
    runs.begin("abc", "/out", items=4, done=1)
    record = Record(runs, "abc", gate, every_s=0)
    gate.pause()
    record.update(PROGRESS)
    assert gate.paused
    runs.pause("abc")
    record.update(PROGRESS)
    assert gate.paused
    runs.go_on("abc")
    record.update(PROGRESS)
    assert not gate.paused
    runs.cancel("abc")
    record.update(PROGRESS)
    assert (gate.stopped, record.cancelled) == (True, True)
    record.end("cancelled", PROGRESS)
    assert (runs.one("abc").state, runs.one("abc").done) == ("cancelled", 2)


def moment(text: str) -> datetime:
    """In UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "next_time"),
    [
        ("*/15 * * * *", "UTC", "2026-01-01 00:00", "2026-01-01 00:15"),
        ("0 3 * * *", "Europe/Berlin", "2026-07-01 00:00", "2026-07-01 01:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 01:30"),  # there is no 2:30 that night
        ("0 0 * * 0", "UTC", "2026-01-01 00:00", "2026-01-04 00:00"),  # a Sunday
        ("0 0 * * 7", "UTC", "2026-01-01 00:00", "2026-01-04 00:00"),
        ("0 0 * * 1-5", "UTC", "2026-01-02 12:00", "2026-01-05 00:00"),
        ("0 0 * * */2", "UTC", "2026-01-01 00:00", "2026-01-03 00:00"),
        ("0 0 * * mon,5", "UTC", "2026-01-02 12:00", "2026-01-05 00:00"),
        ("0 0 13 * 5", "UTC", "2026-01-03 00:00", "2026-01-09 00:00"),  # the 13th, or any Friday
        ("@daily", "UTC", "2026-01-01 00:00", "2026-01-02 00:00"),
    ],
)
def test_cron_expressions_mean_what_cron_has_them_mean(
    expression: str, zone: str, after: str, next_time: str
) -> None:
    """Weekdays by cron's numbers, day or weekday, the clock of the zone."""
    assert Cron(expression, zone).after(moment(after)) == moment(next_time)


@pytest.mark.parametrize("expression", ["* * *", "61 * * * *", "0 0 * * 9", "0 0 * * 5-1", "0 0 30 2 *", "x * * * *"])
def test_what_is_no_cron_expression_is_refused(expression: str) -> None:
    """Also what never comes."""
    with pytest.raises(UsageError):
        Cron(expression)
    with pytest.raises(UsageError, match="time zone"):
        Cron("@daily", "Mars/Olympus")


def test_a_time_is_given_to_one_process_and_missed_ones_are_one(database: Database) -> None:
    """After a night without anybody watching there is one run, not thirty."""
    schedules = Schedules(database)
    schedules.add(scheduled("night", "*/15 * * * *", "UTC", Path(), ["in", "--out", "out"]))
    with pytest.raises(UsageError, match="already"):
        schedules.add(scheduled("night", "@daily", "", Path(), []))
    later = datetime.now(UTC) + timedelta(hours=8)
    taken = [Schedules(database).take(later, lambda e: Cron(e.cron, e.zone).after(later)) for _ in range(3)]
    assert [len(entries) for entries in taken] == [1, 0, 0]
    (entry,) = schedules.all()
    assert entry.running
    assert entry.next_run > later
    schedules.remove("night")
    with pytest.raises(UsageError, match="no schedule"):
        schedules.remove("night")


def until(seconds: float, true: object) -> None:
    """Waits until a function says yes."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_is_due_runs_and_goes_on_after_a_restart(database: Database, tmp_path: Path) -> None:
    """A batch that was ended with its watcher is begun again by the next one; a clock stands for the time."""
    script = tmp_path / "work.py"
    script.write_text(
        "import pathlib, sys, time\n"
        "log = pathlib.Path('log')\n"
        "log.write_text((log.read_text() if log.exists() else '') + sys.argv[1])\n"
        "if len(log.read_text()) == 1: time.sleep(60)\n"
        "sys.exit('no such model')\n"
    )
    schedules, clock = Schedules(database), [datetime.now(UTC)]
    schedules.add(scheduled("night", "@daily", "UTC", tmp_path, ["x"]))

    def watch() -> Schedule:
        command = (sys.executable, str(script))
        schedule = Schedule(database, tick_s=0.02, clock=lambda: clock[0], command=command)
        schedule.start()
        return schedule

    first = watch()
    time.sleep(0.2)
    assert not (tmp_path / "log").exists()
    clock[0] += timedelta(days=3)
    until(20, lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text() == "x")
    first.close()
    assert schedules.all()[0].running
    second = watch()
    until(20, lambda: not schedules.all()[0].running)
    second.close()
    assert (tmp_path / "log").read_text() == "xx"
    assert schedules.all()[0].outcome == "status 1: no such model"
