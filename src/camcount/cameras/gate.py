"""Whether the model needs to be asked: a difference of small pictures decides, and costs a hundredth of a model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Tracks
from camcount.frame import Frame
from camcount.geometry import Line, Zone

Cells = NDArray[np.float32]
Mask = NDArray[np.bool_]

WIDTH, HEIGHT = 96, 54
_NOISE = 3.0
"""Steps of 255 from the background that may be noise anywhere."""
_TIMES = 6.0
"""How many times its usual change a cell must change to be moving."""
_LEARN_S = 2.0
_HOLD_S = 0.5
_LOOK_S = 2.0
_LOOK_AT_S = 1.0
"""The same while somebody stands there: sooner than trackers forget."""
_REST = 0.2
_REST_S = 3.0


class MotionGate:
    """Open while something moves, and a moment longer; shut, it opens every two seconds for one look.

    While somebody stands there it looks every second, so that trackers know them again: who seems new each time would
    hold it open each time.

    A picture of 96 x 54 cells is compared with a background that learns in seconds. Two neighbouring cells that
    differ by more than they usually do open the gate; near a line or a zone's edge one is enough. Tracks that move
    keep it open; what has stood still for three seconds, and whose cells do not change, does not.
    """

    def __init__(
        self, lines: Sequence[Line] = (), zones: Sequence[Zone] = (), size: tuple[int, int] = (1, 1)
    ) -> None:
        self._background: Cells | None = None
        self._noise: Cells | None = None
        self._last_s = float("-inf")
        self._open_until = float("-inf")
        self._looked_s = float("-inf")
        self._places: dict[int, tuple[float, float, float]] = {}
        self.asked = self.seen = 0
        self.redraw(lines, zones, size)

    def redraw(self, lines: Sequence[Line], zones: Sequence[Zone], size: tuple[int, int]) -> None:
        """These are what it must be careful about."""
        self._near = np.zeros((HEIGHT, WIDTH), np.bool_)
        scale = np.array([WIDTH, HEIGHT]) / size
        edges = [line.at(*size) * scale for line in lines]
        edges += [corners[[*range(len(corners)), 0]] * scale for corners in (zone.at(*size) for zone in zones)]
        for points in edges:
            for a, b in pairwise(points):
                steps = int(np.abs(b - a).max()) + 2
                x, y = np.linspace(a, b, steps).T
                self._near[np.clip(y, 0, HEIGHT - 1).astype(int), np.clip(x, 0, WIDTH - 1).astype(int)] = True
        for _ in range(2):
            self._near = _grown(self._near)

    def wants(self, frame: Frame) -> bool:
        """Whether the model should be asked about this frame; every frame must be shown, in order."""
        self.seen += 1
        if frame.render is None or self._moves(frame):
            self._open_until = frame.time_s + _HOLD_S
        look_s = _LOOK_AT_S if self._places else _LOOK_S
        wanted = frame.time_s <= self._open_until or frame.time_s - self._looked_s >= look_s
        if wanted:
            self._looked_s = frame.time_s
            self.asked += 1
        return wanted

    def followed(self, tracks: Tracks, time_s: float) -> None:
        """What the tracker made of a frame that the model was asked about."""
        boxes = tracks.xyxy
        heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1.0).tolist()
        feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1).tolist()
        places: dict[int, tuple[float, float, float]] = {}
        for number, (x, y), height in zip(tracks.track_id.tolist(), feet, heights, strict=True):
            since, x0, y0 = self._places.get(number, (time_s, x, y))
            if abs(x - x0) + abs(y - y0) > _REST * height:
                since, x0, y0 = time_s, x, y
            places[number] = since, x0, y0
            if time_s - since < _REST_S:
                self._open_until = max(self._open_until, time_s + _HOLD_S)
        self._places = places

    def _moves(self, frame: Frame) -> bool:
        cells = frame.image(WIDTH, HEIGHT).mean(axis=2, dtype=np.float32)
        if self._background is None or self._noise is None:
            self._background, self._noise = cells, np.full_like(cells, _NOISE / 2)
            self._last_s = frame.time_s
            return True
        elapsed_s = min(max(frame.time_s - self._last_s, 0.0), 1.0)
        self._last_s = frame.time_s
        change = cells - self._background
        change -= np.median(change)  # the light, or the camera's exposure, changes everywhere at once
        size = np.abs(change)
        moving: Mask = size > np.maximum(_NOISE, _TIMES * self._noise)
        # alike everywhere: what stood long would else leave a ghost behind that holds the gate open
        pace = elapsed_s / _LEARN_S
        self._background += pace * (cells - self._background)
        self._noise += np.where(moving, 0.1, 1.0).astype(np.float32) * pace * (size - self._noise)
        if (moving & self._near).any():
            return True
        return bool((moving[:, 1:] & moving[:, :-1]).any() or (moving[1:] & moving[:-1]).any())


def _grown(mask: Mask) -> Mask:
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown
