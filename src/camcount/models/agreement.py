"""Whether two detectors say the same of the same pictures, and how fast each is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Detections
from camcount.errors import UsageError
from camcount.frame import Frame
from camcount.protocols import Detector

SURE = 0.4
SEEN = 0.2
IOU = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far one detector agrees with another, the plain one, over some pictures.

    A box of confidence 0.4 or more counts as found again where the other detector has a box of the same label with an
    IoU of at least 0.5 and a confidence of at least 0.2: what stands close to a threshold must not decide.

    Attributes:
        frames: how many pictures.
        plain_sure, other_sure: sure boxes of each.
        recall: share of the plain detector's sure boxes that the other one found again; 1 where there are none.
        precision: share of the other's sure boxes that the plain one found too; 1 where there are none.
    """

    frames: int
    plain_sure: int
    other_sure: int
    recall: float
    precision: float

    def __str__(self) -> str:
        return (
            f"recall {self.recall:.4f} of {self.plain_sure} boxes, precision {self.precision:.4f} of "
            f"{self.other_sure}, over {self.frames} pictures"
        )


def agreement(plain: Sequence[Detections], other: Sequence[Detections], labels: Sequence[str]) -> Agreement:
    """Compares two detectors' answers about the same pictures, in the same order, for some labels only."""
    missed = extra = plain_sure = other_sure = 0
    for first, second in zip(plain, other, strict=True):
        first, second = only(first, labels), only(second, labels)
        found, confirmed = _found_again(first, second), _found_again(second, first)
        plain_sure, other_sure = plain_sure + len(found), other_sure + len(confirmed)
        missed, extra = missed + int((~found).sum()), extra + int((~confirmed).sum())
    return Agreement(
        frames=len(plain),
        plain_sure=plain_sure,
        other_sure=other_sure,
        recall=1 - missed / plain_sure if plain_sure else 1.0,
        precision=1 - extra / other_sure if other_sure else 1.0,
    )


def only(found: Detections, labels: Sequence[str]) -> Detections:
    """The boxes of some labels."""
    return found.select(np.array([found.label(row) in labels for row in range(len(found))], bool))


def _found_again(these: Detections, those: Detections) -> NDArray[np.bool_]:
    """For every sure box of ``these``: whether ``those`` have it."""
    sure = these.select(these.confidence >= SURE)
    seen = those.select(those.confidence >= SEEN)
    names = np.array([sure.label(row) for row in range(len(sure))], object)
    others = np.array([seen.label(row) for row in range(len(seen))], object)
    alike = (overlaps(sure.xyxy, seen.xyxy) >= IOU) & (names[:, None] == others[None, :])
    hits: NDArray[np.bool_] = alike.any(axis=1)
    return hits


def overlaps(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every pair, ``(N, 4)`` and ``(M, 4)`` to ``(N, M)``.

    >>> overlaps(np.float32([[0, 0, 2, 2]]), np.float32([[0, 0, 2, 2], [1, 0, 3, 2]])).round(3).tolist()
    [[1.0, 0.3330000042915344]]
    """
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    far = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(far - corner, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    iou: NDArray[np.float32] = shared / np.maximum(union, 1e-9)
    return iou


def answers(detector: Detector, frames: Sequence[Frame]) -> list[Detections]:
    """What a detector says of each picture, one after the other."""
    return [detector.detect([frame])[0] for frame in frames]


def times_as_fast(plain: Detector, other: Detector, frames: Sequence[Frame], rounds: int = 5) -> float:
    """Pictures per second of processor time of ``other`` over those of ``plain``; 2 is twice as fast.

    Filling the input and reading the outputs are included. Processor time, because that of the clock says more about
    what else the machine does; the two take turns and each round gives one ratio, of which the median is returned.

    Raises:
        UsageError: there is no picture to measure with.
    """
    if not frames:
        raise UsageError("no picture to measure with: give a video with --video")
    answers(plain, frames[:1])
    answers(other, frames[:1])
    ratios = [_seconds(plain, frames) / _seconds(other, frames) for _ in range(rounds)]
    return statistics.median(ratios)


def _seconds(detector: Detector, frames: Sequence[Frame]) -> float:
    begun = time.process_time()
    for frame in frames:
        detector.detect([frame])
    return max(time.process_time() - begun, 1e-9)
