"""Tells recorders of requests that have ended: a moment later, and several at a time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence

from camcount.protocols import Recorder
from camcount.stats import RequestStats

_EVERY_S = 0.1

_log = logging.getLogger("camcount.serving")


class Recording:
    """Between the replicas and the recorders.

    A replica that told the recorders itself, after every picture, found none of their code in its caches: that took
    2 % of all its time, several times what it takes for many requests in a row.
    """

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self._recorders = tuple(recorders)
        self._waiting: deque[RequestStats] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        if self._recorders:
            self._thread.start()

    def __bool__(self) -> bool:
        return bool(self._recorders)

    def add(self, stats: RequestStats) -> None:
        """Has it recorded soon; never waits."""
        self._waiting.append(stats)
        if self._closing.is_set():
            self.catch_up()

    def catch_up(self) -> None:
        """Returns when everything that was added before is recorded."""
        with self._lock:
            while self._waiting:
                stats = self._waiting.popleft()
                for recorder in self._recorders:
                    try:
                        recorder.record(stats)
                    except Exception:  # must not raise, and if it does the others go on
                        _log.exception("%s failed", type(recorder).__name__)

    def close(self) -> None:
        """Catches up; what is added afterwards is recorded at once."""
        self._closing.set()
        if self._recorders:
            self._thread.join()
        self.catch_up()

    def _run(self) -> None:
        while not self._closing.wait(_EVERY_S):
            self.catch_up()
