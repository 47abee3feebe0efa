"""Writes what is measured into the database, a row per model and ten seconds."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from camcount.errors import CamcountError
from camcount.models.memory import resident_bytes
from camcount.serving.options import cores
from camcount.stats import RequestStats
from camcount.storage.database import BUSY_S, Database
from camcount.storage.measured import TABLE, Measured
from camcount.storage.retention import Retention, prune
from camcount.tallies import PerModel

STEP_S = 10.0
_AT_ONCE = 500
_PRUNED_EVERY_S = 600.0

_log = logging.getLogger("camcount.storage")


class TimeSeriesRecorder:
    """Adds requests up in memory; a thread of its own writes each bucket of time when it is over.

    A process that is killed loses the bucket of that moment. While the database is away, up to ``backlog`` rows wait
    for it, the oldest go first; that is logged once, and once more when it is back.

    Args:
        database: open; whoever opened it closes it, after this.
        step_s: the length of a bucket in seconds.
        retention: how long rows stay.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        *,
        step_s: float = STEP_S,
        retention: Retention | None = None,
        backlog: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lost = 0
        """Rows that were never written."""
        self._database, self._step_s, self._clock = database, step_s, clock
        self._retention = retention or Retention()
        self._process, self._number = uuid.uuid4().hex, 0
        self._lock = threading.Lock()
        self._models: PerModel[Measured] = PerModel(Measured)
        self._bucket = int(clock() / step_s)
        self._sampled = (time.monotonic(), time.process_time())
        self._backlog: deque[dict[str, Any]] = deque()
        self._most = backlog
        self._away = False
        self._pruned = -_PRUNED_EVERY_S
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="camcount-measurements", daemon=True)
        self._thread.start()

    def record(self, stats: RequestStats) -> None:
        """Counts one request in the bucket of this moment."""
        bucket = int(self._clock() / self._step_s)
        with self._lock:
            if bucket != self._bucket:
                self._turn(bucket)
            self._models.of(stats).add(stats)

    def close(self) -> None:
        """Writes what there is, if the database takes it; what comes later is not written."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(timeout=3 * BUSY_S)
        with self._lock:
            self._turn(self._bucket)
        self._write()
        if self._backlog:
            _log.error("%d rows of measurements are lost: the database was away at the end", len(self._backlog))

    def _write_on(self) -> None:
        while not self._stop.wait(self._step_s - self._clock() % self._step_s + 0.01 * self._step_s):
            bucket = int(self._clock() / self._step_s)
            with self._lock:
                if bucket != self._bucket:
                    self._turn(bucket)
            self._write()
            self._prune()

    def _turn(self, bucket: int) -> None:
        """Closes the bucket of before; its rows wait to be written."""
        place = {"start": datetime.fromtimestamp(self._bucket * self._step_s, UTC), "step_s": self._step_s}
        self._bucket = bucket
        for model, version, measured in [*self._models.take(), ("", "", self._used())]:
            self._number += 1
            key = {"process": self._process, "number": self._number, "model": model, "version": version}
            self._backlog.append(key | place | measured.row())
        while len(self._backlog) > self._most:
            self._backlog.popleft()
            self.lost += 1

    def _used(self) -> Measured:
        (began, used), now = self._sampled, (time.monotonic(), time.process_time())
        self._sampled, elapsed = now, now[0] - began
        return Measured(
            cpu_s=now[1] - used,
            core_s=elapsed * cores(),
            memory_byte_s=elapsed * resident_bytes(),
            observed_s=elapsed,
        )

    def _write(self) -> None:
        while rows := self._oldest():
            try:
                with self._database.writing() as connection:
                    # a row may be there already where the answer to an earlier attempt was lost
                    connection.execute(_insert(self._database.dialect), rows)
            except CamcountError as error:
                if not self._away:
                    _log.error("%s: %s; measurements wait for it", error.code, error)
                self._away = True
                return
            except Exception:  # no fault of the database's, so trying again will not help
                _log.exception("measurements could not be written and are left out")
                self.lost += len(rows)
            with self._lock:
                while self._backlog and self._backlog[0]["number"] <= rows[-1]["number"]:
                    self._backlog.popleft()
            if self._away:
                _log.warning("the database is back; %d rows of measurements were lost", self.lost)
                self._away = False

    def _oldest(self) -> list[dict[str, Any]]:
        with self._lock:
            return [row for row, _ in zip(self._backlog, range(_AT_ONCE), strict=False)]

    def _prune(self) -> None:
        if self._away or time.monotonic() - self._pruned < _PRUNED_EVERY_S:
            return
        self._pruned = time.monotonic()
        try:
            prune(self._database, self._retention)
        except CamcountError as error:
            _log.warning("%s: old measurements stay for now: %s", error.code, error)


def _insert(dialect: str) -> Any:
    kind = postgresql if dialect == "postgresql" else sqlite
    return kind.insert(TABLE).on_conflict_do_nothing()
