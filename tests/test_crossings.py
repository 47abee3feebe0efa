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


def across(until: float, start: float = 0.0, y: float = 400.0, speed: float = 60.0) -> Path:
    """From left to right through the door, seen from ``start`` to ``until``."""
    until = min(until, 500 / speed)
    return [(start, 100 + speed * start, y), (until, 100 + speed * until, y)]


def stand(y: float, seconds: float, start: float = 0.0) -> Path:
    """Standing still with the foot at ``y``."""
    return [(start, 320.0, y), (start + seconds, 320.0, y)]


def switch(at: float) -> Callable[[float], int]:
    """Another id from that time on."""
    return lambda t: 1 if t < at else 2


def blinds(seconds: float, every: float, shut: float) -> list[tuple[float, float]]:
    """Hidden for ``shut`` seconds out of each ``every``."""
    return [(t, t + shut) for t in np.arange(0.5, seconds, every).tolist()]


POLYLINE = Line("gate", ((100, 200), (320, 260), (540, 200)))
DIAGONAL = Line("gate", ((160, 120), (480, 400)))
EDGE = Line("gate", ((100, 474), (540, 474)))
NEXT = Line("next", ((100, 250), (540, 250)))
UPRIGHT = Line("door", ((320, 100), (320, 460)))
CARS = Line("gate", GATE.points, labels=("car",))
CENTRE = Line("gate", GATE.points, anchor="centre")

WALKING = [
    Scene("walking down over the line is in", [Walker(down())], "gate+", at=[1.0]),
    Scene("walking up over the line is out", [Walker(up())], "gate-", at=[1.0]),
    Scene("the reversed line swaps the sides", [Walker(down())], "gate-", [GATE.reversed]),
    Scene("passing beside the line's end is no crossing", [Walker(down(x=60))], ""),
    Scene("walking along the line is no crossing", [Walker([(0, 100, 230), (5, 540, 230)])], ""),
    Scene(
        "walking along the line, trembling over it, is none", [Walker([(0, 100, 240), (9, 540, 240)], jitter=2)], ""
    ),
    Scene("a noisy walk counts once", [Walker(down(), jitter=5)], "gate+", at=[1.0], tolerance_s=0.3),
    Scene("a slow walk counts once", [Walker(down(speed=8), jitter=3)], "gate+"),
    Scene(
        "a slow walk that trembles much is dated by its course, not by its last tremble",
        [Walker(down(speed=12), jitter=6)],
        "gate+",
        at=[80 / 12],
        tolerance_s=0.4,
    ),
    Scene("a fast car counts", [Walker(down(speed=1500), class_id=1)], "gate+"),
    Scene("a jump over the line between two frames counts", [Walker(down(speed=800))], "gate+", fps=5),
    Scene("stopping just beyond the line counts", [Walker([(0, 320, 160), (1, 320, 260), (9, 320, 260)])], "gate+"),
    Scene("three in a row are three", [Walker(down(start=0.8 * k), id=k + 1) for k in range(3)], "gate+ gate+ gate+"),
    Scene(
        "two who pass each other are one each way",
        [Walker(down(x=300)), Walker(up(start=0.5, x=350), id=2)],
        "gate+ gate-",
    ),
    Scene("five abreast are five", [Walker(down(x=200 + 50 * k), id=k + 1) for k in range(5)], "gate+ " * 5),
]
WAITING = [
    Scene("waiting on the line, trembling, is no crossing", [Walker(stand(240, 60), jitter=3)], ""),
    Scene("waiting just before the line is no crossing", [Walker(stand(236, 60), jitter=3)], ""),
    Scene("parking beyond the line is no crossing", [Walker(stand(250, 60), jitter=3)], ""),
    Scene(
        "a car that waits on the line counts once, when it goes",
        [Walker([(0, 320, 160), (1, 320, 238), (60, 320, 238), (61, 320, 320)], jitter=3)],
        "gate+",
    ),
    Scene(
        "a parked car that buses hide again and again is not counted",
        [Walker(stand(244, 60), jitter=3, hidden=blinds(60, 7, 1.5))],
        "",
    ),
    Scene(
        "a parked car that gets a new id after each bus is not counted",
        [Walker(stand(244, 60), jitter=3, hidden=blinds(60, 7, 1.5), id_at=lambda t: int(t // 7) + 1)],
        "",
    ),
    Scene(
        "a parked car whose lower half a bus hides is not counted",
        [Walker(stand(250, 60), jitter=2, legs_hidden=blinds(60, 6, 0.3))],
        "",
    ),
    Scene(
        "crossing, parking and being hidden is one crossing",
        [Walker([(0, 320, 160), (1.2, 320, 256), (40, 320, 256)], hidden=blinds(40, 7, 3), jitter=2)],
        "gate+",
    ),
]
TURNING = [
    Scene("a U-turn before the line is nothing", [Walker([(0, 320, 160), (1, 320, 230), (2, 320, 160)])], ""),
    Scene("a U-turn on the line is nothing", [Walker([(0, 320, 160), (1, 320, 244), (2, 320, 160)])], ""),
    Scene(
        "a U-turn well after the line is in and out",
        [Walker([(0, 320, 160), (2, 320, 320), (4, 320, 160)])],
        "gate+ gate-",
        at=[1.0, 3.0],
    ),
    Scene(
        "a U-turn within the U-turn time is nothing",
        [Walker([(0, 320, 160), (2, 320, 320), (4, 320, 160)])],
        "",
        settings=CrossingSettings(u_turn_s=3.0),
    ),
    Scene(
        "no U-turn counts in spite of the U-turn time",
        [Walker([*down(), (9, 320, 320)])],
        "gate+",
        settings=CrossingSettings(u_turn_s=3.0),
    ),
    Scene(
        "a return after a minute counts again",
        [Walker([(0, 320, 160), (2, 320, 320), (60, 320, 320), (62, 320, 160)])],
        "gate+ gate-",
        at=[1.0, 61.0],
    ),
    Scene(
        "a return within the re-entry time does not count",
        [Walker([(0, 320, 160), (2, 320, 320), (4, 320, 160)])],
        "gate+",
        settings=CrossingSettings(reentry_s=5.0),
    ),
    Scene(
        "a return after the re-entry time counts",
        [Walker([(0, 320, 160), (2, 320, 320), (8, 320, 320), (10, 320, 160)])],
        "gate+ gate-",
        settings=CrossingSettings(reentry_s=5.0),
    ),
    Scene(
        "three times to and fro is six",
        [Walker([(2 * k, 320, 160 if k % 2 == 0 else 320) for k in range(7)])],
        "gate+ gate- " * 3,
    ),
    Scene(
        "over the line and back around its end is in only",
        [Walker([(0, 500, 160), (2, 500, 320), (3, 600, 320), (5, 600, 160)])],
        "gate+",
    ),
]
SEEING = [
    Scene("a crossing while nothing was seen counts", [Walker(down(), hidden=[(0.7, 1.3)])], "gate+", at=[1.0]),
    Scene(
        "a crossing behind a bus for a second counts, dated in the gap",
        [Walker(down(speed=60), hidden=[(0.9, 1.9)])],
        "gate+",
        at=[4 / 3],
        tolerance_s=0.4,
    ),
    Scene(
        "five seconds behind a bus beside the line are nothing",
        [Walker([(0, 200, 200), (10, 400, 200)], hidden=[(3, 8)])],
        "",
    ),
    Scene("a track not yet confirmed counts after the fact", [Walker(down(), confirmed_from=1.8)], "gate+", at=[1.0]),
    Scene("a track never confirmed does not count", [Walker(down(), confirmed_from=99)], ""),
    Scene("birth beyond the line is no crossing", [Walker(stand(250, 5))], ""),
    Scene("birth just before the line counts", [Walker(down(top=226))], "gate+"),
    Scene(
        "stepping out from behind a pillar just beyond the line counts, dated behind the pillar",
        [Walker(down(start=2.0, top=250)), Walker(stand(400, 5), id=9)],
        "gate+",
        at=[1.9],
        tolerance_s=0.2,
    ),
    Scene(
        "stepping out from behind a pillar far beyond the line does not",
        [Walker(down(start=2.0, top=290)), Walker(stand(400, 5), id=9)],
        "",
    ),
    Scene(
        "something unsure that appears just beyond the line and moves on does not",
        [Walker(down(start=2.0, top=250), confidence=0.4), Walker(stand(400, 5), id=9)],
        "",
    ),
    Scene(
        "somebody who appears just beyond the line and hardly moves does not",
        [Walker(down(start=2.0, top=244, bottom=256, speed=20)), Walker(stand(400, 5), id=9)],
        "",
    ),
    Scene("death on the line is no crossing", [Walker(down(bottom=242))], ""),
    Scene("death just beyond the line counts", [Walker(down(bottom=258))], "gate+", at=[1.0]),
    Scene(
        "legs hidden before the line do not delay the crossing",
        [Walker(down(), legs_hidden=[(0.8, 1.2)])],
        "gate+",
        at=[1.0],
    ),
    Scene(
        "legs hidden beyond the line are no way back",
        [Walker([*down(bottom=280), (5, 320, 280)], legs_hidden=[(2, 2.3)])],
        "gate+",
    ),
    Scene("doubtful boxes do not move the point", [Walker(down(), unsure=[(0.8, 1.2)], jitter=2)], "gate+"),
    Scene(
        "doubtful boxes at the end of a track say where it went",
        [Walker(down(), unsure=[(0.9, 2.0)])],
        "gate+",
        at=[1.0],
        tolerance_s=0.2,
    ),
    Scene("a track of doubtful boxes alone does not count", [Walker(down(), confidence=0.15)], ""),
    Scene("an id switch on the line counts once", [Walker(down(), id_at=switch(1.0))], "gate+"),
    Scene("an id switch just before the line counts once", [Walker(down(), id_at=switch(0.85))], "gate+"),
    Scene("an id switch just beyond the line counts once", [Walker(down(), id_at=switch(1.15))], "gate+"),
    Scene(
        "an id switch in a gap on the line counts once",
        [Walker(down(), id_at=switch(1.0), hidden=[(0.8, 1.2)])],
        "gate+",
    ),
    Scene(
        "an id switch at every second frame counts once",
        [Walker(down(), id_at=lambda t: int(t * 12.5) + 1)],
        "gate+",
    ),
    Scene(
        "somebody else who appears elsewhere is no id switch",
        [Walker(down(bottom=230)), Walker(stand(300, 3, start=1.0), id=2)],
        "",
    ),
    Scene("a class flip in mid-track counts once", [Walker(down(), class_id=lambda t: int(0.9 < t < 1.1))], "gate+"),
    Scene(
        "walking on behind a truck for four seconds and out again under another id counts, dated behind it",
        [Walker(across(20), hidden=[(1.5, 5.5)], id_at=switch(5))],
        "door-",
        [UPRIGHT],
        at=[3.7],
    ),
    Scene(
        "whoever shrinks on the way is still the same",
        [Walker(across(1.5)), Walker(across(20, start=5.5), id=2, height=70)],
        "door-",
        [UPRIGHT],
    ),
    Scene(
        "a child that comes out there is somebody else",
        [Walker(across(1.5)), Walker(across(20, start=5.5), id=2, height=50)],
        "",
        [UPRIGHT],
    ),
    Scene(
        "so is who comes out far aside of the way",
        [Walker(across(1.5)), Walker(across(20, start=5.5, y=180), id=2)],
        "",
        [UPRIGHT],
    ),
    Scene(
        "and who comes out after six seconds",
        [Walker(across(1.5, speed=40)), Walker(across(20, start=7.6, speed=40), id=2)],
        "",
        [UPRIGHT],
    ),
]
GEOMETRY = [
    Scene("a diagonal line", [Walker([(0, 420, 180), (3, 180, 320)])], "gate+", [DIAGONAL]),
    Scene("a diagonal line, the other way", [Walker([(0, 180, 320), (3, 420, 180)])], "gate-", [DIAGONAL]),
    Scene("an upright line: to the left is in", [Walker([(0, 400, 300), (3, 240, 300)])], "door+", [UPRIGHT]),
    Scene("an upright line: to the right is out", [Walker([(0, 240, 300), (3, 400, 300)])], "door-", [UPRIGHT]),
    Scene("two lines close together count one each", [Walker(down())], "gate+ next+", [GATE, NEXT], at=[1.0, 1.125]),
    Scene(
        "turning between two lines counts one twice",
        [Walker([(0, 320, 160), (1.08, 320, 246), (2.2, 320, 160)])],
        "",
        [GATE, NEXT],
    ),
    Scene("a crossing pair of lines", [Walker([(0, 260, 182), (3, 380, 302)])], "gate+ door-", [GATE, UPRIGHT]),
    Scene("a line at the picture's edge counts", [Walker(down(top=380, bottom=500, speed=80))], "gate+", [EDGE]),
    Scene("a polyline counts at its left part", [Walker(down(x=180, top=140, bottom=330))], "gate+", [POLYLINE]),
    Scene("a polyline counts at its right part", [Walker(down(x=460, top=140, bottom=330))], "gate+", [POLYLINE]),
    Scene("a polyline counts at its corner", [Walker(down(top=160, bottom=360))], "gate+", [POLYLINE]),
    Scene("a polyline counts the way back", [Walker([(0, 460, 330), (3, 460, 140)])], "gate-", [POLYLINE]),
    Scene(
        "cutting a polyline's corner is in and out again",
        [Walker([(0, 100, 250), (8, 540, 250)])],
        "gate- gate+",
        [POLYLINE],
        at=[3.3, 4.7],
        tolerance_s=0.4,
    ),
    Scene("a line for cars does not count people", [Walker(down())], "", [CARS]),
    Scene("a line for cars counts cars", [Walker(down(), class_id=1)], "gate+", [CARS]),
    Scene(
        "a line on the box centre counts half a height later",
        [Walker(down(bottom=360))],
        "gate+",
        [CENTRE],
        at=[1.625],
    ),
]
TIME = [
    Scene(f"a walk counts once at {fps} frames a second", [Walker(down(speed=40))], "gate+", fps=fps, at=[2.0])
    for fps in (1, 2, 3, 5, 10, 15, 30, 60)
]
TIME += [
    Scene(
        f"in and out count at {fps} frames a second",
        [Walker([(0, 320, 160), (4, 320, 320), (8, 320, 160)])],
        "gate+ gate-",
        fps=fps,
        at=[2.0, 6.0],
        tolerance_s=0.2,
    )
    for fps in (1, 2, 5, 60)
]
TIME += [
    Scene(
        "frames at uneven times count",
        [Walker(down())],
        "gate+",
        at=[1.0],
        times=sorted(np.random.default_rng(3).uniform(0, 2, 30).tolist()),
    ),
    Scene(
        "two frames with one time stamp count once",
        [Walker(down())],
        "gate+",
        at=[1.0],
        times=np.repeat(np.arange(0, 2, 0.04), 2).tolist(),
    ),
    Scene(
        "a hole of two seconds in the time stamps counts",
        [Walker(down(speed=40))],
        "gate+",
        at=[2.0],
        times=[t for t in np.arange(0, 4, 0.04).tolist() if not 1 < t < 3],
    ),
    Scene(
        "a time stamp that jumps ahead by an hour ends what was there",
        [Walker([*down(bottom=230), (3700, 320, 300)])],
        "",
        times=[*np.arange(0, 0.9, 0.04).tolist(), *np.arange(3600, 3601, 0.04).tolist()],
    ),
    Scene(
        "lost before the line at 5 frames a second, on its way over it",
        [Walker(down(bottom=232))],
        "gate+",
        fps=5,
        at=[1.1],
        tolerance_s=0.2,
    ),
    Scene(
        "first seen beyond the line at 5 frames a second, coming from it",
        [Walker(down(start=2.0, top=250)), Walker(stand(400, 5), id=9)],
        "gate+",
        fps=5,
        at=[1.9],
        tolerance_s=0.2,
    ),
    Scene(
        "lost and found around the line at 5 frames a second is one crossing",
        [Walker(down(bottom=232)), Walker(down(start=1.4, top=272), id=2)],
        "gate+",
        fps=5,
    ),
]
TABLE = WALKING + WAITING + TURNING + SEEING + GEOMETRY + TIME


@pytest.mark.parametrize("scene", TABLE, ids=lambda s: s.fact)
def test_scene(scene: Scene) -> None:
    """The fact that the row names."""
    crossings = scene.run()
    got = " ".join(c.line + ("+" if c.direction == "in" else "-") for c in crossings)
    assert got == scene.expect.strip(), [(c.time_s, c.direction, c.reason) for c in crossings]
    if scene.at is not None:
        np.testing.assert_allclose([c.time_s for c in crossings], scene.at, atol=scene.tolerance_s)


def test_the_table_is_long_and_its_facts_differ() -> None:
    """Sixty facts and more, none of them twice."""
    facts = [scene.fact for scene in TABLE]
    assert len(facts) == len(set(facts)) >= 60


@pytest.mark.parametrize("scene", [s for s in TABLE if s.expect], ids=lambda s: s.fact)
def test_every_verdict_gives_its_reason(scene: Scene) -> None:
    """Each crossing says why it counts, how sure it is and where it was."""
    for crossing in scene.run():
        assert "line" in crossing.reason
        assert 0 < crossing.confidence <= 1
        assert 0 <= crossing.point[0] <= SIZE[0]
