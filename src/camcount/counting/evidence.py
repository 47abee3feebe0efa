"""What speaks for and against the counts at a line, measured while counting and independent of any truth."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from camcount.counting.sides import Floats, Sides
from camcount.counting.sights import Sight, Sights
from camcount.detections import Tracks
from camcount.events import Crossing, Direction, Event
from camcount.geometry import Anchor, Line

CROSSING_CAUSES = (
    "doubt",
    "new",
    "brief",
    "shallow before",
    "shallow",
    "gap",
    "twins",
    "returned",
    "pace",
    "covered",
)
"""What makes a counted crossing doubtful, each 0 where nothing does: see `Witness`."""

MISS_CAUSES = ("began", "ended", "passed", "away", "broken", "brief", "doubt", "tentative", "pace", "edge")
"""What a crossing that was probably missed looks like."""

_REACH_S = 1.2
"""An end of a track is thought on for so long."""
_SETTLED_S = 1.2
"""A crossing is judged by what was seen so long before and after it."""
_SAME_S = 1.2
_TICK_S = 0.2
_YOUNG_S = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """One counted crossing, or one that may have been missed, and what is known of how sure that is.

    Attributes:
        line, direction, time_s: which crossing, and when it happened or would have.
        counted: whether it was.
        causes: one value per entry of `CROSSING_CAUSES` if counted, else of `MISS_CAUSES`.
    """

    line: str
    direction: Direction
    time_s: float
    counted: bool
    causes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Sign:
    """A track that should have crossed a line and was not counted."""

    kind: Literal["began", "ended", "passed"]
    line: int
    direction: Direction
    time_s: float
    at: tuple[float, float]
    track_id: int
    height: float
    causes: tuple[float, ...]
    made_s: float = 0.0


class Witness:
    """Watches tracks and the crossings counted from them, and tells what it finds once each matter is settled.

    A crossing is doubtful where the detector was unsure, the track was new before or brief after it, went hardly
    off the line on either side, was not seen while it crossed, has a twin counted near in place and time, came back
    at once, moved far between frames, or was covered by others. A crossing may have been missed where a track
    *ended* on its way to the line or *began* coming from it (thought on at its last or first speed), or *passed* it
    without being counted; not where another track goes on from there or was counted there.

    Costs a few dictionary operations per frame; more only five times a second, and where a track starts or ends.
    ``lines`` may get longer later.
    """

    def __init__(self, lines: Sequence[Line], width: int, height: int, *, anchor: Anchor = "foot") -> None:
        self._lines = lines
        self._size = width, height
        self._anchor: Anchor = anchor
        self._sights = Sights()
        self._compile()
        self._young: deque[tuple[float, int]] = deque()
        self._open: list[Crossing] = []
        self._recent: deque[Crossing] = deque()
        self._signs: list[_Sign] = []
        self._net: Counter[tuple[int, int]] = Counter()
        self._passed: dict[tuple[int, int], tuple[float, tuple[float, float]]] = {}
        self._coarse: dict[int, Floats] = {}
        self._next_tick = -np.inf

    def update(self, tracks: Tracks, time_s: float, events: Sequence[Event] = ()) -> list[Finding]:
        """Takes one frame's tracks and the events that came with it."""
        self._young += [(time_s, number) for number in self._sights.add(tracks, time_s)]
        self._take(events)
        if time_s < self._next_tick:
            return []
        self._next_tick = time_s + _TICK_S - 1e-6
        self._walk(tracks)
        for number in self._sights.lost():
            self._end(number)
        while self._young and self._young[0][0] <= time_s - _YOUNG_S:
            self._begin(self._young.popleft()[1])
        found = self._settle(time_s - _SETTLED_S) + self._tell(time_s - 0.6 * _SAME_S)
        self._sights.forget()
        return found

    def finish(self, events: Sequence[Event] = ()) -> list[Finding]:
        """What is left when no more frames come."""
        self._take(events)
        for number in self._sights.known():
            self._pass(number)
        found = self._settle(np.inf) + self._tell(np.inf)
        self._recent.clear()
        return found

    def _compile(self) -> None:
        self._sides = Sides(self._lines, *self._size, self._anchor)
        self._index = {line.name: k for k, line in enumerate(self._lines)}

    def _take(self, events: Sequence[Event]) -> None:
        if len(self._lines) != self._sides.count:
            self._compile()  # before the events, for those of a new line come with it
        for event in events:
            if isinstance(event, Crossing) and event.line in self._index:
                self._open.append(event)
                self._recent.append(event)
                if event.track_id in self._sights.seen:
                    self._net[event.track_id, self._index[event.line]] -= 1 if event.direction == "in" else -1

    def _walk(self, tracks: Tracks) -> None:
        """Notes whose way since the last look went over a line."""
        ids, places = self._sights.newest()
        known = self._coarse
        rows = [k for k, number in enumerate(ids) if number in known]
        if rows:
            before, after = np.array([known[ids[k]] for k in rows]), places[rows]
            turned = (self._sides.signed(before) > 0) != (self._sides.signed(after) > 0)
            for k, line in zip(*(v.tolist() for v in np.nonzero(turned)), strict=True):
                met = self._sides.crossed(before[k], after[k], line)
                if met is not None:
                    self._net[ids[rows[k]], line] += met[0]
                    where = self._sides.point(after[k], line)
                    self._passed[ids[rows[k]], line] = self._sights.time_s, where
        known.update(zip(ids, places, strict=True))

    def _begin(self, number: int) -> None:
        """Looks at where a track that is no longer new came from."""
        sight = self._sights.first(number)
        if sight is None or sight.time_s <= self._sights.start_s + 2 * self._sights.interval_s:
            return
        far = sight.place - _REACH_S * sight.velocity
        met = self._met(sight, far, sight.place)
        if not met or any(self._follows(other, sight) for other in self._before(sight)):
            return
        for line, direction, way in met:
            away_s = (1 - way) * _REACH_S
            at = far + way * (sight.place - far)
            self._note("began", line, direction, sight, sight.time_s - away_s, at, away_s)

    def _end(self, number: int) -> None:
        """Looks at where a track that is lost was going."""
        sight = self._sights.last(number)
        self._pass(number)
        if sight is not None:
            far = sight.place + _REACH_S * sight.velocity
            met = self._met(sight, sight.place, far)
            heirs = [other for other in self._after(sight) if self._follows(sight, other)] if met else []
            for line, direction, way in met:
                beyond = any(self._sides.crossed(sight.place, heir.place, line) is not None for heir in heirs)
                if beyond or not heirs:
                    away_s = way * _REACH_S
                    at = sight.place + way * (far - sight.place)
                    self._note("ended", line, direction, sight, sight.time_s + away_s, at, away_s, beyond)
        self._sights.drop(number)
        self._coarse.pop(number, None)

    def _pass(self, number: int) -> None:
        """Looks whether a track went over a line oftener than it was counted there."""
        for line in range(self._sides.count):
            net = self._net.pop((number, line), 0)
            passed = self._passed.pop((number, line), None)
            sight = self._sights.last(number) if net and passed else None
            if sight is not None and passed is not None and line in self._wanted(sight):
                time_s, at = passed
                self._note("passed", line, 1 if net > 0 else -1, sight, time_s, np.array(2 * at), 0.0)

    def _note(
        self,
        kind: Literal["began", "ended", "passed"],
        line: int,
        direction: int,
        sight: Sight,
        time_s: float,
        at: Floats,
        away_s: float,
        broken: bool = False,
    ) -> None:
        causes: tuple[float, ...] = (
            float(kind == "began"),
            float(kind == "ended"),
            float(kind == "passed"),
            away_s / _REACH_S,
            float(broken),
            float(np.exp(-sight.life_s / 0.5)),
            1 - sight.confidence,
            float(not sight.confirmed),
            _pace(sight, self._sights.interval_s),
            float(_at_edge(sight.box, *self._size)),
        )
        way: Direction = "in" if direction > 0 else "out"
        point = self._sides.point(at, line)
        sign = _Sign(kind, line, way, time_s, point, sight.track_id, sight.height, causes, self._sights.time_s)
        for k, other in enumerate(self._signs):
            if _same(other, line, way, time_s, point, sight.height):
                # two ends of one missed crossing: the likelier kind stays, marked as the pair that it is
                kept = min(other, sign, key=lambda s: s.causes[3])
                causes = (*kept.causes[:4], 1.0, *kept.causes[5:])
                self._signs[k] = replace(kept, causes=causes, made_s=other.made_s)
                return
        self._signs.append(sign)

    def _tell(self, before_s: float) -> list[Finding]:
        """The signs that no counted crossing has explained by now."""
        ripe = [sign for sign in self._signs if sign.made_s <= before_s]
        self._signs = [sign for sign in self._signs if sign.made_s > before_s]
        found = []
        for s in ripe:
            index = self._index
            if not any(
                _same(s, index[e.line], e.direction, e.time_s, e.point, s.height)
                for e in self._recent
                if e.line in index
            ):
                found.append(Finding(self._lines[s.line].name, s.direction, s.time_s, False, s.causes))
        while self._recent and self._recent[0].time_s < self._sights.time_s - 3 * _SAME_S - 2 * _REACH_S:
            self._recent.popleft()
        return found

    def _settle(self, before_s: float) -> list[Finding]:
        done = [event for event in self._open if event.time_s <= before_s]
        self._open = [event for event in self._open if event.time_s > before_s]
        return [Finding(e.line, e.direction, e.time_s, True, self._judge(e)) for e in done]

    def _judge(self, event: Crossing) -> tuple[float, ...]:
        line, side = self._index[event.line], 1 if event.direction == "in" else -1
        path = self._sights.path(event.track_id, event.time_s - _SETTLED_S, event.time_s + _SETTLED_S)
        others = [e for e in self._recent if e is not event and e.line == event.line]
        if path is None:
            return 1 - event.confidence, 0.5, 0.5, 0.5, 0.5, 0.0, self._twins(event, others, np.inf), 0.0, 0.0, 0.0
        depth = side * self._sides.signed(path.place)[:, line] / path.height
        after = path.time_s > event.time_s
        k = int(np.searchsorted(path.time_s, event.time_s))
        gap_s = float(path.time_s[k] - path.time_s[k - 1]) if 0 < k < len(after) else self._sights.interval_s
        back = any(e.track_id == event.track_id and abs(e.time_s - event.time_s) < 2.0 for e in others)
        return (
            1 - event.confidence,
            float(np.exp(-max(0.0, event.time_s - path.born_s) / 0.5)),
            float(np.exp(-max(0.0, path.last_s - event.time_s) / 0.5)),
            float(np.exp(-max(0.0, float(-depth[~after].min(initial=0.0))) / 0.3)),
            float(np.exp(-max(0.0, float(depth[after].max(initial=0.0))) / 0.3)),
            min(gap_s, 1.5),
            self._twins(event, others, 0.8 * float(path.height.mean())),
            float(back),
            min(path.speed * self._sights.interval_s, 1.5),
            self._sights.covered(event.track_id, event.time_s),
        )

    def _twins(self, event: Crossing, others: Sequence[Crossing], reach: float) -> float:
        x, y = event.point
        near = (
            abs(e.time_s - event.time_s) <= 1.0 and np.hypot(e.point[0] - x, e.point[1] - y) <= reach
            for e in others
            if e.direction == event.direction and e.track_id != event.track_id
        )
        return float(min(2, sum(near)))

    def _met(self, sight: Sight, before: Floats, after: Floats) -> list[tuple[int, int, float]]:
        """The lines on a straight way: which, direction, share of the way."""
        met = [(line, self._sides.crossed(before, after, line)) for line in self._wanted(sight)]
        return [(line, *found) for line, found in met if found is not None]

    def _wanted(self, sight: Sight) -> list[int]:
        """The lines that count what this track is."""
        return [
            k
            for k, line in enumerate(self._lines[: self._sides.count])
            if line.labels is None or sight.label in line.labels
        ]

    def _after(self, sight: Sight) -> Iterator[Sight]:
        until = sight.time_s + max(1.0, 3 * self._sights.interval_s)
        for number, born_s in self._sights.born.items():
            if number != sight.track_id and sight.time_s - 0.25 <= born_s <= until:
                heir = self._sights.first(number)
                if heir is not None:
                    yield heir

    def _before(self, sight: Sight) -> Iterator[Sight]:
        since = sight.time_s - max(1.2, 3 * self._sights.interval_s)
        until = min(sight.time_s + 0.25, self._sights.time_s - 0.2)
        for number, last_s in self._sights.seen.items():
            if number != sight.track_id and since <= last_s <= until:
                ancestor = self._sights.last(number)
                if ancestor is not None:
                    yield ancestor

    def _follows(self, first: Sight, second: Sight) -> bool:
        """Whether the second track may be the rest of the first."""
        gap_s = max(0.0, second.time_s - first.time_s)
        away = np.abs(first.place + gap_s * first.velocity - second.place)
        near = min(np.hypot(away[0], away[1]), np.hypot(away[2], away[3]))
        alike = 0.6 < second.height / first.height < 1.7
        return bool(alike and near < (0.5 + 0.7 * gap_s) * first.height)


def _same(sign: _Sign, line: int, direction: str, time_s: float, point: tuple[float, float], height: float) -> bool:
    near = abs(sign.time_s - time_s) <= _SAME_S and sign.line == line and sign.direction == direction
    return near and bool(np.hypot(sign.at[0] - point[0], sign.at[1] - point[1]) <= max(height, sign.height))


def _pace(sight: Sight, interval_s: float) -> float:
    return min(float(np.hypot(sight.velocity[0], sight.velocity[1])) * interval_s / sight.height, 1.5)


def _at_edge(box: Floats, width: int, height: int) -> bool:
    left, _, right, bottom = box
    return bool(left < 0.02 * width or right > 0.98 * width or bottom > 0.98 * height)
