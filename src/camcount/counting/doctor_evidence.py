"""Signs that a line missed somebody, found without the truth: paths that should have crossed and did not count.

A path is thought on at both of its ends with the speed it had there. Where that, or what was seen, crosses the line
and no crossing was counted, somebody was probably missed, unless another track took over and was counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from camcount.counting.doctor_paths import Path
from camcount.events import Crossing
from camcount.geometry import Points

Kind = Literal["entered", "left", "began", "ended"]

_Meeting = tuple[int, int, float, Points]

REACH_S = 1.5
"""How long a path is thought on."""
_SAME_S = 1.2
_SAME = 1.0
_OVERLAP_S = 0.3
_UNHELD_S = 0.4
"""A crossing so soon after the first or before the last frame of all was not lost by the line."""


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """One path that should have crossed the line and was not counted.

    Attributes:
        kind: ``entered``, ``left``: it was seen to cross, too soon after its first or before its last sight;
            ``began``, ``ended``: it would have crossed before its first or after its last sight.
        away_s: how long before or after it was seen. time_s, at: when and where it crossed, or would have.
        direction: 1 for ``in``, -1 for ``out``. path: the path.
        broken: whether another path that begins beyond may be the rest of it.
    """

    kind: Kind
    away_s: float
    time_s: float
    at: Points
    direction: int
    path: Path
    broken: bool = False

    @property
    def cut(self) -> bool:
        """Whether that end of the path touches the picture's edge."""
        if self.kind in ("began", "ended"):
            return self.path.cut[self.kind == "ended"]
        return any(self.path.cut)


def find_signs(
    paths: Mapping[int, Path], line: Points, crossings: Sequence[Crossing], begin_s: float, end_s: float
) -> list[Sign]:
    """All signs at one line ``(K, 2)`` in pixels, each missed crossing once."""
    net = Counter[int]()
    for crossing in crossings:
        net[crossing.track_id] += _sign(crossing)
    found: list[Sign] = []
    for path in paths.values():
        if path.confirmed:
            met = _meetings(path.point, line)
            owed = sum(direction for _, direction, _, _ in met) - net[path.track_id]
            if owed:
                found += _seen_to_cross(path, met, owed, begin_s, end_s)
            # a counter that thinks on itself may have counted just this
            ends = [s for s in _thought_on(path, line) if owed * s.direction >= 0]
            found += [s for s in ends if begin_s <= s.time_s <= end_s]
    found.sort(key=lambda s: s.away_s)
    return _joined(_unexplained(found, crossings, paths))


def _sign(crossing: Crossing) -> int:
    return 1 if crossing.direction == "in" else -1


def _seen_to_cross(path: Path, met: Sequence[_Meeting], owed: int, begin_s: float, end_s: float) -> list[Sign]:
    if not met or met[-1][1] * owed <= 0:
        return []
    k, direction, t, at = met[-1]
    time_s = path.time[k] + t * (path.time[k + 1] - path.time[k])
    since, until = float(time_s - path.time[0]), float(path.time[-1] - time_s)
    if (path.time[-1] > end_s - 0.1 and end_s - time_s < _UNHELD_S) or (
        path.time[0] < begin_s + 0.1 and time_s - begin_s < _UNHELD_S
    ):
        return []
    return [Sign("entered" if since < until else "left", min(since, until), float(time_s), at, direction, path)]


def _thought_on(path: Path, line: Points) -> list[Sign]:
    found: list[Sign] = []
    ends: tuple[tuple[Kind, int, int], ...] = (("began", 0, -1), ("ended", -1, 1))
    for kind, end, sense in ends:
        here = path.point[end]
        way = np.array([here, here + sense * REACH_S * path.course[end]])
        for _, direction, t, at in _meetings(way, line)[:1]:
            away_s = t * REACH_S
            found.append(Sign(kind, away_s, float(path.time[end]) + sense * away_s, at, sense * direction, path))
    return found


def _meetings(way: Points, line: Points) -> list[_Meeting]:
    """Where a way ``(N, 2)`` meets a line: step of the way, direction, share of the step, point; in order."""
    found: list[_Meeting] = []
    for a, b in pairwise(line):
        along = b - a
        signed = (way - a) @ np.array([-along[1], along[0]])
        for k in np.flatnonzero((signed[1:] > 0) != (signed[:-1] > 0)).tolist():
            t = float(signed[k] / (signed[k] - signed[k + 1]))
            at = way[k] + t * (way[k + 1] - way[k])
            if 0 <= (at - a) @ along <= along @ along:
                found.append((k, 1 if signed[k + 1] > 0 else -1, t, at))
    return sorted(found, key=lambda m: (m[0], m[2]))


def _unexplained(signs: Iterable[Sign], crossings: Sequence[Crossing], paths: Mapping[int, Path]) -> list[Sign]:
    """Without those that another track, counted at the same place and time, goes on from or leads up to."""
    left = [c for c in crossings if c.track_id in paths]
    kept: list[Sign] = []
    for sign in signs:
        for k, crossing in enumerate(left):
            if _sign(crossing) == sign.direction and _same(sign, crossing.time_s, np.array(crossing.point)):
                other = paths[crossing.track_id]
                after, before = _follows(sign.path, other), _follows(other, sign.path)
                fits = after if sign.kind == "ended" else before if sign.kind == "began" else after or before
                if other is not sign.path and fits:
                    del left[k]
                    break
        else:
            kept.append(sign)
    return kept


def _joined(signs: list[Sign]) -> list[Sign]:
    """With the end of one path and the beginning of another that goes on from it as one sign."""
    merged: list[Sign] = []
    gone: set[int] = set()
    for k, sign in enumerate(signs):
        if k in gone:
            continue
        for j in range(k + 1, len(signs)):
            other = signs[j]
            if j in gone or other.path is sign.path or other.direction != sign.direction:
                continue
            follows = _follows(sign.path, other.path) or _follows(other.path, sign.path)
            if follows and _same(sign, other.time_s, other.at):
                gone.add(j)
                sign = Sign(sign.kind, sign.away_s, sign.time_s, sign.at, sign.direction, sign.path, broken=True)
                break
        merged.append(sign)
    return merged


def _same(sign: Sign, time_s: float, at: Points) -> bool:
    apart = float(np.hypot(*(at - sign.at)))
    return abs(time_s - sign.time_s) <= _SAME_S and apart <= _SAME * float(sign.path.height.mean())


def _follows(first: Path, second: Path) -> bool:
    """Whether the second path begins about where the first has ended, in time."""
    return bool(second.time[0] >= first.time[-1] - _OVERLAP_S)
