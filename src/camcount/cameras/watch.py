"""Whether a camera still sees: a picture that stands still to the last pixel, or is black, is no view of a street."""

from __future__ import annotations

import zlib

from camcount.cameras.states import State
from camcount.frame import Frame, Image

_EVERY_S = 1.0
_BLACK = 16.0
"""Mean brightness of 0 to 255 below which a picture is black, if it is also as even as `_EVEN` says."""
_EVEN = 4.0


class PictureWatch:
    """Looks at one frame a second.

    A real sensor is never twice the same in every pixel; a stream that repeats its last picture is. So one glance
    costs one conversion of one frame, and says nothing about what the picture shows.
    """

    def __init__(self, frozen_s: float, black_s: float) -> None:
        self._frozen_s, self._black_s = frozen_s, black_s
        self.reset()

    def reset(self) -> None:
        """The next picture comes from a new connection."""
        self._next_s = float("-inf")
        self._print: int | None = None
        self._same_since: float | None = None
        self._black_since: float | None = None
        self.verdict = State.RUNNING

    def look(self, frame: Frame) -> State:
        """`State.RUNNING`, `State.FROZEN` or `State.BLACK`, as of this frame."""
        if frame.render is None or frame.time_s < self._next_s:
            return self.verdict
        self._next_s = frame.time_s + _EVERY_S
        picture = frame.image()
        self._since(picture, frame.time_s)
        self.verdict = State.RUNNING
        if self._same_since is not None and frame.time_s - self._same_since >= self._frozen_s:
            self.verdict = State.FROZEN
        if self._black_since is not None and frame.time_s - self._black_since >= self._black_s:
            self.verdict = State.BLACK
        return self.verdict

    def _since(self, picture: Image, time_s: float) -> None:
        found = zlib.adler32(picture[::2].tobytes())
        if found != self._print:
            self._same_since = time_s
        self._print = found
        sample = picture[::8, ::8]
        if float(sample.mean()) > _BLACK or float(sample.std()) > _EVEN:
            self._black_since = None
        elif self._black_since is None:
            self._black_since = time_s
