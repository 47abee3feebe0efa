"""Models that have already made a list of boxes: end-to-end YOLO exports and the SSD style.

YOLOv10: Wang et al., 2024, arXiv:2405.14458. SSD: Liu et al., ECCV 2016, arXiv:1512.02325.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camcount.detection.candidates import (
    Array,
    Candidates,
    Decode,
    Floats,
    best_classes,
    from_centres,
    rows_above,
    rows_reaching,
)
from camcount.detection.spec import ModelSpec

_COLUMNS = {"x1": 0, "y1": 1, "x2": 2, "y2": 3, "score": 4, "class": 5}


def rows(spec: ModelSpec) -> Decode:
    """One box per row, ``[1, N, K]``, ``[1, 1, N, K]`` or ``[N, K]``.

    Parameters: ``columns``, what stands where, of ``x1 y1 x2 y2 score class`` and ``picture`` (a number below 0
    there marks rows without a box); ``normalised``, whether boxes count in pictures instead of pixels;
    ``first_class``, the number of the first label.
    """
    names: Sequence[str] = spec.parameters.get("columns", tuple(_COLUMNS))
    at = [names.index(name) for name in ("x1", "y1", "x2", "y2")]
    score, label = names.index("score"), names.index("class")
    size = _size(spec)
    first_class = int(spec.parameters.get("first_class", 0))

    def decode(outputs: Sequence[Array], threshold: float) -> Candidates:
        raw = outputs[0].reshape(-1, outputs[0].shape[-1])
        raw = raw[rows_reaching(raw[:, score], threshold)]
        if "picture" in names:
            raw = raw[raw[:, names.index("picture")] >= 0]
        classes = raw[:, label].astype(np.intp) - first_class
        return Candidates((raw[:, at] * size).astype(np.float32), raw[:, score].astype(np.float32), classes)

    return decode


def boxes(spec: ModelSpec) -> Decode:
    """Boxes ``[1, N, 4]`` or ``[N, 4]``, scores and, unless the scores are ``[1, N, C]``, labels ``[1, N]``.

    Parameters: ``boxes``, ``scores``, ``labels``, which output is which (0, 1, 2; ``labels`` ``None`` for scores
    per class); ``box`` of ``xyxy``, ``yxyx``, ``xywh`` (corner and size), ``cxcywh``; ``normalised``, whether boxes
    count in pictures instead of pixels; ``first_class``, the number of the first label; ``background``, whether
    the first of the scores per class means "nothing".
    """
    where = [spec.parameters.get(name, number) for number, name in enumerate(("boxes", "scores", "labels"))]
    form: str = spec.parameters.get("box", "xyxy")
    size = _size(spec)
    first_class = int(spec.parameters.get("first_class", 0))
    skipped = int(spec.parameters.get("background", False))

    def decode(outputs: Sequence[Array], threshold: float) -> Candidates:
        raw = outputs[where[0]].reshape(-1, 4)
        scores = outputs[where[1]]
        if where[2] is None:
            scores = np.ascontiguousarray(scores.reshape(len(raw), -1)[:, skipped:])
            found = rows_above(scores, threshold)
            classes, best = best_classes(scores, found)
            classes = classes + skipped
        else:
            scores = scores.reshape(-1)
            found = rows_reaching(scores, threshold)
            classes, best = outputs[where[2]].reshape(-1)[found].astype(np.intp), scores[found]
        located = (corners(raw[found], form) * size).astype(np.float32)
        return Candidates(located, best.astype(np.float32, copy=False), classes - first_class)

    return decode


def corners(raw: Array, form: str) -> Floats:
    """``(N, 4)`` boxes of any form to left, top, right, bottom.

    >>> corners(np.float32([[1, 2, 3, 4]]), "xywh").tolist()
    [[1.0, 2.0, 4.0, 6.0]]
    """
    raw = raw.astype(np.float32, copy=False)
    if form == "xyxy":
        return raw
    if form == "yxyx":
        return raw[:, [1, 0, 3, 2]]
    if form == "xywh":
        return np.concatenate([raw[:, :2], raw[:, :2] + raw[:, 2:]], axis=1)
    if form == "cxcywh":
        return from_centres(raw[:, :2], raw[:, 2:])
    raise ValueError(f"unknown box form {form!r}: xyxy, yxyx, xywh or cxcywh")


def _size(spec: ModelSpec) -> Floats:
    normalised = spec.parameters.get("normalised", False)
    return np.array([spec.width, spec.height] * 2 if normalised else [1.0] * 4, np.float32)
