"""The tracks that a running camera saw in the last minute: what the line doctor looks at."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from camcount.counting.doctor import Recording
from camcount.detections import Tracks
from camcount.geometry import Anchor

SPAN_S = 60.0
MOST = 1800


class Lately:
    """Forgets what is older than ``span_s`` seconds, and keeps at most ``most`` frames. Safe from all threads.

    Boxes alone are kept, a kilobyte or so a frame: no pictures.
    """

    def __init__(self, *, span_s: float = SPAN_S, most: int = MOST) -> None:
        self._span_s = span_s
        self._lock = threading.Lock()
        self._size = 0, 0
        self._frames: deque[tuple[float, Tracks]] = deque(maxlen=most)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture in pixels; None before there was one."""
        return self._size if self._size[0] else None

    def add(self, tracks: Tracks, time_s: float, size: tuple[int, int]) -> None:
        """One more frame of ``size``; boxes of a picture of another size mean nothing in it."""
        with self._lock:
            if size != self._size or (self._frames and time_s < self._frames[-1][0]):
                self._frames.clear()
                self._size = size
            self._frames.append((time_s, tracks))
            while time_s - self._frames[0][0] > self._span_s:
                self._frames.popleft()

    def recording(self, anchor: Anchor = "foot", labels: tuple[str, ...] | None = None) -> Recording:
        """All of it, with objects of ``labels`` only where some are given."""
        with self._lock:
            frames = list(self._frames)
        recording = Recording(*self._size, anchor)
        for time_s, tracks in frames:
            recording.add(tracks if labels is None else _limited(tracks, labels), time_s)
        return recording

    def labels(self) -> tuple[str, ...]:
        """Those of the objects seen, the most frequent first."""
        with self._lock:
            frames = list(self._frames)
        seen: dict[str, int] = {}
        for _, tracks in frames:
            for row in np.flatnonzero(tracks.confirmed).tolist():
                label = tracks.label(row)
                seen[label] = seen.get(label, 0) + 1
        return tuple(sorted(seen, key=lambda label: (-seen[label], label)))


def _limited(tracks: Tracks, labels: tuple[str, ...]) -> Tracks:
    return tracks.select(np.array([tracks.label(row) in labels for row in range(len(tracks))], np.bool_))
