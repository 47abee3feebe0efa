"""Changes to ONNX graphs: a free batch axis, another input size, fewer classes.

Exporters write the sizes that a model was exported with into the targets of its Reshape nodes. They are derived anew
here from what each target says of its input: which of the target's sides are sides of the input, which are products
and which are parts of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from camcount.models.prepare_nodes import CannotChange, Nodes, Shape, sides_of

_THROUGH = {"Sigmoid", "Concat", "Reshape", "Transpose", "Identity", "Cast", "Flatten", "Mul", "Split", "Slice"}
"""What may lie between a class head and the outputs: nothing that mixes one class with another."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Sides ``first`` to ``last`` of an input that together become sides of a Reshape's target."""

    first: int
    last: int
    target: Shape

    def after(self, sides: Sequence[int]) -> Shape:
        """What the group becomes where the input has other sides."""
        size = math.prod(sides[self.first : self.last])
        if len(self.target) == 1:
            return (size,)
        if size != math.prod(self.target):
            raise CannotChange(f"a Reshape splits {math.prod(self.target)} into {list(self.target)} and gets {size}")
        return self.target


def groups(before: Sequence[int], after: Sequence[int]) -> list[_Group]:
    """How the sides of a Reshape's input become those of its output: the shortest runs of equal products.

    >>> [(g.first, g.last, g.target) for g in groups((1, 6, 4, 4), (1, 2, 3, 16))]
    [(0, 1, (1,)), (1, 2, (2, 3)), (2, 4, (16,))]
    """
    found = []
    i = j = 0
    while i < len(before) and j < len(after):
        first, start = i, j
        left, right = before[i], after[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right and i < len(before):
                left, i = left * before[i], i + 1
            elif left > right and j < len(after):
                right, j = right * after[j], j + 1
            else:
                raise CannotChange(f"a Reshape from {list(before)} to {list(after)} is not understood")
        found.append(_Group(first, i, tuple(after[start:j])))
    if any(side != 1 for side in (*before[i:], *after[j:])):
        raise CannotChange(f"a Reshape from {list(before)} to {list(after)} is not understood")
    if found and j < len(after):
        found[-1] = _Group(found[-1].first, found[-1].last, (*found[-1].target, *after[j:]))
    return found


class Graph(Nodes):
    """One ONNX model that is being changed.

    Args:
        content: the bytes of an ``.onnx`` file.

    Raises:
        CannotChange: its input's size or the shapes inside are not known.
        UsageError: the onnx package is not installed.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        inputs = self.graph.input
        if len(inputs) != 1 or len(sides_of(inputs[0])) != 4 or 0 in sides_of(inputs[0])[1:]:
            raise CannotChange("it has more than one input, or one of no fixed size")
        self._input = self.graph.input[0]
        self._shapes = self.shapes()
        self._relations = self._reshapes()

    @property
    def batch_is_free(self) -> bool:
        """Whether the first side of the input is open."""
        return not sides_of(self._input)[0]

    def free_batch(self) -> None:
        """Lets any number of pictures go in at once.

        Raises:
            CannotChange: a Reshape mixes the pictures of a batch with what is in them.
        """
        for node, relation in self._relations.items():
            first = relation[0]
            if (first.first, first.last, first.target) != (0, 1, (1,)):
                raise CannotChange(f"the Reshape {node} mixes the batch with what is in it")
        self._settle()
        for entry in (self._input, *self.graph.output):
            entry.type.tensor_type.shape.dim[0].dim_param = "batch"
        del self.graph.value_info[:]

    def resize(self, width: int, height: int) -> None:
        """Another size of the input's pictures, in pixels; for inputs ``[B, 3, H, W]``.

        Raises:
            CannotChange: a Reshape does not follow.
        """
        sides = self._input.type.tensor_type.shape.dim
        if sides[1].dim_value != 3:
            raise CannotChange("its input is not [B, 3, H, W]")
        sides[2].dim_value, sides[3].dim_value = height, width
        self._settle()

    def keep_classes(self, kept: Sequence[int], classes: int) -> int:
        """Cuts the weights of all classes but some out of the last layers; gives the number of layers cut.

        Raises:
            CannotChange: no layer has one output per class, or the classes' scores depend on one another.
        """
        heads = list(self.class_heads(classes))
        if not heads:
            raise CannotChange(f"no last layer with {classes} class outputs was found")
        self._require_independence()
        for node, offset in heads:
            width = self.constant(node.input[1]).shape[0]
            rows = [*range(offset), *(offset + number for number in kept), *range(offset + classes, width)]
            for place in range(1, len(node.input)):
                node.input[place] = self.new_constant(node.input[place], self.constant(node.input[place])[rows])
        self._settle(old_classes=classes, new_classes=len(kept))
        return len(heads)

    def also_give(self, names: Sequence[str]) -> None:
        """Makes inner values outputs too, behind those that there are."""
        self.graph.output.extend(self._onnx.ValueInfoProto(name=name) for name in names)

    def _settle(self, old_classes: int = 0, new_classes: int = 0) -> None:
        """Derives the targets of all Reshapes and the parts of all Splits anew, from the input on."""
        del self.graph.value_info[:]
        for output in self.graph.output:
            for side in output.type.tensor_type.shape.dim:
                side.Clear()
        open_ = {node.output[0] for node in self.graph.node if node.output[0] in self._relations}
        if old_classes:
            self._cut_splits(old_classes, new_classes)
        while open_:
            shapes, unsure, waiting = self.shapes(), set[str](), len(open_)
            for node in self.graph.node:
                name = node.output[0]
                if name in open_ and node.input[0] not in unsure:
                    if node.input[0] not in shapes:
                        raise CannotChange(f"nothing fits together any more at {node.name or name}")
                    self._write_target(node, shapes[node.input[0]])
                    open_.discard(name)
                    unsure.add(name)
                elif unsure.intersection(node.input) or name in open_:
                    unsure.update(node.output)
            if len(open_) == waiting:
                raise CannotChange("its Reshapes depend on one another")
        self._shapes = self.shapes()
        for output in self.graph.output:
            for side, size in zip(output.type.tensor_type.shape.dim, self._shapes[output.name], strict=False):
                if size:
                    side.dim_value = size
                else:
                    side.dim_param = "batch"

    def _write_target(self, node: Any, sides: Shape) -> None:
        relation = self._relations[node.output[0]]
        target = [size for group in relation for size in group.after([side or 1 for side in sides])]
        if (relation[0].first, relation[0].last, relation[0].target) == (0, 1, (1,)):
            target[0] = 0  # in a target, 0 means: as in the input
        node.input[1] = self.new_constant(node.input[1], np.array(target, np.int64))

    def _cut_splits(self, old: int, new: int) -> None:
        for node in self.graph.node:
            if node.op_type != "Split":
                continue
            attribute = next((a for a in node.attribute if a.name == "split"), None)
            sizes = (
                list(attribute.ints) if attribute else [shape[1] for o in node.output if (shape := self._shapes[o])]
            )
            if sizes.count(old) != 1 or not self._ends_here(node.output[sizes.index(old)]):
                continue
            sizes[sizes.index(old)] = new
            if attribute:
                attribute.ints[:] = sizes
            elif len(node.input) > 1:
                node.input[1] = self.new_constant(node.input[1], np.array(sizes, np.int64))

    def class_heads(self, classes: int) -> Iterator[tuple[Any, int]]:
        """Convolutions that give class scores, and the first of their outputs that does."""
        users = self.users()
        for node in self.graph.node:
            if node.op_type != "Conv" or not self.is_constant(node.input[1]) or not self._ends_here(node.output[0]):
                continue
            width = self.constant(node.input[1]).shape[0]
            if width == classes:
                yield node, 0
            for user in users.get(node.output[0], ()):
                sizes = [self._shapes[name][1] for name in user.output if len(self._shapes.get(name, ())) > 1]
                if user.op_type == "Split" and sum(sizes) == width and sizes.count(classes) == 1:
                    yield node, sum(sizes[: sizes.index(classes)])

    def _ends_here(self, name: str) -> bool:
        """Whether a value goes to the outputs through nothing but `_THROUGH` and Softmax."""
        users, waiting = self.users(), [name]
        while waiting:
            for user in users.get(waiting.pop(), ()):
                if user.op_type not in _THROUGH | {"Softmax"}:
                    return False
                waiting.extend(user.output)
        return True

    def _require_independence(self) -> None:
        if any(
            node.op_type in ("Softmax", "LogSoftmax") and self._ends_here(node.output[0]) for node in self.graph.node
        ):
            raise CannotChange("the scores of its classes depend on one another (Softmax)")

    def _reshapes(self) -> dict[str, list[_Group]]:
        """By output, how the sides come about, of every Reshape whose target is written into the file."""
        relations = {}
        for node in self.graph.node:
            if node.op_type == "Reshape" and self.is_constant(node.input[1]):
                before, after = (self._shapes.get(name, ()) for name in (node.input[0], node.output[0]))
                if not before or not after:
                    raise CannotChange(f"the shapes at the Reshape {node.output[0]} are not known")
                relations[node.output[0]] = groups([side or 1 for side in before], [side or 1 for side in after])
        return relations
