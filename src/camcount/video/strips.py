"""A few seconds of video as one picture: what somebody looks at to say whether a count is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from camcount.frame import Frame, Image
from camcount.geometry import Points
from camcount.protocols import Source
from camcount.video.ink import DARK, WHITE, Ink

COLUMNS, ROWS, WIDTH = 3, 2, 480
"""Pictures in a strip, and the width of each in pixels."""

_LINE, _RING = (80, 220, 255), (60, 60, 240)

Span = tuple[float, float]
Mark = tuple[float, float, float]
"""A moment in seconds and a point in pixels to ring around then."""


def strips(source: Source, spans: Sequence[Span]) -> Iterator[tuple[int, list[Frame]]]:
    """For each span, `COLUMNS` x `ROWS` frames spread evenly over it, as ``(index of the span, frames)``.

    One pass over an open ``source``, whatever the order of the spans; a span is given as soon as it is complete, with
    fewer frames if the video has no more.
    """
    moments = [np.linspace(begin, end, COLUMNS * ROWS).tolist() for begin, end in spans]
    taken: list[list[Frame]] = [[] for _ in spans]
    waiting = set(range(len(spans)))
    while waiting and (frame := source.read()) is not None:
        for k in sorted(waiting):
            if frame.time_s >= moments[k][len(taken[k])] - 1e-6:
                taken[k].append(frame)
                # a frame that comes late stands for every moment that it is late for
                while len(taken[k]) < len(moments[k]) and frame.time_s >= moments[k][len(taken[k])]:
                    moments[k].pop(len(taken[k]))
            if len(taken[k]) == len(moments[k]):
                waiting.discard(k)
                yield k, taken[k]
                taken[k] = []
    for k in sorted(waiting):
        if taken[k]:
            yield k, taken[k]


def compose(frames: Sequence[Frame], line: Points | None, marks: Iterable[Mark] = ()) -> Image:
    """The frames side by side with the line, its ``in`` arrow, a clock, and a ring at each mark's nearest frame."""
    width = WIDTH
    height = round(width * frames[0].height / frames[0].width)
    scale = width / frames[0].width
    pictures = [np.ascontiguousarray(frame.image(width, height)) for frame in frames]
    for picture, frame in zip(pictures, frames, strict=True):
        ink = Ink(picture)
        if line is not None:
            _draw_line(ink, line * scale)
        ink.plate(f"{frame.time_s:.2f} s", np.array([6.0, height - 30.0]), 13, DARK)
    for time_s, x, y in marks:
        nearest = min(range(len(frames)), key=lambda i: abs(frames[i].time_s - time_s))
        ink, centre = Ink(pictures[nearest]), np.array([x, y]) * scale
        ink.disc(centre, 16, WHITE, 5)
        ink.disc(centre, 16, _RING, 3)
    blank = np.full((height, width, 3), 24, np.uint8)
    pictures += [blank] * (-len(pictures) % COLUMNS)
    rows = [np.hstack(pictures[i : i + COLUMNS]) for i in range(0, len(pictures), COLUMNS)]
    return np.asarray(np.vstack(rows), np.uint8)


def _draw_line(ink: Ink, line: Points) -> None:
    ink.line(line, DARK, 5)
    ink.line(line, _LINE, 2)
    a, b = line[0], line[-1]
    middle, along = (a + b) / 2, (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    tip = middle + 34 * np.array([-along[1], along[0]])  # to the right of a walker from a to b, as y points down
    ink.arrow(middle, tip, _LINE)
    ink.plate("in", tip + np.array([6.0, -4.0]), 13, _LINE)
