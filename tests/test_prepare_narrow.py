"""Class branches of half the width, fitted to sample pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.detection.recognise import recognise
from camcount.engines.onnx import OnnxEngine
from camcount.frame import Frame
from camcount.models.agreement import agreement, answers
from camcount.models.prepare_forms import convolve_before_stacking
from camcount.models.prepare_graph import Graph
from camcount.models.prepare_narrow import Moments, chosen, measure, narrow
from camcount.models.prepare_nodes import CannotChange, sides_of
from camcount.models.prepare_steps import Draft, in_cheaper_form, keep_labels
from camcount.models.samples import samples

WANTED = ("person", "bicycle", "car", "motorcycle", "bus", "truck")


@pytest.fixture(scope="module")
def frames(data: Path) -> list[Frame]:
    """Twelve pictures of people in a street."""
    return samples([str(data / "videos" / "people-walking.mp4")], 12)


def _draft(data: Path, name: str = "yolox_nano_416x416") -> Draft:
    path = data / "weights" / f"{name}.onnx"
    spec = replace(recognise(OnnxEngine(path), name), multiple=None)
    return Draft(spec, {(spec.width, spec.height): path.read_bytes()})


def test_half_the_channels_find_nearly_the_same(data: Path, frames: Sequence[Frame]) -> None:
    """Fitted to every other picture, in the pictures between them."""
    draft, _ = keep_labels(_draft(data), WANTED)
    before = answers(draft.detector(), frames)
    files, layers = narrow(draft.files, len(WANTED), measure(draft.files, draft.spec, frames[::2], before[::2]), 0.5)
    found = agreement(before[1::2], answers(Draft(draft.spec, files).detector(), frames[1::2]), WANTED)
    assert (layers, found.plain_sure > 20, found.recall > 0.9, found.precision > 0.9) == (6, True, True, True)
    old, new = (Graph(content) for content in (draft.files[draft.main], files[draft.main]))
    heads = [[graph.constant(head.input[1]).shape[1] for head, _ in graph.class_heads(6)] for graph in (old, new)]
    assert heads == [[64] * 3, [32] * 3]


def test_shapes_said_before_are_kept_where_they_still_hold(data: Path, frames: Sequence[Frame]) -> None:
    """Runtimes add inside a convolution only where they know that the sides agree."""
    draft, _ = keep_labels(_draft(data), WANTED)
    draft, _ = in_cheaper_form(draft, convolve_before_stacking)
    before = answers(draft.detector(), frames[:2])
    graph = Graph(draft.files[draft.main])
    width = graph.graph.value_info.add()
    head, _ = next(graph.class_heads(len(WANTED)))
    width.CopyFrom(graph.graph.value_info[0])
    width.name = head.input[0]
    for side, size in zip(width.type.tensor_type.shape.dim, (1, 64, 52, 52), strict=True):
        side.dim_value = size
    said = {entry.name: sides_of(entry) for entry in graph.graph.value_info}
    files, _ = narrow(
        {draft.main: graph.content}, len(WANTED), measure(draft.files, draft.spec, frames[:2], before), 0.5
    )
    kept = {entry.name: sides_of(entry) for entry in Graph(files[draft.main]).graph.value_info}
    assert len(kept) == 4
    assert kept == {name: sides for name, sides in said.items() if name != head.input[0]}


def test_with_all_its_classes_a_model_keeps_its_width(data: Path, frames: Sequence[Frame]) -> None:
    """Eighty classes need their sixty-four channels; it is said and nothing changes."""
    draft = _draft(data)
    with pytest.raises(CannotChange, match="no class branch"):
        measure(draft.files, draft.spec, frames[:1], answers(draft.detector(), frames[:1]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 4))
def test_channels_that_say_nothing_new_go_first(seed: int, useful: int, outputs: int) -> None:
    """Where the others are noise that nothing depends on, just the useful ones stay, and the fit is exact."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, useful + 5))
    order = rng.permutation(useful + 5)
    weights = rng.uniform(0.5, 2, (useful, outputs))
    y = x[:, order[:useful]] @ weights + 3
    full = np.hstack([x, np.ones((400, 1))])
    kept, fitted = chosen(Moments(full.T @ full, full.T @ y), useful)
    assert sorted(kept) == sorted(order[:useful])
    np.testing.assert_allclose(full[:, [*kept, -1]] @ fitted, y, atol=1e-3)
