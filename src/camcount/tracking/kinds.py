"""Kinds of objects: a truck may be a car a moment later, a person may not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camcount.tracking.table import Ints, Mask

PEOPLE = frozenset({"person", "pedestrian", "rider"})
VEHICLES = frozenset(
    {"car", "truck", "bus", "motorcycle", "motorbike", "bicycle", "van", "train", "vehicle", "trailer"}
)


class Kinds:
    """The kind of each class of the detector at hand; classes of neither list are a kind of their own."""

    def __init__(self) -> None:
        self._labels: tuple[str, ...] = ()
        self._kind = np.zeros(0, np.int64)

    def learn(self, labels: tuple[str, ...]) -> None:
        """Takes the labels that class numbers point into."""
        if labels is self._labels or labels == self._labels:
            return
        self._labels = labels
        kinds = [0 if label in PEOPLE else 1 if label in VEHICLES else k + 2 for k, label in enumerate(labels)]
        self._kind = np.array(kinds, np.int64)

    def differ(self, a: Ints, b: NDArray[np.int32]) -> Mask | None:
        """Which pairs ``(N, M)`` of classes are of different kinds; None where all are of one kind, or unknown."""
        count = len(self._kind)
        if count < 2 or not (len(a) and len(b)):
            return None
        if max(a.max(), b.max()) >= count or min(a.min(), b.min()) < 0:
            return None
        kind_a, kind_b = self._kind[a], self._kind[b]
        if (kind_b == kind_a[0]).all() and (kind_a == kind_a[0]).all():
            return None
        return np.asarray(kind_a[:, None] != kind_b)
