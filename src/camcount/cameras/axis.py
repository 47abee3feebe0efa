"""One time axis per camera, in seconds since it first started, across reconnects and restarts."""

from __future__ import annotations

from dataclasses import dataclass

JUMP_S = 2.0
"""A clock that is off by more was set anew."""
_WINDOW_S = 10.0
_SLEW = 0.1
_STEP_S = 0.2


@dataclass
class LiveAxis:
    """The wall clock, as smooth as the camera's own time stamps.

    Frames come late now and then, never early: within a connection their stamps tell the time, and the axis follows
    the least delay of each ten seconds. A clock set ahead makes a gap; one set back is caught up with by letting the
    axis run slower. Never goes back.

    Attributes:
        last_s: the newest moment. jumps: how often the clock was set.
    """

    last_s: float = -1.0
    jumps: int = 0
    _offset_s: float | None = None
    _stamp_s: float = 0.0
    _least_s: float = float("inf")
    _window_s: float = 0.0
    _back: bool = False

    def connected(self) -> None:
        """Stamps begin anew."""
        self._offset_s = None

    def at(self, stamp_s: float, wall_s: float) -> float:
        """When a frame was taken: ``stamp_s`` of its stream, arrived at ``wall_s`` seconds since the start."""
        if self._offset_s is None:
            self._offset_s = max(wall_s - stamp_s, self.last_s + 1e-3 - stamp_s)
            self._begin_window(wall_s)
        else:
            self._follow(wall_s - stamp_s - self._offset_s, max(0.0, stamp_s - self._stamp_s), wall_s)
        self._stamp_s = stamp_s
        self.last_s = max(self.last_s, self._offset_s + stamp_s)
        return self.last_s

    def _follow(self, late_s: float, elapsed_s: float, wall_s: float) -> None:
        assert self._offset_s is not None
        self._least_s = min(self._least_s, late_s)
        if late_s < 0:
            if late_s < -JUMP_S and not self._back:
                self.jumps += 1
            self._back = late_s < -JUMP_S
            self._offset_s -= min(-late_s, _SLEW * elapsed_s)
        if abs(wall_s - self._window_s) >= _WINDOW_S:
            if self._least_s > JUMP_S:
                self.jumps += 1
                self._offset_s += self._least_s
            elif self._least_s > 0:
                self._offset_s += min(self._least_s, _STEP_S)
            self._begin_window(wall_s)

    def _begin_window(self, wall_s: float) -> None:
        self._window_s, self._least_s = wall_s, float("inf")


@dataclass
class FileAxis:
    """Presentation time, one pass over the file after the other: the same input gives the same times."""

    offset_s: float = 0.0
    passes: int = 0
    _last_s: float = 0.0

    def at(self, stamp_s: float) -> float:
        """When a frame was taken, from its stamp in the file."""
        self._last_s = stamp_s
        return self.offset_s + stamp_s

    def next_pass(self, step_s: float) -> None:
        """The file begins again, ``step_s`` after its last frame."""
        self.offset_s += self._last_s + step_s
        self.passes += 1
        self._last_s = 0.0
