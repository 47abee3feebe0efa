"""The same crossing seen by several cameras, counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camcount.counting.floor import Sighting

_FAR = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapSettings:
    """When two sightings may be one.

    Attributes:
        within_s, within_m: the most that they may differ in time and place. Half of it is taken for usual.
        any_label: also where one camera says car and the other truck.
    """

    within_s: float = 1.0
    within_m: float = 1.5
    any_label: bool = False


def seen_once(sightings: Sequence[Sighting], settings: OverlapSettings = OverlapSettings()) -> list[list[Sighting]]:
    """Sightings of one door in one direction, grouped by who crossed; in order of time.

    A group has at most one sighting of each camera. Of all ways to pair the sightings of two cameras, the one is
    taken with the most pairs that are near enough, and of those the nearest in sum. Where a place is not known,
    time decides alone.
    """
    groups: list[list[Sighting]] = []
    for camera in sorted({s.crossing.camera_id for s in sightings}):
        mine = sorted((s for s in sightings if s.crossing.camera_id == camera), key=lambda s: s.time_s)
        groups = _joined(groups, mine, settings)
    return sorted(groups, key=lambda group: group[0].time_s)


def _joined(groups: list[list[Sighting]], mine: list[Sighting], settings: OverlapSettings) -> list[list[Sighting]]:
    result = [list(group) for group in groups]
    alone: list[list[Sighting]] = []
    for rows, columns in _near_in_time(groups, mine, settings.within_s):
        pairs = _pairs([groups[row] for row in rows], [mine[column] for column in columns], settings)
        for row, column in pairs:
            result[rows[row]].append(mine[columns[column]])
        taken = {column for _, column in pairs}
        alone += [[mine[column]] for k, column in enumerate(columns) if k not in taken]
    return result + alone


def _near_in_time(
    groups: list[list[Sighting]], mine: list[Sighting], within_s: float
) -> list[tuple[list[int], list[int]]]:
    """Rows and columns that can have to do with each other, in parts: between parts is a longer pause."""
    times = [(_time(group), 0, k) for k, group in enumerate(groups)] + [(s.time_s, 1, k) for k, s in enumerate(mine)]
    parts: list[tuple[list[int], list[int]]] = []
    last = -np.inf
    for time_s, kind, number in sorted(times):
        if time_s - last > within_s:
            parts.append(([], []))
        parts[-1][kind].append(number)
        last = time_s
    return parts


def _pairs(groups: list[list[Sighting]], mine: list[Sighting], settings: OverlapSettings) -> list[tuple[int, int]]:
    if not groups or not mine:
        return []
    from scipy.optimize import linear_sum_assignment  # 30 MB, which a server without cameras does without

    cost = np.array([[_cost(group, sighting, settings) for sighting in mine] for group in groups])
    rows, columns = linear_sum_assignment(cost)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] < _FAR]


def _cost(group: list[Sighting], sighting: Sighting, settings: OverlapSettings) -> float:
    apart_s = abs(_time(group) - sighting.time_s)
    apart_m = _apart(group, sighting)
    labels = {one.crossing.label for one in group}
    if apart_s > settings.within_s or apart_m > settings.within_m:
        return _FAR
    if not settings.any_label and sighting.crossing.label not in labels:
        return _FAR
    return float((apart_s / settings.within_s) ** 2 + (apart_m / settings.within_m) ** 2)


def _time(group: Sequence[Sighting]) -> float:
    return sum(one.time_s for one in group) / len(group)


def _apart(group: Sequence[Sighting], sighting: Sighting) -> float:
    places: NDArray[np.float64] = np.array([one.place for one in group if one.place is not None], np.float64)
    if sighting.place is None or not len(places):
        return 0.0
    return float(np.hypot(*(places.mean(axis=0) - sighting.place)))
