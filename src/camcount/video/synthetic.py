"""``demo:street``: a synthetic camera over a street, good to look at, that knows its own true crossings."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import cv2
import numpy as np

from camcount.errors import UsageError
from camcount.events import Crossing, Direction
from camcount.frame import Frame, Image, Render
from camcount.geometry import Anchor, Line, Points, anchor_points, segment_intersection, side
from camcount.protocols import SourceInfo
from camcount.video.actors import Actor, Brush, Floats
from camcount.video.scenery import TREES, View, paint_street, paint_tree
from camcount.video.traffic import actors_of

_SAMPLES_PER_S = 50.0
_HELD_S = 0.3
_LEAST_SEEN = 0.35


@dataclass(frozen=True)
class Seen:
    """One actor in one picture: its exact box, ``xyxy`` in pixels, cut at the picture's edge."""

    number: int
    label: str
    xyxy: tuple[float, float, float, float]


class _Drawn:
    """A frame's picture, drawn once per size: live, it is wanted by its model and then by those who look at it, who
    are content with the model's one enlarged a little. Drawing takes much longer than that."""

    def __init__(self, draw: Render) -> None:
        self._draw = draw
        self._drawn: dict[tuple[int, int], Image] = {}

    def __call__(self, width: int, height: int) -> Image:
        """A copy of its own for whoever asks."""
        known = self._drawn.get((width, height))
        if known is None:
            known = next((each for each in list(self._drawn.values()) if _is_near(each, width, height)), None)
            if known is not None:
                return cv2.resize(known, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]
            known = self._drawn[width, height] = self._draw(width, height)
        return known.copy()


def _is_near(picture: Image, width: int, height: int) -> bool:
    """Whether a picture is of the same shape, and smaller by at most a third."""
    has = picture.shape[1]
    return has <= width <= 1.5 * has and bool(abs(picture.shape[0] * width / has - height) <= 1)


class StreetScene:
    """A `Source` of ``seconds`` of a street, the same bytes for the same ``seed``.

    ``lines`` are two lines that an operator would draw: over the near pavement and over the road.

    Raises:
        UsageError: a size, rate or duration that no camera has.
    """

    def __init__(
        self,
        seed: int = 1,
        seconds: float = 60.0,
        fps: float = 15.0,
        width: int = 1280,
        height: int = 720,
        camera_id: str = "demo",
    ) -> None:
        if not (0 < fps <= 240 and 0 < seconds <= 86_400 and 64 <= width <= 7680 and 64 <= height <= 4320):
            raise UsageError(
                f"the demo street cannot be {width}x{height} at {fps:g} frames per second for {seconds:g} s: "
                "use 64x64 to 7680x4320, up to 240 frames per second, up to 86400 s"
            )
        self.warnings: list[str] = []
        self.seed, self.seconds, self.fps, self.camera_id = seed, seconds, fps, camera_id
        self.view = View(width, height)
        self.lines = _default_lines(self.view)
        self._frames = max(1, round(seconds * fps))
        self._next = 0
        self._closed = threading.Event()

    @cached_property
    def actors(self) -> list[Actor]:
        """Everybody who comes along."""
        return actors_of(self.seed, self.seconds)

    def open(self) -> SourceInfo:
        """Says what the camera gives."""
        return SourceInfo(
            uri=f"demo:street?seed={self.seed}",
            width=self.view.width,
            height=self.view.height,
            fps=self.fps,
            duration_s=self._frames / self.fps,
            frames=self._frames,
            codec="synthetic",
        )

    def read(self) -> Frame | None:
        """The next frame; it is drawn when its picture is asked for."""
        if self._closed.is_set() or self._next >= self._frames:
            return None
        index, self._next = self._next, self._next + 1
        time_s = index / self.fps

        return Frame(
            index=index,
            time_s=time_s,
            width=self.view.width,
            height=self.view.height,
            render=_Drawn(lambda width, height: self.picture(time_s, width, height)),
            camera_id=self.camera_id,
        )

    def close(self) -> None:
        """Ends the stream."""
        self._closed.set()

    def picture(self, time_s: float, width: int | None = None, height: int | None = None) -> Image:
        """The street at ``time_s``, ``uint8 (height, width, 3)``; drawn at that size where the shape allows it."""
        width, height = width or self.view.width, height or self.view.height
        upright = max(1, round(width * self.view.height / self.view.width))
        if abs(upright - height) > 1:
            drawn = self.picture(time_s, width, upright)
            how = cv2.INTER_AREA if height < upright else cv2.INTER_LINEAR
            return cv2.resize(drawn, (width, height), interpolation=how)  # type: ignore[return-value]
        return self._draw(time_s, _stage(self.view.width, self.view.height, width, height, self.seed))

    def boxes(self, time_s: float) -> list[Seen]:
        """Everybody in the picture at that moment who can really be seen, nearest last."""
        present = sorted(self._present(time_s), key=lambda actor: _distance(actor, time_s), reverse=True)
        found: list[Seen] = []
        for actor in present:
            boxes, seen = self._outline(actor, np.array([time_s]))
            if seen[0]:
                x0, y0, x1, y1 = boxes[0].tolist()
                found.append(Seen(actor.number, actor.label, (x0, y0, x1, y1)))
        hidden = [_hidden(found[i], found[i + 1 :]) for i in range(len(found))]
        return [seen for seen, covered in zip(found, hidden, strict=True) if not covered]

    def truth(self, lines: Sequence[Line] | None = None, anchor: Anchor = "foot") -> list[Crossing]:
        """Every crossing of ``lines`` (the scene's own by default) by the counted point of the exact boxes, by time.

        A side that is held for less than 0.3 s is dropped. ``track_id`` is the actor's number.
        """
        found: list[Crossing] = []
        for actor in self.actors:
            begin, end = max(0.0, actor.path.start), min(self.seconds, actor.path.end)
            times = np.arange(begin, end, 1 / _SAMPLES_PER_S)
            boxes, seen = self._outline(actor, times)
            for line in self.lines if lines is None else lines:
                if line.labels is None or actor.label in line.labels:
                    found += self._crossings(actor, line, times[seen], boxes[seen], anchor)
        return sorted(found, key=lambda crossing: (crossing.time_s, crossing.track_id))

    def _crossings(self, actor: Actor, line: Line, times: Floats, boxes: Floats, anchor: Anchor) -> list[Crossing]:
        points = anchor_points(boxes.astype(np.float32), line.anchor or anchor)
        corners = line.at(self.view.width, self.view.height)
        return [
            Crossing(
                camera_id=self.camera_id,
                time_s=float(times[i]),
                track_id=actor.number,
                label=actor.label,
                confidence=1.0,
                reason="the actor's exact path",
                point=(float(points[i, 0]), float(points[i, 1])),
                line=line.name,
                direction=direction,
            )
            for i, direction in true_crossings(times, points, corners)
        ]

    def _present(self, time_s: float) -> list[Actor]:
        return [actor for actor in self.actors if actor.path.start <= time_s <= actor.path.end]

    def _outline(self, actor: Actor, times: Floats) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Boxes cut at the edge ``(T, 4)``, and when enough of the actor is inside the picture ``(T,)``."""
        whole = actor.outline(self.view, times)
        cut = np.clip(whole, 0, [self.view.width, self.view.height] * 2)
        area, inside = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (whole, cut))
        return cut, np.asarray((inside > _LEAST_SEEN * area) & (cut[:, 2] - cut[:, 0] > 2))

    def _in_reach(self, time_s: float) -> list[tuple[float, Actor, Floats]]:
        """Distance, actor and pose of all that may be in the picture, the farthest first."""
        here, view = np.array([time_s]), self.view
        shown = []
        for actor in self._present(time_s):
            x, y = actor.path.at(here)[0]
            pixel, scale = view.project((x, y, 0.0))
            if -8 * scale < pixel[0] < view.width + 8 * scale and pixel[1] < view.height + 4 * scale:
                shown.append((float(np.hypot(x, y)), actor, actor.pose(here)[0]))
        return sorted(shown, key=lambda entry: entry[0], reverse=True)

    def _draw(self, time_s: float, stage: _Stage) -> Image:
        light, sharpness = daylight(time_s)
        image = stage.lit(round(light * 128))
        brush = Brush(image, light, sharpness)
        shown = self._in_reach(time_s)
        for _, actor, pose in shown:
            actor.cast(brush, stage.view, pose)
        trees = list(stage.trees)
        for distance, actor, pose in shown:
            while trees and trees[0].distance > distance:
                trees.pop(0).draw(image, light)
            actor.draw(brush, stage.view, pose, time_s)
        for tree in trees:
            tree.draw(image, light)
        return stage.grain(image, int(time_s * 1000))


def daylight(time_s: float) -> tuple[float, float]:
    """How bright the street is (1 = full light) and how dark its shadows: slow drift and passing clouds."""
    cloud = np.clip(np.sin(time_s / 11.0) + np.sin(time_s / 7.3 + 1.0) - 0.9, 0, 1)
    drift = 0.03 * np.sin(time_s / 19.0)
    return float(0.98 + drift - 0.16 * cloud), float(1.0 - 0.55 * cloud)


def true_crossings(times: Floats, points: Points, line: Points) -> list[tuple[int, Direction]]:
    """Where a path ``points (T, 2)`` goes over ``line (K, 2)``: the sample after each crossing, and its direction.

    Per segment of the line; a side held for less than 0.3 s is dropped, so that wavering on the line is no crossing.
    """
    found: list[tuple[int, Direction]] = []
    for a, b in pairwise(line):
        inside = side(points, a, b) > 0
        turns = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        edges = np.concatenate([[0], turns, [len(points)]])
        held = [
            (int(begin), bool(inside[begin]))
            for begin, end in pairwise(edges)
            if end > begin and times[end - 1] - times[begin] >= _HELD_S
        ]
        for (_, before), (begin, after) in pairwise(held):
            if before != after and segment_intersection(points[begin - 1], points[begin], a, b) is not None:
                found.append((begin, "in" if after else "out"))
    return sorted(found)


@dataclass(frozen=True)
class _Tree:
    distance: float
    corner: tuple[int, int]
    patch: Image
    mask: Image

    def draw(self, image: Image, light: float) -> None:
        (left, top), (height, width) = self.corner, self.mask.shape
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + width, image.shape[1]), min(top + height, image.shape[0])
        if x1 > x0 and y1 > y0:
            here = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
            cv2.copyTo(cv2.convertScaleAbs(self.patch[here], alpha=light), self.mask[here], image[y0:y1, x0:x1])


class _Stage:
    """The empty street at one size: painted once, re-lit when the light has changed."""

    def __init__(self, full: View, view: View, seed: int) -> None:
        self.view = view
        street = paint_street(full, np.random.default_rng(seed))
        how = cv2.INTER_AREA if view.width < full.width else cv2.INTER_CUBIC
        self._street = cv2.resize(street, (view.width, view.height), interpolation=how)
        rng = np.random.default_rng(seed)
        spots = sorted(TREES, key=lambda spot: -np.hypot(*spot))
        self.trees = [_Tree(float(np.hypot(*spot)), *paint_tree(view, *spot, rng)) for spot in spots]
        spread = 2.6 * min(1.0, 0.35 + 0.65 * view.width / 1280)
        noise = rng.normal(4, spread, (view.height + 61, view.width + 61, 3))
        self._noise = np.clip(noise, 0, 9).astype(np.uint8)
        self._lit = lru_cache(maxsize=4)(self._relight)

    def lit(self, level: int) -> Image:
        """The street in ``level`` / 128 of full light, for the caller to draw on."""
        return self._lit(level).copy()

    def grain(self, image: Image, moment: int) -> Image:
        """``image`` with the sensor's noise of that moment."""
        x, y = (moment * 37) % 61, (moment * 53) % 59
        height, width = image.shape[:2]
        return cv2.add(image, self._noise[y : y + height, x : x + width], dst=image)  # type: ignore[return-value]

    def _relight(self, level: int) -> Image:
        return cv2.convertScaleAbs(self._street, alpha=level / 128, beta=-4)  # type: ignore[return-value]


@lru_cache(maxsize=6)
def _stage(full_width: int, full_height: int, width: int, height: int, seed: int) -> _Stage:
    full = View(full_width, full_height)
    return _Stage(full, full.scaled(width, height), seed)


def _distance(actor: Actor, time_s: float) -> float:
    return float(np.hypot(*actor.path.at(np.array([time_s]))[0]))


def _hidden(seen: Seen, nearer: Sequence[Seen]) -> bool:
    """Whether one nearer box covers nearly all of this one."""
    x0, y0, x1, y1 = seen.xyxy
    area = max((x1 - x0) * (y1 - y0), 1e-6)
    covered = (
        max(0.0, min(x1, b.xyxy[2]) - max(x0, b.xyxy[0])) * max(0.0, min(y1, b.xyxy[3]) - max(y0, b.xyxy[1])) / area
        for b in nearer
    )
    return any(share > 0.9 for share in covered)


def _default_lines(view: View) -> tuple[Line, ...]:
    def across(name: str, x: float, near: float, far: float) -> Line:
        pixels, _ = view.project([(x, near, 0.0), (x, far, 0.0)])
        relative = np.clip(pixels / (view.width, view.height), 0.0, 1.0)
        return Line(name, tuple((round(float(u), 4), round(float(v), 4)) for u, v in relative))

    return across("pavement", 4.6, 8.4, 11.8), across("road", 4.6, 11.95, 21.7)
