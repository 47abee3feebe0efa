"""How fast and how late one camera is counted, over the last second."""

from __future__ import annotations


class Pace:
    """Figures of the last whole second.

    Attributes:
        fps, asked_fps: frames counted and asked about per second. wanted_fps: that should have been asked about.
        lag_s: the longest from arrival to count.
    """

    def __init__(self) -> None:
        self.fps = self.asked_fps = self.wanted_fps = self.lag_s = 0.0
        self._began: float | None = None
        self._counted = self._asked = self._wanted = 0
        self._worst_s = 0.0

    def wanted(self) -> None:
        """A frame came that the model should be asked about."""
        self._wanted += 1

    def counted(self, lag_s: float, *, asked: bool) -> None:
        """A frame was counted so long after it came."""
        self._counted += 1
        self._asked += asked
        self._worst_s = max(self._worst_s, lag_s)

    def second(self, now: float) -> bool:
        """Whether another second is over, and with it new figures are there."""
        if self._began is None:
            self._began = now
        elapsed = now - self._began
        if elapsed < 1.0:
            return False
        self.fps, self.asked_fps = self._counted / elapsed, self._asked / elapsed
        self.wanted_fps, self.lag_s = self._wanted / elapsed, self._worst_s
        self._began, self._counted, self._asked, self._wanted, self._worst_s = now, 0, 0, 0, 0.0
        return True
