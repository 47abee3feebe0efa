"""The log of events: appended to by one at a time, read in order of number, added up by the hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import Connection, Table, and_, func, insert, select
from sqlalchemy.sql import ColumnElement

from camcount.events import Crossing, Event, FlowCompleted, ZoneEntered, ZoneLeft
from camcount.storage.count_tables import ARCHIVED, ARCHIVES, EVENTS, HOURS, inserting

HOUR_S = 3600
_IDS_AT_ONCE = 500
_KINDS: dict[str, type[Event]] = {kind.type: kind for kind in (Event, Crossing, ZoneEntered, ZoneLeft, FlowCompleted)}
_FIELDS = {name: [f.name for f in fields(kind) if f.name != "point"] for name, kind in _KINDS.items()}

Counted = tuple[str, str, str, str, int]
"""Camera, line, label, direction and how many."""

Totals = dict[str, dict[str, dict[str, Any]]]
"""Camera -> line -> ``in``, ``out`` and ``by_label``: label -> ``in`` and ``out``."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in the log.

    Attributes:
        number: rises by one from event to event, over all cameras.
        event: what happened.
        stored: when it was written; aware, UTC.
    """

    number: int
    event: Event
    stored: datetime


class EventQuery(TypedDict, total=False):
    """Which events: those for which all that is given holds.

    ``since`` (included) and ``until`` are about when they happened, or of those that do not know, about when they
    were stored.
    """

    camera_id: str | None
    line: str | None
    label: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An `EventQuery`, of events with numbers above ``after``, for the table and the archive."""

    after: int = 0
    camera_id: str | None = None
    line: str | None = None
    label: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> ColumnElement[bool]:
        """As a condition on the table."""
        columns = EVENTS.c
        same = {"camera_id": self.camera_id, "line": self.line, "label": self.label}
        parts = [columns.number > self.after, *(columns[k] == v for k, v in same.items() if v is not None)]
        if self.since is not None:
            parts.append(columns.at >= self.since)
        if self.until is not None:
            parts.append(columns.at < self.until)
        return and_(*parts)

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Of one row."""
        same = {"camera_id": self.camera_id, "line": self.line, "label": self.label}
        return (
            row["number"] > self.after
            and all(row[name] == value for name, value in same.items() if value is not None)
            and (self.since is None or row["at"] >= self.since)
            and (self.until is None or row["at"] < self.until)
        )


def append(connection: Connection, events: Iterable[Event], now: datetime) -> list[StoredEvent]:
    """Writes those that were never there before, in their order; whoever calls is alone with the log."""
    given = {event.event_id: event for event in events}
    if not given:
        return []
    known = _known(connection, EVENTS, list(given)) | _known(connection, ARCHIVED, list(given))
    last = last_number(connection)
    fresh = [event for event_id, event in given.items() if event_id not in known]
    stored = [StoredEvent(number, event, now) for number, event in enumerate(fresh, last + 1)]
    if stored:
        connection.execute(insert(EVENTS), [_row(one) for one in stored])
        _add_up(connection, stored)
    return stored


def last_number(connection: Connection) -> int:
    """The highest number that was ever given, also to an event that is archived by now; 0 before the first."""
    return max(connection.execute(select(func.max(t))).scalar() or 0 for t in (EVENTS.c.number, ARCHIVES.c.last))


def read(connection: Connection, wanted: Wanted, limit: int | None) -> list[Mapping[str, Any]]:
    """Rows of the table in order of number."""
    query = select(EVENTS).where(wanted.where()).order_by(EVENTS.c.number).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def event_of(row: Mapping[str, Any]) -> StoredEvent:
    """A row of the log as what was stored."""
    kind = row["type"]
    values = {name: row[name] for name in _FIELDS[kind]}
    return StoredEvent(row["number"], _KINDS[kind](**values, point=(row["x"], row["y"])), row["stored"])


def add_up(counts: Iterable[Counted]) -> Totals:
    """What was counted here and there, together."""
    found: Totals = {}
    for camera_id, line, label, direction, count in counts:
        one = found.setdefault(camera_id, {}).setdefault(line, {"in": 0, "out": 0, "by_label": {}})
        one[direction] += count
        one["by_label"].setdefault(label, {"in": 0, "out": 0})[direction] += count
    return found


def by_hour(connection: Connection, camera_id: str | None, since: int | None, until: int | None) -> list[Counted]:
    """Crossings of whole hours since the epoch."""
    where = [HOURS.c.camera_id == camera_id] if camera_id is not None else []
    where += [HOURS.c.hour >= since] if since is not None else []
    where += [HOURS.c.hour < until] if until is not None else []
    keys = (HOURS.c.camera_id, HOURS.c.line, HOURS.c.label, HOURS.c.direction)
    query = select(*keys, func.sum(HOURS.c.count)).where(*where).group_by(*keys)
    return [(c, li, la, d, int(n)) for c, li, la, d, n in connection.execute(query)]


def _known(connection: Connection, table: Table, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        some = table.c.event_id.in_(ids[begin : begin + _IDS_AT_ONCE])
        found.update(connection.execute(select(table.c.event_id).where(some)).scalars())
    return found


def _row(one: StoredEvent) -> dict[str, Any]:
    event = one.event
    row: dict[str, Any] = dict.fromkeys(EVENTS.columns.keys())
    row |= {name: getattr(event, name) for name in _FIELDS[event.type]}
    row |= {"number": one.number, "event_id": event.event_id, "type": event.type, "stored": one.stored}
    return row | {"x": float(event.point[0]), "y": float(event.point[1]), "at": event.time or one.stored}


def _add_up(connection: Connection, stored: Sequence[StoredEvent]) -> None:
    counts: Counter[tuple[str, str, str, str, int]] = Counter()
    for one in stored:
        if isinstance(event := one.event, Crossing):
            hour = int((event.time or one.stored).timestamp() // HOUR_S)
            counts[event.camera_id, event.line, event.label, event.direction, hour] += 1
    if not counts:
        return
    upsert = inserting(connection.dialect.name, HOURS)
    upsert = upsert.on_conflict_do_update(
        index_elements=list(HOURS.primary_key.columns), set_={"count": HOURS.c.count + upsert.excluded.count}
    )
    keys = HOURS.primary_key.columns.keys()
    rows = [dict(zip(keys, key, strict=True)) | {"count": many} for key, many in counts.items()]
    connection.execute(upsert, rows)
