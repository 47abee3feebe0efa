"""Lines, zones and the plane geometry they need. Pixels unless said; x to the right, y down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from camcount.errors import GeometryError

Anchor = Literal["foot", "centre"]
Points = NDArray[np.float64]
"""``float64 (N, 2)``."""


@dataclass(frozen=True, slots=True)
class Line:
    """A counting line a -> b (or a polyline a -> ... -> z).

    ``in`` is to the right-hand side of someone walking from the first point to the last on the screen: for a
    line drawn left to right, ``in`` is downwards. ``points`` are relative (0..1) or pixels; `at` resolves them.
    ``labels`` limits what is counted; ``anchor`` overrides the point of the box that counts.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    anchor: Anchor | None = None
    labels: tuple[str, ...] | None = None

    @property
    def reversed(self) -> Line:
        """The same line with ``in`` on the other side."""
        return replace(self, points=self.points[::-1])

    def at(self, width: int, height: int) -> Points:
        """The points in pixels of a picture, ``float64 (K, 2)``.

        Raises:
            GeometryError: fewer than two points, zero length, or a point outside the picture.
        """
        if len(self.points) < 2:
            raise GeometryError(f"line {self.name!r} needs at least two points: name=x1,y1,x2,y2")
        points = _resolve(f"line {self.name!r}", self.points, width, height)
        if (np.hypot(*np.diff(points, axis=0).T) < 1.0).any():
            raise GeometryError(f"line {self.name!r} has a part of zero length: give two different points")
        return points


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon whose visitors are counted. ``points`` are relative (0..1) or pixels."""

    name: str
    points: tuple[tuple[float, float], ...]
    anchor: Anchor | None = None
    labels: tuple[str, ...] | None = None

    def at(self, width: int, height: int) -> Points:
        """The corners in pixels of a picture, ``float64 (K, 2)``.

        Raises:
            GeometryError: fewer than three corners, a corner outside the picture, no area, or self-crossing.
        """
        if len(self.points) < 3:
            raise GeometryError(f"zone {self.name!r} needs at least three corners: name=x1,y1,x2,y2,x3,y3")
        points = _resolve(f"zone {self.name!r}", self.points, width, height)
        if _crosses_itself(points):
            raise GeometryError(f"zone {self.name!r} crosses itself: list its corners in order around the edge")
        if abs(polygon_area(points)) < 1.0:
            raise GeometryError(f"zone {self.name!r} has no area: give three corners that are not on one line")
        return points


def parse_line(text: str) -> Line:
    """A line from ``name=x1,y1,x2,y2[,x3,y3...][:reverse]``.

    >>> parse_line("gate=0.1,0.5,0.9,0.5:reverse").points
    ((0.9, 0.5), (0.1, 0.5))

    Raises:
        GeometryError: the text is not of that form.
    """
    body, _, flag = text.partition(":")
    if flag not in ("", "reverse"):
        raise GeometryError(f"line {text!r}: after ':' only 'reverse' is known, got {flag!r}")
    name, points = _parse("line", body, 2)
    line = Line(name, points)
    return line.reversed if flag else line


def parse_zone(text: str) -> Zone:
    """A zone from ``name=x1,y1,x2,y2,x3,y3...``.

    Raises:
        GeometryError: the text is not of that form.
    """
    return Zone(*_parse("zone", text, 3))


def _parse(kind: str, text: str, least: int) -> tuple[str, tuple[tuple[float, float], ...]]:
    name, equals, numbers = text.partition("=")
    example = "gate=0.1,0.5,0.9,0.5" if kind == "line" else "hall=0.1,0.1,0.9,0.1,0.9,0.9"
    if not equals:
        name, numbers = kind, text
    try:
        values = [float(v) for v in numbers.split(",")]
    except ValueError:
        raise GeometryError(f"{kind} {text!r} is not name=numbers, for example {example}") from None
    if len(values) % 2 or len(values) < 2 * least or not name.strip():
        raise GeometryError(f"{kind} {text!r} needs a name and at least {least} points x,y, for example {example}")
    return name.strip(), tuple(zip(values[::2], values[1::2], strict=True))


def _resolve(what: str, points: tuple[tuple[float, float], ...], width: int, height: int) -> Points:
    array = np.array(points, np.float64)
    if not np.isfinite(array).all():
        raise GeometryError(f"{what} has a point that is not a number")
    if (array >= 0).all() and (array <= 1).all():
        return array * (width, height)
    outside = (array < 0).any(axis=1) | (array[:, 0] > width) | (array[:, 1] > height)
    if outside.any():
        x, y = array[outside][0]
        raise GeometryError(
            f"{what} has the point {x:g},{y:g} outside the {width}x{height} picture: "
            "use 0..1 of the picture, or pixels inside it"
        )
    return array


def side(points: Points, a: Points, b: Points) -> NDArray[np.float64]:
    """Signed distance in pixels of ``points (N, 2)`` from the endless line a -> b; above 0 is the ``in`` side.

    >>> side(np.array([[5.0, 9.0]]), np.array([0.0, 5.0]), np.array([10.0, 5.0]))
    array([4.])
    """
    d = b - a
    offset = points - a
    return np.asarray((d[0] * offset[:, 1] - d[1] * offset[:, 0]) / np.hypot(d[0], d[1]))


def anchor_points(xyxy: NDArray[np.float32], anchor: Anchor) -> Points:
    """The counted point of each box, ``float64 (N, 2)``: bottom centre (``foot``) or ``centre``."""
    boxes = xyxy.astype(np.float64)
    x = (boxes[:, 0] + boxes[:, 2]) / 2
    y = boxes[:, 3] if anchor == "foot" else (boxes[:, 1] + boxes[:, 3]) / 2
    return np.stack([x, y], axis=1)


def in_polygon(points: Points, polygon: Points) -> NDArray[np.bool_]:
    """Which of ``points (N, 2)`` lie inside ``polygon (K, 2)``: even-odd rule, one pass over all edges."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    straddles = (a[:, 1] > y) != (b[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    return np.asarray((straddles & (x < at)).sum(axis=1) % 2 == 1)


def polygon_area(polygon: Points) -> float:
    """Signed area in square pixels (shoelace formula)."""
    x, y = polygon.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def segment_intersection(p: Points, q: Points, a: Points, b: Points) -> tuple[float, float] | None:
    """Where segment p-q meets segment a-b: fractions ``(along p-q, along a-b)``, or None (also if parallel)."""
    r, s = q - p, b - a
    denominator = r[0] * s[1] - r[1] * s[0]
    if denominator == 0:
        return None
    offset = a - p
    t = (offset[0] * s[1] - offset[1] * s[0]) / denominator
    u = (offset[0] * r[1] - offset[1] * r[0]) / denominator
    return (float(t), float(u)) if 0 <= t <= 1 and 0 <= u <= 1 else None


def iou_matrix(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of every box of ``a (N, 4)`` with every box of ``b (M, 4)``, ``(N, M)`` in 0..1."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    areas_a = (a[:, 2:] - a[:, :2]).prod(axis=1)
    areas_b = (b[:, 2:] - b[:, :2]).prod(axis=1)
    union = areas_a[:, None] + areas_b[None, :] - inside
    return np.asarray(inside / np.maximum(union, 1e-9), dtype=np.float64)


def _crosses_itself(polygon: Points) -> bool:
    k = len(polygon)
    edges = [(polygon[i], polygon[(i + 1) % k]) for i in range(k)]
    for i in range(k):
        for j in range(i + 2, k):
            if i == 0 and j == k - 1:
                continue  # neighbours share a corner
            if segment_intersection(*edges[i], *edges[j]) is not None:
                return True
    return False
