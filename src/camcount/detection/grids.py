"""Families whose every output cell holds one box relative to the cell: YOLOX, FastestDet.

YOLOX: Ge et al., YOLOX: Exceeding YOLO Series in 2021, arXiv:2107.08430.
FastestDet: Ma, FastestDet, 2022 (an anchor-free successor of Yolo-FastestV2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camcount.detection.candidates import Array, Candidates, Decode, Floats, best_classes, from_centres, rows_reaching
from camcount.detection.spec import ModelSpec


def cells(width: int, height: int, strides: Sequence[int]) -> tuple[Floats, Floats]:
    """Column and row of every cell, ``(N, 2)``, and each cell's stride, ``(N, 1)``; finest level first.

    The grid of a level is as wide as the input divided by its stride, rounded up.

    >>> cells(16, 8, [8])[0].tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    corners, sizes = [], []
    for stride in strides:
        columns, rows = -(-width // stride), -(-height // stride)
        y, x = np.mgrid[:rows, :columns]
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        sizes.append(np.full((rows * columns, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def cell_count(width: int, height: int, strides: Sequence[int]) -> int:
    """How many cells `cells` gives."""
    return sum(-(-width // stride) * -(-height // stride) for stride in strides)


def yolox(spec: ModelSpec) -> Decode:
    """``[1, N, 5 + C]``: x, y offsets and log sizes in cells, objectness, class scores, sigmoid applied.

    Parameters: ``strides`` (8, 16, 32).
    """
    corners, strides = cells(spec.width, spec.height, spec.parameters.get("strides", (8, 16, 32)))
    grid = np.concatenate([corners, strides], axis=1).T.copy()

    def decode(outputs: Sequence[Array], threshold: float) -> Candidates:
        raw = outputs[0][0]
        if len(raw) != len(corners):
            raise ValueError(f"{len(raw)} rows, but {spec.width}x{spec.height} has {len(corners)} cells")
        # a class score is at most 1, so the objectness alone rules out nearly every row
        rows = rows_reaching(raw[:, 4].copy(), threshold)
        # a column for each box: numpy takes as long for each row as for a few hundred columns
        found = raw.take(rows, axis=0).T.copy()
        scores = np.maximum.reduce(found[5:], axis=0) * found[4]
        sure = rows_reaching(scores, threshold)
        found, cell = found.take(sure, axis=1), grid.take(rows.take(sure), axis=1)
        centres = (found[:2] + cell[:2]) * cell[2]
        sizes = np.exp(np.minimum(found[2:4], 20)) * cell[2]
        return Candidates(from_centres(centres.T, sizes.T), scores.take(sure), found[5:].argmax(axis=0))

    return decode


def fastestdet(spec: ModelSpec) -> Decode:
    """``[1, 5 + C, H, W]``: objectness, tanh centre offsets, sigmoid sizes, class probabilities.

    The score is ``objectness ** 0.6 * class ** 0.4``; offsets count in cells, sizes in pictures.
    """

    def decode(outputs: Sequence[Array], threshold: float) -> Candidates:
        raw = outputs[0][0]
        columns = raw.shape[2]
        flat = raw.reshape(len(raw), -1)
        # a class probability is at most 1, so the score is at most the objectness part
        rows = rows_reaching(flat[0], threshold ** (1 / 0.6))
        found = flat[:, rows].T
        classes, scores = best_classes(found[:, 5:], np.arange(len(found)))
        scores = found[:, 0] ** 0.6 * scores**0.4
        sure = rows_reaching(scores, threshold)
        found, rows = found[sure], rows[sure]
        corners = np.stack([rows % columns, rows // columns], axis=1)
        grid = np.array([columns, raw.shape[1]], np.float32)
        size = np.array([spec.width, spec.height], np.float32)
        centres = (corners + np.tanh(found[:, 1:3])) / grid * size
        sizes = size / (1 + np.exp(-found[:, 3:5]))
        return Candidates(from_centres(centres, sizes), scores[sure].astype(np.float32), classes[sure])

    return decode
