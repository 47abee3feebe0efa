"""Which seconds of a source were truly seen, from when its frames came."""

from __future__ import annotations


class Seen:
    """Adds up the time that was seen.

    A frame is taken to last until the next one; frames further apart than ``gap_s`` (and than three times the
    closest ones so far) leave a gap that was not seen.

    Attributes:
        start_s, last_s: when the first and the newest frame came; None before any.
        seen_s: seconds seen before the newest frame.
    """

    def __init__(self, gap_s: float = 2.0) -> None:
        self._gap_s = gap_s
        self._closest_s = float("inf")
        self._first: tuple[float, float] | None = None
        self.start_s = 0.0
        self.last_s: float | None = None
        self.seen_s = 0.0

    @property
    def frame_s(self) -> float:
        """How long the newest frame is taken to last: as long as the closest two; 0 of a single one."""
        return self._closest_s if self._closest_s < float("inf") else 0.0

    @property
    def coverage(self) -> float:
        """Share of the time from the first frame to the end of the newest one that was seen, 0..1."""
        if self.last_s is None:
            return 0.0
        whole = self.last_s + self.frame_s - self.start_s
        return min((self.seen_s + self.frame_s) / whole, 1.0) if whole > 0 else 0.0

    @property
    def missed_s(self) -> float:
        """Seconds from the first to the newest frame that were not seen."""
        return max(0.0, (self.last_s or 0.0) - self.start_s - self.seen_s)

    def frame(self, time_s: float) -> list[tuple[float, float]]:
        """A frame came; returns the stretches of time that are now known to have been seen."""
        found: list[tuple[float, float]] = []
        if self.last_s is None:
            self.start_s = self.last_s = time_s
        elif time_s > self.last_s:
            found = self._since(self.last_s, time_s)
            self.last_s = time_s
            self.seen_s += sum(end_s - begin_s for begin_s, end_s in found)
        return found

    def _since(self, before_s: float, time_s: float) -> list[tuple[float, float]]:
        found = []
        elapsed, usual = time_s - before_s, self._closest_s
        self._closest_s = min(usual, elapsed)
        if self._first is not None:
            # only the second pair of frames tells whether the first was a gap or the camera is slow
            begin, end = self._first
            found.append((begin, end if end - begin <= 3 * elapsed else begin + self._closest_s))
            self._first = None
        if elapsed <= max(self._gap_s, 3 * self._closest_s if usual < float("inf") else 0.0):
            found.append((before_s, time_s))
        elif usual < float("inf"):
            found.append((before_s, before_s + usual))
        else:
            self._first = before_s, time_s
        return found
