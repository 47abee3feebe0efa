"""The database: opened, brought up to date, busy, full and away; the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from camcount.errors import DatabaseUnavailable, DiskFull, UsageError
from camcount.storage.database import Database, UtcDateTime, database_url, open_database
from camcount.storage.upgrade import VERSION_TABLE
from tests.databases import new_server, new_url, sqlite_url

NOTES = Table("notes", MetaData(), Column("number", Integer, primary_key=True), Column("moment", UtcDateTime))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of either kind."""
    return new_url(request.param, tmp_path)


@pytest.fixture
def database(url: str) -> Database:
    """An open one with one more table."""
    database = open_database(url)
    with database.writing() as connection:
        NOTES.create(connection)
    return database


def numbers(database: Database) -> list[int]:
    """What the table holds."""
    with database.reading() as connection:
        return list(connection.execute(select(NOTES.c.number).order_by(NOTES.c.number)).scalars())


def test_opening_makes_the_tables_once(url: str) -> None:
    """A second opening finds them and what is in them."""
    open_database(url).close()
    again = open_database(url)
    with again.reading() as connection:
        assert {"measurements", VERSION_TABLE} <= set(inspect(connection).get_table_names())
    again.close()


def test_processes_that_start_at_once_share_one_upgrade(url: str) -> None:
    """None of them fails, whoever is first."""
    code = f"from camcount.storage.database import open_database; open_database({url!r}).close()"
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    threads = [threading.Thread(target=lambda: open_database(url).close()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database = open_database(url)
    with database.reading() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {VERSION_TABLE}")).scalar() == 1
    database.close()


def test_tables_of_a_newer_camcount_are_left_alone(url: str) -> None:
    """An old program must not write what a new one has changed."""
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    database.close()
    with pytest.raises(DatabaseUnavailable, match="newer camcount"):
        open_database(url)


def test_the_migrations_make_what_the_code_expects(url: str) -> None:
    """Every column that the code names is in the migrated table, and no other."""
    from camcount.storage.measured import TABLE

    database = open_database(url)
    with database.reading() as connection:
        found = [column["name"] for column in inspect(connection).get_columns(TABLE.name)]
    database.close()
    assert sorted(found) == sorted(column.name for column in TABLE.columns)


def test_a_failed_transaction_writes_nothing(database: Database) -> None:
    """Tables made in it included."""
    other = Table("other", MetaData(), Column("number", Integer, primary_key=True))

    def write() -> None:
        with database.writing() as connection:
            connection.execute(insert(NOTES), [{"number": 1}])
            other.create(connection)
            connection.execute(text("SELECT * FROM elsewhere"))

    with pytest.raises(DatabaseUnavailable, match="elsewhere"):
        write()
    with database.reading() as connection:
        assert not inspect(connection).has_table("other")
    assert numbers(database) == []
    database.close()


def test_moments_come_back_as_they_went_in(database: Database) -> None:
    """Whatever their zone, aware and in UTC; and they are compared as moments."""
    moment = datetime(2026, 3, 29, 3, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with database.writing() as connection:
        connection.execute(insert(NOTES), [{"number": 1, "moment": moment}, {"number": 2, "moment": None}])
    with database.reading() as connection:
        found = connection.execute(select(NOTES.c.moment).order_by(NOTES.c.number)).scalars().all()
        later = select(NOTES.c.number).where(NOTES.c.moment > moment - timedelta(seconds=1))
        assert connection.execute(later).scalars().all() == [1]
    assert found == [moment, None]
    assert found[0].tzinfo is UTC
    database.close()


def test_a_reader_is_not_held_up_by_a_writer(database: Database) -> None:
    """It sees what was there before."""
    with database.writing() as connection:
        connection.execute(insert(NOTES), [{"number": 1}])
        seen: list[list[int]] = []
        thread = threading.Thread(target=lambda: seen.append(numbers(database)))
        thread.start()
        thread.join(timeout=4)
        assert seen == [[]]
    assert numbers(database) == [1]
    database.close()


def test_only_one_is_alone_with_a_task(database: Database) -> None:
    """Threads that each read, wait and write lose no update."""

    def add_one() -> None:
        with database.alone("adding") as connection:
            highest = connection.execute(select(NOTES.c.number).order_by(NOTES.c.number.desc())).scalar() or 0
            time.sleep(0.01)
            connection.execute(insert(NOTES), [{"number": highest + 1}])

    threads = [threading.Thread(target=add_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(database) == list(range(1, 9))
    database.close()


def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    """RES_004, and what was written before stays."""
    database = open_database(sqlite_url(tmp_path))
    with database.writing() as connection:
        NOTES.create(connection)
    with database.writing() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))  # it may not grow from here
    with pytest.raises(DiskFull, match="full") as caught, database.writing() as connection:
        connection.execute(insert(NOTES), [{"number": number} for number in range(100_000)])
    assert caught.value.code == "RES_004"
    assert numbers(database) == []
    database.close()


def test_postgres_says_that_its_disk_is_full(tmp_path: Path) -> None:
    """Its own code for it becomes RES_004."""
    database = open_database(new_url("postgresql", tmp_path))
    with pytest.raises(DiskFull), database.writing() as connection:
        connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$"))
    database.close()


def test_a_row_that_breaks_a_rule_is_no_outage(database: Database) -> None:
    """Whoever wrote it is to know; the database is well."""

    def write_twice() -> None:
        with database.writing() as connection:
            connection.execute(insert(NOTES), [{"number": 1}, {"number": 1}])

    with pytest.raises(IntegrityError):
        write_twice()
    assert numbers(database) == []
    database.close()


def test_a_server_that_goes_and_comes_back() -> None:
    """SYS_002 while it is away; connections from before do not stand in the way afterwards."""
    server = new_server()
    try:
        database = open_database(server.url())
        server.stop()
        with pytest.raises(DatabaseUnavailable) as caught, database.reading() as connection:
            connection.execute(text("SELECT 1"))
        assert caught.value.code == "SYS_002"
        server.start()
        with database.reading() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        server.stop()
        server.start()  # while nobody asked
        with database.reading() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        database.close()
    finally:
        server.stop()


def test_no_message_shows_a_password() -> None:
    """Neither of the address nor of the driver's words."""
    with pytest.raises(DatabaseUnavailable) as caught:
        open_database("postgresql://ann:secret@127.0.0.1:1/camcount")
    assert "secret" not in str(caught.value)
    assert "postgresql://ann:***@127.0.0.1:1/camcount" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """And left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("buy milk\n" * 1000)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        open_database(f"sqlite:///{path}")
    assert path.read_text().startswith("buy milk")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ann@db/camcount", "'mysql' are not supported"),
        ("nonsense", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("oracle+nothing://x", "not supported"),
    ],
)
def test_addresses_of_no_database_are_refused(url: str, words: str) -> None:
    """The message says what would be right."""
    with pytest.raises(UsageError, match=words) as caught:
        Database(url)
    assert "sqlite:///FILE" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Instead of SQLite's 'unable to open database file'."""
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable, match=r"folder .*file"):
        Database(f"sqlite:///{tmp_path}/file/camcount.db")


def test_postgres_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is in the message."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r'pip install "camcount\[postgres\]"'):
        Database("postgresql://ann@db/camcount")


def test_the_usual_database_is_a_file_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless CAMCOUNT_DATABASE_URL names another."""
    monkeypatch.setenv("CAMCOUNT_HOME", str(tmp_path))
    monkeypatch.delenv("CAMCOUNT_DATABASE_URL", raising=False)
    assert database_url() == f"sqlite:///{tmp_path}/camcount.db"
    monkeypatch.setenv("CAMCOUNT_DATABASE_URL", "postgresql://db/camcount")
    assert database_url() == "postgresql://db/camcount"
