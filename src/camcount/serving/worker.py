"""What one replica does with its jobs: asks the model with each request's thresholds, and checks the answers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Detections
from camcount.errors import InvalidInput, PostprocessingFailed
from camcount.frame import Frame
from camcount.protocols import Adjustable, Detector, Engine, Thresholds

_VARIANTS = 32
"""Sets of thresholds for which a replica keeps the detector ready."""


class Worker:
    """One loaded model in one thread.

    Args:
        detector: what it asks.
        close: ends its use of the detector; closes it unless given.
        lose: told when the worker's replica is given up as lost.
    """

    def __init__(
        self, detector: Detector, *, close: Callable[[], None] | None = None, lose: Callable[[], None] = lambda: None
    ) -> None:
        self.detector = detector
        self.lose = lose
        self._close = close or detector.close
        # asked once: Python 3.11 takes 50 us to look whether an object has a protocol's methods
        self._adjustable = detector if isinstance(detector, Adjustable) else None
        self._adjusted: OrderedDict[Thresholds, Detector] = OrderedDict()

    @property
    def engine(self) -> Engine | None:
        """What takes bare tensors; none where the model is more than its tensors."""
        return getattr(self.detector, "engine", None)

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Width and height that the model was made for, where that is known."""
        spec = getattr(self.detector, "spec", None)
        return (spec.width, spec.height) if spec is not None else None

    def detect(self, frames: Sequence[Frame], thresholds: Thresholds) -> list[Detections]:
        """One valid `Detections` per frame: boxes inside the frame, labels that there are, the surest first.

        Raises:
            InferenceError, ModelError: a picture or the model failed, or the model gave what cannot be.
        """
        detector = self._with(thresholds)
        found = detector.detect(frames)
        if len(found) != len(frames):
            raise PostprocessingFailed(f"the model gave {len(found)} answers to {len(frames)} pictures")
        if self._adjustable is None:
            found = [trimmed(one, thresholds) for one in found]
        for frame, one in zip(frames, found, strict=True):
            check(one, frame)
        return found

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The engine's outputs by name.

        Raises:
            InvalidInput: the model takes no tensors, or not these.
            ModelError: the engine failed.
        """
        engine = self.engine
        if engine is None:
            raise InvalidInput("this model takes pictures only: ask for detections")
        check_feeds(engine, feeds)
        return dict(zip(engine.outputs, engine.run(feeds), strict=True))

    def probe(self) -> None:
        """Tries the model on a grey picture.

        Raises:
            CamcountError: it does not work.
        """
        self.detector.detect([_GREY])

    def close(self) -> None:
        """Lets go of the detector; once is enough."""
        self._adjusted.clear()
        close, self._close = self._close, lambda: None
        close()

    def _with(self, thresholds: Thresholds) -> Detector:
        if self._adjustable is None or thresholds == _OWN:
            return self.detector
        ready = self._adjusted.get(thresholds)
        if ready is None:
            ready = self._adjusted[thresholds] = self._adjustable.adjusted(thresholds)
            while len(self._adjusted) > _VARIANTS:
                self._adjusted.popitem(last=False)
        return ready


_OWN = Thresholds()

_GREY = Frame(
    index=0,
    time_s=0.0,
    width=640,
    height=360,
    render=lambda width, height: np.full((height, width, 3), 114, np.uint8),
)


def trimmed(found: Detections, thresholds: Thresholds) -> Detections:
    """What is left under thresholds that the detector itself could not be asked for: the surest first."""
    rows = np.argsort(-found.confidence, kind="stable")
    if thresholds.confidence is not None:
        rows = rows[found.confidence[rows] >= thresholds.confidence]
    return found.select(rows[: thresholds.max_detections])


def check(found: Detections, frame: Frame) -> None:
    """Passes detections that can be: each box inside the frame and not empty, each label known.

    Raises:
        PostprocessingFailed: what is wrong.
    """
    if not len(found):
        return
    boxes = found.xyxy
    if boxes.min() < 0 or (boxes > (frame.width, frame.height, frame.width, frame.height)).any():
        raise PostprocessingFailed(f"the model gave a box outside the picture of {frame.width}x{frame.height}")
    if (boxes[:, :2] >= boxes[:, 2:]).any():
        raise PostprocessingFailed("the model gave a box without an inside")
    if not 0 <= found.class_id.min() <= found.class_id.max() < len(found.labels):
        raise PostprocessingFailed(f"the model gave a class number that none of its {len(found.labels)} labels has")
    if found.confidence.min() < 0 or found.confidence.max() > 1:
        raise PostprocessingFailed("the model gave a confidence outside 0 to 1")


def check_feeds(engine: Engine, feeds: Mapping[str, NDArray[Any]]) -> None:
    """Passes arrays that fit the engine's inputs.

    Raises:
        InvalidInput: which does not, and what would.
    """
    wanted = ", ".join(f"{name} {info.dtype} {_shape(info.shape)}" for name, info in engine.inputs.items())
    if feeds.keys() != engine.inputs.keys():
        raise InvalidInput(f"the inputs are {', '.join(sorted(feeds)) or 'none'}; the model takes {wanted}")
    for name, array in feeds.items():
        info = engine.inputs[name]
        fits = len(info.shape) == array.ndim and all(
            side is None or side == given for side, given in zip(info.shape, array.shape, strict=True)
        )
        if array.dtype != info.dtype or not fits:
            raise InvalidInput(f"input {name} is {array.dtype} {_shape(array.shape)}; the model takes {wanted}")


def _shape(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("any" if side is None else str(side) for side in shape) + "]"
