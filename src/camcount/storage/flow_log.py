"""Who went from where to where, from the log of events: line to line, and zone to zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from camcount.events import FlowCompleted, ZoneEntered
from camcount.storage.count_tables import EVENTS
from camcount.storage.event_log import Wanted

Kind = Literal["line", "zone"]
_T = EVENTS.c
_Key = tuple[str, Kind, str, str]


@dataclass(frozen=True, slots=True)
class Flow:
    """So many went from one line to another line, or from one zone to another zone, of one camera."""

    camera_id: str
    kind: Kind
    origin: str
    destination: str
    count: int


def flows(connection: Connection, wanted: Wanted, archived: Iterable[Mapping[str, Any]]) -> list[Flow]:
    """All flows, the largest first.

    A track that comes into one zone and later into another one went there. ``archived`` are the events that are no
    longer in the table; whoever comes into one zone before that border and into the next one after it is left out.
    """
    counts = _of_lines(connection, wanted) + _of_zones(connection, wanted) + _of_rows(archived)
    return [Flow(*key, count) for key, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def _of_lines(connection: Connection, wanted: Wanted) -> Counter[_Key]:
    keys = (_T.camera_id, _T.origin, _T.destination)
    query = select(*keys, func.count()).where(_T.type == FlowCompleted.type, wanted.where()).group_by(*keys)
    return Counter({(c, "line", o, d): int(n) for c, o, d, n in connection.execute(query)})


def _of_zones(connection: Connection, wanted: Wanted) -> Counter[_Key]:
    before = func.lag(_T.zone).over(partition_by=(_T.camera_id, _T.track_id), order_by=_T.number)
    entries = select(_T.camera_id, before.label("origin"), _T.zone.label("destination"))
    steps = entries.where(_T.type == ZoneEntered.type, wanted.where()).subquery()
    keys = (steps.c.camera_id, steps.c.origin, steps.c.destination)
    query = select(*keys, func.count()).where(steps.c.origin != steps.c.destination).group_by(*keys)
    return Counter({(c, "zone", o, d): int(n) for c, o, d, n in connection.execute(query)})


def _of_rows(rows: Iterable[Mapping[str, Any]]) -> Counter[_Key]:
    counts: Counter[_Key] = Counter()
    last: dict[tuple[str, int], str] = {}
    for row in rows:
        if row["type"] == FlowCompleted.type:
            counts[row["camera_id"], "line", row["origin"], row["destination"]] += 1
        elif row["type"] == ZoneEntered.type:
            track = row["camera_id"], row["track_id"]
            if (origin := last.get(track, row["zone"])) != row["zone"]:
                counts[row["camera_id"], "zone", origin, row["zone"]] += 1
            last[track] = row["zone"]
    return counts
