"""Finds whatever moves in front of a camera that stands still: background subtraction, no weights.

Mixture of Gaussians with shadow detection: Zivkovic, ICPR 2004; Prati et al., IEEE TPAMI 25(7), 2003.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from camcount.errors import ModelError
from camcount.protocols import TensorInfo

Mask = NDArray[np.uint8]
Boxes = NDArray[np.float32]

_SURE = 255  # of a mask: moves itself; 127 is only a shadow
_ATOM = 480.0  # sizes of brushes are in pixels of a picture this wide


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionSettings:
    """What counts as motion.

    Attributes:
        width: pictures are looked at this wide, in pixels; wider ones are scaled down.
        least_area: a smaller share of the picture is noise.
        memory: frames over which the background is learnt; what stands still for a fifth of them becomes part of it.
        contrast: standard deviations from the background that make a pixel stand out.
        flicker: pixels that come and go in a larger share of the frames are leaves, water or noise.
        flood: when a larger share of the picture moves at once, the light or the camera has changed: learn anew.
    """

    width: int = 480
    least_area: float = 0.0005
    memory: int = 900
    contrast: float = 4.0
    flicker: float = 0.12
    flood: float = 0.6


class MotionEngine:
    """An `Engine` with memory: give it every frame of one camera in order.

    Input ``image``: ``uint8 (1, H, W, 3)`` BGR. Outputs ``boxes`` ``float32 (N, 4)`` xyxy in pixels of that
    picture, ``scores`` ``float32 (N,)`` in 0..1 from how solid, how lasting and how large the motion is,
    ``labels`` ``int64 (N,)``, all 0. A picture of another size than the last one starts afresh.
    """

    concurrency = 1

    def __init__(self, settings: MotionSettings = MotionSettings()) -> None:
        self.inputs: Mapping[str, TensorInfo] = {
            "image": TensorInfo("image", (1, None, None, 3), np.dtype(np.uint8)),
        }
        self.outputs: Mapping[str, TensorInfo] = {
            "boxes": TensorInfo("boxes", (None, 4), np.dtype(np.float32)),
            "scores": TensorInfo("scores", (None,), np.dtype(np.float32)),
            "labels": TensorInfo("labels", (None,), np.dtype(np.int64)),
        }
        self._settings = settings
        self._background: _Background | None = None

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Boxes, scores and labels of one picture.

        Raises:
            ModelError: ``image`` is not one picture of the shape and type above.
        """
        image = feeds.get("image")
        if image is None or image.dtype != np.uint8 or image.ndim != 4 or image.shape[0] != 1 or image.shape[3] != 3:
            seen = "nothing" if image is None else f"{image.dtype} {image.shape}"
            raise ModelError(
                f"the motion engine takes one picture at a time, uint8 (1, H, W, 3), and was given {seen}"
            )
        height, width = image.shape[1:3]
        small = self._shrink(image[0])
        if self._background is None or self._background.shape != small.shape:
            self._background = _Background(small.shape, self._settings)
        mask = self._background.foreground(small)
        boxes, scores = _objects(mask, self._background.lasting, self._settings.least_area)
        scale = np.array([width / small.shape[1], height / small.shape[0]] * 2, np.float32)
        return [boxes * scale, scores, np.zeros(len(boxes), np.int64)]

    def close(self) -> None:
        """Forgets the background."""
        self._background = None

    def _shrink(self, image: NDArray[Any]) -> Mask:
        height, width = image.shape[:2]
        if width <= self._settings.width:
            return np.ascontiguousarray(image)
        size = (self._settings.width, max(1, round(height * self._settings.width / width)))
        return _pixels(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


class _Background:
    """What the picture looks like without anything moving."""

    WARM_UP = 3

    def __init__(self, shape: tuple[int, ...], settings: MotionSettings) -> None:
        self.shape = shape
        self._settings = settings
        self.lasting: NDArray[np.float32] = np.zeros(shape[:2], np.float32)
        self._model = cv2.createBackgroundSubtractorMOG2(settings.memory, settings.contrast**2, True)
        self._model.setShadowThreshold(0.55)
        self._model.setBackgroundRatio(0.8)
        self._before: Mask = np.zeros(shape[:2], np.uint8)
        self._flicker: NDArray[np.float32] = np.zeros(shape[:2], np.float32)
        self._thumb: NDArray[np.float32] | None = None
        self._age = 0

    def foreground(self, image: Mask) -> Mask:
        """255 where something moves, 127 where it only throws a shadow."""
        self._age += 1
        even = self._same_light(_pixels(cv2.GaussianBlur(image, (3, 3), 0)))
        rate = max(1 / (self._age + 1), 1 / self._settings.memory)
        mask = _pixels(self._model.apply(even, learningRate=rate))
        if self._age > self.WARM_UP and np.count_nonzero(mask == _SURE) > self._settings.flood * mask.size:
            self._model.apply(even, learningRate=1.0)
            self._age, self._thumb = 1, None
        if self._age <= self.WARM_UP:
            mask[:] = 0
        moving = (mask == _SURE).astype(np.uint8)
        cv2.accumulateWeighted(cv2.bitwise_xor(moving, self._before), self._flicker, 0.02)
        self._before = moving
        mask[self._flicker > self._settings.flicker] = 0
        cv2.accumulateWeighted(moving, self.lasting, 0.35)
        return mask

    def _same_light(self, image: Mask) -> Mask:
        """The picture in the light in which the background was learnt: clouds and exposure change all of it alike."""
        thumb = cv2.resize(image, (48, 27), interpolation=cv2.INTER_AREA).astype(np.float32) + 1.0
        if self._thumb is None:
            self._thumb = thumb
        gain = np.clip(np.median(self._thumb / thumb, axis=(0, 1)), 0.5, 2.0)
        self._thumb += 0.01 * (thumb * gain - self._thumb)
        table = np.clip(np.arange(256)[:, None] * gain + 0.5, 0, 255).astype(np.uint8)
        return _pixels(cv2.LUT(image, table[None]))


def _objects(mask: Mask, lasting: NDArray[np.float32], least_area: float) -> tuple[Boxes, Boxes]:
    """Boxes ``(N, 4)`` in pixels of ``mask`` and their scores ``(N,)``."""
    unit = mask.shape[1] / _ATOM
    moving = (mask == _SURE).astype(np.uint8)
    cleaned = cv2.morphologyEx(moving, cv2.MORPH_OPEN, _kernel(2 * unit, 2 * unit))
    joined = cv2.morphologyEx(cleaned, cv2.MORPH_CLOSE, _kernel(2 * unit, 4 * unit))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    if count < 2:
        return np.empty((0, 4), np.float32), np.empty(0, np.float32)
    boxes = stats[1:, :4].astype(np.float64)
    boxes[:, 2:] += boxes[:, :2]
    parts = labels.ravel()
    solid = np.bincount(parts, cleaned.ravel(), count)[1:].astype(np.float64)
    steady = np.bincount(parts, (lasting * cleaned).ravel(), count)[1:].astype(np.float64)
    groups = _fragments(boxes, solid)
    boxes = _union(boxes, groups)
    solid, steady = (np.bincount(groups, values).astype(np.float64) for values in (solid, steady))
    big = solid >= least_area * mask.size
    boxes, solid, steady = boxes[big], solid[big], steady[big]
    filled = solid / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    size = solid / (4 * least_area * mask.size)
    scores = 0.25 + 0.35 * np.minimum(2 * filled, 1) + 0.25 * steady / solid + 0.15 * np.minimum(size, 1)
    return boxes.astype(np.float32), np.minimum(scores, 1).astype(np.float32)


def _fragments(boxes: NDArray[np.float64], solid: NDArray[np.float64]) -> NDArray[np.intp]:
    """The group of each box: parts one above the other with a small gap, or one inside the other, are one object."""
    x0, y0, x1, y1 = boxes.T
    wide, tall = x1 - x0, y1 - y0
    across = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
    apart = np.maximum(y0[:, None], y0) - np.minimum(y1[:, None], y1)
    over = across / np.minimum(wide[:, None], wide)
    alike = np.minimum(wide[:, None], wide) > 0.4 * np.maximum(wide[:, None], wide)
    stacked = (over > 0.6) & alike & (apart < 0.12 * np.maximum(tall[:, None], tall) + 1)
    inside = np.clip(across, 0, None) * np.clip(-apart, 0, None) / np.minimum((wide * tall)[:, None], wide * tall)
    part = np.minimum(solid[:, None], solid) < 0.35 * np.maximum(solid[:, None], solid)
    linked = ((stacked | (inside > 0.6)) & part) | np.eye(len(boxes), dtype=bool)
    group = np.arange(len(boxes))
    for _ in range(len(boxes)):
        lowest = np.where(linked, group[None, :], len(boxes)).min(axis=1)
        if (lowest == group).all():
            break
        group = lowest
    return np.unique(group, return_inverse=True)[1]


def _union(boxes: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    """One box around each group."""
    around = np.full((groups.max() + 1, 4), [np.inf, np.inf, -np.inf, -np.inf])
    np.minimum.at(around[:, :2], groups, boxes[:, :2])
    np.maximum.at(around[:, 2:], groups, boxes[:, 2:])
    return around


def _kernel(width: float, height: float) -> Mask:
    size = (max(1, round(width)), max(1, round(height)))
    return _pixels(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size))


def _pixels(image: NDArray[Any]) -> Mask:
    """What OpenCV returned, which it types as any number."""
    return np.asarray(image, np.uint8)
