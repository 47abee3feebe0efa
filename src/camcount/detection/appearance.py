"""A re-identification model as a `camcount.protocols.Appearance`: crops of a frame in, unit vectors out."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from camcount.detection.detector import picture_input
from camcount.detection.preprocess import Preprocessor
from camcount.detection.spec import Layout, ModelSpec
from camcount.engines.tensors import announced
from camcount.errors import InvalidInput, ModelError, ModelLoadFailed, UsageError
from camcount.frame import Frame, Image
from camcount.protocols import Engine, TensorInfo

_USUAL = (128, 256)
"""Width and height of the crop where a file leaves them open: what people are usually cut out to."""

_LEAST_LENGTH = 8
_STEPS = 8
"""A frame is asked for at eighths of its size: each size costs a converter of its own."""


class ModelAppearance:
    """Any embedding model on any engine.

    A crop is stretched to the model's input, as such models are trained. The frame is asked for its picture no larger
    than the smallest crop needs, once for all boxes asked about. Blue, green, red in 0..255 go in, as the models of
    OpenVINO's zoo want them, unless the file's metadata has ``colour``, ``scale``, ``mean`` or ``std``, which mean
    what they do in `ModelSpec`.

    Args:
        engine: runs the model; closed with this.
        name: what to call the model in messages.
        metadata: what is written in the file.

    Raises:
        ModelLoadFailed: the model does not make one vector of one picture.
    """

    def __init__(self, engine: Engine, name: str, metadata: Mapping[str, str] | None = None) -> None:
        self._engine = engine
        self._name = name
        picture = picture_input(engine.inputs.values())
        if picture is None or len(picture.shape) != 4 or len(engine.inputs) > 1:
            taken = ", ".join(announced(info) for info in engine.inputs.values())
            raise self._no_embedding(f"it takes {taken} and not one picture [1,3,H,W] or [1,H,W,3]")
        self._input = picture
        self._spec = _spec(picture, metadata or {}, name)
        self._preprocess = Preprocessor(self._spec, picture.dtype)
        self._batches = picture.shape[0] is None
        self._frame: Frame | None = None
        self._size = (0, 0)
        self._probe()

    def embed(self, frame: Frame, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """``float32 (N, D)``, each of unit length, of boxes ``(N, 4)`` in pixels of the frame.

        Raises:
            InferenceError: the frame has no picture.
            ModelError: the engine failed, or gave what is no number.
        """
        if not len(xyxy):
            return np.empty((0, self.length), np.float32)
        picture = self._picture(frame, xyxy)
        scale = np.array([picture.shape[1] / frame.width, picture.shape[0] / frame.height] * 2)
        crops = [_crop(picture, box) for box in xyxy * scale]
        step = len(crops) if self._batches else 1
        found = [self._run(crops[start : start + step]) for start in range(0, len(crops), step)]
        return np.concatenate(found)

    def close(self) -> None:
        """Closes the engine."""
        self._engine.close()

    def _probe(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (self._spec.height, self._spec.width, 3), np.uint8)
        try:
            outputs = self._outputs([_frame_of(noise)])
        except ModelError as error:
            raise ModelLoadFailed(f"{self._name} does not run on a picture: {error}") from error
        sizes = [[side for side in output.shape[1:] if side != 1] for output in outputs]
        if len(outputs) != 1 or len(sizes[0]) != 1 or sizes[0][0] < _LEAST_LENGTH:
            shapes = ", ".join(str(list(output.shape)) for output in outputs)
            raise self._no_embedding(f"it gives {shapes} and not one vector [1,D]")
        found = outputs[0].astype(np.float64).ravel()
        if (found >= 0).all() and abs(found.sum() - 1) < 1e-3:
            raise self._no_embedding("it gives shares that add up to 1, so it names classes")
        self.length = len(found)

    def _no_embedding(self, why: str) -> ModelLoadFailed:
        return ModelLoadFailed(
            f"{self._name} is no embedding model, {why}: --appearance wants a re-identification model"
        )

    def _outputs(self, crops: list[Frame]) -> list[NDArray[Any]]:
        tensor, _ = self._preprocess.tensor(crops)
        return self._engine.run({self._input.name: tensor})

    def _run(self, crops: list[Frame]) -> NDArray[np.float32]:
        found = self._outputs(crops)[0].reshape(len(crops), -1).astype(np.float32)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        if not np.isfinite(length).all():
            raise ModelError(f"{self._name} gave an embedding that is no number (NaN or infinite)")
        return np.asarray(found / np.maximum(length, 1e-12), np.float32)

    def _picture(self, frame: Frame, xyxy: NDArray[np.float32]) -> Image:
        sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 1.0)
        share = float((np.array([self._spec.width, self._spec.height]) / sides).max())
        share = min(1.0, math.ceil(share * _STEPS) / _STEPS)
        size = max(1, round(share * frame.width)), max(1, round(share * frame.height))
        if self._frame is not frame or size[0] > self._size[0]:
            try:
                self._pixels = frame.image(*size)
            except ValueError as error:
                raise InvalidInput(str(error)) from error
            self._frame, self._size = frame, size
        return self._pixels


def _crop(picture: Image, box: NDArray[Any]) -> Frame:
    height, width = picture.shape[:2]
    left, top = min(max(int(box[0]), 0), width - 1), min(max(int(box[1]), 0), height - 1)
    right, bottom = min(max(round(float(box[2])), left + 1), width), min(max(round(float(box[3])), top + 1), height)
    return _frame_of(picture[top:bottom, left:right])


def _frame_of(picture: Image) -> Frame:
    def render(width: int, height: int) -> Image:
        smaller = width * height < picture.shape[0] * picture.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)

    return Frame(index=0, time_s=0.0, width=picture.shape[1], height=picture.shape[0], render=render)


def _spec(picture: TensorInfo, metadata: Mapping[str, str], name: str) -> ModelSpec:
    layout: Layout = "nchw" if picture.shape[1] == 3 or picture.shape[3] != 3 else "nhwc"
    height, width = picture.shape[2:] if layout == "nchw" else picture.shape[1:3]
    try:
        written: dict[str, Any] = {
            key: _numbers(metadata[key]) for key in ("scale", "mean", "std") if key in metadata
        }
        if "colour" in metadata:
            written["colour"] = metadata["colour"].lower()
        return ModelSpec(
            decoder="embedding",
            labels=(),
            width=width or _USUAL[0],
            height=height or _USUAL[1],
            fit="stretch",
            layout=layout,
            **written,
        )
    except (UsageError, ValueError, TypeError) as error:
        raise ModelLoadFailed(f"{name}: its metadata cannot be used: {error}") from error


def _numbers(text: str) -> Any:
    """``0.5`` or ``(0.4, 0.5, 0.6)``.

    Raises:
        ValueError: it is neither.
    """
    try:
        value = ast.literal_eval(text)
        return float(value) if isinstance(value, int | float) else tuple(float(number) for number in value)
    except (ValueError, SyntaxError, TypeError):
        raise ValueError(f"{text!r} is no number and no list of numbers") from None


def appearance_for(path: str | Path, *, providers: Sequence[str] | None = None) -> ModelAppearance:
    """The embedding model of an ONNX file.

    Raises:
        ModelNotFound: there is no such file.
        ModelLoadFailed: it is no ONNX file, or no embedding model.
        UsageError: there is no such execution provider.
    """
    from camcount.engines.onnx import OnnxEngine

    engine = OnnxEngine(path, providers=providers)
    return ModelAppearance(engine, str(path), engine.metadata)
