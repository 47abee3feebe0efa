"""Class names: the well-known lists, and what a user keeps, renames and demands of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from camcount.detection.candidates import Candidates
from camcount.errors import PostprocessingFailed, UsageError

VEHICLES = ("car", "truck", "bus", "motorcycle", "bicycle")
"""What the label ``vehicle`` stands for."""

# one name a line would take eighty
# fmt: off
COCO_80 = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis",
    "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed",
    "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven",
    "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier",
    "toothbrush",
)
# fmt: on
"""The classes of COCO in the order in which most detectors number them."""


def _coco_91() -> tuple[str, ...]:
    unused = {0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    names = iter(COCO_80)
    return tuple(f"class {number}" if number in unused else next(names) for number in range(91))


COCO_91 = _coco_91()
"""The classes of COCO under their numbers in the data set's own files, 1 to 90 with gaps."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What becomes of each of a model's ``C`` classes.

    Attributes:
        labels: the names that detections carry.
        label_of: ``int (C,)``, the place in ``labels`` of each model class, -1 for classes not wanted.
        minimum: ``float32 (C,)``, the confidence demanded of each model class.
        kind_of: ``int32 (L,)``, labels of one kind are taken for one another: all that name vehicles are.
    """

    labels: tuple[str, ...]
    label_of: NDArray[np.intp]
    minimum: NDArray[np.float32]
    kind_of: NDArray[np.int32]

    @property
    def lowest(self) -> float:
        """The lowest confidence demanded of any wanted class."""
        return float(self.minimum[self.label_of >= 0].min())

    def demanding(self, confidence: float) -> Vocabulary:
        """The same labels with one confidence demanded of all.

        Raises:
            UsageError: it is not between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise UsageError(f"confidence {confidence} must lie between 0 and 1")
        return replace(self, minimum=np.full_like(self.minimum, confidence))

    def select(self, candidates: Candidates) -> Candidates:
        """The wanted and sure enough candidates, with places in `labels` as their classes.

        Raises:
            PostprocessingFailed: a class number that the model should not know.
        """
        classes = candidates.classes
        if not len(classes):
            return candidates
        # numbers below 0 are the largest of all to an unsigned one
        if classes.view(np.uintp).max() >= len(self.label_of):
            wrong = classes.max() if classes.max() >= len(self.label_of) else classes.min()
            raise PostprocessingFailed(
                f"the model gave class number {wrong} and has {len(self.label_of)} class names: name them all"
            )
        labels = self.label_of.take(classes)
        rows = ((labels >= 0) & (candidates.scores >= self.minimum.take(classes))).nonzero()[0]
        return Candidates(candidates.boxes, candidates.scores, labels).take(rows)


def vocabulary(
    names: Sequence[str],
    *,
    labels: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    confidence: float | Mapping[str, float] | None = None,
    default_confidence: float = 0.1,
) -> Vocabulary:
    """What a user's wishes make of a model's class names.

    Args:
        names: the model's class names by class number.
        labels: keep only these, named as they are after renaming; ``vehicle`` stands for `VEHICLES`. ``None``: all.
        label_map: class names to new names; several classes may get one name.
        confidence: the least confidence of a detection, for all labels or per label.
        default_confidence: for labels that ``confidence`` does not name.

    Raises:
        UsageError: a label or class that the model does not have, or a confidence outside 0..1.

    >>> vocabulary(["cat", "car", "bus"], labels=["vehicle"]).label_of.tolist()
    [-1, 0, 1]
    """
    renamed = _renamed(names, label_map or {})
    wanted = _wanted(renamed, labels)
    kept = tuple(dict.fromkeys(name for name in renamed if name in wanted))
    label_of = np.array([kept.index(name) if name in wanted else -1 for name in renamed], np.intp)
    minimum = _minimum(renamed, confidence, default_confidence)
    vehicles = {new for old, new in zip(names, renamed, strict=True) if old in (*VEHICLES, "vehicle")}
    kind_of = np.array([-1 if name in vehicles else number for number, name in enumerate(kept)], np.int32)
    return Vocabulary(kept, label_of, minimum, kind_of)


def _renamed(names: Sequence[str], label_map: Mapping[str, str]) -> list[str]:
    for old, new in label_map.items():
        _require(old, names)
        if not new.strip():
            raise UsageError(f"the label map gives {old!r} an empty name: name the label it becomes")
    return [label_map.get(name, name) for name in names]


def _wanted(names: Sequence[str], labels: Sequence[str] | None) -> set[str]:
    if labels is None:
        return set(names)
    if not labels:
        raise UsageError("no label to keep: name at least one, or leave labels out to keep all")
    return {name for label in labels for name in _expanded(label, names)}


def _expanded(label: str, names: Sequence[str]) -> list[str]:
    if label == "vehicle" and (members := [name for name in (*VEHICLES, "vehicle") if name in names]):
        return members
    _require(label, names)
    return [label]


def _require(label: str, names: Iterable[str]) -> None:
    known = list(dict.fromkeys(names))
    if label in known:
        return
    near = get_close_matches(label.lower(), known, n=3)
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"it knows {shown}"
    raise UsageError(f"the model knows no label {label!r}: {hint}")


def _minimum(
    names: Sequence[str], confidence: float | Mapping[str, float] | None, default: float
) -> NDArray[np.float32]:
    least = np.full(len(names), default, np.float32)
    given = confidence if isinstance(confidence, Mapping) else {} if confidence is None else {None: confidence}
    for label, value in given.items():
        if not 0 < value < 1:
            raise UsageError(f"confidence {value} must lie between 0 and 1")
        chosen = names if label is None else _expanded(label, names)
        least[[name in chosen for name in names]] = value
    return least
