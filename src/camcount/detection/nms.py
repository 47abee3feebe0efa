"""Non-maximum suppression: of boxes of one class that overlap, the surest stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camcount.detection.candidates import Array, Floats

_BLOCK = 64


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
    left = np.argsort(-scores, kind="stable")
    if len(left) < 2:
        return left[:limit]
    sides = np.ascontiguousarray(boxes[left].T)
    areas = np.maximum(sides[2] - sides[0], 0) * np.maximum(sides[3] - sides[1], 0)
    table = np.concatenate([sides, areas[None], classes[left].astype(np.float32)[None]])
    kept: list[NDArray[np.intp]] = []
    # the surest few drop most of the others, so few pairs are ever compared
    while len(left) and (limit is None or sum(map(len, kept)) < limit):
        block, rest = table[:, :_BLOCK], table[:, _BLOCK:]
        stays = _greedy(_overlaps(block, block, max_iou))
        kept.append(left[:_BLOCK][stays])
        free = ~_any_row(_overlaps(block[:, stays], rest, max_iou))
        left, table = left[_BLOCK:][free], rest[:, free]
    return np.concatenate(kept)[:limit]


def _overlaps(first: Floats, second: Floats, max_iou: float) -> NDArray[np.bool_]:
    """``(F, S)``: whether two boxes are of one class and overlap too much.

    Both are ``(6, N)``: left, top, right, bottom, area, class.
    """
    a = first[:, :, None]
    common = np.minimum(a[2], second[2])
    common -= np.maximum(a[0], second[0])
    np.maximum(common, 0, out=common)
    height = np.minimum(a[3], second[3])
    height -= np.maximum(a[1], second[1])
    np.maximum(height, 0, out=height)
    common *= height
    # common / (areas - common) > max_iou, without the division, which has no answer for boxes of no area
    common *= np.float32((1 + max_iou) / max_iou)
    too_much: NDArray[np.bool_] = common > a[4] + second[4]
    too_much &= a[5] == second[5]
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
