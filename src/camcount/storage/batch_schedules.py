"""When batches are to run, for all processes that share a database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import JSON, Boolean, Column, MetaData, String, Table, Text, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from camcount.errors import UsageError
from camcount.storage.database import Database, UtcDateTime

TABLE = Table(
    "batch_schedules",
    MetaData(),
    Column("name", String(200), primary_key=True),
    Column("cron", Text),
    Column("zone", Text),
    Column("folder", Text),
    Column("arguments", JSON),
    Column("next_run", UtcDateTime),
    Column("last_run", UtcDateTime),
    Column("running", Boolean),
    Column("outcome", Text),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """One batch that runs again and again.

    Attributes:
        cron, zone: when: five fields, read in that time zone.
        folder, arguments: what: of ``camcount batch``, in that folder.
        running: a process has taken it up and has not said how it ended.
        outcome: how it ended the last time, in words; empty before that.
    """

    name: str
    cron: str
    zone: str
    folder: str
    arguments: Sequence[str]
    next_run: datetime
    last_run: datetime | None = None
    running: bool = False
    outcome: str = ""


class Schedules:
    """The table of them. Every method raises `DatabaseUnavailable` or `DiskFull` where it cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, entry: Scheduled) -> None:
        """Enters one.

        Raises:
            UsageError: the name is taken.
        """
        row = {column.name: getattr(entry, column.name) for column in TABLE.columns}
        try:
            with self._database.writing() as connection:
                connection.execute(insert(TABLE).values(row | {"arguments": list(entry.arguments)}))
        except IntegrityError:
            raise UsageError(
                f"a schedule is named {entry.name!r} already: remove it, or give another --name"
            ) from None

    def remove(self, name: str) -> None:
        """Takes one out; a run that is under way goes on.

        Raises:
            UsageError: there is none of that name.
        """
        with self._database.writing() as connection:
            if not connection.execute(delete(TABLE).where(TABLE.c.name == name)).rowcount:
                raise UsageError(f"no schedule is named {name!r}: camcount batch list")

    def all(self) -> list[Scheduled]:
        """All of them, the next one first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(TABLE).order_by(TABLE.c.next_run, TABLE.c.name)).mappings().all()
        return [Scheduled(**row) for row in rows]

    def take(self, now: datetime, after: Callable[[Scheduled], datetime]) -> list[Scheduled]:
        """Those that are due, each given to one process only; times that were missed are one.

        Args:
            after: the next time after now.
        """
        due = [entry for entry in self.all() if entry.next_run <= now]
        return [entry for entry in due if self._claim(entry, now, after(entry))]

    def ended(self, name: str, outcome: str) -> None:
        """Says how a run of it ended."""
        with self._database.writing() as connection:
            connection.execute(update(TABLE).where(TABLE.c.name == name).values(running=False, outcome=outcome))

    def _claim(self, entry: Scheduled, now: datetime, following: datetime) -> bool:
        mine = (TABLE.c.name == entry.name) & (TABLE.c.next_run == entry.next_run)
        row = {"next_run": following, "last_run": now, "running": True}
        with self._database.writing() as connection:
            return connection.execute(update(TABLE).where(mine).values(row)).rowcount == 1
