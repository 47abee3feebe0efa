"""Counting without a line: watch first, draw a line where the tracks pass, then count what was watched too."""

from __future__ import annotations

from collections.abc import Callable

from camcount.counting.proposal import propose_line
from camcount.detections import Tracks
from camcount.events import Event
from camcount.geometry import Line
from camcount.protocols import Counter


class FirstLook:
    """A `Counter` that proposes its own line from the first ``seconds`` of tracks.

    Until then it returns no events; then ``decided`` is told the line, and what was watched is counted after the
    fact. ``build`` makes the counter for the line.
    """

    def __init__(
        self,
        build: Callable[[Line], Counter],
        width: int,
        height: int,
        *,
        seconds: float = 10.0,
        decided: Callable[[Line], None] = lambda line: None,
    ) -> None:
        self._build = build
        self._size = width, height
        self._seconds = seconds
        self._decided = decided
        self.reset()

    def update(self, tracks: Tracks, time_s: float) -> list[Event]:
        """Watches, or counts."""
        if self._counter is not None:
            return self._counter.update(tracks, time_s)
        self._seen.append((time_s, tracks))
        return self._decide() if time_s - self._seen[0][0] >= self._seconds else []

    def finish(self, time_s: float) -> list[Event]:
        """Decides if nothing was decided yet, and closes what is open."""
        events = self._decide() if self._counter is None else []
        return events + (self._counter.finish(time_s) if self._counter else [])

    def reset(self) -> None:
        """Forgets the line too: the camera may have been moved."""
        self._counter: Counter | None = None
        self._seen: list[tuple[float, Tracks]] = []

    def _decide(self) -> list[Event]:
        line = propose_line([tracks for _, tracks in self._seen], *self._size)
        self._decided(line)
        self._counter = self._build(line)
        events = [event for time_s, tracks in self._seen for event in self._counter.update(tracks, time_s)]
        self._seen = []
        return events
