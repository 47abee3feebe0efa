"""Marks on a picture that stay crisp at any resolution: rounded boxes, plates with text, arrows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from camcount.frame import Image
from camcount.geometry import Points

Colour = tuple[int, int, int]
"""Blue, green, red."""

WHITE: Colour = (255, 255, 255)
DARK: Colour = (34, 28, 24)
_BITS = 4
_QUARTERS = np.concatenate([np.linspace(0, np.pi / 2, 5) + k * np.pi / 2 for k in range(4)])
_ARC = np.stack([np.sin(_QUARTERS), -np.cos(_QUARTERS)], axis=1)  # clockwise from the top


@lru_cache(maxsize=4096)
def palette(number: int) -> Colour:
    """A bright colour for any whole number; neighbours differ clearly (golden angle in hue)."""
    hue = (number * 0.618034 + 0.08) % 1.0
    pixel = np.array([[[round(hue * 179), 150 + 45 * (number % 2), 240 - 25 * (number % 3)]]], np.uint8)
    b, g, r = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return b, g, r


@dataclass
class Ink:
    """Draws onto ``image``; ``unit`` is how many pixels a pixel of a 720 line picture has become."""

    image: Image
    unit: float = 1.0
    font: Any = field(default_factory=lambda: cv2.FontFace("sans"), repr=False)
    """OpenCV's own; it keeps letters it has drawn, so one font per thread."""

    def thick(self, width: float) -> int:
        """A line width in pixels, at least 1."""
        return max(1, round(width * self.unit))

    def line(self, points: Points, colour: Colour, width: float, *, closed: bool = False) -> None:
        """A line through ``points (K, 2)``."""
        cv2.polylines(self.image, [_fixed(points)], closed, colour, self.thick(width), cv2.LINE_AA, _BITS)

    def fill(self, points: Points, colour: Colour) -> None:
        """A filled polygon ``(K, 2)``."""
        cv2.fillPoly(self.image, [_fixed(points)], colour, cv2.LINE_AA, _BITS)

    def disc(self, centre: Points, radius: float, colour: Colour, width: float | None = None) -> None:
        """A filled circle, or a ring ``width`` wide; ``radius`` in units."""
        at = _fixed(centre).tolist()
        size = max(1, round(radius * self.unit * (1 << _BITS)))
        cv2.circle(self.image, at, size, colour, -1 if width is None else self.thick(width), cv2.LINE_AA, _BITS)

    def box(self, xyxy: NDArray[np.float32], colour: Colour) -> None:
        """A rectangle with round corners and a dark rim that sets it off from any background."""
        outline = rounded(xyxy.astype(np.float64), 7 * self.unit)
        self.line(outline, DARK, 3.6, closed=True)
        self.line(outline, colour, 2.2, closed=True)

    def plate_size(self, text: str, size: float) -> tuple[float, float]:
        """Width and height in pixels of a plate with ``text`` in letters ``size`` units high."""
        pixels = self._letters(size)
        _, _, wide, _ = cv2.getTextSize((0, 0), text, (0, 0), self.font, pixels, 600)
        return wide + 1.0 * pixels, 1.55 * pixels

    def plate(self, text: str, corner: Points, size: float, colour: Colour, ink: Colour | None = None) -> None:
        """A filled plate with ``text``; ``corner`` is its top left, moved so that all of it is in the picture."""
        width, height = self.plate_size(text, size)
        pixels = self._letters(size)
        room = np.array(self.image.shape[1::-1], np.float64) - (width, height)
        left, top = np.clip(corner, 0, np.maximum(room, 0))
        self.fill(rounded(np.array([left, top, left + width, top + height]), 0.32 * height), colour)
        letters = ink or (DARK if luminance(colour) > 150 else WHITE)
        at = round(left + 0.5 * pixels), round(top + 1.13 * pixels)
        cv2.putText(self.image, text, at, letters, self.font, pixels, 600)

    def arrow(self, start: Points, end: Points, colour: Colour) -> None:
        """An arrow with a dark rim."""
        along = (end - start) / max(float(np.hypot(*(end - start))), 1e-6)
        across = np.array([-along[1], along[0]])
        wing = 9 * self.unit
        base = end - along * wing * 1.3
        head = np.array([end, base + across * wing, base - across * wing])
        self.line(np.array([start, base]), DARK, 6.5)
        self.line(head, DARK, 3.0, closed=True)
        self.line(np.array([start, base]), colour, 4.0)
        self.fill(head, colour)

    def _letters(self, size: float) -> int:
        return max(10, round(size * self.unit))


def luminance(colour: Colour) -> float:
    """How bright a colour looks, 0..255 (Rec. 601)."""
    return 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]


def rounded(xyxy: Points, radius: float) -> Points:
    """The outline ``(20, 2)`` of a rectangle with round corners."""
    x0, y0, x1, y1 = xyxy
    r = max(0.0, min(radius, (x1 - x0) / 2, (y1 - y0) / 2))
    corners = np.array([(x1 - r, y0 + r), (x1 - r, y1 - r), (x0 + r, y1 - r), (x0 + r, y0 + r)])
    return np.asarray(corners.repeat(len(_ARC) // 4, axis=0) + r * _ARC)


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.rint(np.asarray(points) * (1 << _BITS)).astype(np.int32)
