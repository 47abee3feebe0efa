"""Non-maximum suppression against a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from camcount.detection.nms import keep_best

NO_TIES = (0.3141593, 0.4714045, 0.6180340, 0.9310345)
"""Overlaps that no pair of small boxes with whole-numbered sides has exactly."""


def plain_nms(
    boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], max_iou: float, of_kind: float = 1.0
) -> list[int]:
    """The textbook: surest first, one box at a time, against every box kept so far; odd classes are of one kind."""

    def allowed(row: int, other: int) -> float:
        if classes[row] == classes[other]:
            return max_iou
        return of_kind if classes[row] % 2 and classes[other] % 2 else 1.0

    kept: list[int] = []
    for row in sorted(range(len(scores)), key=lambda row: -scores[row]):
        if all(iou(boxes[row], boxes[other]) <= allowed(row, other) for other in kept):
            kept.append(row)
    return kept


def iou(a: NDArray[Any], b: NDArray[Any]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return float(width * height / union) if union else 0.0


@st.composite
def crowds(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Boxes on a coarse grid, so that equal scores, equal boxes and boxes of no area all occur."""
    n = draw(st.integers(0, 200))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    span = draw(st.integers(5, 60))
    corner = random.integers(0, span, (n, 2))
    boxes = np.concatenate([corner, corner + random.integers(0, 20, (n, 2))], axis=1).astype(np.float32)
    scores = (random.integers(1, draw(st.integers(2, 1000)), n) / 1000).astype(np.float32)
    return boxes, scores, random.integers(0, draw(st.integers(1, 5)), n)


@settings(max_examples=150, deadline=None)
@given(crowds(), st.sampled_from(NO_TIES))
def test_gives_the_same_boxes_in_the_same_order_as_the_plain_loop(
    crowd: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], max_iou: float
) -> None:
    """Vectorised suppression keeps exactly the rows that the textbook loop keeps."""
    boxes, scores, classes = crowd
    assert keep_best(boxes, scores, classes, max_iou).tolist() == plain_nms(boxes, scores, classes, max_iou)


@settings(max_examples=100, deadline=None)
@given(crowds(), st.sampled_from(NO_TIES), st.sampled_from(NO_TIES))
def test_classes_of_one_kind_are_rivals_at_their_own_overlap(
    crowd: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], max_iou: float, of_kind: float
) -> None:
    """With kinds too the rows are those of the textbook loop."""
    boxes, scores, classes = crowd
    kinds = np.where(classes % 2, -1, classes)
    kept = keep_best(boxes, scores, classes, max_iou, kinds=kinds, max_iou_of_kind=of_kind)
    assert kept.tolist() == plain_nms(boxes, scores, classes, max_iou, of_kind)


@settings(max_examples=30, deadline=None)
@given(crowds(), st.integers(1, 40))
def test_limit_cuts_the_full_answer(crowd: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], limit: int) -> None:
    """A limit gives the first so many rows of the answer without it."""
    full = keep_best(*crowd, 0.5)
    assert keep_best(*crowd, 0.5, limit).tolist() == full[:limit].tolist()


def test_a_chain_keeps_every_other_box() -> None:
    """A box suppressed by a better one suppresses nothing itself, however long the chain."""
    left = np.arange(30, dtype=np.float32) * 4
    boxes = np.stack([left, np.zeros(30), left + 10, np.full(30, 10)], axis=1).astype(np.float32)
    scores = np.linspace(0.9, 0.1, 30).astype(np.float32)
    assert keep_best(boxes, scores, np.zeros(30, int), 0.3).tolist() == list(range(0, 30, 2))


def test_another_class_is_no_rival() -> None:
    """The same box under two classes stays twice."""
    boxes = np.array([[0, 0, 10, 10]] * 2, np.float32)
    assert keep_best(boxes, np.array([0.5, 0.6], np.float32), np.array([3, 4]), 0.5).tolist() == [1, 0]


@pytest.mark.parametrize("n", [0, 1])
def test_few_boxes_pass_through(n: int) -> None:
    """No box gives no rows, one box gives its row."""
    assert keep_best(np.zeros((n, 4), np.float32), np.ones(n, np.float32), np.zeros(n, int), 0.5).tolist() == [0] * n
