"""Narrower class branches: what tells six classes apart needs fewer channels than what tells eighty apart.

Channels are left out one after the other, each time the one whose loss is least, and the layer behind them is fitted
anew by least squares to what it gave before, on sample pictures (He et al., Channel Pruning for Accelerating Very
Deep Neural Networks, arXiv:1707.06168).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.detection.buckets import best_size
from camcount.detection.preprocess import Placement, Preprocessor
from camcount.detection.spec import ModelSpec
from camcount.detections import Detections
from camcount.engines.onnx import OnnxEngine
from camcount.frame import Frame
from camcount.models.manifest import Size
from camcount.models.prepare_graph import Graph
from camcount.models.prepare_nodes import CannotChange

Floats = NDArray[np.float64]

_BLOCK = 16
"""Runtimes keep channels in blocks of so many."""
_FEWEST_PER_CLASS = 4
_ELSEWHERE = 0.02
"""How much a place outside all boxes counts, beside one inside: scores matter where objects are."""
RIDGE = 1e-6
"""Share of the mean variance that is added to each input, so that inputs that are alike do no harm."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A 1x1 convolution and where its input channels come from.

    Attributes:
        consumer: the convolution.
        producer: the convolution whose outputs, through activations and ``between``, are the consumer's inputs.
        between: depthwise convolutions on the way, the last one first.
    """

    consumer: Any
    producer: Any
    between: tuple[Any, ...]


@dataclass(slots=True)
class Moments:
    """Sums over places for one consumer: ``inputs`` ``(C + 1, C + 1)``, ``both`` ``(C + 1, O)``; at the end 1."""

    inputs: Floats
    both: Floats


Measured = dict[tuple[int, int], Moments]
"""By branch and stage, the moments over all pictures."""


def narrow(
    files: Mapping[Size, bytes], classes: int, measured: Measured, share: float
) -> tuple[dict[Size, bytes], int]:
    """Leaves channels of the class branches out of a model's files.

    Args:
        files: by input size; all of one model.
        classes: how many are left.
        measured: of these files, see `measure`.
        share: of the channels, that stays.

    Returns:
        The changed files, and how many layers were made narrower.
    """
    changed: dict[Size, bytes] = {}
    layers = 0
    for size, content in files.items():
        graph = Graph(content)
        pairs = list(_branches(graph, classes))
        layers = 0
        for number, reaches in enumerate(pairs):
            layers += _narrowed(graph, reaches, [measured[number, stage] for stage in range(len(reaches))], share)
        graph.drop_untrue_shapes()
        changed[size] = graph.content
    return changed, layers


def _branches(graph: Graph, classes: int) -> Iterator[list[Reach]]:
    """For each class head, its own reach and that of the convolution before it, as far as each can be narrowed."""
    for head, _ in graph.class_heads(classes):
        outputs, width = graph.constant(head.input[1]).shape[:2]
        if outputs != classes or _FEWEST_PER_CLASS * classes > width or (reach := reach_of(graph, head)) is None:
            continue
        before = reach_of(graph, reach.producer)
        yield [reach] if before is None else [reach, before]


def reach_of(graph: Graph, conv: Any) -> Reach | None:
    """Where a 1x1 convolution's inputs come from, if nothing else uses them on the way and they are many."""
    weights = graph.constant(conv.input[1])
    if weights.shape[2:] != (1, 1) or not _plain(graph, conv) or len(conv.input) != 3:
        return None
    if weights.shape[1] < 2 * _BLOCK:
        return None
    makers, users = graph.makers(), graph.users()
    between: list[Any] = []
    name = conv.input[0]
    while (made := _before_activation(graph, makers, users, name)) is not None and len(made.input) == 3:
        width, each = graph.constant(made.input[1]).shape[:2]
        group = graph.attributes(made).get("group", 1)
        if group == 1:
            return Reach(conv, made, tuple(between))
        if group != width or each != 1:
            return None
        between.append(made)
        name = made.input[0]
    return None


def _plain(graph: Graph, conv: Any) -> bool:
    given = graph.attributes(conv)
    return given.get("group", 1) == 1 and set(given.get("strides", [1])) == {1} and not any(given.get("pads", ()))


def _before_activation(graph: Graph, makers: Mapping[str, Any], users: Mapping[str, Any], name: str) -> Any | None:
    """The convolution whose activation a value is, if neither goes anywhere else."""
    node = makers.get(name)
    if node is None or len(users.get(name, ())) != 1:
        return None
    value, uses = node.input[0], 1
    if node.op_type == "Mul":  # x * sigmoid(x)
        gates = {gate.input[0] for entry in node.input if (gate := makers.get(entry)) and gate.op_type == "Sigmoid"}
        value, uses = next((entry for entry in node.input if entry in gates), ""), 2
    elif node.op_type not in ("Relu", "LeakyRelu", "HardSwish"):
        return None
    conv = makers.get(value)
    if conv is None or conv.op_type != "Conv" or len(users[value]) != uses:
        return None
    return conv if graph.is_constant(conv.input[1]) else None


def measure(
    files: Mapping[Size, bytes], spec: ModelSpec, frames: Sequence[Frame], found: Sequence[Detections]
) -> Measured:
    """What `narrow` fits to.

    Args:
        files: by input size; all of one model.
        spec: of the main size, with the labels that are left.
        frames: sample pictures.
        found: what the model sees in them.

    Raises:
        CannotChange: there is no class branch that could be narrower.
    """
    if not list(_branches(Graph(next(iter(files.values()))), len(spec.labels))):
        raise CannotChange("it has no class branch of its own that is wide for so few classes")
    watched = {size: _Watched(content, spec, size) for size, content in files.items()}
    moments: Measured = {}
    for frame, boxes in zip(frames, found, strict=True):
        size = best_size(list(files), spec.fit, frame.width, frame.height)
        for key, inputs, both in watched[size].moments(frame, boxes.xyxy):
            if key in moments:
                moments[key].inputs += inputs
                moments[key].both += both
            else:
                moments[key] = Moments(inputs, both)
    return moments


class _Watched:
    """A file that also gives what goes in and out of the layers to be fitted."""

    def __init__(self, content: bytes, spec: ModelSpec, size: Size) -> None:
        graph = Graph(content)
        self._taps: dict[tuple[int, int], tuple[str, str]] = {}
        for number, reaches in enumerate(_branches(graph, len(spec.labels))):
            for stage, reach in enumerate(reaches):
                self._taps[number, stage] = reach.consumer.input[0], reach.consumer.output[0]
        graph.also_give([name for pair in self._taps.values() for name in pair])
        self._engine = OnnxEngine(graph.content)
        self._input = next(iter(self._engine.inputs.values()))
        self._size = size
        self._preprocess = Preprocessor(replace(spec, width=size[0], height=size[1]), self._input.dtype)

    def moments(self, frame: Frame, boxes: NDArray[Any]) -> Iterator[tuple[tuple[int, int], Floats, Floats]]:
        tensor, placements = self._preprocess.tensor([frame])
        outputs = dict(zip(self._engine.outputs, self._engine.run({self._input.name: tensor}), strict=True))
        for key, (before, after) in self._taps.items():
            going_in, coming_out = outputs[before][0], outputs[after][0]
            weight = place_weights(going_in.shape[1:], self._size, placements[0], frame, boxes).reshape(-1, 1)
            x = going_in.reshape(len(going_in), -1).T.astype(np.float64)
            x = np.hstack([x, np.ones((len(x), 1))])
            y = coming_out.reshape(len(coming_out), -1).T.astype(np.float64)
            yield key, x.T @ (weight * x), x.T @ (weight * y)


def place_weights(
    cells: tuple[int, ...], size: Size, at: Placement, frame: Frame, boxes: NDArray[Any]
) -> NDArray[np.float64]:
    """How much each of ``cells`` (rows, columns) of a layer counts in a fit: ``(rows, columns)``.

    Args:
        cells: into how many rows and columns the input is divided.
        size: of the input, in pixels.
        at: where the picture lies in it.
        frame: the picture.
        boxes: ``(N, 4)`` of the objects, in pixels of the frame.
    """
    rows, columns = cells
    x = ((np.arange(columns) + 0.5) * size[0] / columns - at.left) * frame.width / at.width
    y = ((np.arange(rows) + 0.5) * size[1] / rows - at.top) * frame.height / at.height
    weights = np.full((rows, columns), _ELSEWHERE)
    for left, top, right, bottom in boxes:
        weights[np.ix_((y >= top) & (y <= bottom), (x >= left) & (x <= right))] = 1
    return weights


def chosen(moments: Moments, keep: int) -> tuple[list[int], Floats]:
    """Which input channels to keep, and the weights ``(keep + 1, O)`` that then come nearest, the offsets last."""
    places = list(range(len(moments.inputs)))
    ridge = RIDGE * np.trace(moments.inputs) / len(places)
    while True:
        inverse = np.linalg.inv(moments.inputs[np.ix_(places, places)] + ridge * np.eye(len(places)))
        weights = inverse @ moments.both[places]
        if len(places) - 1 <= keep:
            return places[:-1], weights
        # what leaving a channel out adds to the squared error
        loss = (weights[:-1] ** 2).sum(axis=1) / np.diag(inverse)[:-1]
        places.pop(int(loss.argmin()))


def _narrowed(graph: Graph, reaches: Sequence[Reach], moments: Sequence[Moments], share: float) -> int:
    outputs: list[int] | None = None
    for reach, measured in zip(reaches, moments, strict=True):
        both = measured.both if outputs is None else measured.both[:, outputs]
        width = len(measured.inputs) - 1
        kept, weights = chosen(Moments(measured.inputs, both), math.ceil(width * share / _BLOCK) * _BLOCK)
        graph.set_weights(reach.consumer, weights[:-1].T[:, :, None, None], weights[-1])
        for node in (*reach.between, reach.producer):
            graph.set_weights(node, *(graph.constant(name)[kept] for name in node.input[1:]))
        for node in reach.between:
            graph.set_attributes(node, group=len(kept))
        outputs = kept
    return len(reaches)
