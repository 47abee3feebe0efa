"""What the files of each model family look like from outside, and how the family wants its pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from camcount.detection.candidates import Array
from camcount.detection.grids import cell_count

_LEVELS = {3: (8, 16, 32), 4: (8, 16, 32, 64)}
_BINS = 8
_IMAGENET = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_ULTRALYTICS = {"fit": "letterbox-centred", "colour": "rgb", "scale": 1 / 255}

PICTURES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "yolox": {"fit": "letterbox", "colour": "bgr"},
        "yolov5": _ULTRALYTICS,
        "yolov8": _ULTRALYTICS,
        "end2end": _ULTRALYTICS,
        "nanodet": {
            "fit": "letterbox-centred",
            "colour": "bgr",
            "mean": (103.53, 116.28, 123.675),
            "std": (57.375, 57.12, 58.395),
        },
        "nanodet-plus": {
            "fit": "letterbox-centred",
            "colour": "bgr",
            "mean": (103.53, 116.28, 123.675),
            "std": (57.375, 57.12, 58.395),
        },
        "picodet": {"fit": "stretch", "colour": "rgb", **_IMAGENET},
        "fastestdet": {"fit": "stretch", "colour": "bgr", "scale": 1 / 255},
        "ssd": {"fit": "stretch", "colour": "rgb", "scale": 1 / 255},
        "ssd-rows": {"fit": "stretch", "colour": "bgr"},
        "detr": {"fit": "stretch", "colour": "rgb", **_IMAGENET},
    }
)
"""Fields of `ModelSpec` in which a family differs from the default."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a model shows of itself when it is run once on a noisy grey picture.

    Attributes:
        outputs: what it gave, by output name.
        inputs: the names of its inputs.
        width, height: size of its input.
        classes: how many class names are known from the file or from the user, if any.
        settled: the user has named the decoder, so that doubts between families count no more.
    """

    outputs: Mapping[str, Array]
    inputs: Sequence[str]
    width: int
    height: int
    classes: int | None = None
    settled: bool = False

    @property
    def arrays(self) -> list[Array]:
        """The outputs in order."""
        return list(self.outputs.values())

    def levels(self, rows: int, boxes_per_cell: int = 1) -> tuple[int, ...] | None:
        """The strides whose cells together make that many rows."""
        for strides in _LEVELS.values():
            if rows == boxes_per_cell * cell_count(self.width, self.height, strides):
                return strides
        return None

    def could_have(self, classes: int) -> bool:
        """Whether that many classes agrees with what is known of the names."""
        return self.classes in (None, classes)


@dataclass(frozen=True, slots=True)
class Match:
    """A family that fits the evidence: number of classes, decoder parameters, and changes to `PICTURES`."""

    classes: int | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Any] = field(default_factory=dict)


Matcher = Callable[[Evidence], Match | None]


def _single_table(seen: Evidence) -> Array | None:
    """The rows and columns of the first output, where it is ``[1, N, K]``."""
    first = seen.arrays[0]
    return first[0] if first.ndim == 3 and len(first) == 1 else None


def _in_pixels(table: Array) -> bool:
    """Whether the first two columns are positions in the input rather than offsets inside a cell."""
    return float(np.median(np.abs(table[:, :2]))) > 16


def _yolox(seen: Evidence) -> Match | None:
    table = _single_table(seen)
    if table is None or len(seen.outputs) > 1 or table.shape[1] < 6:
        return None
    strides, classes = seen.levels(len(table)), table.shape[1] - 5
    if strides is None or not seen.could_have(classes):
        return None
    if not seen.settled and (_in_pixels(table) or (strides == _LEVELS[4] and classes != 80 and seen.classes is None)):
        return None
    return Match(classes, {"strides": strides}, {"multiple": strides[-1]})


def _yolov5(seen: Evidence) -> Match | None:
    table = _single_table(seen)
    if table is None or table.shape[1] < 6 or len(table) < table.shape[1]:
        return None
    classes = seen.classes or table.shape[1] - 5
    if table.shape[1] < 5 + classes:
        return None
    if not seen.settled:
        one_per_cell = seen.levels(len(table)) is not None
        if not (seen.levels(len(table), 3) or (one_per_cell and _in_pixels(table))):
            return None
        if one_per_cell and table.shape[1] - 4 == (seen.classes or 80):
            return None
    return Match(classes)


def _yolov8(seen: Evidence) -> Match | None:
    table = _single_table(seen)
    if table is None:
        return None
    rows_last = table.shape[0] < table.shape[1]
    columns, rows = sorted(table.shape)
    classes = seen.classes or columns - 4
    if classes < 1 or columns < 4 + classes:
        return None
    if not seen.settled:
        if seen.levels(rows) is None:
            return None
        if not rows_last and (not _in_pixels(table) or columns - 5 == (seen.classes or 80)):
            return None
    return Match(classes)


def _end2end(seen: Evidence) -> Match | None:
    rows = seen.arrays[0]
    if "scale_factor" in seen.inputs and rows.ndim == 2 and rows.shape[1] == 6:
        columns = ("class", "score", "x1", "y1", "x2", "y2")
        return Match(seen.classes, {"columns": columns}, {"fit": "stretch", **_IMAGENET})
    if len(seen.outputs) > 1 and not seen.settled:
        return None
    # one row of six is a classifier's answer, not a list of boxes
    listed = rows.ndim == 3 and len(rows) == 1 and (seen.settled or seen.levels(rows.shape[1]) is None)
    if rows.shape[-1] == 7 and rows.ndim == 2 and (seen.settled or len(rows) != 1):
        return Match(seen.classes, {"columns": ("picture", "x1", "y1", "x2", "y2", "class", "score")})
    if rows.shape[-1] == 6 and (listed or (rows.ndim == 2 and (seen.settled or len(rows) != 1))):
        return Match(seen.classes)
    return None


def _maps(seen: Evidence, levels: int) -> tuple[int, tuple[int, ...]] | None:
    """Classes and strides, where the outputs are pairs of class maps and distance distributions."""
    maps = seen.arrays
    if len(maps) != 2 * levels or any(output.ndim not in (2, 3) for output in maps):
        return None
    by_turns = maps[0].shape[-2] == maps[1].shape[-2]
    scores, sides = (maps[::2], maps[1::2]) if by_turns else (maps[:levels], maps[levels:])
    rows = sum(output.shape[-2] for output in scores)
    widths = {output.shape[-1] for output in scores}, {output.shape[-1] for output in sides}
    strides = seen.levels(rows)
    if strides is None or len(strides) != levels or len(widths[0]) != 1 or len(widths[1]) != 1:
        return None
    (classes,), (distribution,) = widths
    return (classes, strides) if distribution % 4 == 0 and seen.could_have(classes) else None


def _nanodet(seen: Evidence) -> Match | None:
    found = _maps(seen, 3)
    return found and Match(found[0], {"strides": found[1], "cell": 0.5, "pixel": -0.5})


def _picodet(seen: Evidence) -> Match | None:
    found = _maps(seen, 4)
    return found and Match(found[0], {"strides": found[1], "cell": 0.5, "pixel": 0.0})


def _nanodet_plus(seen: Evidence) -> Match | None:
    table = _single_table(seen)
    if table is None or len(seen.outputs) > 1:
        return None
    strides, classes = seen.levels(len(table)), table.shape[1] - 4 * _BINS
    if strides is None or classes < 1 or classes != (seen.classes or (classes if seen.settled else 80)):
        return None
    return Match(classes, {"strides": strides, "cell": 0.0, "pixel": 0.0})


def _fastestdet(seen: Evidence) -> Match | None:
    maps = seen.arrays[0]
    if len(seen.outputs) > 1 or maps.ndim != 4 or maps.shape[1] < 6 or maps.shape[2] < 2:
        return None
    classes = maps.shape[1] - 5
    one_per_16_pixels = maps.shape[2:] == (seen.height // 16, seen.width // 16)
    # a segmentation model's maps look the same: only a known number of classes tells
    if not seen.settled and not (one_per_16_pixels and classes == (seen.classes or 80)):
        return None
    return Match(classes) if seen.could_have(classes) else None


def _ssd_rows(seen: Evidence) -> Match | None:
    rows = seen.arrays[0]
    if len(seen.outputs) > 1 or rows.ndim != 4 or rows.shape[:2] != (1, 1) or rows.shape[3] != 7:
        return None
    columns = ("picture", "class", "score", "x1", "y1", "x2", "y2")
    return Match(seen.classes, {"columns": columns, "normalised": True})


def _role(seen: Evidence, *words: str) -> int | None:
    for number, name in enumerate(seen.outputs):
        if any(word in name.lower() for word in words):
            return number
    return None


def _box_output(seen: Evidence) -> int | None:
    """The output that holds boxes: by name, else the only one with four columns."""
    four = [n for n, output in enumerate(seen.arrays) if output.ndim in (2, 3) and output.shape[-1] == 4]
    named = _role(seen, "box", "dets")
    return named if named in four else four[0] if len(four) == 1 else None


def _unsure_boxes(boxes: Array) -> dict[str, Any]:
    """Form and unit of boxes, from their values."""
    flat = boxes.reshape(-1, 4)
    normalised = bool(flat.size) and float(np.abs(flat).max()) <= 2
    ordered = (flat[:, 2:] >= flat[:, :2]).mean() if flat.size else 1.0
    return {"box": "xyxy" if ordered > 0.98 else "cxcywh", "normalised": normalised}


def _listed(seen: Evidence) -> Match | None:
    """Boxes, scores and labels each in their own output, one row per box."""
    boxes, scores, labels = _box_output(seen), _role(seen, "score", "conf"), _role(seen, "class", "label")
    if labels is None:
        labels = next(
            (n for n, output in enumerate(seen.arrays) if output.dtype.kind in "iu" and output.size > 1), None
        )
    rest = set(range(len(seen.outputs))) - {boxes, labels}
    if scores is None and len(rest) == 1:
        scores = rest.pop()
    if boxes is None or scores is None or labels is None or len({boxes, scores, labels}) < 3:
        return None
    arrays = seen.arrays
    if not arrays[labels].size == arrays[scores].size == arrays[boxes].size // 4:
        return None
    where = {"boxes": boxes, "scores": scores, "labels": labels}
    names = list(seen.outputs)
    if names[boxes].startswith("detection_boxes"):
        plain = {"fit": "inside", "scale": 1.0}
        return Match(seen.classes or 91, {**where, "box": "yxyx", "normalised": True}, plain)
    if "orig_target_sizes" in seen.inputs:
        return Match(seen.classes or 80, where)
    in_pixels = {"box": "xyxy", "normalised": False} if arrays[labels].dtype.kind in "iu" else {}
    return Match(seen.classes or 91, {**where, **(in_pixels or _unsure_boxes(arrays[boxes]))})


def _pair(seen: Evidence) -> tuple[int, int] | None:
    """Which of two outputs holds boxes ``[1, N, 4]`` and which scores per class ``[1, N, C]``."""
    boxes = _box_output(seen)
    if boxes is None or len(seen.outputs) != 2:
        return None
    first, second = seen.arrays[boxes], seen.arrays[1 - boxes]
    fits = first.ndim == second.ndim == 3 and first.shape[:2] == second.shape[:2]
    return (boxes, 1 - boxes) if fits else None


def _are_logits(scores: Array) -> bool:
    return float(scores.min()) < 0 or float(scores.max()) > 1


def _ssd(seen: Evidence) -> Match | None:
    if (listed := _listed(seen)) is not None:
        return listed
    pair = _pair(seen)
    if pair is None or _are_logits(seen.arrays[pair[1]]):
        return None
    scores = seen.arrays[pair[1]][0]
    background = scores.shape[1] > 1 and bool((scores.argmax(axis=1) == 0).mean() > 0.5)
    where = {"boxes": pair[0], "scores": pair[1], "labels": None, "background": background}
    classes = scores.shape[1]
    return Match(classes, {**where, **_unsure_boxes(seen.arrays[pair[0]])}) if seen.could_have(classes) else None


def _detr(seen: Evidence) -> Match | None:
    rt_detr = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    table = _single_table(seen)
    if len(seen.outputs) == 1 and table is not None:
        classes = table.shape[1] - 4
        if seen.levels(len(table)) or classes != (seen.classes or (classes if seen.settled else 80)):
            return None
        return Match(classes, {"boxes": 0, "scores": 0, "activation": "none"}, rt_detr)
    pair = _pair(seen)
    if pair is None or not (seen.settled or _are_logits(seen.arrays[pair[1]])):
        return None
    logits = seen.arrays[pair[1]][0]
    columns = logits.shape[1]
    nothing = columns > 1 and bool((logits.argmax(axis=1) == columns - 1).mean() > 0.5)
    softmax = columns == 92 or columns - 1 == seen.classes or (nothing and seen.classes is None)
    where = {"boxes": pair[0], "scores": pair[1], "activation": "softmax" if softmax else "sigmoid"}
    return Match(columns - softmax, where, rt_detr if columns == 80 else {})


MATCHERS: Mapping[str, Matcher] = MappingProxyType(
    {
        "yolox": _yolox,
        "yolov5": _yolov5,
        "yolov8": _yolov8,
        "end2end": _end2end,
        "nanodet": _nanodet,
        "nanodet-plus": _nanodet_plus,
        "picodet": _picodet,
        "fastestdet": _fastestdet,
        "ssd": _ssd,
        "ssd-rows": _ssd_rows,
        "detr": _detr,
    }
)
"""Per decoder, what its models look like."""
