"""Crossings just before the first and just after the last sight of a track, where frames are far apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camcount.counting.bodies import Bodies, Floats
from camcount.counting.crossing import CrossingSettings, Open
from camcount.counting.sides import Sides

_YOUNG_S = 0.15
_STEADY_S = 0.4


@dataclass(frozen=True, slots=True)
class Guess:
    """A crossing that nobody saw: ``side`` is where it led to, 1 or -1; ``ahead`` if after the last sight."""

    slot: int
    line: int
    side: int
    change: Open
    reason: str
    ahead: bool


class Ends:
    """Thinks tracks on past their ends, at their own speed, and back before their beginnings.

    At a few frames a second an object is seen only once or twice near a line: without this, counts are too low. One
    crossing guessed from both a track that was lost and the one that it came back as counts once.
    """

    def __init__(self, bodies: Bodies, sides: Sides, settings: CrossingSettings) -> None:
        self._bodies = bodies
        self._sides = sides
        self._settings = settings
        self._births: dict[int, tuple[float, Floats]] = {}
        self._recent: list[tuple[int, int, float, tuple[float, float]]] = []

    def born(self, slot: int, place: Floats, time_s: float) -> None:
        """Notes the first sight of a track."""
        self._births[slot] = time_s, place.copy()

    def forget(self, slot: int) -> None:
        """Lets go of a track."""
        self._births.pop(slot, None)

    def before(self, start_s: float, interval_s: float) -> list[Guess]:
        """Crossings of tracks that are old enough by now for their speed to be known, before they were seen.

        Tracks seen from the very start of the source (``start_s``) have no such past. Where frames are close, boxes
        tremble more than they move: the speed takes longer to know, and a part of something else that is taken for
        somebody for a moment has none.
        """
        bodies, guesses = self._bodies, []
        slow = self._reach(interval_s)
        for slot, (born, first) in list(self._births.items()):
            age = float(bodies.time[slot]) - born
            if age < (_YOUNG_S if slow else _STEADY_S) or not bodies.confirmed[slot]:
                continue
            del self._births[slot]
            reach = slow or self._steady(slot, first)
            if reach and born - start_s >= 2 * interval_s:
                back = first - (bodies.place[slot] - first) / age * reach
                guesses += self._between(slot, back, first, born - reach, reach, ahead=False)
        return guesses

    def after(self, slot: int, interval_s: float) -> list[Guess]:
        """Crossings of a track that has ended, after it was last seen."""
        reach = self._reach(interval_s)
        if not reach or not self._bodies.confirmed[slot]:
            return []
        last, time_s = self._bodies.place[slot], float(self._bodies.time[slot])
        on = last + self._bodies.velocity[slot] * reach
        return self._between(slot, last, on, time_s, reach, ahead=True)

    def _steady(self, slot: int, first: Floats) -> float:
        bodies, settings = self._bodies, self._settings
        way = np.hypot(*(bodies.place[slot] - first)[2:]) / bodies.height[slot]
        steady = way >= settings.before_way and bodies.confidence[slot] >= settings.before_sure
        return settings.before_s if steady else 0.0

    def _reach(self, interval_s: float) -> float:
        settings = self._settings
        slow = interval_s >= settings.slow_interval_s
        return min(settings.extrapolate_s, settings.extrapolate_frames * interval_s) if slow else 0.0

    def _between(self, slot: int, p: Floats, q: Floats, start: float, span: float, *, ahead: bool) -> list[Guess]:
        guesses = []
        reason = "last seen on its way over the line" if ahead else "first seen coming from the line"
        for line in range(self._sides.count):
            met = self._sides.crossed(p, q, line)
            if met is None:
                continue
            side, way = met
            (x0, y0), (x1, y1) = self._sides.point(p, line), self._sides.point(q, line)
            point, time_s = (x0 + way * (x1 - x0), y0 + way * (y1 - y0)), start + way * span
            if not self._known(slot, line, side, time_s, point):
                self._recent.append((line, side, time_s, point))
                guesses.append(
                    Guess(slot, line, side, Open(-side, net=side, time_s=time_s, point=point), reason, ahead)
                )
        return guesses

    def _known(self, slot: int, line: int, side: int, time_s: float, point: tuple[float, float]) -> bool:
        near = 0.5 * float(self._bodies.height[slot])
        self._recent = [r for r in self._recent if abs(r[2] - time_s) < 5.0]
        return any(
            r[0] == line and r[1] == side and abs(r[2] - time_s) < 1.0 and np.hypot(*np.subtract(r[3], point)) < near
            for r in self._recent
        )
