"""The scenario table: one row, one fact about when a walk over a line counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest

from camcount.counting.crossing import CrossingSettings
from camcount.counting.lines import LineCounter
from camcount.detections import Tracks
from camcount.events import Crossing
from camcount.geometry import Line

SIZE = 640, 480
GATE = Line("gate", ((100, 240), (540, 240)))
"""Across the picture, left to right: ``in`` is downwards."""

Path = list[tuple[float, float, float]]
"""Corner points of a walk: time in seconds, foot x, foot y."""


@dataclass
class Walker:
    """Somebody 100 pixels high who walks straight between corner points."""

    path: Path
    id: int = 1
    height: float = 100.0
    hidden: list[tuple[float, float]] = field(default_factory=list)
    """Spans of time in which no box is found."""
    legs_hidden: list[tuple[float, float]] = field(default_factory=list)
    jitter: float = 0.0
    confidence: float = 0.9
    unsure: list[tuple[float, float]] = field(default_factory=list)
    confirmed_from: float = 0.0
    class_id: int | Callable[[float], int] = 0
    id_at: Callable[[float], int] | None = None

    def row(self, t: float, rng: np.random.Generator) -> tuple[list[float], float, int, int, bool] | None:
        """Box, confidence, class, id, confirmed at ``t``, or None when not to be seen."""
        times = [p[0] for p in self.path]
        if not times[0] - 1e-9 <= t <= times[-1] + 1e-9 or _within(t, self.hidden):
            return None
        x, y = (float(np.interp(t, times, [p[k] for p in self.path])) for k in (1, 2))
        dx, dy = rng.normal(size=2) * self.jitter
        bottom = y - 0.4 * self.height if _within(t, self.legs_hidden) else y
        box = [x - 20 + dx, y - self.height, x + 20 + dx, bottom + dy]
        sure = 0.15 if _within(t, self.unsure) else self.confidence
        number = self.id_at(t) if self.id_at else self.id
        label = self.class_id if isinstance(self.class_id, int) else self.class_id(t)
        return box, sure, label, number, t >= self.confirmed_from


def _within(t: float, spans: Iterable[tuple[float, float]]) -> bool:
    return any(a - 1e-9 <= t <= b + 1e-9 for a, b in spans)


@dataclass
class Scene:
    """Walkers seen at ``fps`` and what the lines must say: ``name+`` for in, ``name-`` for out, in time order."""

    fact: str
    walkers: list[Walker]
    expect: str
    lines: list[Line] = field(default_factory=lambda: [GATE])
    fps: float = 25.0
    settings: CrossingSettings | None = None
    at: list[float] | None = None
    """When the crossings happened, where that is part of the fact."""
    tolerance_s: float = 0.1
    times: list[float] | None = None
    """The time stamps, where they are not regular."""

    def run(self) -> list[Crossing]:
        """The crossings counted."""
        counter = LineCounter(self.lines, *SIZE, settings=self.settings)
        rng = np.random.default_rng(5)
        last = max(w.path[-1][0] for w in self.walkers)
        times = self.times or np.arange(0, last + 1e-9, 1 / self.fps).tolist()
        events = [e for t in times for e in counter.update(self._tracks(t, rng), t)]
        events += counter.finish(times[-1])
        return sorted((e for e in events if isinstance(e, Crossing)), key=lambda e: e.time_s)

    def _tracks(self, t: float, rng: np.random.Generator) -> Tracks:
        rows = [row for w in self.walkers if (row := w.row(t, rng)) is not None]
        if not rows:
            return Tracks.empty(("person", "car"))
        box, sure, label, number, confirmed = zip(*rows, strict=True)
        return Tracks(
            np.array(box), np.array(sure), np.array(label), np.array(number), np.array(confirmed), ("person", "car")
        )


def down(
    start: float = 0.0, x: float = 320.0, speed: float = 80.0, top: float = 160.0, bottom: float = 320.0
) -> Path:
    """Straight down over the gate at a walking pace."""
    return [(start, x, top), (start + (bottom - top) / speed, x, bottom)]


def up(start: float = 0.0, x: float = 320.0, speed: float = 80.0) -> Path:
    """Straight up over the gate."""
    return [(start, x, 320.0), (start + 160 / speed, x, 160.0)]


def stand(y: float, seconds: float, start: float = 0.0) -> Path:
    """Standing still with the foot at ``y``."""
    return [(start, 320.0, y), (start + seconds, 320.0, y)]


TABLE = [
    Scene("walking down over the line is in", [Walker(down())], "gate+", at=[1.0]),
    Scene("walking up over the line is out", [Walker(up())], "gate-", at=[1.0]),
    Scene("the reversed line swaps the sides", [Walker(down())], "gate-", [GATE.reversed]),
    Scene("passing beside the line's end is no crossing", [Walker(down(x=60))], ""),
    Scene("walking along the line is no crossing", [Walker([(0, 100, 230), (5, 540, 230)])], ""),
    Scene("waiting on the line, trembling, is no crossing", [Walker(stand(240, 60), jitter=3)], ""),
    Scene("waiting just before the line is no crossing", [Walker(stand(236, 60), jitter=3)], ""),
    Scene("a jump over the line between two frames counts", [Walker(down(speed=800))], "gate+", fps=5),
    Scene("a U-turn before the line is nothing", [Walker([(0, 320, 160), (1, 320, 230), (2, 320, 160)])], ""),
    Scene("a U-turn on the line is nothing", [Walker([(0, 320, 160), (1, 320, 244), (2, 320, 160)])], ""),
    Scene(
        "a U-turn well after the line is in and out",
        [Walker([(0, 320, 160), (2, 320, 320), (4, 320, 160)])],
        "gate+ gate-",
        at=[1.0, 3.0],
    ),
    Scene(
        "a return after a minute counts again",
        [Walker([(0, 320, 160), (2, 320, 320), (60, 320, 320), (62, 320, 160)])],
        "gate+ gate-",
    ),
    Scene("a crossing while nothing was seen counts", [Walker(down(), hidden=[(0.7, 1.3)])], "gate+", at=[1.0]),
    Scene(
        "a track not yet confirmed counts after the fact, dated when it happened",
        [Walker(down(), confirmed_from=1.8)],
        "gate+",
        at=[1.0],
    ),
    Scene("a track never confirmed does not count", [Walker(down(), confirmed_from=99)], ""),
    Scene("birth beyond the line is no crossing", [Walker(stand(250, 5))], ""),
    Scene(
        "five abreast are five",
        [Walker(down(x=200 + 50 * k), id=k + 1) for k in range(5)],
        "gate+ gate+ gate+ gate+ gate+",
    ),
]
TABLE += [
    Scene(f"a walk counts once at {fps} frames a second", [Walker(down())], "gate+", fps=fps, at=[1.0])
    for fps in (4, 5, 10, 15, 30, 60)
]


@pytest.mark.parametrize("scene", TABLE, ids=lambda s: s.fact)
def test_scene(scene: Scene) -> None:
    """The fact that the row names."""
    crossings = scene.run()
    got = " ".join(c.line + ("+" if c.direction == "in" else "-") for c in crossings)
    assert got == scene.expect, [(c.time_s, c.direction, c.reason) for c in crossings]
    if scene.at is not None:
        np.testing.assert_allclose([c.time_s for c in crossings], scene.at, atol=scene.tolerance_s)
