"""Old events go to the archive by themselves, every day, beside a running server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from camcount.storage.archive import archive, verify
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.daily_archive import DailyArchive
from camcount.storage.database import Database, open_database
from tests.counted import NOON, crossing
from tests.databases import sqlite_url
from tests.live import until
from tests.serving import camcount_serve
from tests.test_archive import DAY, at_day, fill, rows


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Five days with ten events each."""
    database = open_database(sqlite_url(tmp_path))
    fill(database)
    yield database
    database.close()


@contextmanager
def archiving(database: Database, folder: Path, clock: Callable[[], datetime]) -> Iterator[None]:
    """A day's events are kept; looked at every moment."""
    daily = DailyArchive(database, folder, DAY, clock=clock, look_s=0.01)
    daily.start()
    yield
    daily.close()
    assert "archive events" not in [one.name for one in threading.enumerate()]


def test_what_is_old_goes_at_the_start_and_then_once_a_day(database: Database, tmp_path: Path) -> None:
    """A day that has become old enough goes at half past midnight, not before; every event is still found."""
    now = [at_day(2)]
    with archiving(database, tmp_path / "archive", lambda: now[0]):
        until(lambda: rows(database) == 40, 20)
        now[0] = NOON + 2 * DAY + timedelta(hours=12, minutes=29)
        threading.Event().wait(0.3)
        assert rows(database) == 40
        now[0] += timedelta(minutes=1)
        until(lambda: rows(database) == 30, 20)
    assert verify(tmp_path / "archive") == []
    assert len(CountStore(database).events()) == 50


def test_a_folder_that_cannot_be_written_is_told_and_tried_again(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The events stay in the database; an hour later, when it can be written, they go."""
    now, folder = [at_day(2)], tmp_path / "archive"
    folder.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING, "camcount.storage"), archiving(database, folder, lambda: now[0]):
        until(lambda: "not archived for now" in caplog.text, 20)
        folder.unlink()
        threading.Event().wait(0.3)
        assert (rows(database), len(caplog.records)) == (50, 1)
        now[0] += timedelta(hours=1)
        until(lambda: rows(database) == 40, 20)


def test_it_ends_after_the_day_that_it_is_at(database: Database, tmp_path: Path) -> None:
    """What is left goes the next time."""
    asked = iter([False, True])
    assert len(archive(database, tmp_path / "archive", DAY, now=at_day(4), stopping=lambda: next(asked))) == 1
    assert rows(database) == 40


def test_a_server_archives_where_it_is_told_to(tmp_path: Path) -> None:
    """With ``archive_after_days`` the old events of its database are in files soon after it starts."""
    database = open_database(f"sqlite:///{tmp_path / 'camcount.db'}")
    CountStore(database, clock=lambda: NOON - 1000 * DAY).commit(CountBatch(camera_id="door", events=(crossing(1),)))
    folder = tmp_path / "old"
    with camcount_serve(tmp_path, CAMCOUNT_ARCHIVE_AFTER_DAYS="30", CAMCOUNT_ARCHIVE_FOLDER=str(folder)) as server:
        until(lambda: rows(database) == 0, 60)
        assert server.stop() == 0
    assert [path.suffix for path in sorted(folder.glob("events-*"))] == [".parquet"]
    assert len(CountStore(database).events()) == 1
    database.close()
