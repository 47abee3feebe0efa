"""A first layer that looks at fewer pixels, fitted to sample pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from camcount.detection.recognise import recognise
from camcount.detections import Detections
from camcount.engines.onnx import OnnxEngine
from camcount.frame import Frame
from camcount.models.agreement import agreement, answers
from camcount.models.prepare_forms import join_stem
from camcount.models.prepare_nodes import CannotChange, Nodes
from camcount.models.prepare_steps import Draft, in_cheaper_form
from camcount.models.prepare_trim import trim
from camcount.models.samples import samples

NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ("person",))


@pytest.fixture(scope="module")
def frames(data: Path) -> list[Frame]:
    """Twelve pictures of people in a street."""
    return samples([str(data / "videos" / "people-walking.mp4")], 12)


def _yolox(data: Path) -> Draft:
    path = data / "weights" / "yolox_nano_416x416.onnx"
    spec = replace(recognise(OnnxEngine(path), "yolox"), multiple=None)
    return Draft(spec, {(416, 416): path.read_bytes()})


def _layer(
    kernel: tuple[int, int], weights: np.ndarray, pads: Sequence[int] = (2, 2, 2, 2), kind: str = "Conv"
) -> bytes:
    """A file with nothing but a first layer of stride 2, for 64x48 pictures."""
    outputs = len(weights)
    constants = [
        numpy_helper.from_array(weights.astype(np.float32), "w"),
        numpy_helper.from_array(np.arange(outputs, dtype=np.float32), "b"),
    ]
    if kind == "Conv":
        given: dict[str, Any] = {"kernel_shape": kernel, "strides": [2, 2], "pads": pads}
        node = helper.make_node("Conv", ["images", "w", "b"], ["out"], **given)
    else:
        node = helper.make_node(kind, ["images"], ["out"])
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 48, 64])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        constants if kind == "Conv" else [],
    )
    opset = [helper.make_opsetid("", 13)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return content


def _run(content: bytes, picture: np.ndarray) -> np.ndarray:
    result: np.ndarray = OnnxEngine(content).run({"images": picture})[0]
    return result


@pytest.mark.parametrize("side", ["first row", "last row", "first column", "last column"])
def test_what_tells_nothing_is_left_out_and_no_number_changes(data: Path, frames: Sequence[Frame], side: str) -> None:
    """Of a layer whose weights are zero on one side, in places at the edges of the picture too."""
    weights = np.random.default_rng(1).normal(size=(4, 3, 6, 6))
    axis, place = {"row": 2, "column": 3}[side.split()[1]], 0 if side.startswith("first") else -1
    np.moveaxis(weights, axis, 0)[place] = 0
    before = _layer((6, 6), weights)
    spec = replace(_yolox(data).spec, width=64, height=48)
    files, detail = trim({(64, 48): before}, spec, frames[:3], [NOTHING] * 3)
    assert detail.startswith(f"without its {side}, which tells 0.0%")
    nodes = Nodes(files[64, 48])
    assert sorted(nodes.attributes(nodes.graph.node[0])["kernel_shape"]) == [5, 6]
    picture = np.random.default_rng(2).uniform(0, 255, (1, 3, 48, 64)).astype(np.float32)
    assert _run(files[64, 48], picture).shape == (1, 4, 24, 32)
    np.testing.assert_allclose(_run(files[64, 48], picture), _run(before, picture), rtol=1e-2, atol=2)


def test_the_layer_gives_nearly_what_it_gave(data: Path, frames: Sequence[Frame]) -> None:
    """YOLOX's, without the row that tells least, in pictures that it was not fitted to."""
    draft, _ = in_cheaper_form(_yolox(data), join_stem)
    before = answers(draft.detector(), frames)
    files, detail = trim(draft.files, draft.spec, frames[::2], before[::2])
    assert "last row" in detail
    nodes = Nodes(files[416, 416])
    assert nodes.constant(nodes.graph.node[0].input[1]).shape == (16, 3, 5, 6)
    found = agreement(before[1::2], answers(Draft(draft.spec, files).detector(), frames[1::2]), draft.spec.labels)
    assert (found.plain_sure > 20, found.recall > 0.9, found.precision > 0.9) == (True, True, True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_layer((3, 3), np.ones((4, 3, 3, 3)), (1, 1, 1, 1)), "it looks at 3x3 at a time"),
        (
            _layer((6, 6), np.ones((4, 3, 6, 6)), (0, 0, 0, 0)),
            r"no pixels to spare: it looks at 6x6 at a time, with pads \[0, 0, 0, 0\]",
        ),
        (_layer((1, 1), np.ones((4, 3, 1, 1)), kind="Relu"), "no convolution"),
    ],
    ids=["small", "not padded", "other"],
)
def test_what_has_no_pixels_to_spare_says_why(
    data: Path, frames: Sequence[Frame], content: bytes, reason: str
) -> None:
    """The step is then reported as not possible."""
    spec = replace(_yolox(data).spec, width=64, height=48)
    with pytest.raises(CannotChange, match=reason):
        trim({(64, 48): content}, spec, frames[:1], [NOTHING])
