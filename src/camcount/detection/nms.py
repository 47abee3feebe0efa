"""Non-maximum suppression: of boxes of one class that overlap, the surest stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camcount.detection.candidates import Array, Floats

_BLOCK = 512


def keep_best(
    boxes: Floats, scores: Floats, classes: Array, max_iou: float, limit: int | None = None
) -> NDArray[np.intp]:
    """Greedy, class-aware NMS.

    Going from the surest box down, a box stays unless a box of its class that stayed already overlaps it by
    an intersection over union above ``max_iou``. Equal scores keep their order.

    Args:
        boxes: ``float32 (N, 4)``, left, top, right, bottom.
        scores: ``(N,)``.
        classes: ``(N,)`` integers.
        limit: stop after so many kept boxes.

    Returns:
        The rows kept, surest first.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10]])
    >>> keep_best(boxes, np.float32([0.5, 0.9, 0.4]), np.array([0, 0, 1]), 0.5).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    boxes, classes = boxes[order], classes[order]
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    kept = np.empty(0, np.intp)
    # blocks, surest first: no matrix over all pairs, and the end comes as soon as the limit is reached
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        if len(kept):
            block = block[~_any_row(_overlaps(boxes, areas, classes, kept, block, max_iou))]
        kept = np.concatenate([kept, block[_greedy(_overlaps(boxes, areas, classes, block, block, max_iou))]])
        if limit is not None and len(kept) >= limit:
            return order[kept[:limit]]
    return order[kept]


def _overlaps(
    boxes: Floats, areas: Floats, classes: Array, first: Array, second: Array, max_iou: float
) -> NDArray[np.bool_]:
    """``(F, S)``: whether the box of a row and the box of a column are of one class and overlap too much."""
    a, b = boxes[first], boxes[second]
    width = np.minimum(a[:, 2, None], b[:, 2]) - np.maximum(a[:, 0, None], b[:, 0])
    height = np.minimum(a[:, 3, None], b[:, 3]) - np.maximum(a[:, 1, None], b[:, 1])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    # without the division, which has no answer for boxes of no area
    too_much: NDArray[np.bool_] = common > max_iou * (areas[first, None] + areas[second] - common)
    too_much &= classes[first, None] == classes[second]
    return too_much


def _greedy(overlaps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of ``N`` boxes, surest first, greedy suppression keeps.

    Repeats "a box stays if no staying box before it overlaps it" until nothing changes: the first n answers are right
    after n rounds, so this ends, at the one fixed point, and in practice after as many rounds as the longest chain
    of boxes that save each other, two or three.
    """
    above = np.triu(overlaps, 1)
    stays = ~_any_row(above)
    while True:
        revised = ~_any_row(above[stays])
        if (revised == stays).all():
            return revised
        stays = revised


def _any_row(table: NDArray[np.bool_]) -> NDArray[np.bool_]:
    combined: NDArray[np.bool_] = np.logical_or.reduce(table, axis=0)
    return combined
