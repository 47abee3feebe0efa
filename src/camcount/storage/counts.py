"""What cameras counted, for good: an append-only log of events, intervals, occupancy and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from sqlalchemy import select

from camcount.counting.intervals import Interval
from camcount.events import Event
from camcount.storage import event_log, interval_log
from camcount.storage.count_tables import CHECKPOINTS, OCCUPANCY, replacing
from camcount.storage.database import Database
from camcount.storage.event_log import StoredEvent, Totals, Wanted
from camcount.storage.interval_log import Step
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

    def events(
        self,
        *,
        after: int = 0,
        camera_id: str | None = None,
        line: str | None = None,
        label: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> list[StoredEvent]:
        """At most ``limit`` events with numbers above ``after``, in order of number.

        ``since`` (included) and ``until`` are about when they happened, or of those that do not know, about when
        they were stored.
        """
        wanted = Wanted(after=after, camera_id=camera_id, line=line, label=label, since=since, until=until)
        with self._database.reading() as connection:
            return [event_log.event_of(row) for row in event_log.read(connection, wanted, limit)]

    def totals(
        self, *, camera_id: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> Totals:
        """Camera -> line -> ``in``, ``out``, ``by_label``, of the crossings from ``since`` to before ``until``.

        A line that counted nothing is not in it.
        """
        with self._database.reading() as connection:
            return event_log.totals(connection, camera_id, since, until)

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
