"""Frames to a model's input tensor, and boxes back into the frame."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from camcount.detection.candidates import Array, Floats
from camcount.detection.spec import ModelSpec
from camcount.errors import InvalidInput, PreprocessingFailed
from camcount.frame import Frame, Image


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in the model's input a frame's picture lies, in whole pixels, and how large the input is."""

    left: int
    top: int
    width: int
    height: int
    input_width: int
    input_height: int

    def to_frame(self, boxes: Floats, frame: Frame) -> Floats:
        """``(N, 4)`` boxes in pixels of the input to pixels of the frame, cut off at its edges."""
        scale_x, scale_y = frame.width / self.width, frame.height / self.height
        placed = boxes - np.array([self.left, self.top, self.left, self.top], np.float32)
        placed *= np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        np.maximum(placed, 0, out=placed)
        return np.minimum(placed, np.array([frame.width, frame.height] * 2, np.float32), out=placed)


def place(spec: ModelSpec, width: int, height: int) -> Placement:
    """How a picture of ``width`` by ``height`` pixels comes into the model's input."""
    full_width, full_height = spec.width, spec.height
    if spec.fit == "stretch":
        return Placement(0, 0, full_width, full_height, full_width, full_height)
    scale = min(full_width / width, full_height / height)
    if spec.fit == "inside":
        scale = min(scale, 1.0)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    if spec.fit == "inside":
        return Placement(0, 0, inner_width, inner_height, inner_width, inner_height)
    if spec.multiple is not None:
        full_width = min(full_width, -(-inner_width // spec.multiple) * spec.multiple)
        full_height = min(full_height, -(-inner_height // spec.multiple) * spec.multiple)
    left = top = 0
    if spec.fit == "letterbox-centred":
        left, top = (full_width - inner_width) // 2, (full_height - inner_height) // 2
    return Placement(left, top, inner_width, inner_height, full_width, full_height)


class _Buffer:
    """The tensor that one thread fills again and again, its parts that hold pictures, and room for three planes."""

    def __init__(self, tensor: Array, placements: Sequence[Placement], layout: str) -> None:
        self.tensor = tensor
        self.placements = list(placements)
        nchw = np.moveaxis(tensor, 3, 1) if layout == "nhwc" else tensor
        self.insides = [
            nchw[row, :, at.top : at.top + at.height, at.left : at.left + at.width]
            for row, at in enumerate(placements)
        ]
        first = placements[0]
        self.planes: list[Image] = [np.empty((first.height, first.width), np.uint8) for _ in range(3)]


class Preprocessor:
    """Frames to tensors of a model's size, channel order, number range and dtype.

    A frame is asked for its picture at the very size it has inside the letterbox, so that nothing is scaled twice.
    Each thread fills its own buffer: a tensor is valid until the same thread asks for the next one.
    """

    def __init__(self, spec: ModelSpec, dtype: np.dtype[Any]) -> None:
        self._spec = spec
        self._dtype = dtype
        order = slice(None) if spec.colour == "bgr" else slice(None, None, -1)
        self._order = order
        std = np.array(spec.std, np.float32)
        self._gain = np.float32(spec.scale) / std
        self._bias = -np.array(spec.mean, np.float32) / std
        self._unchanged = bool((self._gain == 1).all() and (self._bias == 0).all())
        self._local = threading.local()

    def tensor(self, frames: Sequence[Frame]) -> tuple[Array, list[Placement]]:
        """``[B, 3, H, W]`` or ``[B, H, W, 3]`` and where each frame lies in it.

        The frames of one call must come to one input size.

        Raises:
            InvalidInput: a frame has no picture.
            PreprocessingFailed: a frame's picture is not what it was asked for.
        """
        placements = [place(self._spec, frame.width, frame.height) for frame in frames]
        buffer = self._buffer(placements)
        for row, (frame, at) in enumerate(zip(frames, placements, strict=True)):
            self._fill(buffer, row, _picture(frame, at))
        return buffer.tensor, placements

    def _buffer(self, placements: list[Placement]) -> _Buffer:
        buffer: _Buffer | None = getattr(self._local, "buffer", None)
        if buffer is None or buffer.placements != placements:
            self._local.buffer = buffer = self._new_buffer(placements)
        return buffer

    def _new_buffer(self, placements: list[Placement]) -> _Buffer:
        at = placements[0]
        pad = (self._spec.pad * self._gain + self._bias).astype(self._dtype)
        tensor: Array
        if self._spec.layout == "nhwc":
            tensor = np.empty((len(placements), at.input_height, at.input_width, 3), self._dtype)
            tensor[:] = pad
        else:
            tensor = np.empty((len(placements), 3, at.input_height, at.input_width), self._dtype)
            tensor[:] = pad[:, None, None]
        return _Buffer(tensor, placements, self._spec.layout)

    def _fill(self, buffer: _Buffer, row: int, picture: Image) -> None:
        inside = buffer.insides[row]
        if self._unchanged and self._spec.layout == "nhwc":
            inside[:] = picture[:, :, self._order].transpose(2, 0, 1)
            return
        # three planes first: converting contiguous bytes is three times as fast as every third one
        planes = cv2.split(picture, buffer.planes)[self._order]
        for channel, plane in enumerate(planes):
            self._convert(plane, inside[channel], channel)

    def _convert(self, plane: NDArray[Any], target: Array, channel: int) -> None:
        if self._unchanged:
            np.copyto(target, plane, casting="unsafe")
            return
        np.multiply(plane, self._gain[channel], out=target, casting="unsafe")
        if self._bias[channel]:
            np.add(target, self._bias[channel], out=target, casting="unsafe")


def _picture(frame: Frame, at: Placement) -> Image:
    try:
        picture = frame.image(at.width, at.height)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    if picture.shape != (at.height, at.width, 3) or picture.dtype != np.uint8:
        raise PreprocessingFailed(
            f"frame {frame.index} gave a picture of {picture.dtype} {picture.shape} "
            f"when asked for uint8 {(at.height, at.width, 3)}"
        )
    return picture
