"""Starts batches when they are due, each in a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from camcount.batch.cron import Cron
from camcount.errors import CamcountError
from camcount.storage.batch_schedules import Scheduled, Schedules
from camcount.storage.database import URL_VARIABLE, Database

_log = logging.getLogger("camcount.batch")
_COMMAND = (sys.executable, "-m", "camcount", "batch", "run")
_PATIENCE_S = 10.0


class Schedule:
    """Watches the schedules of a database and runs what is due; several processes may do so at once.

    A time that was missed, however often, is made up for once. What is still running from the last time is left to
    go on, and what was cut off with this process goes on when it starts again. A batch is ``camcount batch`` in a
    child process of low priority: it takes nothing from a server but idle cores, and outlives its crash.

    Args:
        tick_s: how often to look, in seconds.
        clock: the time now, aware.
        command: what to run, before the arguments.
    """

    def __init__(
        self,
        database: Database,
        *,
        tick_s: float = 1.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._schedules = Schedules(database)
        self._environment = {**os.environ, URL_VARIABLE: database.url.render_as_string(hide_password=False)}
        self._tick_s = tick_s
        self._clock = clock
        self._command = tuple(command)
        self._children: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="batch-schedule", daemon=True)

    def start(self) -> None:
        """Begins to watch, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Watches no longer, and ends what it runs: that goes on after the next start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for child, said in self._children.values():
            child.terminate()
            try:
                child.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            said.close()
        self._children.clear()

    def _watch(self) -> None:
        first = True
        while not self._stop.is_set():
            try:
                self._look(first)
                first = False
            except CamcountError as error:  # the database is away: look again later
                _log.warning("batches are not started: %s (%s)", error, error.code)
            except Exception:
                _log.exception("batches are not started")
            self._stop.wait(self._tick_s)

    def _look(self, first: bool) -> None:
        self._reap()
        if first:
            for entry in self._schedules.all():
                if entry.running:
                    self._launch(entry)
        for entry in self._schedules.take(self._clock(), lambda e: Cron(e.cron, e.zone).after(self._clock())):
            self._launch(entry)

    def _launch(self, entry: Scheduled) -> None:
        if entry.name in self._children:
            return
        said = tempfile.TemporaryFile()  # noqa: SIM115 # closed when the child is reaped; a pipe could fill up
        try:
            child = subprocess.Popen(
                [*self._command, *entry.arguments],
                cwd=entry.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        except OSError as error:
            said.close()
            self._schedules.ended(entry.name, f"could not be started in {entry.folder}: {error.strerror}")
            return
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, child.pid, 10)
        _log.info("batch %s begins", entry.name)
        self._children[entry.name] = child, said

    def _reap(self) -> None:
        for name, (child, said) in list(self._children.items()):
            if (status := child.poll()) is not None:
                self._schedules.ended(name, _outcome(status, _last_line(said)))
                said.close()
                del self._children[name]
                _log.info("batch %s ended with status %d", name, status)


def scheduled(name: str, cron: str, zone: str, folder: Path, arguments: Sequence[str]) -> Scheduled:
    """A batch for the table of schedules.

    Raises:
        UsageError: the expression or the zone is none.
    """
    following = Cron(cron, zone).after(datetime.now(UTC))
    return Scheduled(
        name=name, cron=cron, zone=zone, folder=str(folder.absolute()), arguments=arguments, next_run=following
    )


def _last_line(file: IO[bytes]) -> str:
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _outcome(status: int, said: str) -> str:
    return "done" if status == 0 else f"status {status}: {said or 'without a word'}"
