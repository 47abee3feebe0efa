"""Time stamps as they come, made into presentation seconds that never go backwards."""

from __future__ import annotations

from dataclasses import dataclass, field

JUMPS_KEPT = 3
_BACK_S = 2.0
"""A stamp this far back is late (the time stands still for it); further back, the clock was set anew."""
_AHEAD_S = 60.0
"""A gap longer than this must be vouched for by the container's duration or by the wall clock."""


@dataclass
class Timeline:
    """The clock of one source, fed with one stamp per frame.

    ``step_s`` is the nominal time between frames; it stands in for a stamp that is missing. ``start_s`` is the
    stamp at which the stream starts, ``None`` to start at the first stamp that comes. ``duration_s`` is what
    the container claims, ``None`` if it claims nothing.
    """

    step_s: float
    start_s: float | None = None
    duration_s: float | None = None
    last_s: float | None = None
    jumped: int = 0
    jumps: list[tuple[float, float]] = field(default_factory=list)
    """Where the stamps first jumped: (seconds so far, seconds that the stamp claimed), at most `JUMPS_KEPT`."""
    _arrived_s: float = 0.0

    def at(self, stamp_s: float | None, arrived_s: float | None = None) -> float:
        """The presentation time of the next frame, in seconds, never less than that of the one before.

        ``stamp_s`` is its stamp, if it has one; ``arrived_s``, for a live source, when it came, on any steady
        clock that starts with the source. A stamp that jumps back, or further ahead than can be, is taken for a
        clock that was set anew: time goes on by one step.
        """
        expected = 0.0 if self.last_s is None else self.last_s + self.step_s
        if stamp_s is None:
            time_s = expected
        else:
            if self.start_s is None:
                self.start_s = stamp_s - expected
            time_s = stamp_s - self.start_s
            if self._jumped(time_s, arrived_s):
                self.jumped += 1
                if len(self.jumps) < JUMPS_KEPT:
                    self.jumps.append((self.last_s or 0.0, time_s))
                self.start_s += time_s - expected
                time_s = expected
        self._arrived_s = arrived_s or 0.0
        self.last_s = max(time_s, self.last_s or 0.0)
        return self.last_s

    def _jumped(self, time_s: float, arrived_s: float | None) -> bool:
        # pictures that come out of order after damage go back by up to a group of pictures; clocks go back further
        gap_s = time_s - (self.last_s or 0.0)
        if gap_s < -_BACK_S:
            return True
        if gap_s <= _AHEAD_S:
            return False
        if arrived_s is not None:
            return gap_s > 2 * (arrived_s - self._arrived_s)
        return self.duration_s is None or time_s > self.duration_s + 1.0
