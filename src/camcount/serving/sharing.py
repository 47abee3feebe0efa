"""One loaded model for all replicas of it in this process, where several threads may ask it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from camcount.protocols import Detector
from camcount.serving.worker import Worker


class SharedModel:
    """Makes the workers of one model's local replicas.

    An engine that any number of threads may call at once is loaded once for all of them, and its weights are in
    memory once. Any other is loaded for each. A replica that is lost takes what it used out of circulation: its
    successor loads the model anew.

    Args:
        load: loads the model.
        apart: loads it for each replica in any case.
    """

    def __init__(self, load: Callable[[], Detector], *, apart: bool = False) -> None:
        self._load = load
        self._apart = apart
        self._lock = threading.RLock()
        self._latest: Detector | None = None
        self._users: dict[int, int] = {}

    def worker(self) -> Worker:
        """One more worker.

        Raises:
            CamcountError: the model cannot be loaded.
        """
        with self._lock:
            if self._latest is None:
                detector = self._load()
                if self._apart or detector.concurrency:
                    return Worker(detector)
                self._latest = detector
            detector = self._latest
            self._users[id(detector)] = self._users.get(id(detector), 0) + 1
        return Worker(detector, close=lambda: self._leave(detector), lose=lambda: self._retire(detector))

    def _leave(self, detector: Detector) -> None:
        with self._lock:
            self._users[id(detector)] -= 1
            last = not self._users[id(detector)]
            if last:
                del self._users[id(detector)]
                self._retire(detector)
        if last:
            detector.close()

    def _retire(self, detector: Detector) -> None:
        """Nobody new uses it."""
        with self._lock:
            if self._latest is detector:
                self._latest = None
