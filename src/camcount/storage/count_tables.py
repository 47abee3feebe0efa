"""The tables of what cameras counted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects import postgresql, sqlite

from camcount.storage.database import UtcDateTime

_METADATA = MetaData()
_JSON = JSON(none_as_null=True)

EVENTS = Table(
    "events",
    _METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("event_id", Text),
    Column("stored", UtcDateTime),
    Column("at", UtcDateTime),
    Column("type", Text),
    Column("camera_id", Text),
    Column("line", Text),
    Column("direction", Text),
    Column("zone", Text),
    Column("origin", Text),
    Column("destination", Text),
    Column("label", Text),
    Column("track_id", BigInteger),
    Column("time_s", Float),
    Column("time", UtcDateTime),
    Column("dwell_s", Float),
    Column("travel_s", Float),
    Column("confidence", Float),
    Column("x", Float),
    Column("y", Float),
    Column("reason", Text),
)
"""The log: rows come at the end, go to the archive from the beginning, and never change.

``at`` is when it happened as far as is known: ``time``, or else ``stored``.
"""

HOURS = Table(
    "crossings_by_hour",
    _METADATA,
    Column("camera_id", Text, primary_key=True),
    Column("line", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("count", BigInteger),
)
"""Crossings added up by whole hours since the epoch, written with the events: totals need not read them all."""

INTERVALS = Table(
    "intervals",
    _METADATA,
    Column("step_s", BigInteger, primary_key=True),
    Column("camera_id", Text, primary_key=True),
    Column("line", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("known_s", BigInteger),
    Column("seen_s", Float),
    Column("count_in", BigInteger),
    Column("count_out", BigInteger),
    Column("by_label", _JSON),
    Column("bounds", _JSON),
    Column("evidence", _JSON),
    Column("missed_s", Float),
    Column("rate_in", BigInteger),
    Column("rate_out", BigInteger),
    Column("rate_s", Float),
)
"""Minutes as cameras gave them, and quarters and hours made of them; ``start`` is in seconds since the epoch.

``known_s`` is how much of the span there are minutes for, ``seen_s`` how much of it was seen. See
`camcount.counting.bounds.Grounds` for what makes the bounds.
"""

OCCUPANCY = Table(
    "occupancy",
    _METADATA,
    Column("camera_id", Text, primary_key=True),
    Column("zone", Text, primary_key=True),
    Column("inside", BigInteger),
    Column("stored", UtcDateTime),
)

CHECKPOINTS = Table(
    "checkpoints",
    _METADATA,
    Column("camera_id", Text, primary_key=True),
    Column("state", LargeBinary),
    Column("stored", UtcDateTime),
)

ARCHIVES = Table(
    "archives",
    _METADATA,
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger),
    Column("rows", BigInteger),
    Column("since", UtcDateTime),
    Column("until", UtcDateTime),
    Column("file", Text),
    Column("sha256", Text),
)
"""The files of the archive: the numbers of their events, and from when to when those happened."""

ARCHIVED = Table("archived_events", _METADATA, Column("event_id", Text, primary_key=True))
"""The ids of events in the archive: one of them that comes again is still no news."""

TABLES = (EVENTS, HOURS, INTERVALS, OCCUPANCY, CHECKPOINTS, ARCHIVES, ARCHIVED)


def replacing(dialect: str, table: Table) -> Any:
    """An insert into ``table`` that puts the new row in the place of one with the same key."""
    insert = inserting(dialect, table)
    changes = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changes)


def inserting(dialect: str, table: Table) -> Any:
    """An insert that may say what to do where the key is there already."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)
