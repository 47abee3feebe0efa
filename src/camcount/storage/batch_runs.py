"""Runs of batches: what they are doing, and what somebody wants of them."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text, delete, insert, select, update

from camcount.errors import UsageError
from camcount.storage.database import Database, UtcDateTime

Wanted = Literal["go", "pause", "cancel"]
State = Literal["running", "paused", "done", "failed", "cancelled", "stopped", "cut off"]
"""``failed``: done, but for some items. ``stopped``: by a signal. ``cut off``: its process says nothing any more."""

SILENT = timedelta(seconds=60)
"""A run that is under way says so more often than this."""

TABLE = Table(
    "batch_runs",
    MetaData(),
    Column("run_id", String(32), primary_key=True),
    Column("folder", Text),
    Column("state", String(16)),
    Column("wanted", String(16)),
    Column("items", BigInteger),
    Column("done", BigInteger),
    Column("failed", BigInteger),
    Column("host", Text),
    Column("process", BigInteger),
    Column("started", UtcDateTime),
    Column("updated", UtcDateTime),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRun:
    """One run; taken up again after it was cut off, it is the same one.

    Attributes:
        folder: where the results are.
        items, done, failed: how many there are, were done (by earlier processes too), and could not be.
        host, process: who works or worked on it.
    """

    run_id: str
    folder: str
    state: State
    wanted: Wanted
    items: int
    done: int
    failed: int
    host: str
    process: int
    started: datetime
    updated: datetime

    @property
    def ended(self) -> bool:
        """Whether no process works on it."""
        return self.state not in ("running", "paused")

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"started": self.started.isoformat(), "updated": self.updated.isoformat()}


class Runs:
    """The runs of all processes that share a database.

    Every method raises `DatabaseUnavailable` or `DiskFull` where the database does not do its part.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, run_id: str, folder: str, *, items: int, done: int) -> None:
        """Enters a run, or says that this process has taken it up."""
        now = datetime.now(UTC)
        row = {
            "folder": folder,
            "state": "running",
            "wanted": "go",
            "items": items,
            "done": done,
            "failed": 0,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "updated": now,
        }
        with self._database.writing() as connection:
            if not connection.execute(update(TABLE).where(TABLE.c.run_id == run_id).values(row)).rowcount:
                connection.execute(insert(TABLE).values(row | {"run_id": run_id, "started": now}))

    def note(self, run_id: str, state: State, *, done: int, failed: int) -> Wanted:
        """Writes down how far a run is; returns what somebody wants of it."""
        row = {"state": state, "done": done, "failed": failed, "updated": datetime.now(UTC)}
        mine = TABLE.c.run_id == run_id
        with self._database.writing() as connection:
            connection.execute(update(TABLE).where(mine).values(row))
            wanted: Wanted = connection.execute(select(TABLE.c.wanted).where(mine)).scalar() or "go"
        return wanted

    def all(self, limit: int = 100) -> list[BatchRun]:
        """The runs, those that were heard of last first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(TABLE).order_by(TABLE.c.updated.desc()).limit(limit)).mappings().all()
        return [_run(row, datetime.now(UTC)) for row in rows]

    def one(self, run_id: str) -> BatchRun:
        """A run by its id, or by the beginning of it.

        Raises:
            UsageError: there is none, or several begin so.
        """
        begins = TABLE.c.run_id.startswith(run_id, autoescape=True)
        with self._database.reading() as connection:
            rows = connection.execute(select(TABLE).where(begins).limit(2)).mappings().all()
        if len(rows) != 1 or not run_id:
            raise UsageError(
                f"{'several runs begin' if rows else 'no run begins'} with {run_id!r}: camcount batch list"
            )
        return _run(rows[0], datetime.now(UTC))

    def pause(self, run_id: str) -> BatchRun:
        """Asks a run to wait, which it does within a second or two.

        Raises:
            UsageError: there is no such run, or it has ended.
        """
        return self._ask(run_id, "pause")

    def go_on(self, run_id: str) -> BatchRun:
        """Asks a paused run to go on; raises as `pause`."""
        return self._ask(run_id, "go")

    def cancel(self, run_id: str) -> BatchRun:
        """Asks a run to end; what is done stays. Raises as `pause`."""
        return self._ask(run_id, "cancel")

    def forget(self, before: datetime) -> int:
        """Lets go of runs that were not heard of since; returns how many."""
        with self._database.writing() as connection:
            return connection.execute(delete(TABLE).where(TABLE.c.updated < before)).rowcount

    def _ask(self, run_id: str, wanted: Wanted) -> BatchRun:
        run = self.one(run_id)
        if run.ended:
            raise UsageError(
                f"run {run.run_id} is {run.state}: start it anew with camcount batch … --out {run.folder}"
            )
        with self._database.writing() as connection:
            connection.execute(update(TABLE).where(TABLE.c.run_id == run.run_id).values(wanted=wanted))
        return run


def _run(row: Any, now: datetime) -> BatchRun:
    run = BatchRun(**row)
    if run.ended or now - run.updated <= SILENT:
        return run
    return BatchRun(**{**row, "state": "cut off"})
