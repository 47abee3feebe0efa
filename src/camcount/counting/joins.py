"""Which ended track a new one carries on: id switches are repaired before they cost or double a count."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from camcount.counting.bodies import TO_PLACE, Bodies, Floats, Ints
from camcount.counting.crossing import CrossingSettings

_MOST_STRETCH = 1.5
"""A track that looks the same may be so many times farther away than one that nobody looked at."""

_AHEAD_S = 0.5
"""How long an ended track is taken to have gone on as before, where it may as well have stopped."""
_KNOWN_S = 0.3
"""For so long a track must have been seen for its way to be known."""

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

    Place, time and size must fit, in one of two ways: it is near where the ended track was last seen or was about to
    be, farther for a longer gap; or it is on the way of one that walked on behind something for some seconds. What
    rested is expected where it was, for much longer. ``present`` are slots seen in this frame, which have not ended.
    Looks, where ``unlike`` knows those of ``track_id`` and the ended track, stretch or shorten the reach.
    """
    lost = np.flatnonzero((bodies.seen >= time_s - settings.rest_s) & np.isfinite(bodies.seen))
    lost = lost[~np.isin(lost, list(present))]
    if not len(lost):
        return None
    place = box.astype(np.float64) @ TO_PLACE
    height = max(float(box[3] - box[1]), 1.0)
    away = np.minimum(
        _near(bodies, lost, place, height, time_s, settings),
        _on_its_way(bodies, lost, place, height, time_s, settings),
    )
    if unlike is not None:
        for k in np.flatnonzero(away < _MOST_STRETCH).tolist():
            strange = unlike(int(bodies.track_id[lost[k]]), track_id)
            away[k] *= 1 + (strange or 0.0) * (1 - 1 / _MOST_STRETCH)
    nearest = int(away.argmin())
    return int(lost[nearest]) if away[nearest] < 1.0 else None


def _near(
    bodies: Bodies, slots: Ints, place: Floats, height: float, time_s: float, settings: CrossingSettings
) -> Floats:
    """How far a place is from where the tracks were about to be, as a share of what is allowed."""
    gap, usual, resting = time_s - bodies.time[slots], bodies.height[slots], bodies.resting(slots)
    reach = settings.join + np.where(resting, 0.0, settings.join_per_s * gap)
    ahead = bodies.place[slots] + bodies.velocity[slots] * np.where(resting, 0.0, np.minimum(gap, _AHEAD_S))[:, None]
    fits = (resting | (gap <= settings.join_s)) & (_ratio(usual, height) >= settings.alike)
    return np.where(
        fits, _apart((place - ahead).reshape(-1, 2, 2)).min(axis=1) / np.maximum(reach * usual, 1e-9), np.inf
    )


def _on_its_way(
    bodies: Bodies, slots: Ints, place: Floats, height: float, time_s: float, settings: CrossingSettings
) -> Floats:
    """The same of the last part of the way that the tracks would have gone by now, growing or shrinking as before."""
    gap, usual = time_s - bodies.time[slots], bodies.height[slots]
    course, growth, known_s = bodies.course(slots)
    walks = ~bodies.resting(slots) & (gap <= settings.walk_s) & (known_s >= _KNOWN_S)
    way, off = (course * gap[:, None]).reshape(-1, 2, 2), (place - bodies.place[slots]).reshape(-1, 2, 2)
    along = (way * off).sum(axis=2) / np.maximum((way * way).sum(axis=2), 1e-9)
    share = np.clip(along, settings.walk_share, 1.0)
    aside = _apart(off - share[..., None] * way)
    expected = usual[:, None] * np.exp(np.clip(growth[:, None] * share * gap[:, None], -1.0, 1.0))
    reach = (settings.join + settings.walk_per_s * gap)[:, None] * np.minimum(usual[:, None], expected)
    fits = walks[:, None] & (_ratio(expected, height) >= settings.walk_alike)
    return np.asarray(np.where(fits, aside / np.maximum(reach, 1e-9), np.inf).min(axis=1))


def _apart(off: Floats) -> Floats:
    """Lengths ``(n, 2)`` of the differences ``(n, 2, 2)`` of feet and of centres."""
    return np.asarray(np.hypot(off[..., 0], off[..., 1]))


def _ratio(heights: Floats, height: float) -> Floats:
    """The lower over the higher one of two heights."""
    return np.asarray(np.minimum(heights, height) / np.maximum(heights, height))
