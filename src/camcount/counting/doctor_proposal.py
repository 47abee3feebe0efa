"""A better line than the user's, among lines near it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from camcount.counting.doctor import Diagnosis, Ledger
from camcount.counting.proposal import propose_line
from camcount.errors import GeometryError
from camcount.geometry import Line, Points

_SHIFTS = (0.0, 0.03, -0.03, 0.06, -0.06, 0.1, -0.1, 0.15, -0.15, 0.2, -0.2, 0.3, -0.3)
"""How far a line is moved, in shares of the picture across it."""
_TURNS = (0.0, np.pi / 12, -np.pi / 12)
_LENGTHS = (1.0, 0.8, 1.25)
_SAME_FLOW = 0.7
"""A candidate must be crossed by this share of those who crossed the line itself ..."""
_LONGING = 0.1
"""... and a whole picture's way to it must bring so much less loss."""
_TURNED = 0.02
"""A line that is turned or of another length must bring so much less."""
_WORTH = 0.03
_ROOM = 0.02


def better_line(ledger: Ledger, diagnosis: Diagnosis) -> Diagnosis | None:
    """The line that counts the same objects with clearly less loss, or None where there is none.

    The line is shifted, turned, shortened and lengthened; ``in`` stays on the same side. Where nobody crosses it, the
    proposal is the line that most tracks of the recording cross.
    """
    recording = ledger.recording
    points = diagnosis.line.at(recording.width, recording.height)
    if diagnosis.loss is None:
        return _where_they_pass(ledger, diagnosis.line, points)
    if diagnosis.loss < _WORTH:
        return None
    size = np.array([recording.width, recording.height], np.float64)
    tried = [(price, _relative(diagnosis.line, moved, size)) for price, moved in _near(points, size)]
    known = ledger.diagnose([line for _, line in tried])
    best, least = None, diagnosis.loss - _WORTH
    for (price, _), candidate in zip(tried, known, strict=True):
        if candidate.loss is None or not _same_flow(diagnosis, candidate):
            continue
        score = candidate.loss + price
        if score < least:
            best, least = candidate, score
    return best


def _near(points: Points, size: Points) -> Iterator[tuple[float, Points]]:
    """``(price, points)`` of the candidates in the picture; the price is the loss that each must make good."""
    along = points[-1] - points[0]
    normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    span = float(np.abs(normal) @ size)
    middle = points.mean(axis=0)
    for shift in _SHIFTS:
        for turn in _TURNS if len(points) == 2 else (0.0,):
            for length in _LENGTHS if len(points) == 2 else (1.0,):
                if not (shift or turn or length != 1.0):
                    continue
                rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
                moved = (points - middle) @ rotation * length + middle + normal * shift * span
                inside = _within(moved, size)
                if inside is not None:
                    yield _LONGING * abs(shift) + _TURNED * bool(turn or length != 1.0), inside


def _within(points: Points, size: Points) -> Points | None:
    """The line cut off at the picture's edge; None where less than half of it is left."""
    if len(points) > 2:
        return points if ((points >= 0) & (points <= size)).all() else None
    a, b = points
    along = b - a
    low, high = 0.0, 1.0
    for k in (0, 1):
        if abs(along[k]) < 1e-9:
            if not _ROOM * size[k] <= a[k] <= (1 - _ROOM) * size[k]:
                return None
            continue
        ends = sorted((-a[k] / along[k], (size[k] - a[k]) / along[k]))
        low, high = max(low, ends[0]), min(high, ends[1])
    return np.array([a + low * along, a + high * along]) if high - low > 0.5 else None


def _relative(line: Line, points: Points, size: Points) -> Line:
    rounded = np.clip(np.round(points / size, 3), 0.0, 1.0).tolist()
    return replace(line, points=tuple((float(x), float(y)) for x, y in rounded))


def _same_flow(mine: Diagnosis, other: Diagnosis) -> bool:
    shared = len(mine.tracks & other.tracks) >= _SAME_FLOW * len(mine.tracks)
    if not mine.counted:
        return shared
    # the same side must be in: a line that has slipped past its neighbours' way counts them the other way round
    ins = abs(mine.counted_in / mine.counted - other.counted_in / max(other.counted, 1))
    return shared and ins < 0.3 and other.counted >= mine.counted


def _where_they_pass(ledger: Ledger, line: Line, points: Points) -> Diagnosis | None:
    recording = ledger.recording
    found = propose_line(
        [tracks for _, tracks in recording.frames], recording.width, recording.height, anchor=recording.anchor
    )
    ends = found.at(recording.width, recording.height)
    along, mine = ends[-1] - ends[0], points[-1] - points[0]
    proposed = replace(line, points=found.points if along @ mine >= 0 else found.points[::-1])
    try:
        (diagnosis,) = ledger.diagnose([proposed])
    except GeometryError:
        return None
    return diagnosis if diagnosis.counted else None
