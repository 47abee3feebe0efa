"""What a detector found in one frame, and what a tracker made of it: frozen structs of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from camcount.stats import Stages

Boxes = NDArray[np.float32]


def _column(values: Any, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    array: NDArray[Any] = np.ascontiguousarray(values, dtype=dtype)
    if array.size == 0:
        array = array.reshape(shape)
    if array.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, got {array.shape}")
    array.setflags(write=False)
    return array


def _name(labels: tuple[str, ...], number: int) -> str:
    return labels[number] if 0 <= number < len(labels) else str(number)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """``N`` objects found in one frame.

    Attributes:
        xyxy: ``float32 (N, 4)``, left, top, right, bottom in pixels of the frame.
        confidence: ``float32 (N,)`` in 0..1.
        class_id: ``int32 (N,)``, index into ``labels``.
        labels: the names that ``class_id`` points into; objects are counted by label.
        stages: how long finding them took, where the detector says.

    Raises:
        ValueError: shapes disagree, or a box or a confidence is not finite.

    >>> Detections(np.array([[0, 0, 10, 20]]), np.array([0.5]), np.array([1]), ("person", "car")).label(0)
    'car'
    """

    xyxy: Boxes
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int32]
    labels: tuple[str, ...] = ()
    stages: Stages | None = None

    def __post_init__(self) -> None:
        n = len(self.confidence)
        put = object.__setattr__  # frozen: the only place that normalises the arrays
        put(self, "xyxy", _column(self.xyxy, np.float32, (n, 4)))
        put(self, "confidence", _column(self.confidence, np.float32, (n,)))
        put(self, "class_id", _column(self.class_id, np.int32, (n,)))
        if not (np.isfinite(self.xyxy).all() and np.isfinite(self.confidence).all()):
            raise ValueError("a box or a confidence is not a finite number")

    def __len__(self) -> int:
        return len(self.confidence)

    def label(self, row: int) -> str:
        """The name of the class of one row."""
        return _name(self.labels, int(self.class_id[row]))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Detections:
        """The rows that a mask or an index array names, in its order."""
        return Detections(self.xyxy[rows], self.confidence[rows], self.class_id[rows], self.labels, self.stages)

    @classmethod
    def empty(cls, labels: Sequence[str] = ()) -> Detections:
        """No objects."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32), tuple(labels))


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The tracks seen in one frame: one row per track that was matched to a detection in it.

    Attributes:
        xyxy, confidence, class_id, labels: as in `Detections`; ``class_id`` is the track's settled class,
            which a flicker of the detector does not change.
        track_id: ``int64 (N,)``, positive, unique within one tracker's life and never used again.
        confirmed: ``bool (N,)``; a track not yet confirmed may turn out to be noise: whoever counts keeps
            its path but counts nothing until it is confirmed, and then counts what lies behind it too.
    """

    xyxy: Boxes
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int32]
    track_id: NDArray[np.int64]
    confirmed: NDArray[np.bool_]
    labels: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.track_id)
        put = object.__setattr__  # frozen: the only place that normalises the arrays
        put(self, "xyxy", _column(self.xyxy, np.float32, (n, 4)))
        put(self, "confidence", _column(self.confidence, np.float32, (n,)))
        put(self, "class_id", _column(self.class_id, np.int32, (n,)))
        put(self, "track_id", _column(self.track_id, np.int64, (n,)))
        put(self, "confirmed", _column(self.confirmed, np.bool_, (n,)))

    def __len__(self) -> int:
        return len(self.track_id)

    def label(self, row: int) -> str:
        """The name of the class of one row."""
        return _name(self.labels, int(self.class_id[row]))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """The rows that a mask or an index array names, in its order."""
        return type(self)(
            self.xyxy[rows],
            self.confidence[rows],
            self.class_id[rows],
            self.track_id[rows],
            self.confirmed[rows],
            self.labels,
        )

    @classmethod
    def empty(cls, labels: Sequence[str] = ()) -> Self:
        """No tracks."""
        return cls(
            np.empty((0, 4), np.float32),
            np.empty(0, np.float32),
            np.empty(0, np.int32),
            np.empty(0, np.int64),
            np.empty(0, np.bool_),
            tuple(labels),
        )
