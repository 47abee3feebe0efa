"""The last few seconds of all tracks, kept as they came: looked into only where a track starts, ends or crosses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Tracks

Floats = NDArray[np.float64]

TO_PLACE = np.array([[0.5, 0, 0.5, 0], [0, 0, 0, 0.5], [0.5, 0, 0.5, 0], [0, 1, 0, 0.5]])
"""``xyxy @ TO_PLACE`` is foot x, foot y, centre x, centre y."""

_COURSE_S = 0.6
_KEEP_S = 3.5
_LOST_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The first or the last of a track.

    Attributes:
        time_s: when. place: ``(4,)`` foot x, y, centre x, y in pixels. velocity: ``(4,)`` of it, per second.
        box: ``(4,)`` as it was seen. height: usual height in pixels. confidence: mean. life_s: how long the track
            has lived. confirmed, label: as the tracker last said.
    """

    track_id: int
    time_s: float
    place: Floats
    velocity: Floats
    box: Floats
    height: float
    confidence: float
    life_s: float
    confirmed: bool
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A piece of a track: ``time_s (K,)``, ``place (K, 4)``, ``height (K,)``, speed in heights per second."""

    time_s: Floats
    place: Floats
    height: Floats
    speed: float
    born_s: float
    last_s: float


class Sights:
    """Frames of the last seconds, and when each track was first and last seen.

    Attributes:
        born, seen: track id -> time in seconds, of tracks that were not dropped.
        start_s, time_s: of the first and the newest frame. interval_s: the usual time between frames.
    """

    def __init__(self) -> None:
        self.born: dict[int, float] = {}
        self.seen: dict[int, float] = {}
        self.start_s = self.time_s = 0.0
        self.interval_s = 0.0
        self._frames: deque[tuple[float, Tracks, dict[int, int]]] = deque()

    def add(self, tracks: Tracks, time_s: float) -> list[int]:
        """One more frame; returns the tracks not seen before."""
        ids = tracks.track_id.tolist()
        if not self._frames:
            self.start_s = time_s
        elif time_s > self.time_s:
            elapsed = time_s - self.time_s
            usual = self.interval_s or elapsed
            self.interval_s = usual + 0.1 * (min(elapsed, 4 * usual) - usual)
        self.time_s = time_s
        new = [number for number in ids if number not in self.born]
        for number in new:
            self.born[number] = time_s
        self.seen.update(dict.fromkeys(ids, time_s))
        self._frames.append((time_s, tracks, dict(zip(ids, range(len(ids)), strict=True))))
        return new

    def newest(self) -> tuple[list[int], Floats]:
        """Ids and places ``(N, 4)`` in the newest frame."""
        _, tracks, rows = self._frames[-1]
        return list(rows), tracks.xyxy @ TO_PLACE

    def lost(self) -> list[int]:
        """The tracks not seen for a second, or for three frames."""
        before = self.time_s - max(_LOST_S, 3 * self.interval_s)
        return [number for number, last_s in self.seen.items() if last_s < before]

    def known(self) -> list[int]:
        """All tracks not dropped."""
        return list(self.seen)

    def drop(self, number: int) -> None:
        """Lets go of a lost track; when it was first seen is remembered as long as its frames are."""
        self.seen.pop(number, None)

    def forget(self) -> None:
        """Lets go of frames that nobody will ask for."""
        before = self.time_s - max(_KEEP_S, 6 * self.interval_s)
        while len(self._frames) > 1 and self._frames[0][0] < before:
            self._frames.popleft()
        if len(self.born) > 2 * len(self.seen) + 16:
            self.born = {n: t for n, t in self.born.items() if n in self.seen or t >= before}

    def first(self, number: int) -> Sight | None:
        """How a track began; None of one seen once."""
        born_s = self.born.get(number)
        return None if born_s is None else self._sight(number, born_s - 1e-6, born_s + _COURSE_S, first=True)

    def last(self, number: int) -> Sight | None:
        """How a track was last seen; None of one seen once."""
        last_s = self.seen.get(number)
        return None if last_s is None else self._sight(number, last_s - _COURSE_S, last_s, first=False)

    def path(self, number: int, since_s: float, until_s: float) -> Path | None:
        """A piece of a track; None where fewer than two sights are remembered."""
        times, boxes, _ = self._rows(number, since_s, until_s)
        if len(times) < 2:
            return None
        time = np.array(times)
        place, height = _places(np.array(boxes, np.float64))
        moved = np.hypot(*(place[-1, 2:] - place[0, 2:]))
        speed = float(moved) / max(times[-1] - times[0], 1e-6) / height
        return Path(
            time,
            place,
            np.full(len(time), height),
            speed,
            self.born.get(number, times[0]),
            self.seen.get(number, times[-1]),
        )

    def covered(self, number: int, time_s: float) -> float:
        """How much of a track's box another one covered around a moment, 0..1."""
        near = [f for f in self._frames if number in f[2]]
        if not near:
            return 0.0
        _, tracks, rows = min(near, key=lambda f: abs(f[0] - time_s))
        boxes = tracks.xyxy
        own = boxes[rows[number]]
        shared = np.minimum(boxes[:, 2:], own[2:]) - np.maximum(boxes[:, :2], own[:2])
        areas = np.clip(shared, 0, None).prod(axis=1) / max(float((own[2:] - own[:2]).prod()), 1e-6)
        areas[rows[number]] = 0.0
        return float(min(areas.max(initial=0.0), 1.0))

    def _rows(self, number: int, since_s: float, until_s: float) -> tuple[list[float], list[Floats], list[float]]:
        times, boxes, scores = [], [], []
        for time_s, tracks, rows in reversed(self._frames):
            if time_s < since_s:
                break
            row = rows.get(number) if time_s <= until_s else None
            if row is not None:
                times.append(time_s)
                boxes.append(tracks.xyxy[row])
                scores.append(float(tracks.confidence[row]))
        return times[::-1], boxes[::-1], scores[::-1]

    def _sight(self, number: int, since_s: float, until_s: float, *, first: bool) -> Sight | None:
        interval_s = self.interval_s
        # at low rates one interval on either side, for a speed takes two sights
        since_s, until_s = (since_s, until_s + 2 * interval_s) if first else (since_s - 2 * interval_s, until_s)
        times, boxes, scores = self._rows(number, since_s, until_s)
        if len(times) < 2:
            return None
        seen = np.array(boxes, np.float64)
        place, height = _places(seen)
        time = np.array(times) - sum(times) / len(times)
        end = 0 if first else -1
        latest = next(f for f in reversed(self._frames) if number in f[2])
        row = latest[2][number]
        return Sight(
            number,
            times[end],
            place[end],
            np.asarray(time @ place / max(float(time @ time), 1e-9)),
            seen[end],
            height,
            sum(scores) / len(scores),
            times[-1] - self.born.get(number, times[0]),
            bool(latest[1].confirmed[row]),
            latest[1].label(row),
        )


def _places(boxes: Floats) -> tuple[Floats, float]:
    """Places ``(K, 4)`` with feet put where hidden legs would end, and the usual height."""
    tall = boxes[:, 3] - boxes[:, 1]
    usual = max(float(np.sort(tall)[round(0.6 * (len(tall) - 1))]), 1.0)
    places = boxes @ TO_PLACE
    hidden = tall < 0.8 * usual
    places[hidden, 1] = boxes[hidden, 1] + usual
    return np.asarray(places), usual
