"""What a decoder makes of a model's raw outputs, before labels, NMS and the way back into the frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """``N`` boxes that passed the threshold.

    Attributes:
        boxes: ``float32 (N, 4)``, left, top, right, bottom in pixels of the model's input.
        scores: ``float32 (N,)`` in 0..1.
        classes: ``int (N,)``, the model's class numbers.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The rows of these numbers, in their order."""
        return type(self)(self.boxes.take(rows, axis=0), self.scores.take(rows), self.classes.take(rows))


Decode = Callable[[Sequence[Array], float], Candidates]
"""Outputs of one picture (leading axis 1 where the model has one) and the lowest score wanted -> candidates."""


def from_centres(centres: Array, sizes: Array) -> Floats:
    """``(N, 2)`` centres and ``(N, 2)`` sizes to ``(N, 4)`` left, top, right, bottom."""
    boxes = np.empty((len(centres), 4), np.float32)
    half = sizes * 0.5
    boxes[:, :2] = centres - half
    boxes[:, 2:] = centres + half
    return boxes


def best_classes(scores: Array, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], Array]:
    """Of ``(N, C)`` scores and the rows that matter: each one's best class and its score."""
    chosen = scores[rows]
    classes = chosen.argmax(axis=1)
    return classes, chosen[np.arange(len(rows)), classes]


def rows_reaching(scores: Array, threshold: float) -> NDArray[np.intp]:
    """Places in ``(N,)`` scores that reach the threshold.

    Raises:
        ValueError: a score is no number, and would be below any threshold without anybody noticing.
    """
    # one maximum finds a NaN anywhere, without an array of booleans as large as the scores
    if scores.size and math.isnan(scores.max()):
        raise ValueError(
            "scores that are no numbers (NaN): check its precision and the mean, std and scale it is given"
        )
    return (scores >= threshold).nonzero()[0]


def rows_above(scores: Array, threshold: float) -> NDArray[np.intp]:
    """Rows of ``(N, C)`` scores in which any class reaches the threshold.

    Finding the few scores above it and their rows costs a tenth of taking every row's maximum.

    Raises:
        ValueError: a score is no number.
    """
    rows: NDArray[np.intp] = rows_reaching(scores.ravel(), threshold) // scores.shape[1]
    if len(rows) > 1:
        rows = rows[np.concatenate(([True], rows[1:] != rows[:-1]))]
    return rows


def sigmoid(values: Array) -> Floats:
    """Logistic function that neither overflows nor warns.

    >>> sigmoid(np.float32([0, 1000, -1000])).tolist()
    [0.5, 1.0, 0.0]
    """
    logistic: Floats = 0.5 + 0.5 * np.tanh(0.5 * np.asarray(values, np.float32))
    return logistic
