"""Moves old events to the archive once a day, beside a running server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from camcount.errors import CamcountError
from camcount.storage.archive import archive
from camcount.storage.database import Database

AT = time(0, 30)
"""When a day (UTC) that has just become old enough is moved: at night, and not on the stroke of midnight."""
_LOOK_S, _AGAIN = 60.0, timedelta(hours=1)

_log = logging.getLogger("camcount.storage")


class DailyArchive:
    """A thread that archives when it starts and then every day at `AT`; after a failure, an hour later again.

    What cannot be archived stays in the database and is told in the log, once a try: counting goes on.

    Args:
        database: open; whoever opened it closes it, after this.
        folder: where the files go.
        keep: how long events stay in the database.
        clock: this moment, aware. look_s: how often it is looked at, in seconds, so that one that is set is noticed.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        keep: timedelta,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        look_s: float = _LOOK_S,
    ) -> None:
        self._database, self._folder, self._keep = database, folder, keep
        self._clock, self._look_s = clock, look_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archive events", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends after the day that is being moved."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        due = self._clock()
        while not self._stop.is_set():
            now = self._clock()
            if now >= due:
                due = next_time(now) if self._move(now) else now + _AGAIN
            self._stop.wait(self._look_s)

    def _move(self, now: datetime) -> bool:
        try:
            made = archive(self._database, self._folder, self._keep, now=now, stopping=self._stop.is_set)
        except CamcountError as error:
            _log.warning("old events are not archived for now: %s (%s)", error, error.code)
            return False
        except Exception:  # one fault must not end what should run for years
            _log.exception("old events are not archived for now")
            return False
        if made:
            many = sum(one.rows for one in made)
            _log.info("moved %d events to %d files in %s", many, len(made), self._folder)
        return True


def next_time(now: datetime) -> datetime:
    """The next `AT` after a moment.

    >>> next_time(datetime(2026, 3, 1, 0, 29, tzinfo=UTC)).isoformat()
    '2026-03-01T00:30:00+00:00'
    >>> next_time(datetime(2026, 3, 1, 0, 30, tzinfo=UTC)).isoformat()
    '2026-03-02T00:30:00+00:00'
    """
    day = now.astimezone(UTC)
    today = datetime.combine(day.date(), AT, UTC)
    return today if today > day else today + timedelta(days=1)
