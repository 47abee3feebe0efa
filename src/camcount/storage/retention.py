"""How long measurements stay, and how they grow coarser with age."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, insert, select

from camcount.errors import UsageError
from camcount.storage.database import Database
from camcount.storage.measured import CONTENT, TABLE, Measured

MINUTE, HOUR = 60.0, 3600.0
_AT_ONCE = 60
"""How many coarse buckets are made in one transaction, so that it stays short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long measurements are kept: as they were written, then one row a minute, then one an hour.

    Raises:
        UsageError: a coarser row would go before a finer one.
    """

    raw: timedelta = timedelta(hours=48)
    minutes: timedelta = timedelta(days=30)
    hours: timedelta = timedelta(days=730)

    def __post_init__(self) -> None:
        if not timedelta(0) < self.raw <= self.minutes <= self.hours:
            raise UsageError(
                "measurements must stay by the hour at least as long as by the minute, and those as long as raw ones"
            )

    def step(self, since: datetime, now: datetime, raw_step_s: float) -> float:
        """The finest step in seconds that there is for everything from ``since`` on."""
        age = now - since
        if age <= self.raw:
            return raw_step_s
        return max(MINUTE if age <= self.minutes else HOUR, raw_step_s)


def prune(database: Database, retention: Retention, now: datetime | None = None) -> int:
    """Makes old measurements coarser and lets the oldest go; returns how many rows went.

    Raises:
        DatabaseUnavailable, DiskFull: it was not finished; the next call goes on.
    """
    now = now or datetime.now(UTC)
    gone = 0
    for step_s, keep in ((MINUTE, retention.raw), (HOUR, retention.minutes)):
        while went := _coarsen(database, step_s, aligned(now - keep, step_s)):
            gone += went
    with database.writing() as connection:
        gone += connection.execute(delete(TABLE).where(TABLE.c.start < now - retention.hours)).rowcount
    return gone


def aligned(moment: datetime, step_s: float) -> datetime:
    """The last boundary between buckets that is not after the moment.

    >>> aligned(datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC), 60.0).isoformat()
    '2026-03-01T12:34:00+00:00'
    """
    return datetime.fromtimestamp(moment.timestamp() // step_s * step_s, UTC)


def _coarsen(database: Database, step_s: float, before: datetime) -> int:
    finer = and_(TABLE.c.step_s < step_s, TABLE.c.start < before)
    with database.alone("retention") as connection:
        oldest = connection.execute(select(func.min(TABLE.c.start)).where(finer)).scalar()
        if oldest is None:
            return 0
        until = min(before, aligned(oldest, step_s) + timedelta(seconds=_AT_ONCE * step_s))
        some = and_(finer, TABLE.c.start < until)
        query = select(TABLE.c.model, TABLE.c.version, TABLE.c.start, *(TABLE.c[name] for name in CONTENT)).where(
            some
        )
        merged: defaultdict[tuple[str, str, datetime], list[Sequence[Any]]] = defaultdict(list)
        for model, version, start, *content in connection.execute(query):
            merged[model, version, aligned(start, step_s)].append(content)
        went = connection.execute(delete(TABLE).where(some)).rowcount
        process = uuid.uuid4().hex
        rows: list[dict[str, Any]] = []
        for number, ((model, version, start), finer_rows) in enumerate(merged.items()):
            measured = Measured()
            measured.merge(finer_rows)
            key = {"process": process, "number": number, "model": model, "version": version}
            rows.append(key | {"start": start, "step_s": step_s} | measured.row())
        connection.execute(insert(TABLE), rows)
        return went
