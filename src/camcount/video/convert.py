"""Decoded pictures to arrays: colour conversion and scaling in one step, only when somebody asks."""

from __future__ import annotations

import threading

import cv2
import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from camcount.frame import Image

# AREA is both the most accurate and the cheapest way down; ACCURATE_RND takes its bias from -0.5 to -0.2 of 255
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND
_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_KEPT = 8


class _Converters(threading.local):
    """The converters of one thread: setting one up costs as much as a small picture, so they are kept by size."""

    def __init__(self) -> None:
        self.by_size: dict[tuple[object, ...], VideoReformatter] = {}

    def of(self, size: tuple[object, ...]) -> VideoReformatter:
        converter = self.by_size.get(size)
        if converter is None:
            if len(self.by_size) >= _KEPT:
                self.by_size.clear()
            converter = self.by_size[size] = VideoReformatter()
        return converter


_converters = _Converters()


class DecodedPicture:
    """The `Render` of a decoded frame; ``rotation`` is the clockwise turn in degrees that makes it upright."""

    __slots__ = ("_frame", "_lock", "_rotation")

    def __init__(self, frame: VideoFrame, rotation: int = 0) -> None:
        self._frame = frame
        self._rotation = rotation
        self._lock = threading.Lock()

    def __call__(self, width: int, height: int) -> Image:
        turn = _TURNS.get(self._rotation)
        if turn is None or self._rotation == 180:
            picture = self._converted(width, height)
        else:
            picture = self._converted(height, width)
        return picture if turn is None else np.asarray(cv2.rotate(picture, turn), np.uint8)

    def _converted(self, width: int, height: int) -> Image:
        source = self._frame
        converter = _converters.of((source.width, source.height, source.format.name, width, height))
        # the conversion writes colour tags into the frame for as long as it runs
        with self._lock:
            # threads: 0 would be all cores, and those belong to the model
            made = converter.reformat(source, width, height, "bgr24", interpolation=_SCALING, threads=1)
        pixels = made.to_ndarray()
        # rows may be padded, and a raw picture of the right size comes back as it is
        if made is source or not pixels.flags.c_contiguous:
            return np.array(pixels, np.uint8, order="C")
        return np.asarray(pixels, np.uint8)


def clockwise(frame: VideoFrame) -> int:
    """The turn, 0, 90, 180 or 270 degrees clockwise, that the container asks for to show the frame upright."""
    return round(-frame.rotation / 90) % 4 * 90
