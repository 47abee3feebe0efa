"""The DETR family: a set of queries, each with a box and class logits, and no NMS.

DETR: Carion et al., ECCV 2020, arXiv:2005.12872. RT-DETR: Zhao et al., CVPR 2024, arXiv:2304.08069. RF-DETR:
Roboflow, 2025. D-FINE: Peng et al., 2024, arXiv:2410.13842.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from camcount.detection.candidates import Array, Candidates, Decode, best_classes, from_centres, rows_above, sigmoid
from camcount.detection.spec import ModelSpec


def detr(spec: ModelSpec) -> Decode:
    """Boxes ``[1, Q, 4]`` as centre and size in pictures, and class logits ``[1, Q, C]``; or both side by side.

    Parameters: ``boxes`` and ``scores``, which output is which (the same number: one output, boxes first);
    ``activation`` of the scores still to be applied: ``sigmoid``, ``softmax`` (the last class means "nothing") or
    ``none``.
    """
    boxes_at, scores_at = spec.parameters.get("boxes", 0), spec.parameters.get("scores", 1)
    activation: str = spec.parameters.get("activation", "sigmoid")
    size = np.array([spec.width, spec.height], np.float32)

    def decode(outputs: Sequence[Array], threshold: float) -> Candidates:
        boxes = outputs[boxes_at][0, :, :4].astype(np.float32, copy=False)
        raw = outputs[scores_at][0] if scores_at != boxes_at else outputs[boxes_at][0, :, 4:]
        scores = _ACTIVATIONS[activation](raw)
        found = rows_above(scores, threshold)
        classes, best = best_classes(scores, found)
        located = from_centres(boxes[found, :2] * size, boxes[found, 2:] * size)
        return Candidates(located, best.astype(np.float32, copy=False), classes)

    return decode


def _softmax_but_last(logits: Array) -> Array:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Array = weights / weights.sum(axis=1, keepdims=True)
    return np.ascontiguousarray(probabilities[:, :-1])


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "softmax": _softmax_but_last,
    "none": np.ascontiguousarray,
}
