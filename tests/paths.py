"""Tracks written as a person would draw them, for the tests of what is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from camcount.detections import Tracks
from camcount.events import Event
from camcount.protocols import Counter

Point = tuple[float, float]


def tracks_at(
    feet: Mapping[int, Point],
    *,
    confirmed: bool = True,
    labels: Mapping[int, str] | None = None,
    size: Point = (20, 40),
) -> Tracks:
    """Tracks by id whose bottom centres are ``feet``, in pixels."""
    ids = list(feet)
    names = sorted(set((labels or {}).values()) | {"person"})
    w, h = size
    boxes = [[x - w / 2, y - h, x + w / 2, y] for x, y in feet.values()]
    return Tracks(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(ids), 0.8, np.float32),
        np.array([names.index((labels or {}).get(i, "person")) for i in ids], np.int32),
        np.array(ids, np.int64),
        np.full(len(ids), confirmed),
        tuple(names),
    )


def walk(*stops: tuple[float, float, float], fps: float = 10) -> Iterator[tuple[float, Point]]:
    """``(time_s, foot)`` at every frame of a walk through ``(time_s, x, y)`` at steady speed in between."""
    times, xs, ys = np.array(stops, np.float64).T
    for index in range(round(times[0] * fps), round(times[-1] * fps) + 1):
        moment = index / fps
        yield moment, (float(np.interp(moment, times, xs)), float(np.interp(moment, times, ys)))


def count(counter: Counter, frames: Sequence[tuple[float, Tracks]], *, finish: bool = True) -> list[Event]:
    """All events of a counter that is given these frames."""
    events = [event for time_s, tracks in frames for event in counter.update(tracks, time_s)]
    return events + (counter.finish(frames[-1][0]) if finish else [])
