"""What a run tells the database, and what it is told there."""

from __future__ import annotations

import time

from camcount.batch.gate import Gate
from camcount.batch.work import Progress
from camcount.errors import CamcountError
from camcount.storage.batch_runs import Runs, State, Wanted


class Record:
    """Writes down a run once a second, and pauses or ends it when somebody asks for that.

    The journal in the run's folder is what counts: a database that is away costs the run nothing but being seen,
    and is in ``warnings``.
    """

    def __init__(self, runs: Runs, run_id: str, gate: Gate, *, every_s: float = 1.0) -> None:
        self.warnings: list[str] = []
        self.cancelled = False
        self._runs = runs
        self._run_id = run_id
        self._gate = gate
        self._every_s = every_s
        self._next = 0.0
        self._wanted: Wanted = "go"

    def update(self, progress: Progress) -> None:
        """Does so if it is time."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every_s
        self._note("paused" if self._gate.paused else "running", progress)

    def end(self, state: State, progress: Progress) -> None:
        """Writes down how it ended."""
        self._note(state, progress)

    def _note(self, state: State, progress: Progress) -> None:
        done = progress.kept + progress.done
        try:
            wanted = self._runs.note(self._run_id, state, done=done, failed=progress.failed)
        except CamcountError as error:
            if not self.warnings:
                self.warnings.append(f"the run cannot be seen in the database: {error}")
            return
        before, self._wanted = self._wanted, wanted
        if wanted == "cancel":
            self.cancelled = True
            self._gate.stop()
        elif wanted == "pause" != before:
            self._gate.pause()
        elif wanted != before:  # only then: a pause by signal holds
            self._gate.go_on()
