"""Pictures into tensors and boxes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from camcount.detection.preprocess import Preprocessor, place
from camcount.detection.spec import FITS, Fit, ModelSpec
from camcount.errors import InvalidInput, PreprocessingFailed, UsageError
from camcount.frame import Frame

FLOAT32 = np.dtype(np.float32)


def spec(**changes: Any) -> ModelSpec:
    given = {"decoder": "yolox", "labels": ("person",), "width": 64, "height": 48}
    return ModelSpec(**{**given, **changes})


def frame_of(picture: NDArray[np.uint8], index: int = 0) -> Frame:
    def render(width: int, height: int) -> NDArray[np.uint8]:
        return np.asarray(cv2.resize(picture, (width, height)), np.uint8)

    return Frame(index=index, time_s=0.0, width=picture.shape[1], height=picture.shape[0], render=render)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plain_tensor(picture: NDArray[np.uint8], asked: ModelSpec) -> NDArray[Any]:
    """The same tensor, step by step on whole arrays."""
    at = place(asked, picture.shape[1], picture.shape[0])
    canvas = np.full((asked.height, asked.width, 3), asked.pad, np.float64)
    canvas[at.top : at.top + at.height, at.left : at.left + at.width] = cv2.resize(picture, (at.width, at.height))
    if asked.colour == "rgb":
        canvas = canvas[:, :, ::-1]
    normal: NDArray[Any] = (canvas * asked.scale - np.array(asked.mean)) / np.array(asked.std)
    return (normal.transpose(2, 0, 1) if asked.layout == "nchw" else normal)[None]


IMAGENET = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("colour", ["bgr", "rgb"])
@pytest.mark.parametrize("fit", ["letterbox", "letterbox-centred", "stretch"])
@pytest.mark.parametrize("numbers", [{}, {"scale": 1 / 255}, IMAGENET], ids=["0-255", "0-1", "imagenet"])
@pytest.mark.parametrize("shape", [(30, 100), (90, 40)], ids=["wide", "tall"])
def test_tensor_equals_the_plain_way(
    layout: Any, colour: Any, fit: Any, numbers: dict[str, Any], shape: tuple[int, int]
) -> None:
    """Every fit, channel order, layout and normalisation gives what whole-array arithmetic gives."""
    asked = spec(layout=layout, colour=colour, fit=fit, **numbers)
    picture = noise(*shape)
    tensor, _ = Preprocessor(asked, FLOAT32).tensor([frame_of(picture)])
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor, plain_tensor(picture, asked), atol=2e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float16, 0.2), (np.uint8, 0)])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_other_number_types(dtype: Any, tolerance: float, layout: Any) -> None:
    """Half floats and bytes come out as such, with the same values."""
    asked = spec(layout=layout, colour="rgb")
    picture = noise(48, 50)
    tensor, _ = Preprocessor(asked, np.dtype(dtype)).tensor([frame_of(picture)])
    assert tensor.dtype == dtype
    np.testing.assert_allclose(tensor.astype(float), plain_tensor(picture, asked), atol=tolerance)


def test_frame_is_asked_for_the_size_inside_the_letterbox() -> None:
    """Nothing larger than what the model sees is ever converted."""
    asked: list[tuple[int, int]] = []

    def render(width: int, height: int) -> NDArray[np.uint8]:
        asked.append((width, height))
        return np.zeros((height, width, 3), np.uint8)

    Preprocessor(spec(), FLOAT32).tensor([Frame(index=0, time_s=0, width=1920, height=1080, render=render)])
    assert asked == [(64, 36)]


def test_buffer_used_again_keeps_no_trace_of_the_last_picture() -> None:
    """A tall picture after a wide one has clean padding where the wide one was."""
    asked = spec(fit="letterbox-centred")
    preprocess = Preprocessor(asked, FLOAT32)
    preprocess.tensor([frame_of(noise(20, 100))])
    tensor, _ = preprocess.tensor([frame_of(noise(100, 20, seed=1))])
    np.testing.assert_allclose(tensor, plain_tensor(noise(100, 20, seed=1), asked))


def test_batch_holds_each_picture_in_its_row() -> None:
    """Two frames of unlike shape share one tensor, each with its own placement."""
    asked = spec()
    pictures = [noise(20, 100), noise(100, 20, seed=1)]
    tensor, placements = Preprocessor(asked, FLOAT32).tensor([frame_of(picture) for picture in pictures])
    np.testing.assert_allclose(tensor, np.concatenate([plain_tensor(picture, asked) for picture in pictures]))
    assert [(at.width, at.height) for at in placements] == [(64, 13), (10, 48)]


def test_threads_do_not_share_a_buffer() -> None:
    """Four threads filling tensors at once each get their own picture."""
    preprocess = Preprocessor(spec(), FLOAT32)

    def shade(value: int) -> bool:
        picture = np.full((48, 64, 3), value, np.uint8)
        return all((preprocess.tensor([frame_of(picture)])[0] == value).all() for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(shade, range(8)))


@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from(FITS))
def test_corners_of_the_picture_come_back_to_the_corners_of_the_frame(width: int, height: int, fit: Fit) -> None:
    """Whatever the fit, the placed picture's own corners map to the frame's."""
    at = place(spec(fit=fit), width, height)
    assert at.left + at.width <= at.input_width
    assert at.top + at.height <= at.input_height
    inner = np.array([[at.left, at.top, at.left + at.width, at.top + at.height]], np.float32)
    frame = Frame(index=0, time_s=0, width=width, height=height)
    np.testing.assert_allclose(at.to_frame(inner, frame), [[0, 0, width, height]], rtol=1e-5)


def test_boxes_are_cut_off_at_the_frame() -> None:
    """A box that reaches into the padding ends at the frame's edge."""
    at = place(spec(fit="letterbox-centred"), 128, 48)
    frame = Frame(index=0, time_s=0, width=128, height=48)
    assert at.to_frame(np.array([[-9, -9, 99, 99]], np.float32), frame).tolist() == [[0, 0, 128, 48]]


@pytest.mark.parametrize(
    ("fit", "size", "expected"),
    [
        ("letterbox", (640, 360), (0, 0, 64, 36, 64, 48)),
        ("letterbox", (640, 100), (0, 0, 64, 10, 64, 16)),
        ("letterbox", (100, 640), (0, 0, 8, 48, 16, 48)),
        ("letterbox-centred", (640, 100), (0, 3, 64, 10, 64, 16)),
        ("stretch", (640, 100), (0, 0, 64, 48, 64, 48)),
    ],
)
def test_padding_beyond_the_next_multiple_is_left_out(
    fit: Fit, size: tuple[int, int], expected: tuple[int, ...]
) -> None:
    """With a multiple of 16 the input is as large as the picture needs, and never larger than the full one."""
    at = place(spec(fit=fit, multiple=16), *size)
    assert (at.left, at.top, at.width, at.height, at.input_width, at.input_height) == expected


def test_inside_never_enlarges() -> None:
    """A picture smaller than the model's limit goes in as it is."""
    at = place(spec(fit="inside"), 20, 10)
    assert (at.width, at.height, at.input_width, at.input_height) == (20, 10, 20, 10)


def test_frame_without_a_picture() -> None:
    """Given detections instead of video cannot be looked at, and the message says so."""
    with pytest.raises(InvalidInput, match="frame 7 has no picture"):
        Preprocessor(spec(), FLOAT32).tensor([Frame(index=7, time_s=0, width=10, height=10)])


def test_frame_that_gives_another_size_than_asked() -> None:
    """A source that breaks its promise is named, not stretched over."""
    odd = Frame(index=3, time_s=0, width=64, height=48, render=lambda w, h: np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(PreprocessingFailed, match=r"frame 3 .* \(5, 5, 3\)"):
        Preprocessor(spec(), FLOAT32).tensor([odd])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"width": 0}, "input size"),
        ({"fit": "crop"}, "unknown fit"),
        ({"colour": "yuv"}, "colour order"),
        ({"std": (1.0, 0.0, 1.0)}, "std"),
        ({"mean": (1.0,)}, "mean"),
        ({"confidence": 1.5}, "confidence"),
        ({"nms_iou": 0.0}, "NMS"),
        ({"multiple": 0}, "multiple"),
    ],
)
def test_spec_refuses_what_cannot_be(changes: dict[str, Any], word: str) -> None:
    """A number out of range is refused by name when the spec is made."""
    with pytest.raises(UsageError, match=word):
        spec(**changes)
