"""What is known of the looks of tracks: a table by track id, in which lost tracks stay a while."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camcount.tracking.table import Floats, Ints, Mask


class Looked:
    """``n`` tracks that were looked at, a row (*slot*) each, ids rising.

    Attributes:
        id: ``int64 (n,)``.
        mean: ``float32 (n, D)`` average look of unit length, recent ones weighing most.
        looked, seen: ``(n,)`` when it was last looked at, and when it was last seen, in seconds.
        box: ``(n, 4)`` where it was last seen, centre and size.
    """

    id: Ints
    mean: NDArray[np.float32]
    looked: Floats
    seen: Floats
    box: Floats

    def __init__(self) -> None:
        self.id = np.empty(0, np.int64)
        self.mean = np.empty((0, 0), np.float32)
        self.looked, self.seen = np.empty(0), np.empty(0)
        self.box = np.empty((0, 4))

    def __len__(self) -> int:
        return len(self.id)

    def slots(self, ids: Ints) -> Ints:
        """The slot of each id, -1 where it was never looked at."""
        if not len(self):
            return np.full(len(ids), -1)
        at = np.minimum(np.searchsorted(self.id, ids), len(self) - 1)
        return np.where(self.id[at] == ids, at, -1)

    def looked_at(self, slots: Ints) -> Floats:
        """When each was last looked at; anything where the slot is -1."""
        return self.looked[slots] if len(self) else np.zeros(len(slots))

    def see(self, slots: Ints, boxes: Floats, time_s: float) -> None:
        """Tracks ``slots (k,)`` are at ``boxes (k, 4)`` now."""
        self.seen[slots] = time_s
        self.box[slots] = boxes

    def take(self, ids: Ints, looks: NDArray[np.float32], share: float, time_s: float) -> None:
        """Works ``looks (k, D)`` into the averages of tracks ``ids (k,)``; a track's first one is its average."""
        slots = self.slots(ids)
        old, new = slots >= 0, slots < 0
        if old.any():
            mixed = self.mean[slots[old]] * np.float32(1 - share) + looks[old] * np.float32(share)
            self.mean[slots[old]] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-6)
            self.looked[slots[old]] = time_s
        if new.any():
            self._insert(ids[new], looks[new], time_s)

    def near_lost(self, boxes: Floats, time_s: float) -> Mask:
        """Which of ``boxes (k, 4)`` a track that is not seen now may have reached: a height, and one a second."""
        lost = self.seen < time_s
        box, gone = self.box[lost], time_s - self.seen[lost]
        away = np.hypot(boxes[:, None, 0] - box[:, 0], boxes[:, None, 1] - box[:, 1])
        return np.asarray((away <= (1 + gone) * box[:, 3]).any(axis=1))

    def forget(self, before: float) -> None:
        """Lets go of tracks last seen before that time."""
        keep = self.seen >= before
        if not keep.all():
            self._take(np.flatnonzero(keep))

    def _insert(self, ids: Ints, looks: NDArray[np.float32], time_s: float) -> None:
        k = len(ids)
        self.mean = np.concatenate([self.mean.reshape(len(self), looks.shape[1]), looks])
        self.id = np.concatenate([self.id, ids])
        self.looked = np.concatenate([self.looked, np.full(k, time_s)])
        self.seen = np.concatenate([self.seen, np.full(k, time_s)])
        self.box = np.concatenate([self.box, np.zeros((k, 4))])
        self._take(np.argsort(self.id, kind="stable"))

    def _take(self, slots: Ints) -> None:
        self.id, self.mean, self.box = self.id[slots], self.mean[slots], self.box[slots]
        self.looked, self.seen = self.looked[slots], self.seen[slots]
