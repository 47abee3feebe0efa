"""What cameras counted, for good: an append-only log of events, intervals, occupancy and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Unpack

from sqlalchemy import select

from camcount.counting.intervals import Interval
from camcount.events import Crossing, Event
from camcount.storage import event_log, interval_log
from camcount.storage.archive import archived
from camcount.storage.count_tables import CHECKPOINTS, OCCUPANCY, replacing
from camcount.storage.database import Database
from camcount.storage.event_log import HOUR_S, Counted, EventQuery, StoredEvent, Totals, Wanted
from camcount.storage.flow_log import Flow, flows
from camcount.storage.interval_log import Step
from camcount.storage.occupancy import Occupancy, OccupancyRule
from camcount.storage.rollup import StoredInterval

__all__ = ["CountBatch", "CountStore", "StoredEvent", "StoredInterval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountBatch:
    """What one camera has to say since its last commit; it is written whole or not at all.

    Attributes:
        camera_id: the camera.
        events: in the order they happened; those that are stored already are passed over.
        intervals: finished ones, a whole minute on the clock each; one that is there already is no news, one that
            saw more of the minute takes its place.
        occupancy: zone -> how many are inside now.
        checkpoint: the camera's own state, in place of the last one.
    """

    camera_id: str
    events: tuple[Event, ...] = ()
    intervals: tuple[Interval, ...] = ()
    occupancy: Mapping[str, int] = field(default_factory=dict)
    checkpoint: bytes | None = None


class CountStore:
    """Reads and writes what cameras counted; safe from many threads, and beside other processes.

    Events are numbered while their writer is alone with the log (`Database.alone`), which lasts until they are
    committed. So numbers become visible in their order, and a reader that goes on ``after`` the last number it saw
    misses none, though writers on PostgreSQL commit side by side.

    Every method raises `DatabaseUnavailable` where the database does not answer. Where it goes away during a commit,
    the batch was written or not; committing the same batch again is right in both cases.

    Args:
        database: open; whoever opened it closes it.
        clock: this moment, aware.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database, self._clock = database, clock

    def commit(self, batch: CountBatch) -> list[StoredEvent]:
        """Writes a batch; when this returns, it is on disk. Returns the events that were new.

        Raises:
            DatabaseUnavailable: the database does not answer.
            DiskFull: nothing was written.
            UsageError: an interval is no whole minute on the clock.
        """
        dialect, now = self._database.dialect, self._clock()
        with self._database.alone("counts", durable=True) as connection:
            stored = event_log.append(connection, batch.events, now)
            interval_log.store(connection, batch.camera_id, batch.intervals)
            camera = {"camera_id": batch.camera_id, "stored": now}
            if batch.occupancy:
                rows = [camera | {"zone": zone, "inside": inside} for zone, inside in batch.occupancy.items()]
                connection.execute(replacing(dialect, OCCUPANCY), rows)
            if batch.checkpoint is not None:
                connection.execute(replacing(dialect, CHECKPOINTS), camera | {"state": batch.checkpoint})
        return stored

    def checkpoint(self, camera_id: str) -> bytes | None:
        """The camera's state as it was last committed; None of a camera that never committed any."""
        query = select(CHECKPOINTS.c.state).where(CHECKPOINTS.c.camera_id == camera_id)
        with self._database.reading() as connection:
            state = connection.execute(query).scalar()
        return None if state is None else bytes(state)

    def inside(self, *, camera_id: str | None = None) -> dict[str, dict[str, int]]:
        """Camera -> zone -> how many were inside when the camera last said so."""
        query = select(OCCUPANCY.c.camera_id, OCCUPANCY.c.zone, OCCUPANCY.c.inside)
        if camera_id is not None:
            query = query.where(OCCUPANCY.c.camera_id == camera_id)
        found: dict[str, dict[str, int]] = {}
        with self._database.reading() as connection:
            for camera, zone, inside in connection.execute(query.order_by(OCCUPANCY.c.camera_id, OCCUPANCY.c.zone)):
                found.setdefault(camera, {})[zone] = inside
        return found

    def events(self, *, after: int = 0, limit: int = 1000, **query: Unpack[EventQuery]) -> list[StoredEvent]:
        """At most ``limit`` of those asked for with numbers above ``after``, in order of number; archived ones too.

        Raises:
            DatabaseUnavailable: also where a file of the archive is gone.
        """
        return [event_log.event_of(row) for row in self._rows(Wanted(after=after, **query), limit)]

    def last_number(self) -> int:
        """The highest number that any event has, 0 before the first."""
        with self._database.reading() as connection:
            return event_log.last_number(connection)

    def totals(
        self, *, camera_id: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> Totals:
        """Camera -> line -> ``in``, ``out``, ``by_label``, of the crossings from ``since`` to before ``until``.

        A line that counted nothing is not in it.
        """
        first = None if since is None else math.ceil(since.timestamp() / HOUR_S)
        last = None if until is None else math.floor(until.timestamp() / HOUR_S)
        if first is not None and last is not None and first >= last:
            return event_log.add_up(self._crossings(camera_id, since, until))
        with self._database.reading() as connection:
            found = event_log.by_hour(connection, camera_id, first, last)
        if first is not None:
            found += self._crossings(camera_id, since, _hour(first))
        if last is not None:
            found += self._crossings(camera_id, _hour(last), until)
        return event_log.add_up(found)

    def flows(
        self, *, camera_id: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> list[Flow]:
        """Who went from which line or zone to which, from ``since`` to before ``until``; the largest first."""
        wanted = Wanted(camera_id=camera_id, since=since, until=until)
        with self._database.reading() as connection:
            return flows(connection, wanted, archived(connection, wanted, None))

    def occupancy(
        self,
        rule: OccupancyRule,
        *,
        camera_ids: Collection[str] | None = None,
        lines: Collection[str] | None = None,
        now: datetime | None = None,
    ) -> Occupancy:
        """How many are inside a place whose doors are these lines of these cameras; all of them unless given."""
        now = now or self._clock()
        since = rule.last_reset(now)
        rows = [
            row
            for row in self._rows(Wanted(since=since, until=now), None)
            if row["type"] == Crossing.type
            and (camera_ids is None or row["camera_id"] in camera_ids)
            and (lines is None or row["line"] in lines)
        ]
        rows.sort(key=lambda row: (row["at"], row["number"]))
        return rule.inside((row["direction"] for row in rows), since)

    def _crossings(self, camera_id: str | None, since: datetime | None, until: datetime | None) -> list[Counted]:
        """Of a part of an hour, one by one."""
        rows = self._rows(Wanted(camera_id=camera_id, since=since, until=until), None)
        names = ("camera_id", "line", "label", "direction")
        return [(*(row[name] for name in names), 1) for row in rows if row["type"] == Crossing.type]

    def _rows(self, wanted: Wanted, limit: int | None) -> list[Mapping[str, Any]]:
        """Of table and archive, in order of number."""
        with self._database.reading() as connection:
            # in this order: what is archived in between is found twice and not missed
            rows = event_log.read(connection, wanted, limit)
            found = {row["number"]: row for row in [*archived(connection, wanted, limit), *rows]}
        return [row for _, row in sorted(found.items())][:limit]

    def intervals(
        self,
        *,
        camera_id: str | None = None,
        line: str | None = None,
        since: datetime,
        until: datetime,
        step: Step,
        zone: tzinfo,
    ) -> list[StoredInterval]:
        """Counts of spans of ``step``, which begin on the clock of ``zone``, in order of camera, line and time.

        Every line that was ever counted at has every span from ``since`` to ``until``, both rounded down to whole
        minutes; the first and the last span end there. Days on which the clock is changed are longer or shorter.
        A span that nobody saw is a gap: coverage 0, counts None. Minutes without a row between a line's first and
        last one were not seen, which the bounds know.

        Raises:
            UsageError: the range has no zone, holds no minute, or too many steps.
        """
        with self._database.reading() as connection:
            return interval_log.read(
                connection, camera_id=camera_id, line=line, since=since, until=until, step=step, zone=zone
            )


def _hour(number: int) -> datetime:
    return datetime.fromtimestamp(number * HOUR_S, UTC)
