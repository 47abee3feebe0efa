"""From the picture of a camera to the floor that several cameras share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camcount.errors import GeometryError
from camcount.events import Crossing
from camcount.geometry import Points


@dataclass(frozen=True, slots=True)
class Sighting:
    """A crossing on the clock and the floor of a site.

    Attributes:
        time_s: seconds on a clock that all cameras of the site share.
        place: where on the floor, in metres; None where the camera's floor is not known.
    """

    crossing: Crossing
    time_s: float
    place: tuple[float, float] | None = None


class Floor:
    """The floor as one camera sees it: a plane seen in perspective (a homography).

    Solved by the normalised direct linear transform (Hartley, IEEE TPAMI 19(6), 1997), from four pairs of points or
    more, by least squares. Lens distortion is not modelled: choose points near where people walk.

    Args:
        picture, floor: the same points in pixels and in metres.

    Raises:
        GeometryError: fewer than four pairs, or three of four on one line.

    >>> floor = Floor([(0, 0), (100, 0), (100, 100), (0, 100)], [(0, 0), (10, 0), (10, 20), (0, 20)])
    >>> floor.at(np.array([[50.0, 50.0]])).round(6).tolist()
    [[5.0, 10.0]]
    """

    def __init__(self, picture: Sequence[tuple[float, float]], floor: Sequence[tuple[float, float]]) -> None:
        if len(picture) != len(floor) or len(picture) < 4:
            raise GeometryError(f"a floor needs four pairs of points or more, not {min(len(picture), len(floor))}")
        seen, true = np.array(picture, np.float64), np.array(floor, np.float64)
        if not (np.isfinite(seen).all() and np.isfinite(true).all()):
            raise GeometryError("a point of the floor is not a number")
        self._matrix = _homography(seen, true)
        # the side of the horizon that the given points are on
        depths = np.c_[seen, np.ones(len(seen))] @ self._matrix[2]
        if not (depths > 0).all() and not (depths < 0).all():
            raise GeometryError("the points of the floor are in another order than those of the picture")
        self._matrix *= np.sign(depths[0])
        self.error_m = float(np.hypot(*(self.at(seen) - true).T).max())
        """How far the worst of the given points is off, in metres; 0 for four pairs."""

    def at(self, points: Points) -> Points:
        """``points (N, 2)`` in pixels to ``float64 (N, 2)`` in metres; NaN above the horizon."""
        mapped = np.c_[np.asarray(points, np.float64), np.ones(len(points))] @ self._matrix.T
        depth = np.where(mapped[:, 2:] > 0, mapped[:, 2:], np.nan)
        return np.asarray(mapped[:, :2] / depth)

    def place(self, point: tuple[float, float]) -> tuple[float, float] | None:
        """One point; None above the horizon."""
        x, y = self.at(np.array([point])).tolist()[0]
        return None if np.isnan(x) else (x, y)


def _homography(seen: Points, true: Points) -> NDArray[np.float64]:
    before, after = _normalising(seen), _normalising(true)
    xy, uv = _through(before, seen), _through(after, true)
    ones, noughts = np.ones(len(xy)), np.zeros((len(xy), 3))
    rows = np.c_[xy, ones]
    system = np.r_[np.c_[rows, noughts, -uv[:, :1] * rows], np.c_[noughts, rows, -uv[:, 1:] * rows]]
    _, strength, turned = np.linalg.svd(system)
    if strength[7] < 1e-6 * strength[0]:
        raise GeometryError("the floor's points do not fix it: no three of four may be on one line")
    matrix = np.linalg.inv(after) @ turned[-1].reshape(3, 3) @ before
    if abs(np.linalg.det(matrix / np.linalg.norm(matrix))) < 1e-12:
        raise GeometryError("the floor's points do not fix it: no three of four may be on one line")
    return np.asarray(matrix)


def _normalising(points: Points) -> NDArray[np.float64]:
    centre = points.mean(axis=0)
    size = max(float(np.hypot(*(points - centre).T).mean()), 1e-12) / np.sqrt(2)
    return np.array([[1 / size, 0, -centre[0] / size], [0, 1 / size, -centre[1] / size], [0, 0, 1]])


def _through(matrix: NDArray[np.float64], points: Points) -> Points:
    return np.asarray((np.c_[points, np.ones(len(points))] @ matrix.T)[:, :2])
