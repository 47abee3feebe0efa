"""Families that give each box side as a distribution over distances from a cell's centre: NanoDet, PicoDet.

Li et al., Generalized Focal Loss, NeurIPS 2020, arXiv:2006.04388. NanoDet: RangiLyu, 2021. PicoDet: Yu et al.,
PP-PicoDet, 2021, arXiv:2111.00902.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camcount.detection.candidates import Array, Candidates, Decode, Floats, best_classes, rows_above
from camcount.detection.grids import cells
from camcount.detection.spec import ModelSpec


def split_maps(outputs: Sequence[Array], classes: int) -> list[tuple[Array, Array]]:
    """Pairs of class scores ``(n, C)`` and side distributions ``(n, 4 * bins)``, one pair per level, finest first.

    A model gives all class maps and then all distributions, or the two by turns, or one map with both side by side.
    """
    maps = [np.reshape(output, output.shape[-2:]) for output in outputs]
    if len(maps) == 1:
        return [(maps[0][:, :classes], maps[0][:, classes:])]
    if len(maps) % 2:
        raise ValueError(f"{len(maps)} outputs do not make pairs of class scores and distances")
    by_turns = len(maps[0]) == len(maps[1])
    half = len(maps) // 2
    pairs = zip(maps[::2], maps[1::2], strict=True) if by_turns else zip(maps[:half], maps[half:], strict=True)
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def distances(logits: Floats) -> Floats:
    """Expected distance of each side, ``(N, 4 * bins)`` to ``(N, 4)``: softmax over the bins, then the mean bin."""
    bins = logits.reshape(-1, 4, logits.shape[1] // 4)
    weights = np.exp(bins - bins.max(axis=2, keepdims=True))
    positions = np.arange(bins.shape[2], dtype=np.float32)
    expected: Floats = (weights @ positions) / weights.sum(axis=2)
    return expected


def distribution(spec: ModelSpec) -> Decode:
    """Class maps ``[1, n, C]``, sigmoid applied, and distributions ``[1, n, 4 * bins]`` over distances in strides.

    Parameters: ``strides``; ``cell`` and ``pixel``, which place a cell's centre at
    ``(column + cell) * stride + pixel``.
    """
    corners, strides = cells(spec.width, spec.height, spec.parameters["strides"])
    centres = (corners + np.float32(spec.parameters["cell"])) * strides + np.float32(spec.parameters["pixel"])
    classes_known = len(spec.labels)

    def decode(outputs: Sequence[Array], threshold: float) -> Candidates:
        pairs = split_maps(outputs, classes_known)
        if (n := sum(len(scores) for scores, _ in pairs)) != len(centres):
            raise ValueError(f"{n} rows, but {spec.width}x{spec.height} has {len(centres)} cells")
        parts, first = [], 0
        for scores, sides in pairs:
            rows = rows_above(scores, threshold)
            classes, best = best_classes(scores, rows)
            parts.append((rows + first, sides[rows], best, classes))
            first += len(scores)
        rows, sides, best, classes = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        reach = distances(sides.astype(np.float32, copy=False)) * strides[rows]
        boxes = np.concatenate([centres[rows] - reach[:, :2], centres[rows] + reach[:, 2:]], axis=1)
        return Candidates(boxes, best.astype(np.float32, copy=False), classes)

    return decode
