"""One ONNX detector as TorchScript, exported program, SavedModel and LiteRT file, for tests.

Walks the ONNX graph and builds each node with PyTorch's or TensorFlow's own function. It knows the eleven operators
of the YOLOX family. ``python model_exports.py torch|tensorflow MODEL.onnx FOLDER`` writes the files.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Any], Attributes], Any]
Array = NDArray[Any]


class Graph:
    """An ONNX file's nodes, constants, and the one input and output that a detector here has."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load(str(path)).graph
        self.constants: dict[str, Array] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        entry = next(value for value in graph.input if value.name not in self.constants)
        self.input = entry.name
        self.shape = [side.dim_value for side in entry.type.tensor_type.shape.dim]
        self.output = graph.output[0].name
        self.nodes = [
            (node.op_type, list(node.input), node.output[0], {a.name: _value(a) for a in node.attribute})
            for node in graph.node
        ]

    def weights(self) -> dict[str, Array]:
        """The constants that are computed with; the others are sizes and positions."""
        operands = {name for kind, names, *_ in self.nodes if kind in ("Conv", "Add", "Mul") for name in names}
        return {name: array for name, array in self.constants.items() if name in operands}

    def walk(self, picture: Any, operators: Mapping[str, Operator], weights: Mapping[str, Any]) -> Any:
        """The output for one input, each node computed by the operator of its name.

        Args:
            picture: the input.
            operators: what computes each kind of node; sizes and positions come to it as numpy arrays.
            weights: the framework's own arrays in the place of `weights`.
        """
        values: dict[str, Any] = {**self.constants, **weights, self.input: picture, "": None}
        for kind, names, output, attributes in self.nodes:
            values[output] = operators[kind]([values[name] for name in names], attributes)
        return values[self.output]


def _value(attribute: Any) -> Any:
    found = onnx.helper.get_attribute_value(attribute)
    return found.decode() if isinstance(found, bytes) else found


def _slices(rank: int, given: Sequence[Any]) -> tuple[slice, ...]:
    """``Slice`` of opset 10 and later: data, starts, ends, axes, steps."""
    starts, ends, *rest = (value.tolist() for value in given[1:])
    axes = rest[0] if rest else list(range(len(starts)))
    steps = rest[1] if len(rest) > 1 else [1] * len(starts)
    cut = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(start, None if end > 2**31 - 2 else end, step)
    return tuple(cut)


def _scales(given: Sequence[Any]) -> tuple[int, int]:
    """``Resize`` of opset 11: data, region, scales."""
    down, across = given[2][2:].tolist()
    return int(down), int(across)


def torch_operators() -> dict[str, Operator]:
    """Every operator on PyTorch tensors, pictures as ``[N, C, H, W]``."""
    import torch
    from torch.nn import functional

    def conv(given: Sequence[Any], a: Attributes) -> Any:
        return functional.conv2d(
            given[0], given[1], given[2], a["strides"], a["pads"][:2], a["dilations"], a["group"]
        )

    def pool(given: Sequence[Any], a: Attributes) -> Any:
        return functional.max_pool2d(given[0], a["kernel_shape"], a["strides"], a["pads"][:2])

    def resize(given: Sequence[Any], _: Attributes) -> Any:
        return functional.interpolate(given[0], scale_factor=_scales(given), mode="nearest")

    return {
        "Conv": conv,
        "Sigmoid": lambda given, _: torch.sigmoid(given[0]),
        "Mul": lambda given, _: given[0] * given[1],
        "Add": lambda given, _: given[0] + given[1],
        "Concat": lambda given, a: torch.cat(list(given), a["axis"]),
        "Slice": lambda given, _: given[0][_slices(4, given)],
        "MaxPool": pool,
        "Resize": resize,
        "Reshape": lambda given, _: given[0].reshape(given[1].tolist()),
        "Transpose": lambda given, a: given[0].permute(a["perm"]),
    }


def tensorflow_operators() -> dict[str, Operator]:
    """Every operator on TensorFlow tensors, pictures as ``[N, H, W, C]``: its processor kernels know no other."""
    import tensorflow as tf

    order = (0, 2, 3, 1)
    """Where each axis of ``[N, H, W, C]`` is in ``[N, C, H, W]``."""

    def conv(given: Sequence[Any], a: Attributes) -> Any:
        picture, weight, bias = given
        top, left = a["pads"][:2]
        strides = [1, *a["strides"], 1]
        if a["group"] == 1:
            pads = [[0, 0], [top, top], [left, left], [0, 0]]
            found = tf.nn.conv2d(picture, tf.transpose(weight, (2, 3, 1, 0)), strides, pads)
        else:
            padded = tf.pad(picture, [[0, 0], [top, top], [left, left], [0, 0]])
            found = tf.nn.depthwise_conv2d(padded, tf.transpose(weight, (2, 3, 0, 1)), strides, "VALID")
        return found + bias

    def resize(given: Sequence[Any], _: Attributes) -> Any:
        down, across = _scales(given)
        return tf.repeat(tf.repeat(given[0], down, axis=1), across, axis=2)

    def reshape(given: Sequence[Any], _: Attributes) -> Any:
        return tf.reshape(tf.transpose(given[0], (0, 3, 1, 2)), given[1])

    def cut(given: Sequence[Any], _: Attributes) -> Any:
        slices = _slices(4, given)
        return given[0][tuple(slices[axis] for axis in order)]

    def concat(given: Sequence[Any], a: Attributes) -> Any:
        return tf.concat(list(given), order.index(a["axis"]) if len(given[0].shape) == 4 else a["axis"])

    return {
        "Conv": conv,
        "Sigmoid": lambda given, _: tf.sigmoid(given[0]),
        "Mul": lambda given, _: given[0] * given[1],
        "Add": lambda given, _: given[0] + given[1],
        "Concat": concat,
        "Slice": cut,
        "MaxPool": lambda given, a: tf.nn.max_pool2d(given[0], a["kernel_shape"], a["strides"], "SAME"),
        "Resize": resize,
        "Reshape": reshape,
        "Transpose": lambda given, a: tf.transpose(given[0], a["perm"]),
    }


def torch_module(graph: Graph, operators: Mapping[str, Operator]) -> Any:
    """The graph as PyTorch's own module, its weights as buffers, so that they move with it."""
    import torch

    class Detector(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names = {name: f"weight_{number}" for number, name in enumerate(graph.weights())}
            for name, array in graph.weights().items():
                self.register_buffer(self.names[name], torch.tensor(array))

        def forward(self, images: torch.Tensor) -> Any:
            weights = {name: getattr(self, attribute) for name, attribute in self.names.items()}
            return graph.walk(images, operators, weights)

    return Detector().eval()


def export_torch(path: Path, folder: Path) -> None:
    """``detector.pt`` (TorchScript) and ``detector.pt2`` (exported program)."""
    import torch

    graph = Graph(path)
    module, example = torch_module(graph, torch_operators()), (torch.zeros(graph.shape),)
    torch.export.save(torch.export.export(module, example), folder / "detector.pt2")
    traced = torch.jit.trace(module, example)  # type: ignore[no-untyped-call]
    torch.jit.save(traced, folder / "detector.pt")


def export_tensorflow(path: Path, folder: Path) -> None:
    """``detector`` (SavedModel) and ``detector.tflite``."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    graph, operators = Graph(path), tensorflow_operators()
    weights = {name: tf.constant(array) for name, array in graph.weights().items()}

    class Detector(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec(graph.shape, tf.float32, "images")])  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            found = graph.walk(tf.transpose(images, (0, 2, 3, 1)), operators, weights)
            return {"output": tf.identity(found, "output")}

    tf.saved_model.save(Detector(), str(folder / "detector"))
    converted = tf.lite.TFLiteConverter.from_saved_model(str(folder / "detector")).convert()
    (folder / "detector.tflite").write_bytes(converted)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    target, source, into = sys.argv[1:]
    {"torch": export_torch, "tensorflow": export_tensorflow}[target](Path(source), Path(into))
