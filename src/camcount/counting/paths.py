"""What the paths tell beside counts: how fast, and where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from camcount.counting.samples import Sample
from camcount.detections import Tracks
from camcount.errors import GeometryError, UsageError
from camcount.frame import Image
from camcount.geometry import Anchor, Points, anchor_points

SpeedUnit = Literal["km/h", "m/s", "px/s"]
_PER_UNIT = {"km/h": 3.6, "m/s": 1.0, "px/s": 1.0}
_COLOURS = np.array([[96, 24, 32], [180, 90, 20], [80, 190, 60], [40, 220, 240], [40, 50, 230]], np.float64)
"""BGR from cold to hot."""


def ground_plane(pixels: Sequence[Sequence[float]], metres: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """The homography ``float64 (3, 3)`` that takes four points of the picture to four points of the ground.

    The null vector of the eight linear equations of the four pairs (Hartley and Zisserman, section 4.1).

    Raises:
        GeometryError: there are not four pairs of finite points, or three of them lie on one line.
    """
    source, target = np.array(pixels, np.float64), np.array(metres, np.float64)
    if source.shape != (4, 2) or target.shape != (4, 2) or not np.isfinite(source).all() & np.isfinite(target).all():
        raise GeometryError("a ground plane needs four points x,y in pixels and the same four in metres")
    if _on_one_line(source) or _on_one_line(target):
        raise GeometryError("three of the four ground points lie on one line: take the corners of a quadrangle")
    scale = np.abs(source).max()  # pixels near 1, which keeps the equations well conditioned
    rows = []
    for (x, y), (u, v) in zip(source / scale, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]]
    matrix = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)
    return np.asarray(matrix * (1 / scale, 1 / scale, 1.0))


def _on_one_line(points: Points) -> bool:
    for left_out in range(4):
        (ax, ay), (bx, by), (cx, cy) = np.delete(points, left_out, axis=0)
        if abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) < 1e-9 * max(1.0, float(np.abs(points).max()) ** 2):
            return True
    return False


@dataclass(slots=True)
class _Motion:
    at: NDArray[np.float64]
    since_s: float
    seen_s: float
    label: str = ""
    confirmed: bool = False
    way: float = 0.0
    lasted_s: float = 0.0
    now: float | None = None


class SpeedMeter:
    """The speed of each track, and how it is spread per label.

    Speed is way over time, in steps of ``step_s`` so that the jitter of boxes does not add up. The unit is
    px/s, or ``unit`` where ``metres_per_pixel`` or a ``ground`` plane (see `ground_plane`) is known. Tracks that are
    never confirmed or last less than ``least_s`` are left out. Memory: one entry per track of the last ``grace_s``.

    Raises:
        UsageError: both scales are given, or one is not above 0.
    """

    def __init__(
        self,
        *,
        metres_per_pixel: float | None = None,
        ground: NDArray[np.float64] | None = None,
        unit: SpeedUnit = "km/h",
        anchor: Anchor = "foot",
        step_s: float = 0.5,
        least_s: float = 1.0,
        grace_s: float = 3.0,
    ) -> None:
        if metres_per_pixel is not None and (ground is not None or not 0 < metres_per_pixel < float("inf")):
            raise UsageError("speed needs one scale above 0: metres per pixel, or four ground points")
        self.unit: SpeedUnit = unit if metres_per_pixel is not None or ground is not None else "px/s"
        self.tracks = 0
        """How many confirmed tracks there were."""
        self._scale = (metres_per_pixel or 1.0) * _PER_UNIT[self.unit]
        self._ground = ground
        self._anchor = anchor
        self._step_s, self._least_s, self._grace_s = step_s, least_s, grace_s
        self._motions: dict[int, _Motion] = {}
        self._speeds: defaultdict[str, Sample] = defaultdict(Sample)

    def update(self, tracks: Tracks, time_s: float) -> None:
        """Takes one frame's tracks."""
        points = self._on_ground(anchor_points(tracks.xyxy, self._anchor))
        for row, number in enumerate(tracks.track_id.tolist()):
            motion = self._motions.get(number)
            if motion is None:
                motion = self._motions[number] = _Motion(points[row], time_s, time_s)
            self.tracks += bool(tracks.confirmed[row]) and not motion.confirmed
            motion.confirmed |= bool(tracks.confirmed[row])
            motion.label, motion.seen_s = tracks.label(row), time_s
            self._advance(motion, points[row], time_s)
        for number in [n for n, motion in self._motions.items() if time_s - motion.seen_s > self._grace_s]:
            self._fold(self._motions.pop(number), self._speeds)

    def speed(self, track_id: int) -> float | None:
        """How fast a track is now, or None if it is unknown or too young to say."""
        motion = self._motions.get(track_id)
        return motion.now if motion is not None else None

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Per label: ``unit``, ``mean``, ``median``, ``p85`` (85 % are slower), ``max`` and ``tracks``."""
        speeds = {label: sample.copy() for label, sample in self._speeds.items()}
        for motion in self._motions.values():
            self._fold(motion, speeds)
        return {label: self._figures(sample) for label, sample in sorted(speeds.items())}

    def _figures(self, sample: Sample) -> dict[str, Any]:
        figures = {
            "mean": sample.mean,
            "median": sample.quantile(0.5),
            "p85": sample.quantile(0.85),
            "max": sample.highest,
        }
        rounded = {name: round(value, 3) for name, value in figures.items() if value is not None}
        return {"unit": self.unit, **rounded, "tracks": sample.count}

    def _advance(self, motion: _Motion, point: NDArray[np.float64], time_s: float) -> None:
        elapsed = time_s - motion.since_s
        if elapsed < self._step_s - 1e-6:
            return
        way = float(np.hypot(*(point - motion.at))) * self._scale
        motion.way += way
        motion.lasted_s += elapsed
        motion.now = way / elapsed
        motion.at, motion.since_s = point, time_s

    def _fold(self, motion: _Motion, speeds: dict[str, Sample]) -> None:
        if motion.confirmed and motion.lasted_s >= self._least_s - 1e-6:
            speeds.setdefault(motion.label, Sample()).add(motion.way / motion.lasted_s)

    def _on_ground(self, points: Points) -> Points:
        if self._ground is None:
            return points
        mapped = np.column_stack([points, np.ones(len(points))]) @ self._ground.T
        return np.asarray(mapped[:, :2] / np.where(np.abs(mapped[:, 2:]) < 1e-12, 1e-12, mapped[:, 2:]))


class HeatMap:
    """Where confirmed tracks were for how long: seconds per cell of ``cell`` by ``cell`` pixels.

    Each counted point stands for the time since the frame before, but for a second at most: in a longer gap
    nobody knows where it was.
    """

    def __init__(self, width: int, height: int, cell: int = 8, *, anchor: Anchor = "foot") -> None:
        self._width, self._height, self._cell = width, height, cell
        self._anchor = anchor
        self._before_s: float | None = None
        self.values = np.zeros((-(-height // cell), -(-width // cell)))
        """``float64 (ceil(height / cell), ceil(width / cell))`` in seconds."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        return self._width, self._height

    def update(self, tracks: Tracks, time_s: float) -> None:
        """Takes one frame's tracks; points outside the picture are left out."""
        weight = 0.0 if self._before_s is None else min(max(time_s - self._before_s, 0.0), 1.0)
        self._before_s = time_s
        points = anchor_points(tracks.xyxy, self._anchor)[tracks.confirmed]
        # a foot on the lower edge of the picture is still in it
        inside = ((points >= 0) & (points <= (self._width, self._height))).all(axis=1)
        cells = (points[inside] / self._cell).astype(np.intp)
        rows, columns = (np.minimum(cells[:, 1 - k], self.values.shape[k] - 1) for k in (0, 1))
        np.add.at(self.values, (rows, columns), weight)

    def picture(self, background: Image | None = None) -> Image:
        """The map in colours from cold to hot over ``background`` (of the same size; none is black), BGR."""
        heat = _smooth(self.values)
        heat = np.sqrt(heat / heat.max()) if heat.max() > 0 else heat
        under = np.zeros((self._height, self._width, 3), np.uint8) if background is None else background
        if under.shape[:2] != (self._height, self._width):
            raise UsageError(f"the background is {under.shape[1]}x{under.shape[0]}, not {self._width}x{self._height}")
        opacity = np.minimum(heat * 4, 1.0)[:, :, None] * 0.75
        over = self._in_pixels(colours(heat) * opacity)
        return np.asarray((under * (1 - self._in_pixels(opacity)) + over).round(), np.uint8)

    def _in_pixels(self, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        rows, columns = np.arange(self._height) // self._cell, np.arange(self._width) // self._cell
        return cells[rows][:, columns]


def colours(heat: NDArray[np.float64]) -> NDArray[np.float64]:
    """BGR ``(..., 3)`` in 0..255 for values 0..1, from blue over green to red."""
    stops = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(heat, stops, _COLOURS[:, channel]) for channel in range(3)], axis=-1)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values under a binomial window of five cells, each way."""
    window = np.array([1, 4, 6, 4, 1]) / 16
    for axis in (0, 1):
        values = np.apply_along_axis(lambda line: np.convolve(np.pad(line, 2), window, "valid"), axis, values)
    return values
