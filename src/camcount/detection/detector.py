"""A model as a `camcount.protocols.Detector`: picture in, engine, decoder, labels, NMS, boxes in frame pixels."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from camcount.detection.candidates import Array, Candidates, Decode
from camcount.detection.decoders import decoder_named
from camcount.detection.labels import Vocabulary, vocabulary
from camcount.detection.nms import keep_best
from camcount.detection.preprocess import Placement, Preprocessor
from camcount.detection.spec import ModelSpec
from camcount.detections import Detections
from camcount.errors import ModelLoadFailed, PostprocessingFailed
from camcount.frame import Frame
from camcount.protocols import Engine, TensorInfo, Thresholds
from camcount.stats import Stages

_MAX_BATCH = 16
_NMS_INPUT = 3000
"""More candidates than this cannot all be objects; the surest go on."""


class ModelDetector:
    """Any detection model on any engine.

    Frames given together go through the engine together where the model takes batches and their pictures come to one
    size, and one by one otherwise. Safe to call from as many threads as the engine is.

    Args:
        engine: runs the model; closed with this detector.
        spec: how the model wants its pictures and what its outputs mean.
        words: which labels to return, under which names and from which confidence; all of the spec's unless given.

    Raises:
        ModelLoadFailed: the engine's inputs are not a picture of the spec's layout and what is known to go with it.
    """

    def __init__(self, engine: Engine, spec: ModelSpec, words: Vocabulary | None = None) -> None:
        self.spec = spec
        self.engine = engine
        self._words = words or vocabulary(spec.labels, default_confidence=spec.confidence)
        self._kind = decoder_named(spec.decoder)
        self._decoders = {(spec.width, spec.height): self._kind.build(spec)}
        picture = picture_input(engine.inputs.values())
        if picture is None:
            raise ModelLoadFailed(f"no input for pictures among {list(engine.inputs)}: is this a detector?")
        self._input = picture
        self._others = other_inputs(engine, picture.name, spec.width, spec.height)
        self._preprocess = Preprocessor(spec, picture.dtype)
        self._batches = picture.shape[0] is None and self._kind.batches and not self._others
        self.labels = self._words.labels
        self.concurrency = engine.concurrency

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` per frame, surest first.

        Raises:
            InferenceError: a frame has no picture, or the outputs make no boxes.
            ModelError: the engine failed.
        """
        step = _MAX_BATCH if self._batches and len({(f.width, f.height) for f in frames}) == 1 else 1
        found: list[Detections] = []
        for start in range(0, len(frames), step):
            found += self._detect(frames[start : start + step])
        return found

    def adjusted(self, thresholds: Thresholds) -> Self:
        """The same model with other thresholds; it shares the engine, which this one closes.

        A confidence holds for all labels; below what the spec was made for, more is decoded and the answer comes
        later.

        Raises:
            UsageError: a threshold outside its range.
        """
        other = copy.copy(self)
        if thresholds.confidence is not None:
            other._words = self._words.demanding(thresholds.confidence)
        nms_iou, most = thresholds.nms_iou, thresholds.max_detections
        other.spec = replace(
            self.spec,
            nms_iou=self.spec.nms_iou if nms_iou is None else nms_iou,
            max_detections=self.spec.max_detections if most is None else most,
        )
        return other

    def close(self) -> None:
        """Closes the engine."""
        self.engine.close()

    def _detect(self, frames: Sequence[Frame]) -> list[Detections]:
        begun = time.perf_counter()
        tensor, placements = self._preprocess.tensor(frames)
        if len(self._input.shape) == 3:
            tensor = tensor[0]
        ready = time.perf_counter()
        outputs = self.engine.run({self._input.name: tensor, **self._others})
        ran = time.perf_counter()
        shares = (ready - begun) / len(frames), (ran - ready) / len(frames)
        if len(frames) == 1:
            return [self._detections(outputs, frames[0], placements[0], shares)]
        return [
            self._detections([output[row : row + 1] for output in outputs], frame, at, shares)
            for row, (frame, at) in enumerate(zip(frames, placements, strict=True))
        ]

    def _detections(
        self, outputs: Sequence[Array], frame: Frame, at: Placement, shares: tuple[float, float]
    ) -> Detections:
        begun = time.perf_counter()
        found = self._words.select(self._candidates(outputs, at))
        if len(found) > _NMS_INPUT:
            found = found.take(np.argpartition(-found.scores, _NMS_INPUT)[:_NMS_INPUT])
        found = found.take(self._best(found))
        boxes = at.to_frame(found.boxes, frame)
        real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        if not real.all():
            found, boxes = found.take(np.flatnonzero(real)), boxes[real]
        scores, classes = np.minimum(found.scores, 1), found.classes.astype(np.int32)
        stages = Stages(*shares, time.perf_counter() - begun)
        return Detections(boxes, scores, classes, self.labels, stages)

    def _best(self, found: Candidates) -> Array:
        """Rows of one box per object, surest first."""
        spec = self.spec
        overlap = spec.nms_iou if self._kind.needs_nms else None
        return keep_best(
            found.boxes,
            found.scores,
            found.classes,
            overlap or 1.0,
            spec.max_detections,
            kinds=self._words.kind_of[found.classes],
            max_iou_of_kind=spec.kind_iou or 1.0,
        )

    def _decoder(self, width: int, height: int) -> Decode:
        decode = self._decoders.get((width, height))
        if decode is None:
            decode = self._kind.build(replace(self.spec, width=width, height=height))
            self._decoders[width, height] = decode
        return decode

    def _candidates(self, outputs: Sequence[Array], at: Placement) -> Candidates:
        try:
            found = self._decoder(at.input_width, at.input_height)(outputs, self._words.lowest)
        except (ValueError, IndexError) as error:
            shapes = ", ".join(str(list(output.shape)) for output in outputs)
            raise PostprocessingFailed(
                f"decoder {self.spec.decoder!r} cannot use the model's outputs of shape {shapes}: {error}"
            ) from error
        if not np.isfinite(found.boxes).all():
            raise PostprocessingFailed(
                f"decoder {self.spec.decoder!r} got boxes from the model that are no numbers (NaN or infinite)"
            )
        return found


def picture_input(inputs: Any) -> TensorInfo | None:
    """The input that takes pictures: three or four axes, one of them the three colours."""
    for info in inputs:
        shape: tuple[int | None, ...] = info.shape
        if len(shape) in (3, 4) and (shape[-3] in (3, None) or shape[-1] in (3, None)):
            return info  # type: ignore[no-any-return]
    return None


def other_inputs(engine: Engine, picture: str, width: int, height: int) -> dict[str, Array]:
    """What some exports want beside the picture, so that they give boxes in pixels of their input.

    Raises:
        ModelLoadFailed: an input whose meaning is not known.
    """
    known = {
        "orig_target_sizes": [[width, height]],
        "im_shape": [[height, width]],
        "scale_factor": [[1, 1]],
    }
    others = {}
    for name, info in engine.inputs.items():
        if name == picture:
            continue
        if name not in known:
            raise ModelLoadFailed(
                f"the model wants an input {name!r} of shape {list(info.shape)}, which is not known here: "
                f"export it with a picture as its only input"
            )
        others[name] = np.array(known[name], info.dtype)
    return others
