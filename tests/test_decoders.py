"""Decoders: known boxes written the way each family writes them, and read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from camcount.detection.candidates import Candidates, rows_above, sigmoid
from camcount.detection.decoders import DECODERS, decoder_named
from camcount.detection.distributions import distances
from camcount.detection.families import MATCHERS, PICTURES
from camcount.detection.grids import cell_count, cells
from camcount.detection.lists import corners
from camcount.detection.spec import ModelSpec
from camcount.errors import UsageError

Array = NDArray[Any]
SIDE = 320
CLASSES = 6
BOXES = np.array([[40, 60, 90, 200], [150, 30, 250, 80], [10, 200, 30, 230]], np.float32)
SCORES = np.array([0.9, 0.55, 0.3], np.float32)
LABELS = np.array([0, 5, 2])
CENTRES = (BOXES[:, :2] + BOXES[:, 2:]) / 2
SIZES = BOXES[:, 2:] - BOXES[:, :2]


def spec(decoder: str, **parameters: Any) -> ModelSpec:
    labels = tuple(f"class {number}" for number in range(CLASSES))
    return ModelSpec(decoder=decoder, labels=labels, width=SIDE, height=SIDE, parameters=parameters)


def one_hot(scores: Array = SCORES) -> Array:
    """``(3, C)``: each box's score at its class, a little everywhere else."""
    table = np.full((3, CLASSES), 0.02, np.float32)
    table[np.arange(3), LABELS] = scores
    return table


def cell_rows(strides: tuple[int, ...]) -> tuple[Array, Array, int]:
    """For each box the row, corner and stride of the cell of the middle level that holds its centre."""
    first = cell_count(SIDE, SIDE, strides[:1])
    stride = strides[1]
    columns = (CENTRES // stride).astype(int)
    return first + columns[:, 1] * (SIDE // stride) + columns[:, 0], columns.astype(np.float32), stride


def yolox_outputs() -> list[Array]:
    raw = np.zeros((1, cell_count(SIDE, SIDE, (8, 16, 32)), 5 + CLASSES), np.float32)
    rows, columns, stride = cell_rows((8, 16, 32))
    objectness = np.array([0.95, 0.8, 0.6], np.float32)
    raw[0, rows, :2] = CENTRES / stride - columns
    raw[0, rows, 2:4] = np.log(SIZES / stride)
    raw[0, rows, 4] = objectness
    raw[0, rows, 5:] = one_hot(SCORES / objectness)
    return [raw]


def yolov5_outputs() -> list[Array]:
    raw = np.zeros((1, 3 * cell_count(SIDE, SIDE, (8, 16, 32)), 5 + CLASSES), np.float32)
    objectness = np.array([0.95, 0.8, 0.6], np.float32)
    raw[0, [5, 700, 6000]] = np.hstack(
        [CENTRES, SIZES, objectness[:, None], one_hot(SCORES / objectness[:, None][:, 0])]
    )
    return [raw]


def yolov8_outputs() -> list[Array]:
    raw = np.zeros((1, 4 + CLASSES, cell_count(SIDE, SIDE, (8, 16, 32))), np.float32)
    raw[0, :, [5, 700, 2000]] = np.hstack([CENTRES, SIZES, one_hot()])
    return [raw]


def distribution_outputs(strides: tuple[int, ...], cell: float, pixel: float) -> list[Array]:
    """All class maps, then all distributions; each side's weight on the two bins around its distance."""
    counts = [cell_count(SIDE, SIDE, (stride,)) for stride in strides]
    n = sum(counts)
    scores, sides = np.full((n, CLASSES), 0.01, np.float32), np.zeros((n, 4, 8), np.float32)
    rows, columns, stride = cell_rows(strides)
    centres = (columns + cell) * stride + pixel
    reach = np.hstack([centres - BOXES[:, :2], BOXES[:, 2:] - centres]) / stride
    scores[rows] = one_hot()
    low = np.floor(reach).astype(int)
    for box, row in enumerate(rows):
        for side in range(4):
            part = reach[box, side] - low[box, side]
            weights = np.full(8, 1e-9)
            weights[low[box, side] : low[box, side] + 2] = [1 - part + 1e-9, part + 1e-9]
            sides[row, side] = np.log(weights)
    edges = np.cumsum(counts)[:-1]
    return [part[None] for part in np.split(scores, edges)] + [
        part.reshape(1, -1, 32) for part in np.split(sides, edges)
    ]


def fastestdet_outputs() -> list[Array]:
    grid = SIDE // 16
    raw = np.full((1, 5 + CLASSES, grid, grid), 0.01, np.float32)
    objectness = np.array([0.95, 0.8, 0.6], np.float32)
    for box, (x, y) in enumerate((CENTRES // 16).astype(int)):
        raw[0, 0, y, x] = objectness[box]
        raw[0, 1:3, y, x] = np.arctanh(CENTRES[box] / 16 - (x, y))
        share = SIZES[box] / SIDE
        raw[0, 3:5, y, x] = np.log(share / (1 - share))
        raw[0, 5 + LABELS[box], y, x] = (SCORES[box] / objectness[box] ** 0.6) ** 2.5
    return [raw]


def row_outputs(*columns: str, rows: int = 300) -> list[Array]:
    values = {
        "x1": BOXES[:, 0],
        "y1": BOXES[:, 1],
        "x2": BOXES[:, 2],
        "y2": BOXES[:, 3],
        "score": SCORES,
        "class": LABELS,
        "picture": np.zeros(3),
    }
    raw = np.zeros((1, rows, len(columns)), np.float32)
    raw[0, :3] = np.stack([values[name] for name in columns], axis=1)
    return [raw]


PLAIN = ("x1", "y1", "x2", "y2", "score", "class")
OPENVINO = ("picture", "class", "score", "x1", "y1", "x2", "y2")


def openvino_outputs() -> list[Array]:
    raw = row_outputs(*OPENVINO, rows=200)[0][None]
    raw[..., 3:] /= SIDE
    raw[0, 0, 3:] = [-1, 1, 0.99, 0, 0, 1, 1]
    return [raw]


def detr_logits(columns: int) -> Array:
    logits = np.full((1, 20, columns), -9, np.float32)
    logits[0, :3, :CLASSES] = np.log(one_hot() / (1 - one_hot()))
    return logits


def softmax_logits() -> Array:
    """Probabilities with a last class "nothing" that takes what is left."""
    probabilities = np.full((20, CLASSES + 1), 1e-6)
    probabilities[:, -1] = 1
    probabilities[:3, :-1] = one_hot() / 2
    probabilities[np.arange(3), LABELS] = SCORES
    probabilities[:3, -1] = 0
    probabilities[:3, -1] = np.maximum(1 - probabilities[:3].sum(axis=1), 1e-6)
    logits: Array = np.log(probabilities / probabilities.sum(axis=1, keepdims=True))
    return logits.astype(np.float32)[None]


def queries() -> Array:
    boxes = np.full((1, 20, 4), 0.5, np.float32)
    boxes[0, :3] = np.hstack([CENTRES, SIZES]) / SIDE
    return boxes


def per_class(background: bool) -> Array:
    nothing = np.full((1, 3, 1), 0.4, np.float32)
    return np.concatenate([nothing, one_hot()[None]], axis=2) if background else one_hot()[None]


CASES: dict[str, tuple[ModelSpec, Callable[[], list[Array]]]] = {
    "yolox": (spec("yolox"), yolox_outputs),
    "yolov5": (spec("yolov5"), yolov5_outputs),
    "yolov5 with masks": (
        spec("yolov5"),
        lambda: [np.pad(yolov5_outputs()[0], ((0, 0), (0, 0), (0, 32)), constant_values=9)],
    ),
    "yolov8": (spec("yolov8"), yolov8_outputs),
    "yolov8 turned": (spec("yolov8"), lambda: [yolov8_outputs()[0].transpose(0, 2, 1)]),
    "yolov8 with masks": (
        spec("yolov8"),
        lambda: [np.pad(yolov8_outputs()[0], ((0, 0), (0, 32), (0, 0)), constant_values=9)],
    ),
    "yolov8 in half floats": (spec("yolov8"), lambda: [yolov8_outputs()[0].astype(np.float16)]),
    "nanodet": (
        spec("nanodet", strides=(8, 16, 32), cell=0.5, pixel=-0.5),
        lambda: distribution_outputs((8, 16, 32), 0.5, -0.5),
    ),
    "nanodet-plus": (
        spec("nanodet-plus", strides=(8, 16, 32, 64), cell=0.0, pixel=0.0),
        lambda: [
            np.concatenate(
                [
                    np.concatenate(distribution_outputs((8, 16, 32, 64), 0, 0)[part], axis=1)
                    for part in (slice(4), slice(4, 8))
                ],
                axis=2,
            )
        ],
    ),
    "picodet": (
        spec("picodet", strides=(8, 16, 32, 64), cell=0.5, pixel=0.0),
        lambda: distribution_outputs((8, 16, 32, 64), 0.5, 0),
    ),
    "picodet by turns": (
        spec("picodet", strides=(8, 16, 32, 64), cell=0.5, pixel=0.0),
        lambda: [distribution_outputs((8, 16, 32, 64), 0.5, 0)[n] for n in (0, 4, 1, 5, 2, 6, 3, 7)],
    ),
    "fastestdet": (spec("fastestdet"), fastestdet_outputs),
    "end2end": (spec("end2end"), lambda: row_outputs(*PLAIN)),
    "end2end of YOLOv7": (
        spec("end2end", columns=("picture", "x1", "y1", "x2", "y2", "class", "score")),
        lambda: [row_outputs("picture", "x1", "y1", "x2", "y2", "class", "score", rows=3)[0][0]],
    ),
    "ssd-rows": (spec("ssd-rows", columns=OPENVINO, normalised=True), openvino_outputs),
    "ssd of TensorFlow": (
        spec("ssd", boxes=0, labels=1, scores=2, box="yxyx", normalised=True, first_class=1),
        lambda: [BOXES[None][:, :, [1, 0, 3, 2]] / SIDE, LABELS[None].astype(np.float32) + 1, SCORES[None]],
    ),
    "ssd of torchvision": (
        spec("ssd", boxes=0, labels=1, scores=2),
        lambda: [BOXES, LABELS.astype(np.int64), SCORES],
    ),
    "ssd with scores per class": (spec("ssd", labels=None), lambda: [BOXES[None], per_class(False)]),
    "ssd with a background": (
        spec("ssd", labels=None, background=True, first_class=1),
        lambda: [BOXES[None], per_class(True)],
    ),
    "ssd with corner and size": (
        spec("ssd", box="xywh", labels=None),
        lambda: [np.hstack([BOXES[:, :2], SIZES])[None], per_class(False)],
    ),
    "detr with sigmoid": (spec("detr"), lambda: [queries(), detr_logits(CLASSES)]),
    "detr with softmax": (
        spec("detr", boxes=1, scores=0, activation="softmax"),
        lambda: [softmax_logits(), queries()],
    ),
    "detr side by side": (
        spec("detr", boxes=0, scores=0, activation="none"),
        lambda: [np.concatenate([queries(), sigmoid(detr_logits(CLASSES))], axis=2)],
    ),
}


def decode(case: str, threshold: float = 0.1) -> Candidates:
    asked, outputs = CASES[case]
    return DECODERS[asked.decoder].build(asked)(outputs(), threshold)


@pytest.mark.parametrize("case", CASES)
def test_reads_back_the_boxes_that_were_written(case: str) -> None:
    """Each family's layout gives the very boxes, scores and classes that were encoded into it."""
    found = decode(case)
    order = np.argsort(-found.scores)
    half = case.endswith("half floats")
    np.testing.assert_allclose(found.boxes[order], BOXES, atol=0.2 if half else 2e-3)
    np.testing.assert_allclose(found.scores[order], SCORES, atol=1e-3)
    assert found.classes[order].tolist() == LABELS.tolist()
    assert found.boxes.dtype == found.scores.dtype == np.float32


@pytest.mark.parametrize("case", CASES)
def test_threshold_leaves_the_sure_boxes_only(case: str) -> None:
    """Raising the threshold drops the weak boxes, up to dropping all, and never changes the others."""
    assert np.sort(decode(case, 0.5).scores) == pytest.approx([0.55, 0.9], abs=1e-3)
    nothing = decode(case, 0.97)
    assert nothing.boxes.shape == (0, 4)
    assert len(nothing.scores) == len(nothing.classes) == 0


@pytest.mark.parametrize("case", ["yolox", "nanodet", "picodet"])
def test_output_for_another_input_size_is_refused(case: str) -> None:
    """Grid families notice that the rows do not belong to their input size."""
    asked, outputs = CASES[case]
    short = [output[:, :-1] for output in outputs()]
    with pytest.raises(ValueError, match="320x320 has"):
        DECODERS[asked.decoder].build(asked)(short, 0.1)


def test_every_decoder_is_tested_described_and_recognisable() -> None:
    """No decoder lacks a case here, a line for the list of models, a matcher or a picture format."""
    tested = {asked.decoder for asked, _ in CASES.values()}
    assert tested == set(DECODERS) == set(MATCHERS) == set(PICTURES)
    for name, kind in DECODERS.items():
        assert kind.name == name
        assert kind.purpose in kind.summary
        assert kind.source in kind.summary


def test_unknown_decoder_lists_those_there_are() -> None:
    """A misspelt decoder is refused with the choice there is."""
    with pytest.raises(UsageError, match=r"'yolo9'.*yolox.*detr"):
        decoder_named("yolo9")


def test_infinite_size_does_not_become_no_number() -> None:
    """A YOLOX log size far out of range gives a huge box, neither a warning nor a NaN."""
    (raw,) = yolox_outputs()
    raw[raw[..., 4] > 0, 2] = 500
    asked, _ = CASES["yolox"]
    assert np.isfinite(DECODERS["yolox"].build(asked)([raw], 0.1).boxes).all()


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.99))
def test_rows_above_are_those_whose_best_class_reaches_the_threshold(seed: int, threshold: float) -> None:
    """The quick search finds the rows that taking every maximum finds."""
    scores = np.random.default_rng(seed).random((40, 3), np.float32) ** 3
    assert rows_above(scores, threshold).tolist() == np.flatnonzero(scores.max(axis=1) >= threshold).tolist()


@given(st.integers(0, 2**32 - 1))
def test_distance_is_the_mean_bin(seed: int) -> None:
    """The expected distance agrees with the softmax written out."""
    logits = np.random.default_rng(seed).normal(0, 5, (3, 4 * 8)).astype(np.float32)
    weights = np.exp(logits.astype(float).reshape(3, 4, 8))
    expected = (weights * np.arange(8)).sum(axis=2) / weights.sum(axis=2)
    np.testing.assert_allclose(distances(logits), expected, atol=1e-4)


def test_cells_count_up_along_rows_from_the_finest_level() -> None:
    """Cells go left to right, then down, level by level, rounding the grid up."""
    where, strides = cells(20, 10, (8, 16))
    assert where.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1], [0, 0], [1, 0]]
    assert strides.ravel().tolist() == [8] * 6 + [16] * 2
    assert cell_count(20, 10, (8, 16)) == 8


def test_unknown_box_form_is_refused() -> None:
    """A manifest's typing error in the box form is named."""
    with pytest.raises(ValueError, match="'xyxz'"):
        corners(np.zeros((1, 4), np.float32), "xyxz")
