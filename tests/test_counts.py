"""What cameras counted, in the database; the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text

from camcount.errors import DiskFull, UsageError
from camcount.events import Event, FlowCompleted, ZoneEntered, ZoneLeft
from camcount.storage.count_tables import EVENTS, INTERVALS, TABLES
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import Database, open_database
from tests.counted import MINUTE, NOON, counted, crossing
from tests.databases import new_url, sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open, empty database of either kind."""
    database = open_database(new_url(request.param, tmp_path))
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> CountStore:
    """A store in it."""
    return CountStore(database)


def batch(*events: Event, camera_id: str = "door") -> CountBatch:
    """Events and nothing else."""
    return CountBatch(camera_id=camera_id, events=events)


def test_the_migrations_make_what_the_code_expects(database: Database) -> None:
    """Every column that the code names is in the migrated tables, and no other."""
    with database.reading() as connection:
        for table in TABLES:
            found = [column["name"] for column in inspect(connection).get_columns(table.name)]
            assert sorted(found) == sorted(column.name for column in table.columns)
            keys = inspect(connection).get_pk_constraint(table.name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key.columns]


def test_events_of_every_kind_come_back_as_they_went_in(store: CountStore) -> None:
    """Numbered in the order they were given, with the same ids."""
    common = {"camera_id": "door", "time_s": 1.1, "track_id": 7, "label": "person", "confidence": 0.5, "reason": "r"}
    where = {"point": (1.25, 2.5)}
    events: list[Event] = [
        crossing(1.1),
        ZoneEntered(**common, **where, zone="hall"),  # type: ignore[arg-type]
        ZoneLeft(**common, **where, time=NOON, zone="hall", dwell_s=3.3),  # type: ignore[arg-type]
        FlowCompleted(**common, **where, origin="a", destination="b", travel_s=2.0),  # type: ignore[arg-type]
    ]
    before = datetime.now(UTC)
    stored = store.commit(batch(*events))
    assert [one.event for one in stored] == events
    assert [one.number for one in stored] == [1, 2, 3, 4]
    found = store.events()
    assert found == stored
    assert [one.event.event_id for one in found] == [event.event_id for event in events]
    assert before <= found[0].stored <= datetime.now(UTC)


def test_an_event_is_stored_once(store: CountStore) -> None:
    """However often it comes, within one batch or later; only what is new is returned, and counted."""
    assert len(store.commit(batch(crossing(1), crossing(2), crossing(1)))) == 2
    again = store.commit(batch(crossing(2), replace(crossing(1), confidence=0.1), crossing(3)))
    assert [(one.number, one.event) for one in again] == [(3, crossing(3))]
    assert store.totals()["door"]["gate"]["in"] == 3


def test_a_batch_is_written_whole_or_not_at_all(store: CountStore) -> None:
    """One that cannot be written leaves no event, no checkpoint and no number behind."""
    hour = counted([], range(7201), every_s=3600)
    with pytest.raises(UsageError, match="whole minutes"):
        store.commit(CountBatch(camera_id="door", events=(crossing(1),), intervals=hour, checkpoint=b"new"))
    assert store.events() == []
    assert store.checkpoint("door") is None
    assert store.totals() == {}
    assert store.commit(batch(crossing(1)))[0].number == 1


def test_checkpoints_and_occupancy_are_the_last_ones(store: CountStore) -> None:
    """A camera's replaces its own, and a batch without one leaves it."""
    store.commit(CountBatch(camera_id="a", occupancy={"hall": 2, "yard": 0}, checkpoint=b"one"))
    store.commit(CountBatch(camera_id="b", occupancy={"hall": 5}, checkpoint=b""))
    store.commit(CountBatch(camera_id="a", occupancy={"hall": 1}, checkpoint=b"two\0"))
    store.commit(CountBatch(camera_id="a"))
    assert store.checkpoint("a") == b"two\0"
    assert store.checkpoint("b") == b""
    assert store.checkpoint("c") is None
    assert store.inside() == {"a": {"hall": 1, "yard": 0}, "b": {"hall": 5}}
    assert store.inside(camera_id="b") == {"b": {"hall": 5}}


def test_events_are_found_by_what_is_asked(store: CountStore) -> None:
    """Camera, line, label, when they happened (the end excluded), after a number, at most so many."""
    given = [
        crossing(0),
        crossing(10, line="back"),
        crossing(20, label="car"),
        crossing(30, camera_id="yard"),
        crossing(40, start=None),
    ]
    store.commit(batch(*given))

    def numbers(**wanted: object) -> list[int]:
        return [one.number for one in store.events(**wanted)]  # type: ignore[arg-type]

    assert numbers(camera_id="door") == [1, 2, 3, 5]
    assert numbers(line="back") == [2]
    assert numbers(label="person", limit=3) == [1, 2, 4]
    assert numbers(after=3) == [4, 5]
    assert numbers(since=NOON + timedelta(seconds=10), until=NOON + timedelta(seconds=30)) == [2, 3]
    assert numbers(since=NOON + timedelta(days=1)) == [5]


def test_totals_of_a_range_are_those_of_its_events(store: CountStore) -> None:
    """Also where it begins and ends within an hour, and in one and the same hour."""
    given = [crossing(600 * k, "out" if k % 3 else "in", label="car" if k % 2 else "person") for k in range(40)]
    store.commit(batch(*given))
    for since, until in (
        (0, 24000),
        (700, 20000),
        (700, 2900),
        (3600, 7200),
        (None, 9000),
        (9000, None),
        (7100, 7300),
    ):
        begin = None if since is None else NOON + timedelta(seconds=since)
        end = None if until is None else NOON + timedelta(seconds=until)
        inside = [e for e in given if (since or 0) <= e.time_s < (until or 1e9)]
        totals = store.totals(since=begin, until=end).get("door", {}).get("gate", {"in": 0, "out": 0, "by_label": {}})
        assert totals["in"] == sum(e.direction == "in" for e in inside)
        assert totals["out"] == sum(e.direction == "out" for e in inside)
        cars = totals["by_label"].get("car", {"in": 0, "out": 0})
        assert sum(cars.values()) == sum(e.label == "car" for e in inside)
    assert store.totals(camera_id="nobody") == {}


def test_no_reader_ever_misses_a_number(database: Database) -> None:
    """Four writers at once; a reader that goes on after the last number it saw finds all, each once, in order."""
    store, done = CountStore(database), threading.Event()
    seen: list[int] = []

    def read() -> None:
        while True:
            over = done.is_set()
            found = store.events(after=seen[-1] if seen else 0, limit=7)
            seen.extend(one.number for one in found)
            if over and not found:
                return

    def write(camera: int) -> None:
        for k in range(25):
            store.commit(batch(crossing(k, camera_id=f"c{camera}"), crossing(k + 0.5, camera_id=f"c{camera}")))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(camera,)) for camera in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert seen == list(range(1, 201))


def test_the_same_minute_again_is_no_news_and_a_fuller_one_replaces(store: CountStore, database: Database) -> None:
    """By camera, line and start; one that saw less does not."""
    frames = [*range(121)]
    full = counted([crossing(5), crossing(6)], frames)
    partly = counted([crossing(5)], [*range(30), *range(60, 121)])
    for given in (partly, full, partly, full):
        store.commit(CountBatch(camera_id="door", intervals=given))
    minutes = store.intervals(since=NOON, until=NOON + 2 * MINUTE, step="1m", zone=UTC)
    assert [(one.count, one.coverage) for one in minutes] == [(2, 1.0), (0, 1.0)]
    (quarter,) = store.intervals(since=NOON, until=NOON + 15 * MINUTE, step="15m", zone=UTC)
    assert quarter.count == 2
    assert quarter.coverage == pytest.approx(2 / 15)
    with database.reading() as connection:
        rows = connection.execute(select(INTERVALS.c.step_s).order_by(INTERVALS.c.step_s)).scalars().all()
    assert rows == [60, 60, 900, 3600]


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """SQLite's ``synchronous`` is FULL (2) in it, NORMAL (1) elsewhere."""
    database = open_database(sqlite_url(tmp_path))
    with database.alone("counts", durable=True) as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    with database.writing() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1
    database.close()


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """The batch is refused whole; once there is room, the same batch is written."""
    database = open_database(sqlite_url(tmp_path))
    store = CountStore(database)
    store.commit(batch(crossing(1)))
    with database.writing() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    many = CountBatch(camera_id="door", events=tuple(crossing(k) for k in range(2000)), checkpoint=b"later")
    with pytest.raises(DiskFull):
        store.commit(many)
    assert (len(store.events()), store.checkpoint("door")) == (1, None)
    with database.writing() as connection:
        connection.execute(text("PRAGMA max_page_count = 1000000"))
    assert len(store.commit(many)) == 1999
    assert store.totals()["door"]["gate"]["in"] == 2000
    with database.reading() as connection:
        assert connection.execute(select(EVENTS.c.number)).scalars().all() == list(range(1, 2001))
    database.close()
