"""Which ended track a new one carries on: id switches are repaired before they cost or double a count."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from camcount.counting.bodies import TO_PLACE, Bodies
from camcount.counting.crossing import CrossingSettings

_MOST_STRETCH = 1.5
"""A track that looks the same may be so many times farther away than one that nobody looked at."""

Unlike = Callable[[int, int], float | None]
"""How little two tracks, by id, look alike: -1 like one object, 0 either way, 1 like two; None if nobody looked."""


def continued(
    bodies: Bodies,
    box: NDArray[np.float32],
    present: Collection[int],
    time_s: float,
    settings: CrossingSettings,
    track_id: int = 0,
    unlike: Unlike | None = None,
) -> int | None:
    """The slot of the ended track that a new track in ``box (4,)`` continues, or None.

    Place, time and size must fit: no farther from where the ended track would be by now than `join` heights, more
    for a longer gap. What rested is expected where it was, for much longer. ``present`` are slots seen in this
    frame, which have not ended. Looks, where ``unlike`` knows those of ``track_id`` and the ended track, stretch or
    shorten the reach.
    """
    seen = bodies.seen
    lost = np.flatnonzero((seen >= time_s - settings.rest_s) & np.isfinite(seen))
    best, nearest = None, 1.0
    place = box.astype(np.float64) @ TO_PLACE
    height = max(float(box[3] - box[1]), 1.0)
    for slot in lost.tolist():
        if slot in present:
            continue
        gap = time_s - float(bodies.time[slot])
        resting = bodies.resting(slot)
        usual = float(bodies.height[slot])
        if (gap > settings.join_s and not resting) or min(usual, height) < settings.alike * max(usual, height):
            continue
        reach = settings.join if resting else settings.join + settings.join_per_s * gap
        ahead = bodies.place[slot] if resting else bodies.place[slot] + bodies.velocity[slot] * min(gap, 0.5)
        off = np.abs(ahead - place)
        away = float(min(np.hypot(off[0], off[1]), np.hypot(off[2], off[3]))) / max(reach * usual, 1e-9)
        if unlike is not None and away < _MOST_STRETCH:
            strange = unlike(int(bodies.track_id[slot]), track_id)
            away *= 1 + (strange or 0.0) * (1 - 1 / _MOST_STRETCH)
        if away < nearest:
            best, nearest = slot, away
    return best
