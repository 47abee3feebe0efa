"""Detections against labelled pictures: COCO mean average precision as pycocotools computes it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from camcount.detections import Detections
from camcount.errors import SourceError, UsageError
from camcount.evaluation.pictures import LabelledPicture, labelled_pictures
from camcount.frame import Frame
from camcount.protocols import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionScore:
    """Average precision, 0..1, over all labels that occur in the truth.

    Attributes:
        map: the mean over IoU thresholds 0.50, 0.55, … 0.95; ``map50`` at 0.50 alone.
        by_label: the ``map`` of each label.
        images, objects: how much truth there was.
    """

    map: float
    map50: float
    by_label: dict[str, float]
    images: int
    objects: int

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "map": self.map,
            "map50": self.map50,
            "by_label": dict(self.by_label),
            "images": self.images,
            "objects": self.objects,
        }


def evaluate_detection(detector: Detector, images: Path, truth: Path) -> DetectionScore:
    """Runs a detector over a folder of pictures and scores it.

    ``truth`` is a folder of YOLO ``.txt`` labels or a COCO ``.json`` (see `labelled_pictures`). The detector
    should give boxes down to a confidence near 0. Labels are compared by name; what it finds under a name that
    the truth does not have is left out.

    Raises:
        SourceError: the pictures or the labels cannot be read, or hold no object.
        UsageError: the detector knows none of the labels, or pycocotools is not installed.
    """
    pictures = list(labelled_pictures(images, truth, detector.labels))
    return score_detections(
        ((picture, detector.detect([picture.frame()])[0]) for picture in pictures), pictures, detector.labels
    )


def score_detections(
    found: Iterator[tuple[LabelledPicture, Detections]],
    pictures: Sequence[LabelledPicture],
    known: Sequence[str],
) -> DetectionScore:
    """Scores what was found in each of ``pictures`` by a detector that knows the labels ``known``.

    Raises:
        SourceError: no picture holds an object.
        UsageError: none of their labels is known, or pycocotools is not installed.
    """
    labels = sorted({label for p in pictures for label, crowd in zip(p.labels, p.crowd, strict=True) if not crowd})
    if not labels:
        raise SourceError("no picture has a labelled object: there is nothing to compare with")
    if not set(labels) & set(known):
        raise UsageError(
            f"the detector finds {', '.join(list(known)[:5])} and the truth has {', '.join(labels[:5])}: "
            "--label-map found=true makes them meet"
        )
    numbers = {label: number for number, label in enumerate(labels, 1)}
    order = {id(picture): number for number, picture in enumerate(pictures, 1)}
    rows = [row for p, detections in found for row in _rows(order[id(p)], p.frame(), detections, numbers)]
    precision = _precision(_dataset(pictures, numbers), np.array(rows, np.float64).reshape(-1, 7))
    return DetectionScore(
        map=float(precision.mean()),
        map50=float(precision[0].mean()),
        by_label={label: float(precision[:, number - 1].mean()) for label, number in numbers.items()},
        images=len(pictures),
        objects=sum(len(p.labels) - sum(p.crowd) for p in pictures),
    )


def _rows(image: int, frame: Frame, found: Detections, numbers: Mapping[str, int]) -> Iterator[tuple[float, ...]]:
    """``image, left, top, width, height, confidence, label`` of every box whose label is known."""
    boxes = np.clip(found.xyxy.astype(np.float64), 0, np.tile((frame.width, frame.height), 2))
    for row, (left, top, right, bottom) in enumerate(boxes.tolist()):
        number = numbers.get(found.label(row))
        if number is not None:
            yield image, left, top, right - left, bottom - top, float(found.confidence[row]), number


def _dataset(pictures: Sequence[LabelledPicture], numbers: Mapping[str, int]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image, picture in enumerate(pictures, 1):
        for label, box, crowd in zip(picture.labels, picture.boxes.tolist(), picture.crowd, strict=True):
            if label not in numbers:
                continue
            width, height = box[2] - box[0], box[3] - box[1]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": numbers[label],
                    "bbox": [box[0], box[1], width, height],
                    "area": width * height,
                    "iscrowd": int(crowd),
                }
            )
    return {
        "images": [{"id": image} for image in range(1, len(pictures) + 1)],
        "categories": [{"id": number, "name": label} for label, number in numbers.items()],
        "annotations": annotations,
    }


def _precision(dataset: dict[str, Any], rows: Any) -> Any:
    """Average precision ``float64 (10, labels)`` per IoU threshold and label, all sizes, 100 boxes a picture."""
    with redirect_stdout(io.StringIO()):
        try:
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval
        except ImportError:
            raise UsageError('detections are judged by pycocotools: pip install "camcount[evaluation]"') from None
        truth = COCO()
        truth.dataset = json.loads(json.dumps(dataset))
        truth.createIndex()
        if not len(rows):
            return np.zeros((10, len(dataset["categories"])))
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    # thresholds x recalls x labels x sizes x most boxes
    return evaluation.eval["precision"][:, :, :, 0, -1].mean(axis=1)
