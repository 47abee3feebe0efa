"""Old events in Parquet files: found like all others, and never in neither place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from camcount.errors import DatabaseUnavailable, DiskFull
from camcount.events import Event
from camcount.storage import archive as archiving
from camcount.storage.archive import MANIFEST, archive, verify
from camcount.storage.count_tables import EVENTS
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import Database, open_database
from tests.counted import NOON, crossing
from tests.databases import new_url, sqlite_url

DAY = timedelta(days=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open, empty database of either kind."""
    database = open_database(new_url(request.param, tmp_path))
    yield database
    database.close()


def fill(database: Database, days: int = 5, each: int = 10) -> list[Event]:
    """So many events stored on each day from noon of the first on."""
    events: list[Event] = []
    for day in range(days):
        now = NOON + day * DAY
        some = [crossing(86400 * day + 60 * k, "out" if k % 2 else "in") for k in range(each)]
        CountStore(database, clock=lambda now=now: now).commit(  # type: ignore[misc]
            CountBatch(camera_id="door", events=tuple(some))
        )
        events += some
    return events


def rows(database: Database) -> int:
    """How many events are in the table."""
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(EVENTS)).scalar() or 0)


def at_day(number: int) -> datetime:
    """In the evening of it."""
    return NOON + number * DAY + timedelta(hours=8)


def test_old_days_go_to_files_with_a_manifest(database: Database, tmp_path: Path) -> None:
    """One file a day with its numbers, rows and digest; the days that are kept stay in the table."""
    fill(database)
    folder = tmp_path / "archive"
    made = archive(database, folder, 2 * DAY, now=at_day(4))
    assert [(one.first, one.last, one.rows) for one in made] == [(1, 10, 10), (11, 20, 10)]
    assert rows(database) == 30
    manifest = orjson.loads((folder / MANIFEST).read_bytes())["files"]
    assert [entry["file"] for entry in manifest] == ["events-2026-03-01-1.parquet", "events-2026-03-02-11.parquet"]
    assert [entry["sha256"] for entry in manifest] == [one.sha256 for one in made]
    assert pq.read_table(folder / manifest[0]["file"]).num_rows == 10
    assert sorted(path.name for path in folder.iterdir()) == sorted([MANIFEST, *(e["file"] for e in manifest)])
    assert archive(database, folder, 2 * DAY, now=at_day(4)) == []
    assert verify(folder) == []


def test_readers_see_no_difference(database: Database, tmp_path: Path) -> None:
    """Events, in one go or in pieces, by time and by name, and totals, are the same before and after."""
    fill(database)
    store = CountStore(database)
    since, until = NOON + timedelta(minutes=3), NOON + DAY + timedelta(minutes=5)
    asked: tuple[dict[str, Any], ...] = (
        {},
        {"since": since, "until": until},
        {"after": 15, "limit": 3},
        {"line": "gate", "limit": 25},
    )
    before = [store.events(**how) for how in asked]
    totals = [store.totals(), store.totals(since=since, until=until), store.totals(since=since)]
    archive(database, tmp_path / "archive", DAY, now=at_day(3))
    assert rows(database) < 50
    assert [store.events(**how) for how in asked] == before
    assert [store.totals(), store.totals(since=since, until=until), store.totals(since=since)] == totals
    pieces: list[int] = []
    while found := store.events(after=pieces[-1] if pieces else 0, limit=4):
        pieces += [one.number for one in found]
    assert pieces == list(range(1, 51))


def test_an_archived_event_that_comes_again_is_no_news(database: Database, tmp_path: Path) -> None:
    """And numbers go on where they were, though the table is empty."""
    events = fill(database)
    archive(database, tmp_path / "archive", DAY, now=at_day(9))
    assert rows(database) == 0
    store = CountStore(database)
    assert store.commit(CountBatch(camera_id="door", events=tuple(events))) == []
    (new,) = store.commit(CountBatch(camera_id="door", events=(crossing(999_999),)))
    assert new.number == 51
    assert sum(store.totals()["door"]["gate"][way] for way in ("in", "out")) == 51


def test_a_file_that_is_gone_or_changed_is_named(database: Database, tmp_path: Path) -> None:
    """Rather than an answer without its events; what needs no archive is answered."""
    fill(database)
    folder = tmp_path / "archive"
    made = archive(database, folder, DAY, now=at_day(3))
    file = Path(made[0].file)
    file.write_bytes(file.read_bytes()[:-5])
    Path(made[1].file).unlink()
    assert [words.split(": ")[0] for words in verify(folder)] == [
        f"{file} was changed",
        f"{made[1].file} is not there",
    ]
    store = CountStore(database)
    with pytest.raises(DatabaseUnavailable, match=f"{file.name}.*put the file back"):
        store.events()
    assert len(store.events(after=made[-1].last)) == rows(database)


def test_a_disk_that_writes_something_else_costs_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read back is compared before any row is deleted."""
    fill(database)
    real = archiving._tables
    monkeypatch.setattr(archiving, "_tables", lambda *span: (table.slice(1) for table in real(*span)))
    with pytest.raises(DiskFull, match="does not hold"):
        archive(database, tmp_path / "archive", DAY, now=at_day(3))
    assert rows(database) == 50
    assert not list((tmp_path / "archive").glob("*.parquet"))


_ARCHIVE = """
import os, signal, sys
from datetime import datetime, timedelta
from pathlib import Path
from camcount.storage import archive as a
from camcount.storage.database import open_database
step = sys.argv[3]
real = getattr(a, step)
def dying(*given):
    made = real(*given)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(a, step, dying)
now = datetime.fromisoformat(sys.argv[4])
a.archive(open_database(sys.argv[1]), Path(sys.argv[2]), timedelta(days=1), now=now)
"""


@pytest.mark.parametrize("step", ["_tables", "_write", "_note", "_forget"])
def test_a_kill_at_any_step_loses_and_doubles_nothing(step: str, tmp_path: Path) -> None:
    """The reader finds every event once, and the next run finishes what was begun."""
    url, folder = sqlite_url(tmp_path), tmp_path / "archive"
    database = open_database(url)
    events = fill(database)
    command = [sys.executable, "-c", _ARCHIVE, url, str(folder), step, at_day(4).isoformat()]
    assert subprocess.run(command, check=False, timeout=60).returncode == -9
    assert [one.event for one in CountStore(database).events()] == events
    archive(database, folder, DAY, now=at_day(4))
    assert [one.event for one in CountStore(database).events()] == events
    assert rows(database) == 20
    assert verify(folder) == []
    assert not list(folder.glob("*.part"))
    database.close()
