"""The line doctor's picture: where objects went, the line, a better one, and what each will lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from camcount.frame import Image
from camcount.geometry import Points
from camcount.video.ink import DARK, WHITE, Colour, Ink

GRADES: dict[str, Colour] = {
    "good": (96, 200, 90),
    "fair": (40, 176, 250),
    "poor": (64, 72, 235),
    "unknown": (170, 170, 170),
}
"""The colours of a line by what it loses."""

_PATH: Colour = (235, 215, 180)
_BACKGROUND = 58
_JITTER = 3


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A line ``points (K, 2)`` in pixels, the plate beside it, its grade, and whether it is only proposed."""

    points: Points
    text: str
    grade: str
    proposed: bool = False


def doctor_picture(
    image: Image | None, size: tuple[int, int], paths: Sequence[Points], lines: Sequence[Judged]
) -> Image:
    """Draws paths ``(N, 2)`` and lines over ``image``, or over a dark ground of ``size`` where there is none."""
    width, height = size
    picture: Image = np.full((height, width, 3), _BACKGROUND, np.uint8) if image is None else image.copy()
    unit = max(0.55, min(width / 1280, height / 720))
    layer = picture.copy()
    under = Ink(layer, unit)
    paths = [_smooth(path) for path in paths]
    for path in paths:
        if len(path) > 1:
            under.line(path, DARK, 3.4)
            under.line(path, _PATH, 1.8)
    cv2.addWeighted(layer, 0.62, picture, 0.38, 0, dst=picture)
    ink = Ink(picture, unit)
    for path in paths:
        if len(path) > 1:  # a ring where it begins, a dot where it ends
            ink.disc(path[0], 4.0, _PATH, 1.6)
            ink.disc(path[-1], 3.2, _PATH)
    for line in sorted(lines, key=lambda line: line.proposed):
        _draw_line(ink, line)
    _draw_plates(ink, lines)
    return picture


def _smooth(path: Points) -> Points:
    """The path without the jitter of the boxes, its ends where they are."""
    if len(path) < 2 * _JITTER + 1:
        return path
    padded = np.concatenate([path[:1].repeat(_JITTER, 0), path, path[-1:].repeat(_JITTER, 0)])
    kernel = np.ones(2 * _JITTER + 1) / (2 * _JITTER + 1)
    return np.stack([np.convolve(padded[:, k], kernel, "valid") for k in (0, 1)], axis=1)


def _draw_line(ink: Ink, line: Judged) -> None:
    colour = GRADES[line.grade]
    for points in _dashes(line.points, 22 * ink.unit) if line.proposed else [line.points]:
        ink.line(points, DARK, 7.0)
        ink.line(points, colour, 4.2)
    for end in line.points:
        ink.disc(end, 7.0, DARK)
        ink.disc(end, 5.2, colour)
    k = (len(line.points) - 1) // 2
    middle, along = (line.points[k] + line.points[k + 1]) / 2, line.points[k + 1] - line.points[k]
    normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    ink.arrow(middle, middle + normal * 40 * ink.unit, colour)


def _dashes(points: Points, length: float) -> list[Points]:
    found: list[Points] = []
    for a, b in pairwise(points):
        count = max(1, round(float(np.hypot(*(b - a))) / length / 1.6))
        starts = np.linspace(0, 1, count, endpoint=False)
        found += [np.array([a + (b - a) * s, a + (b - a) * min(1.0, s + 0.62 / count)]) for s in starts]
    return found


def _draw_plates(ink: Ink, lines: Sequence[Judged]) -> None:
    """Each plate on its line away from the arrow, pushed down where another one is already there."""
    taken: list[tuple[float, float, float, float]] = []
    room = np.array(ink.image.shape[1::-1], np.float64)
    for line in lines:
        width, height = ink.plate_size(line.text, 20)
        share = 0.7 if line.proposed else 0.3
        at = line.points[0] + share * (line.points[-1] - line.points[0]) - (width / 2, height / 2)
        left, top = np.clip(at, 0, np.maximum(room - (width, height), 0)).tolist()
        for other in sorted(taken, key=lambda box: box[1]):
            if left < other[2] and other[0] < left + width and top < other[3] and other[1] < top + height:
                top = other[3] + 4 * ink.unit
                if top + height > room[1]:
                    top = other[1] - height - 4 * ink.unit
        taken.append((left, top, left + width, top + height))
        colour = GRADES[line.grade]
        ink.plate(line.text, np.array([left, top]), 20, colour, WHITE if line.grade == "poor" else DARK)
