"""Which side of each counting line a point is on, for all tracks and lines in one matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from camcount.geometry import Anchor, Line, Points

Floats = NDArray[np.float64]


class Sides:
    """The lines of one camera in pixels.

    A place is ``float64 (N, 4)``: foot x, foot y, centre x, centre y; each line looks at its own anchor.

    Raises:
        GeometryError: a line cannot count.
    """

    def __init__(self, lines: Sequence[Line], width: int, height: int, anchor: Anchor) -> None:
        self.count = len(lines)
        self._points = [line.at(width, height) for line in lines]
        self._offset = [0 if (line.anchor or anchor) == "foot" else 2 for line in lines]
        self._parts = np.cumsum([0, *(len(points) - 1 for points in self._points)])
        self._straight = int(self._parts[-1]) == self.count
        self._normals, self._constant = self._compile()

    def signed(self, places: Floats) -> Floats:
        """Signed distance in pixels ``(N, L)``; above 0 is ``in``. Of a polyline, to the nearest part's line."""
        distance = places @ self._normals + self._constant
        if self._straight:
            return np.asarray(distance)
        columns = [self._nearest(line, places, distance) for line in range(self.count)]
        return np.stack(columns, axis=1) if columns else np.empty((len(places), 0))

    def point(self, place: Floats, line: int) -> tuple[float, float]:
        """The point of a place ``(4,)`` that this line looks at."""
        offset = self._offset[line]
        return float(place[offset]), float(place[offset + 1])

    def crossed(self, before: Floats, after: Floats, line: int) -> tuple[int, float] | None:
        """Where the straight way between two places meets the line.

        Returns the direction (1 for ``in``, -1 for ``out``) and the fraction of the way, or None. A polyline met
        twice on one way (in and out again) is not crossed.
        """
        (x0, y0), (x1, y1) = self.point(before, line), self.point(after, line)
        total, where = 0, 0.0
        points = self._points[line]
        for k in range(len(points) - 1):
            met = _meet(x0, y0, x1, y1, points[k], points[k + 1])
            if met is not None:
                total += met[0]
                where = met[1]
        return (total, where) if total else None

    def _compile(self) -> tuple[Floats, Floats]:
        normals = np.zeros((4, int(self._parts[-1])))
        constant = np.zeros(int(self._parts[-1]))
        for line, points in enumerate(self._points):
            for k in range(len(points) - 1):
                part, row = int(self._parts[line]) + k, self._offset[line]
                dx, dy = points[k + 1] - points[k]
                normal = np.array([-dy, dx]) / np.hypot(dx, dy)
                normals[row : row + 2, part] = normal
                constant[part] = -float(normal @ points[k])
        return normals, constant

    def _nearest(self, line: int, places: Floats, distance: Floats) -> Floats:
        first, last = int(self._parts[line]), int(self._parts[line + 1])
        if last - first == 1:
            return distance[:, first]
        points = self._points[line]
        at = places[:, self._offset[line] : self._offset[line] + 2]
        away = np.stack([_distance(at, points[k], points[k + 1]) for k in range(last - first)], axis=1)
        signed = distance[:, first:last]
        # at a corner two parts are equally near: the one seen less edge-on knows the side
        nearest = (away - 1e-6 * np.abs(signed)).argmin(axis=1)
        return np.asarray(signed[np.arange(len(at)), nearest])


def _distance(points: Points, a: Points, b: Points) -> Floats:
    along = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
    return np.asarray(np.hypot(*(points - a - along[:, None] * (b - a)).T))


def _meet(x0: float, y0: float, x1: float, y1: float, a: Points, b: Points) -> tuple[int, float] | None:
    ax, ay, bx, by = float(a[0]), float(a[1]), float(b[0]), float(b[1])
    dx, dy = bx - ax, by - ay
    before = dx * (y0 - ay) - dy * (x0 - ax)
    after = dx * (y1 - ay) - dy * (x1 - ax)
    if (before > 0) == (after > 0):
        return None
    t = before / (before - after)
    x, y = x0 + t * (x1 - x0) - ax, y0 + t * (y1 - y0) - ay
    u = (dx * x + dy * y) / (dx * dx + dy * dy)
    return (1 if after > 0 else -1, t) if 0.0 <= u <= 1.0 else None
