"""YOLO exports whose boxes come decoded, centre and size in pixels of the model's input.

YOLOv5: Jocher, YOLOv5 by Ultralytics, 2020, doi:10.5281/zenodo.3908559; the same layout is used by YOLOv6, YOLOv7
and by YOLOX exported with decoding inside. YOLOv8, YOLO11 and later: Jocher et al., Ultralytics YOLO, 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camcount.detection.candidates import Array, Candidates, Decode, best_classes, from_centres, rows_reaching
from camcount.detection.spec import ModelSpec


def yolov5(spec: ModelSpec) -> Decode:
    """``[1, N, 5 + C]``: centre x and y, width, height, objectness, class scores."""
    classes_known = len(spec.labels)

    def decode(outputs: Sequence[Array], threshold: float) -> Candidates:
        raw = outputs[0][0]
        # a class score is at most 1, so the objectness alone rules out nearly every row
        found = raw[rows_reaching(raw[:, 4].copy(), threshold)].astype(np.float32, copy=False)
        # what follows the classes belongs to segmentation or pose heads
        classes, scores = best_classes(found[:, 5 : 5 + classes_known], np.arange(len(found)))
        scores = scores * found[:, 4]
        sure = rows_reaching(scores, threshold)
        found = found[sure]
        return Candidates(from_centres(found[:, :2], found[:, 2:4]), scores[sure], classes[sure])

    return decode


def yolov8(spec: ModelSpec) -> Decode:
    """``[1, 4 + C, N]`` (or ``[1, N, 4 + C]``): centre x and y, width, height, class scores."""
    classes_known = len(spec.labels)

    def decode(outputs: Sequence[Array], threshold: float) -> Candidates:
        raw = outputs[0][0]
        if raw.shape[0] > raw.shape[1]:
            raw = raw.T
        # what follows the classes belongs to segmentation or pose heads
        scores = raw[4 : 4 + classes_known]
        rows = rows_reaching(scores.max(axis=0), threshold)
        found = raw[:, rows].T.astype(np.float32, copy=False)
        classes, best = best_classes(found[:, 4 : 4 + classes_known], np.arange(len(rows)))
        return Candidates(from_centres(found[:, :2], found[:, 2:4]), best, classes)

    return decode
