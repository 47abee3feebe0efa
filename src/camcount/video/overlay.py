"""The annotated picture: boxes, trails, lines with their counts, zones with their occupancy."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from camcount.detections import Boxes, Tracks
from camcount.events import Crossing, Event, ZoneEntered, ZoneLeft
from camcount.frame import Image
from camcount.geometry import Anchor, Line, Points, Zone, anchor_points
from camcount.protocols import Step
from camcount.video.ink import DARK, WHITE, Colour, Ink, palette

_IN: Colour = (120, 214, 96)
_OUT: Colour = (60, 150, 255)
_LINE: Colour = (250, 246, 240)
_TRAIL_S = 2.0
_FLASH_S = 0.6


@dataclass
class _Trail:
    points: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=240))
    """``(time_s, x, y)``, the newest last."""


@dataclass
class _DrawnLine:
    line: Line
    points: Points
    plate_at: Points
    counts: Counter[str] = field(default_factory=Counter)
    flashes: list[tuple[float, str, tuple[float, float]]] = field(default_factory=list)
    """``(time_s, direction, point)`` of the latest crossings."""


@dataclass
class _DrawnZone:
    zone: Zone
    points: Points
    inside: set[int] = field(default_factory=set)
    begun: int = 0
    """Inside since before the first step."""


class Overlay:
    """Draws each `Step` of one camera, in order, at ``width`` x ``height``.

    Counts, trails and occupancy are kept here, from the steps alone; what has left is forgotten. Tracks that are
    not confirmed are not drawn.

    Raises:
        GeometryError: a line or a zone does not fit the picture.
    """

    def __init__(
        self, lines: Sequence[Line], zones: Sequence[Zone], width: int, height: int, anchor: Anchor = "foot"
    ) -> None:
        self.width, self.height = width, height
        self._anchor: Anchor = anchor
        self._unit = max(0.55, min(width / 1280, height / 720))
        corners = [line.at(width, height) for line in lines]
        self._lines = [
            _DrawnLine(line, points, _free_end(points, corners[:i] + corners[i + 1 :]))
            for i, (line, points) in enumerate(zip(lines, corners, strict=True))
        ]
        self._zones = [_DrawnZone(zone, zone.at(width, height)) for zone in zones]
        self._trails: dict[int, _Trail] = {}
        self._font = cv2.FontFace("sans")

    def begin(self, totals: Mapping[str, Mapping[str, Any]], occupancy: Mapping[str, int] | None = None) -> None:
        """Goes on from earlier counts: line -> ``in`` and ``out``, zone -> how many are inside."""
        for area in self._zones:
            area.begun = (occupancy or {}).get(area.zone.name, 0)
        for drawn in self._lines:
            counts = totals.get(drawn.line.name, {})
            drawn.counts = Counter({way: counts.get(way, 0) for way in ("in", "out")})

    def draw(self, step: Step) -> Image:
        """The frame with everything drawn on it, ``uint8 (height, width, 3)``; a grey one where it has no picture."""
        frame = step.frame
        if frame.render is None:
            image: Image = np.full((self.height, self.width, 3), 48, np.uint8)
        else:
            image = frame.image(self.width, self.height)
        scale = np.array([self.width / frame.width, self.height / frame.height])
        self._note(step.events, frame.time_s, scale)
        tracks = step.tracks.select(step.tracks.confirmed)
        self._follow(tracks, frame.time_s, scale)
        ink = Ink(image, self._unit, self._font)
        self._wash(image, frame.time_s)
        self._draw_trails(ink, frame.time_s)
        boxes = tracks.xyxy * np.tile(scale, 2).astype(np.float32)
        for box, track in zip(boxes, tracks.track_id.tolist(), strict=True):
            ink.box(box, palette(track))
        for line in self._lines:
            self._draw_line(ink, line, frame.time_s)
        self._draw_labels(ink, tracks, boxes)
        self._draw_plates(ink)
        ink.plate(_clock(step), np.array([12.0, self.height]) - (0, 36 * self._unit), 15, DARK, (226, 222, 216))
        return image

    def _note(self, events: Sequence[Event], now: float, scale: Points) -> None:
        lines = {drawn.line.name: drawn for drawn in self._lines}
        zones = {drawn.zone.name: drawn for drawn in self._zones}
        for event in events:
            if isinstance(event, Crossing) and event.line in lines:
                line = lines[event.line]
                line.counts[event.direction] += 1
                point = float(event.point[0] * scale[0]), float(event.point[1] * scale[1])
                line.flashes.append((now, event.direction, point))
            elif isinstance(event, ZoneEntered) and event.zone in zones:
                zones[event.zone].inside.add(event.track_id)
            elif isinstance(event, ZoneLeft) and event.zone in zones:
                zones[event.zone].inside.discard(event.track_id)
        for line in self._lines:
            line.flashes = [flash for flash in line.flashes if 0 <= now - flash[0] < _FLASH_S]

    def _follow(self, tracks: Tracks, now: float, scale: Points) -> None:
        points = anchor_points(tracks.xyxy, self._anchor) * scale
        for track, (x, y) in zip(tracks.track_id.tolist(), points.tolist(), strict=True):
            self._trails.setdefault(track, _Trail()).points.append((now, x, y))
        for track, trail in list(self._trails.items()):
            while trail.points and now - trail.points[0][0] > _TRAIL_S:
                trail.points.popleft()
            if not trail.points:
                del self._trails[track]

    def _wash(self, image: Image, now: float) -> None:
        """What is seen through: zones, and the older half of the trails."""
        layer = image.copy()
        ink = Ink(layer, self._unit, self._font)
        for number, drawn in enumerate(self._zones):
            ink.fill(drawn.points, palette(number * 3 + 1))
        for track, trail in self._trails.items():
            path = np.array(trail.points)
            older = path[path[:, 0] <= now - _TRAIL_S * 0.45, 1:]
            if len(older) > 1:
                ink.line(older, palette(track), 2.4)
        if self._zones or self._trails:
            cv2.addWeighted(layer, 0.32, image, 0.68, 0, dst=image)
        for number, drawn in enumerate(self._zones):
            Ink(image, self._unit, self._font).line(drawn.points, palette(number * 3 + 1), 2.0, closed=True)

    def _draw_trails(self, ink: Ink, now: float) -> None:
        for track, trail in self._trails.items():
            path = np.array(trail.points)
            newer, colour = path[path[:, 0] >= now - _TRAIL_S / 2, 1:], palette(track)
            if len(newer) > 1:
                ink.line(newer, colour, 2.0)
                ink.line(newer[-max(2, len(newer) // 2) :], colour, 3.4)
            if trail.points[-1][0] == now:
                ink.disc(np.array(trail.points[-1][1:]), 4.2, DARK)
                ink.disc(np.array(trail.points[-1][1:]), 3.0, colour)

    def _draw_line(self, ink: Ink, drawn: _DrawnLine, now: float) -> None:
        newest = drawn.flashes[-1] if drawn.flashes else None
        colour = _LINE if newest is None else _IN if newest[1] == "in" else _OUT
        ink.line(drawn.points, DARK, 6.0 if newest is None else 10.0)
        ink.line(drawn.points, colour, 3.2 if newest is None else 6.5)
        for end in drawn.points:
            ink.disc(end, 6.5, DARK)
            ink.disc(end, 4.6, colour)
        middle, normal = _middle(drawn.points)
        ink.arrow(middle, middle + normal * 40 * self._unit, _IN)
        for moment, direction, point in drawn.flashes:
            age = (now - moment) / _FLASH_S
            ink.disc(np.array(point), 8 + 30 * age, _IN if direction == "in" else _OUT, 3.5 * (1 - age) + 0.5)

    def _draw_labels(self, ink: Ink, tracks: Tracks, boxes: Boxes) -> None:
        for row in np.argsort(boxes[:, 3]).tolist():
            text = f"{tracks.label(row)} {tracks.track_id[row]}"
            _, height = ink.plate_size(text, 14)
            corner = np.array([boxes[row, 0], boxes[row, 1] - height - 2 * self._unit])
            ink.plate(text, corner, 14, palette(int(tracks.track_id[row])))

    def _draw_plates(self, ink: Ink) -> None:
        for number, zone in enumerate(self._zones):
            top = zone.points[np.argmin(zone.points[:, 1])]
            text = f"{zone.zone.name} · {zone.begun + len(zone.inside)}"
            ink.plate(text, top + 8 * self._unit, 18, palette(number * 3 + 1))
        for drawn in self._lines:
            text = f"{drawn.line.name}   in {drawn.counts['in']} · out {drawn.counts['out']}"
            size = np.array(ink.plate_size(text, 20))
            ink.plate(text, drawn.plate_at - size / 2, 20, DARK, WHITE)


def _free_end(points: Points, others: Sequence[Points]) -> Points:
    """Where a line's plate goes: past whichever end is farther from the other lines."""
    ends = np.array([points[0], points[-1]])
    if others:
        apart = np.hypot(*(ends[:, None] - np.concatenate(others)[None]).transpose(2, 0, 1)).min(axis=1)
        chosen = int(np.argmax(apart))
    else:
        chosen = 0
    inner = points[1] if chosen == 0 else points[-2]
    outward = ends[chosen] - inner
    return np.asarray(ends[chosen] + outward / max(float(np.hypot(*outward)), 1e-6) * 26)


def _middle(points: Points) -> tuple[Points, Points]:
    """The point half way along a line, and the direction of its `in` side there: to the right of a -> b."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    walked = np.concatenate([[0.0], steps.cumsum()])
    half = walked[-1] / 2
    part = min(int(np.searchsorted(walked, half, side="right")) - 1, len(steps) - 1)
    along = (points[part + 1] - points[part]) / steps[part]
    return points[part] + along * (half - walked[part]), np.array([-along[1], along[0]])


def _clock(step: Step) -> str:
    if step.frame.wall_time is not None:
        return step.frame.wall_time.strftime("%Y-%m-%d  %H:%M:%S")
    minutes, seconds = divmod(step.frame.time_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{seconds:04.1f}" if hours else f"{minutes:02d}:{seconds:04.1f}"
