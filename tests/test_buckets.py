"""Which input size a picture goes through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.detection.buckets import BucketDetector, best_size
from camcount.detection.detector import ModelDetector
from camcount.detection.spec import Fit, ModelSpec
from camcount.frame import Frame
from camcount.protocols import TensorInfo
from camcount.video.pictures import frame_of

SIZES = [(416, 416), (416, 256), (416, 320), (256, 416)]


@pytest.mark.parametrize(
    ("width", "height", "fit", "size"),
    [
        (1920, 1080, "letterbox", (416, 256)),
        (640, 480, "letterbox", (416, 320)),
        (352, 288, "letterbox", (416, 416)),
        (1080, 1920, "letterbox-centred", (256, 416)),
        (500, 500, "letterbox", (416, 416)),
        (3000, 100, "letterbox", (416, 256)),
        (1280, 720, "stretch", (416, 256)),
        (640, 480, "stretch", (416, 320)),
        (352, 288, "stretch", (416, 320)),
        (720, 1280, "stretch", (256, 416)),
    ],
)
def test_the_size_follows_the_shape(width: int, height: int, fit: Fit, size: tuple[int, int]) -> None:
    """Letterboxed: nothing is shown smaller than in the main size. Stretched: the nearest shape."""
    assert best_size(SIZES, fit, width, height) == size


@given(st.integers(1, 5000), st.integers(1, 5000), st.permutations(SIZES[1:]))
def test_no_letterboxed_picture_is_shown_smaller(width: int, height: int, others: list[tuple[int, int]]) -> None:
    """Whatever the picture, and in whatever order the sizes come."""
    chosen = best_size([SIZES[0], *others], "letterbox", width, height)
    scales = [min(size[0] / width, size[1] / height) for size in (chosen, SIZES[0])]
    assert scales[0] >= scales[1] * 0.999999


class Sized:
    """An engine that finds one box over the whole input, and takes one input size."""

    concurrency = 2

    def __init__(self, width: int, height: int) -> None:
        self.inputs = {"x": TensorInfo("x", (1, 3, height, width), np.dtype(np.float32))}
        self.outputs = {"y": TensorInfo("y", (1, 1, 6), np.dtype(np.float32))}
        self.row = np.array([[[width / 2, height / 2, width, height, 0.9, width * height / 1e6]]], np.float32)
        self.runs = 0
        self.closed = False

    def run(self, feeds: object) -> list[np.ndarray]:
        self.runs += 1
        row = self.row.copy()
        row[..., 5] = 1
        return [row]

    def close(self) -> None:
        self.closed = True


def _frame(width: int, height: int) -> Frame:
    return frame_of(np.zeros((height, width, 3), np.uint8))


def test_each_frame_goes_through_its_size_and_comes_back_in_order() -> None:
    """A size is opened when its first picture comes; closing closes what was opened."""
    engines: dict[tuple[int, int], Sized] = {}

    def make(width: int, height: int) -> ModelDetector:
        engines[width, height] = Sized(width, height)
        spec = ModelSpec(decoder="yolov5", labels=("person",), width=width, height=height)
        return ModelDetector(engines[width, height], spec)  # type: ignore[arg-type]

    detector = BucketDetector(make(64, 64), {(64, 32): lambda: make(64, 32), (32, 64): lambda: make(32, 64)})
    wide, square = _frame(128, 64), _frame(80, 80)
    found = detector.detect([wide, square, wide, square])
    assert [box.xyxy[0].round().tolist() for box in found] == [[0, 0, 128, 64], [0, 0, 80, 80]] * 2
    assert {size: engine.runs for size, engine in engines.items()} == {(64, 64): 2, (64, 32): 2}
    assert detector.detect([]) == []
    detector.close()
    assert all(engine.closed for engine in engines.values())
    assert (detector.labels, detector.concurrency) == (("person",), 2)
