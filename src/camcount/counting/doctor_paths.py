"""The ways that objects took past a line: what the line doctor looks at."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Tracks
from camcount.geometry import Anchor, Points

Floats = NDArray[np.float64]

_STATURE_S = 0.5
"""The usual height is taken over so long before and after a moment."""
_HIDDEN = 0.9
"""A box lower than this share of the usual height has its legs hidden."""
_COURSE_S = 0.6
"""The speed at an end of a path is that of so long a piece of it."""
_EDGE = 0.02
"""A box nearer to the picture's edge than this share of its width or height is cut off there."""


class Recording:
    """The tracks of one camera over a minute or two.

    ``anchor`` is the point of the box whose path counts.
    """

    def __init__(self, width: int, height: int, anchor: Anchor = "foot") -> None:
        self.width, self.height = width, height
        self.anchor: Anchor = anchor
        self.frames: list[tuple[float, Tracks]] = []

    def add(self, tracks: Tracks, time_s: float) -> None:
        """One more frame, also when nothing is in it."""
        self.frames.append((time_s, tracks))

    @property
    def begin_s(self) -> float:
        """When the first frame was."""
        return self.frames[0][0] if self.frames else 0.0

    @property
    def end_s(self) -> float:
        """When the last frame was."""
        return self.frames[-1][0] if self.frames else 0.0

    @property
    def interval_s(self) -> float:
        """The usual time between frames; 0 of fewer than two."""
        return float(np.median(np.diff([t for t, _ in self.frames]))) if len(self.frames) > 1 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One track from its first sight to its last, ``K`` times.

    Attributes:
        time: ``(K,)`` seconds. point: ``(K, 2)`` the counted point in pixels, feet put where hidden legs would end.
        height: ``(K,)`` usual height in pixels. size: ``(K,)`` side of a square as large as the box.
        confidence: ``(K,)``. hidden: ``(K,)`` whether the legs were.
        crowded: ``(K,)`` whether another box covered a third of this one.
        confirmed: whether the track ever was.
        course: ``(2, 2)`` velocity at the first and at the last sight, pixels per second.
        cut: whether the first and the last box touch the picture's edge.
    """

    track_id: int
    time: Floats
    point: Points
    height: Floats
    size: Floats
    confidence: Floats
    hidden: NDArray[np.bool_]
    crowded: NDArray[np.bool_]
    confirmed: bool
    course: Floats
    cut: tuple[bool, bool]

    def near(self, time_s: float, span_s: float) -> slice:
        """The sights around a moment: those within ``span_s`` of it, and at least the two nearest."""
        first, last = np.searchsorted(self.time, (time_s - span_s, time_s + span_s)).tolist()
        middle = int(np.searchsorted(self.time, time_s))
        return slice(max(0, min(first, middle - 1)), min(len(self.time), max(last, middle + 1)))


def paths_of(recording: Recording) -> dict[int, Path]:
    """The paths of all tracks seen at least twice, by track id."""
    rows: dict[int, list[tuple[float, Floats, float, bool, bool]]] = defaultdict(list)
    for time_s, tracks in recording.frames:
        boxes = tracks.xyxy.astype(np.float64)
        crowded = _covered(boxes) > 1 / 3
        for number, box, confidence, confirmed, crowd in zip(
            tracks.track_id.tolist(), boxes, tracks.confidence.tolist(), tracks.confirmed, crowded, strict=True
        ):
            rows[number].append((time_s, box, confidence, bool(confirmed), bool(crowd)))
    return {number: _path(number, seen, recording) for number, seen in rows.items() if len(seen) > 1}


def _covered(boxes: Floats) -> Floats:
    """How much of each box the one that covers most of it covers, ``(N,)`` in 0..1."""
    if len(boxes) < 2:
        return np.zeros(len(boxes))
    top_left = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    np.fill_diagonal(shared, 0.0)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(shared.max(axis=1) / np.maximum(areas, 1e-9))


def _path(number: int, seen: list[tuple[float, Floats, float, bool, bool]], recording: Recording) -> Path:
    time = np.array([row[0] for row in seen])
    boxes = np.array([row[1] for row in seen])
    tall = boxes[:, 3] - boxes[:, 1]
    usual = _usual(time, tall)
    hidden = tall < _HIDDEN * usual
    x = (boxes[:, 0] + boxes[:, 2]) / 2
    if recording.anchor == "foot":
        point = np.column_stack([x, np.where(hidden, boxes[:, 1] + usual, boxes[:, 3])])
    else:
        point = np.column_stack([x, (boxes[:, 1] + boxes[:, 3]) / 2])
    first = slice(0, max(3, int(np.searchsorted(time, time[0] + _COURSE_S, side="right"))))
    last = slice(min(max(0, len(time) - 3), int(np.searchsorted(time, time[-1] - _COURSE_S))), len(time))
    size = recording.width, recording.height
    return Path(
        track_id=number,
        time=time,
        point=point,
        height=np.maximum(usual, 1.0),
        size=np.sqrt(np.maximum(usual * (boxes[:, 2] - boxes[:, 0]), 1.0)),
        confidence=np.array([row[2] for row in seen]),
        hidden=hidden,
        crowded=np.array([row[4] for row in seen]),
        confirmed=any(row[3] for row in seen),
        course=np.array([_velocity(time[part], point[part]) for part in (first, last)]),
        cut=(_cut(boxes[0], *size), _cut(boxes[-1], *size)),
    )


def _usual(time: Floats, tall: Floats) -> Floats:
    """The 60 % quantile of the heights around each moment, looked at four times a second."""
    knots = np.arange(time[0], time[-1] + 0.25, 0.25)
    first, last = np.searchsorted(time, knots - _STATURE_S), np.searchsorted(time, knots + _STATURE_S, side="right")
    usual = [np.quantile(tall[a:b], 0.6) if b > a else np.nan for a, b in zip(first, last, strict=True)]
    known = np.isfinite(usual)
    return np.asarray(np.interp(time, knots[known], np.array(usual)[known]))


def _velocity(time: Floats, point: Points) -> Floats:
    centred = time - time.mean()
    return np.asarray(centred @ (point - point.mean(axis=0)) / max(float(centred @ centred), 1e-9))


def _cut(box: Floats, width: int, height: int) -> bool:
    left, _, right, bottom = box
    return bool(left < _EDGE * width or right > (1 - _EDGE) * width or bottom > (1 - _EDGE) * height)
