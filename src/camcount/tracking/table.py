"""The tracks of one camera as columns of arrays: no object per track, rows packed, state let go on eviction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

TO_CENTRE = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]])
"""``xyxy @ TO_CENTRE`` is centre x, centre y, width, height."""

BOX, VELOCITY, VARIANCE, LAST = slice(0, 4), slice(4, 8), slice(8, 11), slice(11, 15)
SEEN, BORN, VOTE, SCORE = 15, 16, 17, 18
"""The columns of `TrackTable.floats`."""

_FLOATS = 19
_INTS = 4


class TrackTable:
    """``n`` living tracks, one row each; every attribute is a view of the living rows.

    Attributes:
        box: ``(n, 4)`` estimated centre x, centre y, width, height in pixels.
        velocity: ``(n, 4)`` its change, pixels per second.
        variance: ``(n, 3)`` of position, position with velocity, velocity, in box heights and seconds; one for
            all four coordinates, which share their noise.
        last: ``(n, 4)`` the box of the last matched detection.
        seen, born: ``(n,)`` times of the last and the first match in seconds.
        vote: ``(n,)`` seconds of evidence for the class over all others.
        score: ``(n,)`` mean confidence, recent matches weighing most.
        id, class_id, hits, confirmed: ``(n,)`` whole numbers; ``confirmed`` is 0 or 1.
        floats: ``(n, 19)`` all of the former but the last four, side by side: one access instead of many.
    """

    floats: Floats

    box: Floats
    velocity: Floats
    variance: Floats
    last: Floats
    seen: Floats
    born: Floats
    vote: Floats
    score: Floats
    id: Ints
    class_id: Ints
    hits: Ints
    confirmed: Ints

    def __init__(self, capacity: int = 64) -> None:
        self.n = 0
        self.next_id = 1
        self._floats = np.zeros((capacity, _FLOATS))
        self._ints = np.zeros((capacity, _INTS), np.int64)
        self._bind()

    def add(self, boxes: Floats, class_id: Ints, score: Floats, time_s: float) -> Ints:
        """New tracks from ``(k, 4)`` boxes (centre, size); returns their rows. An id is never given twice."""
        k, start = len(boxes), self.n
        self._reserve(start + k)
        rows = np.arange(start, start + k)
        floats, ints = self._floats[start : start + k], self._ints[start : start + k]
        floats[:] = 0.0
        floats[:, BOX] = floats[:, LAST] = boxes
        floats[:, SEEN] = floats[:, BORN] = time_s
        floats[:, SCORE] = score
        ints[:, 0] = np.arange(self.next_id, self.next_id + k)
        ints[:, 1] = class_id
        ints[:, 2] = 1
        ints[:, 3] = 0
        self.next_id += k
        self.n = start + k
        self._bind()
        return rows

    def keep(self, alive: Mask) -> None:
        """Lets go of all rows but those that ``alive (n,)`` marks."""
        rows = np.flatnonzero(alive)
        k = len(rows)
        self._floats[:k] = self._floats[rows]
        self._ints[:k] = self._ints[rows]
        self.n = k
        self._bind()

    def clear(self) -> None:
        """Lets go of all rows; ids go on where they were."""
        self.n = 0
        self._bind()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()  # what was a view when it was pickled is a copy now

    def _reserve(self, size: int) -> None:
        capacity = len(self._ints)
        if size <= capacity:
            return
        more = max(size, 2 * capacity) - capacity
        self._floats = np.vstack([self._floats, np.zeros((more, _FLOATS))])
        self._ints = np.vstack([self._ints, np.zeros((more, _INTS), np.int64)])

    def _bind(self) -> None:
        floats, ints = self._floats[: self.n], self._ints[: self.n]
        self.floats = floats
        self.box, self.velocity, self.variance = floats[:, BOX], floats[:, VELOCITY], floats[:, VARIANCE]
        self.last, self.seen, self.born = floats[:, LAST], floats[:, SEEN], floats[:, BORN]
        self.vote, self.score = floats[:, VOTE], floats[:, SCORE]
        self.id, self.class_id, self.hits, self.confirmed = ints[:, 0], ints[:, 1], ints[:, 2], ints[:, 3]
