"""A counting line from a first look at the tracks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Tracks
from camcount.geometry import Anchor, Line, Points, anchor_points

_SEEN = 3
"""How many times a track must be seen on each side of a line to cross it clearly."""
_MARGIN = 0.03
"""How far, in shares of the picture's diagonal, it must get away from the line on each side."""
_PLACES = np.linspace(0.15, 0.85, 15)
"""Where lines are tried along the picture: not at its edge, where tracks begin and end."""


def propose_line(tracks_seen: Sequence[Tracks], width: int, height: int, *, anchor: Anchor = "foot") -> Line:
    """The straight line, from edge to edge of the picture, that most confirmed tracks pass fully.

    Horizontal, vertical and one across the main direction of motion are tried at fifteen places each. Of lines that
    equally many tracks cross, the one wins that they cross in the middle of their paths. Where nothing moves it
    is the horizontal through the middle. Points are relative, rounded to 0.001, and run to the right or down.
    """
    paths = _paths(tracks_seen, anchor)
    best: tuple[float, Points] = 0.0, np.array([[0.0, height / 2], [width, height / 2]])
    for normal in _normals(paths):
        for place in _PLACES:
            ends = _across(normal, place, width, height)
            score = sum(_clearness(path, ends, normal, np.hypot(width, height)) for path in paths)
            if score > best[0] + 1e-9:
                best = score, ends
    points = np.round(best[1] / (width, height), 3)
    return Line("proposed", tuple((float(x), float(y)) for x, y in points))


def _paths(tracks_seen: Sequence[Tracks], anchor: Anchor) -> list[Points]:
    """The counted points of each track that was ever confirmed, ``(K, 2)`` in the order seen."""
    points: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    confirmed: set[int] = set()
    for tracks in tracks_seen:
        confirmed.update(tracks.track_id[tracks.confirmed].tolist())
        for number, point in zip(tracks.track_id.tolist(), anchor_points(tracks.xyxy, anchor), strict=True):
            points[number].append(point)
    return [np.array(points[number]) for number in sorted(confirmed) if len(points[number]) >= 2 * _SEEN]


def _normals(paths: Sequence[Points]) -> list[NDArray[np.float64]]:
    """Unit vectors that a line may lie across: down, right, and the main direction of motion."""
    normals = [np.array([0.0, 1.0]), np.array([1.0, 0.0])]
    steps = np.array([path[-1] - path[0] for path in paths]).reshape(-1, 2)
    # doubled angles, so that coming and going add up instead of cancelling each other
    doubled = (steps[:, 0] + 1j * steps[:, 1]) ** 2 / np.maximum(np.hypot(*steps.T), 1e-9)
    main = np.sqrt(doubled.sum()) if len(steps) else 0j
    if abs(main) > 0:
        normals.append(np.array([main.real, main.imag]) / abs(main))
    return normals


def _across(normal: NDArray[np.float64], place: float, width: int, height: int) -> Points:
    """Both ends on the picture's edge of the line at ``place``, 0..1 of its extent along ``normal``; ``(2, 2)``."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    along = corners @ normal
    offset = along.min() + place * (along.max() - along.min())
    ends = []
    for a, b, u, v in zip(corners, np.roll(corners, -1, 0), along, np.roll(along, -1), strict=True):
        if (u > offset) != (v > offset):
            ends.append(a + (b - a) * (offset - u) / (v - u))
    ordered = sorted(ends, key=lambda p: (round(p[0], 6), p[1]))
    return np.asarray(np.clip(np.array(ordered), 0, (width, height)))


def _clearness(path: Points, ends: Points, normal: NDArray[np.float64], diagonal: float) -> float:
    """1 for a track that surely crosses, up to 0.5 more the nearer to the middle of its path; else 0."""
    distance = (path - ends[0]) @ normal
    positive = distance > 0
    if positive[:_SEEN].all() == positive[-_SEEN:].all() or positive[:_SEEN].any() != positive[:_SEEN].all():
        return 0.0
    before, after = distance[positive == positive[0]], distance[positive != positive[0]]
    if len(after) < _SEEN or min(np.abs(before).max(), np.abs(after).max()) < _MARGIN * diagonal:
        return 0.0
    return 1.0 + min(len(before), len(after)) / len(path)
