"""An ONNX file's nodes, constants and shapes, for the changes that preparation makes to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.errors import CamcountError, UsageError

Shape = tuple[int, ...]


class CannotChange(CamcountError):
    """The graph does not allow the change; the message is the reason."""

    code = "MODEL_003"


def require_onnx() -> Any:
    """The onnx package.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError('preparing models needs the onnx package: pip install "camcount[prepare]"') from None
    return onnx


class Nodes:
    """One ONNX model, to be read and changed node by node.

    Args:
        content: the bytes of an ``.onnx`` file.

    Attributes:
        graph: ONNX's own ``GraphProto``.

    Raises:
        CannotChange: it is no ONNX file.
        UsageError: the onnx package is not installed.
    """

    def __init__(self, content: bytes) -> None:
        self._onnx = require_onnx()
        try:
            self._model = self._onnx.load_model_from_string(content)
        except Exception as error:
            raise CannotChange(f"it is not an ONNX file that can be changed: {type(error).__name__}") from error
        self.graph = self._model.graph
        constants = {entry.name for entry in self.graph.initializer}
        inputs = [entry for entry in self.graph.input if entry.name not in constants]
        # old exporters list constants among the inputs, which keeps runtimes from folding them
        del self.graph.input[:]
        self.graph.input.extend(inputs)

    @property
    def content(self) -> bytes:
        """The model as it is now."""
        content: bytes = self._model.SerializeToString()
        return content

    @property
    def nodes(self) -> int:
        """How many operations it has."""
        return len(self.graph.node)

    def users(self) -> dict[str, list[Any]]:
        """By value, the nodes that it goes into."""
        users: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                users.setdefault(name, []).append(node)
        return users

    def makers(self) -> dict[str, Any]:
        """By value, the node that it comes from."""
        return {name: node for node in self.graph.node for name in node.output}

    def shapes(self) -> dict[str, Shape]:
        """By value, its sides, 0 where open.

        Raises:
            CannotChange: they do not fit together.
        """
        try:
            inferred = self._onnx.shape_inference.infer_shapes(self._model).graph
        except Exception as error:
            raise CannotChange(f"its shapes do not fit together: {type(error).__name__}") from error
        return {entry.name: sides_of(entry) for entry in (*inferred.input, *inferred.value_info, *inferred.output)}

    def attributes(self, node: Any) -> dict[str, Any]:
        """A node's attributes as plain values."""
        return {entry.name: self._onnx.helper.get_attribute_value(entry) for entry in node.attribute}

    def set_attributes(self, node: Any, **values: Any) -> None:
        """Gives a node some attributes, in place of what it had under their names."""
        for entry in [entry for entry in node.attribute if entry.name in values]:
            node.attribute.remove(entry)
        node.attribute.extend(self._onnx.helper.make_attribute(name, value) for name, value in values.items())

    def is_constant(self, name: str) -> bool:
        """Whether a value is written into the file."""
        return self._find(name) is not None

    def constant(self, name: str) -> NDArray[Any]:
        """A value that is."""
        found = self._find(name)
        assert found is not None
        values: NDArray[Any] = self._onnx.numpy_helper.to_array(found)
        return values

    def new_constant(self, old: str, values: NDArray[Any]) -> str:
        """Adds a constant beside an old one, which others may use, and drops the old one where nobody does."""
        taken = {entry.name for entry in self.graph.initializer}
        name = next(f"{old}.{n}" for n in range(len(taken) + 1) if f"{old}.{n}" not in taken)
        self.graph.initializer.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        if sum(old in node.input for node in self.graph.node) == 1:
            unused = [entry for entry in self.graph.initializer if entry.name == old]
            for entry in unused:
                self.graph.initializer.remove(entry)
        return name

    def set_weights(self, node: Any, weights: NDArray[Any], offsets: NDArray[Any]) -> None:
        """Gives a convolution other weights and offsets, in place of what it had."""
        for place, values in ((1, weights), (2, offsets)):
            node.input[place] = self.new_constant(node.input[place], values.astype(np.float32))

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Adds a node of one output; `tidy` brings it to its place."""
        node = self._onnx.helper.make_node(kind, list(inputs), [output], name=f"{output}/{kind}", **attributes)
        self.graph.node.append(node)

    def copy(self, node: Any, first: str, output: str) -> None:
        """Adds a node like another one, with another first input and another output."""
        twin = self.graph.node.add()
        twin.CopyFrom(node)
        twin.name, twin.input[0], twin.output[0] = f"{output}/{node.op_type}", first, output

    def state_shape(self, name: str, shape: Shape) -> None:
        """Writes a value's sides into the file where they are known, the first one as the input has it."""
        if 0 in shape[1:]:
            return
        entry = self._onnx.helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, list(shape))
        entry.type.tensor_type.shape.dim[0].CopyFrom(self.graph.input[0].type.tensor_type.shape.dim[0])
        self.graph.value_info.append(entry)

    def drop_untrue_shapes(self) -> None:
        """Drops from the file what it says of shapes that a change has made others."""
        stated = list(self.graph.value_info)
        del self.graph.value_info[:]
        shapes = self.shapes()
        for entry in stated:
            pairs = zip(shapes.get(entry.name, ()), sides_of(entry), strict=False)
            if all(now in (0, said) for now, said in pairs):
                self.graph.value_info.append(entry)

    def tidy(self) -> None:
        """Drops nodes and constants that lead nowhere, and puts all nodes behind those that they depend on."""
        nodes = self._needed([output.name for output in self.graph.output])
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        used = {name for node in nodes for name in (*node.input, *node.output)}
        for entries in (self.graph.initializer, self.graph.value_info):
            for entry in [entry for entry in entries if entry.name not in used]:
                entries.remove(entry)

    def _needed(self, names: Sequence[str]) -> list[Any]:
        """The nodes that ``names`` depend on, each behind its inputs; without recursion, because graphs are deep."""
        makers, kept = self.makers(), dict[str, Any]()
        waiting = [(makers[name], False) for name in reversed(names) if name in makers]
        while waiting:
            node, ready = waiting.pop()
            if node.output[0] in kept:
                continue
            if ready:
                kept[node.output[0]] = node
                continue
            waiting.append((node, True))
            waiting += [(makers[name], False) for name in reversed(node.input) if name in makers]
        return list(kept.values())

    def _find(self, name: str) -> Any | None:
        for entry in self.graph.initializer:
            if entry.name == name:
                return entry
        for node in self.graph.node:
            if node.op_type == "Constant" and node.output[0] == name:
                return next((a.t for a in node.attribute if a.name == "value"), None)
        return None


def sides_of(entry: Any) -> Shape:
    """The sides of a value, 0 where open."""
    return tuple(side.dim_value for side in entry.type.tensor_type.shape.dim)
