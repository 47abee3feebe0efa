"""One model in several input sizes: each picture goes through the size that suits its shape best."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from camcount.detection.detector import ModelDetector
from camcount.detection.spec import Fit
from camcount.detections import Detections
from camcount.frame import Frame
from camcount.protocols import Engine, Thresholds

Size = tuple[int, int]


def best_size(sizes: Sequence[Size], fit: Fit, width: int, height: int) -> Size:
    """Which of a model's input sizes, the main one first, to use for a picture of ``width`` by ``height``.

    Where pictures are letterboxed: the smallest that shows the picture as large as the main one does. Where they are
    stretched: the one of the most similar shape, the smaller one if two are alike.

    >>> best_size([(416, 416), (416, 256), (416, 320)], "letterbox", 1280, 720)
    (416, 256)
    >>> best_size([(416, 416), (416, 256)], "letterbox", 720, 1280)
    (416, 416)
    """
    if fit in ("stretch", "inside"):
        return min(sizes, key=lambda size: (abs(math.log(size[0] * height / (size[1] * width))), size[0] * size[1]))
    main = _scale(sizes[0], width, height)
    as_large = [size for size in sizes if _scale(size, width, height) >= main * (1 - 1e-9)]
    return min(as_large, key=lambda size: size[0] * size[1])


def _scale(size: Size, width: int, height: int) -> float:
    return min(size[0] / width, size[1] / height)


class BucketDetector:
    """A `Detector` over detectors of one model, one for each input size.

    Args:
        main: of the main size, and of whatever no other size suits.
        others: makes the detectors of the other sizes, each when the first picture for it comes.
    """

    def __init__(self, main: ModelDetector, others: Mapping[Size, Callable[[], ModelDetector]]) -> None:
        self.spec = main.spec
        self.labels = main.labels
        self.concurrency = main.concurrency
        self._main = (main.spec.width, main.spec.height)
        self._makers = dict(others)
        self._sizes = [self._main, *self._makers]
        self._detectors = {self._main: main}
        self._lock = threading.Lock()

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` per frame, in order; frames of one size go through together.

        Raises:
            InferenceError, ModelError: as `ModelDetector.detect`.
        """
        parts: dict[Size, list[int]] = {}
        for number, frame in enumerate(frames):
            size = best_size(self._sizes, self.spec.fit, frame.width, frame.height)
            parts.setdefault(size, []).append(number)
        found: dict[int, Detections] = {}
        for size, numbers in parts.items():
            detected = self._detector(size).detect([frames[number] for number in numbers])
            found.update(zip(numbers, detected, strict=True))
        return [found[number] for number in range(len(frames))]

    def adjusted(self, thresholds: Thresholds) -> BucketDetector:
        """The same model with other thresholds; it shares the engines, which this one closes.

        Raises:
            UsageError: a threshold outside its range.
        """
        main = self._detector(self._main).adjusted(thresholds)
        others = {size: partial(self._adjusted, size, thresholds) for size in self._makers}
        return BucketDetector(main, others)

    def _adjusted(self, size: Size, thresholds: Thresholds) -> ModelDetector:
        return self._detector(size).adjusted(thresholds)

    @property
    def engine(self) -> Engine:
        """The engine of the main size."""
        return self._detector(self._main).engine

    def close(self) -> None:
        """Closes the detectors that were made."""
        with self._lock:
            for detector in self._detectors.values():
                detector.close()

    def _detector(self, size: Size) -> ModelDetector:
        if size not in self._detectors:
            with self._lock:
                if size not in self._detectors:
                    self._detectors[size] = self._makers[size]()
        return self._detectors[size]
