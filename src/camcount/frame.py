"""One picture of a camera at one moment, at whatever size the reader asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""``uint8 (H, W, 3)``, blue-green-red."""

Render = Callable[[int, int], Image]
"""Produces the picture at ``(width, height)`` pixels, scaling while it converts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A decoded picture that is converted only when, and only as large as, somebody needs it.

    ``time_s`` is the presentation time in seconds since the start of the source, never ``index / fps``:
    cameras stutter. ``width`` and ``height`` are of the upright picture, after any rotation the container
    asks for. ``render`` may be called from several threads and gives a picture that its caller may write on.
    A frame that has no picture (given detections instead of video) has ``render=None``.
    """

    index: int
    time_s: float
    width: int
    height: int
    render: Render | None = None
    camera_id: str = ""
    wall_time: datetime | None = None
    """When the picture was taken, timezone-aware, where the source knows it."""

    def image(self, width: int | None = None, height: int | None = None) -> Image:
        """The picture as ``uint8 (height, width, 3)`` BGR; full size unless told otherwise.

        Raises:
            ValueError: this frame has no picture.
        """
        if self.render is None:
            raise ValueError(f"frame {self.index} has no picture: it came with given detections")
        return self.render(width or self.width, height or self.height)
