"""Non-maximum suppression: of boxes of one class that overlap, the surest stays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from camcount.detection.candidates import Array, Floats

_BLOCK = 128
_LATER = np.triu(np.ones((_BLOCK, _BLOCK), np.bool_), 1)
"""Of pairs of boxes, surest first: whether the second one comes after the first."""


def keep_best(
    boxes: Floats,
    scores: Floats,
    classes: Array,
    max_iou: float,
    limit: int | None = None,
    *,
    kinds: Array | None = None,
    max_iou_of_kind: float = 1.0,
) -> NDArray[np.intp]:
    """Greedy, class-aware NMS.

    Going from the surest box down, a box stays unless a box of its class that stayed already overlaps it by
    an intersection over union above ``max_iou``, or one of its kind but another class by
    one above ``max_iou_of_kind``. Equal scores keep their order.

    Args:
        boxes: ``float32 (N, 4)``, left, top, right, bottom.
        scores: ``(N,)``.
        classes: ``(N,)`` integers.
        limit: stop after so many kept boxes.
        kinds: ``(N,)`` integers; classes that are taken for one another (car and truck) are of one kind.

    Returns:
        The rows kept, surest first.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10]])
    >>> keep_best(boxes, np.float32([0.5, 0.9, 0.4]), np.array([0, 0, 1]), 0.5).tolist()
    [1, 2]
    """
    if len(scores) < 2:
        return np.arange(len(scores))[:limit]
    kept = None
    if kinds is None or len(set(classes.tolist())) == len(set(kinds.tolist())):
        kept = _by_class(boxes, scores, classes, max_iou)
    if kept is None:
        kept = _by_class_and_kind(boxes, scores, classes, max_iou, limit, kinds, max_iou_of_kind)
    return kept[:limit]


def _by_class(boxes: Floats, scores: Floats, classes: Array, max_iou: float) -> NDArray[np.intp] | None:
    """By OpenCV, in a quarter of the time; ``None`` where a box has no area: OpenCV takes two such for rivals."""
    rectangles = boxes.copy()
    sides = rectangles[:, 2:]
    sides -= boxes[:, :2]
    if sides.min() <= 0:
        return None
    found = cv2.dnn.NMSBoxesBatched(rectangles.tolist(), scores.tolist(), classes.tolist(), -1.0, max_iou)
    return np.asarray(found, np.intp)


def _by_class_and_kind(
    boxes: Floats,
    scores: Floats,
    classes: Array,
    max_iou: float,
    limit: int | None,
    kinds: Array | None,
    max_iou_of_kind: float,
) -> NDArray[np.intp]:
    left = np.argsort(-scores, kind="stable")
    table = np.empty((7, len(left)), np.float32)
    table[:4] = boxes[left].T
    np.multiply(np.maximum(table[2] - table[0], 0), np.maximum(table[3] - table[1], 0), out=table[4])
    table[5] = classes[left]
    table[6] = table[5] if kinds is None else kinds[left]
    gains = np.float32(_gain(max_iou)), np.float32(_gain(max_iou_of_kind))
    kept: list[NDArray[np.intp]] = []
    # the surest few drop most of the others, so few pairs are ever compared
    while limit is None or sum(map(len, kept)) < limit:
        block, rest = table[:, :_BLOCK], table[:, _BLOCK:]
        stays = _greedy(_rivals(block, block, *gains))
        kept.append(left[:_BLOCK][stays])
        if not rest.size:
            break
        free = ~_any_row(_rivals(block[:, stays], rest, *gains))
        left, table = left[_BLOCK:][free], rest[:, free]
    return np.concatenate(kept)


def _gain(max_iou: float) -> float:
    """``common / (areas - common) > max_iou`` is ``common * gain > areas``, which has an answer for no area too."""
    return (1 + max_iou) / max_iou


def _rivals(first: Floats, second: Floats, gain: np.float32, gain_of_kind: np.float32) -> NDArray[np.bool_]:
    """``(F, S)``: whether two boxes overlap more than their classes or kinds may.

    Both are ``(7, N)``: left, top, right, bottom, area, class, kind.
    """
    a = first[:, :, None]
    common = np.minimum(a[2], second[2])
    common -= np.maximum(a[0], second[0])
    np.maximum(common, 0, out=common)
    height = np.minimum(a[3], second[3])
    height -= np.maximum(a[1], second[1])
    np.maximum(height, 0, out=height)
    common *= height
    # a box of another kind overlaps as it likes
    common *= np.where(a[5] == second[5], gain, (a[6] == second[6]) * gain_of_kind)
    rivals: NDArray[np.bool_] = common > a[4] + second[4]
    return rivals


def _greedy(rivals: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of ``N`` boxes, surest first, greedy suppression keeps.

    Repeats "a box stays if no staying rival comes before it" until nothing changes: the first n answers are right
    after n rounds, so this ends, at the one fixed point, and in practice after as many rounds as the longest chain
    of boxes that save each other, two or three.
    """
    above = rivals & _LATER[: len(rivals), : len(rivals)]
    stays = ~_any_row(above)
    while True:
        revised = ~_any_row(above[stays])
        if (revised == stays).all():
            return revised
        stays = revised


def _any_row(table: NDArray[np.bool_]) -> NDArray[np.bool_]:
    combined: NDArray[np.bool_] = np.logical_or.reduce(table, axis=0)
    return combined
