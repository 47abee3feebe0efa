"""Cheaper forms of what ONNX graphs compute: the same numbers up to rounding, from fewer or quicker operations.

Each was found in profiles of ONNX Runtime on processors: it is fastest where convolutions follow on one another with
nothing between them that copies.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from camcount.models.prepare_nodes import CannotChange, Nodes, Shape

_Offsets = tuple[int, int]

_BLOCK = 16
"""Runtimes keep channels in blocks of so many: stacks of others are copied anyway."""


def join_stem(nodes: Nodes) -> int:
    """A convolution over every n-th row and column, stacked for all offsets, becomes one of n times the stride.

    YOLOX and YOLOv5 begin like that (Focus). A kernel of k over the stacked pixels is one of n k over the pixels
    themselves; slices and stacking fall away. Gives the number of convolutions joined.

    Raises:
        CannotChange: there is no such beginning.
    """
    makers, users, shapes = nodes.makers(), nodes.users(), nodes.shapes()
    joined = 0
    for stack in [node for node in nodes.graph.node if node.op_type == "Concat"]:
        after = users.get(stack.output[0], [])
        found = [_sliced(nodes, makers, name) for name in stack.input]
        sources = {part[0] if part else "" for part in found}
        if len(after) != 1 or "" in sources or len(sources) != 1 or not is_dense(nodes, after[0]):
            continue
        source, step = next(part[:2] for part in found if part)
        height, width = shapes.get(source, (0, 0, 0, 0))[2:]
        if step < 2 or any(part and part[1] != step for part in found) or height % step or width % step:
            continue
        _join(nodes, after[0], source, step, [part[2] for part in found if part])
        joined += 1
    if not joined:
        raise CannotChange("its first layer has no slices to be joined with")
    nodes.tidy()
    return joined


def _sliced(nodes: Nodes, makers: dict[str, Any], name: str) -> tuple[str, int, _Offsets] | None:
    """Source, step and first row and column of a value that is every n-th row and column of another one."""
    starts, steps = {2: 0, 3: 0}, {2: 1, 3: 1}
    while name in makers and makers[name].op_type == "Slice":
        node = makers[name]
        if len(node.input) != 5 or not all(nodes.is_constant(entry) for entry in node.input[1:]):
            return None
        for start, end, axis, step in zip(*(nodes.constant(entry).tolist() for entry in node.input[1:]), strict=True):
            if steps.get(axis) != 1 or not 0 <= start < step or end < 2**31 - 1:
                return None
            starts[axis], steps[axis] = start, step
        name = node.input[0]
    return (name, steps[2], (starts[2], starts[3])) if steps[2] == steps[3] else None


def _join(nodes: Nodes, conv: Any, source: str, step: int, offsets: list[_Offsets]) -> None:
    old = nodes.constant(conv.input[1])
    given = nodes.attributes(conv)
    outputs, stacked, *kernel = old.shape
    channels = stacked // len(offsets)
    weights = np.zeros((outputs, channels, *(side * step for side in kernel)), old.dtype)
    for number, (row, column) in enumerate(offsets):
        # an offset may occur twice: what it is multiplied by adds up
        weights[:, :, row::step, column::step] += old[:, number * channels : (number + 1) * channels]
    conv.input[0], conv.input[1] = source, nodes.new_constant(conv.input[1], weights)
    nodes.set_attributes(
        conv,
        kernel_shape=[side * step for side in kernel],
        strides=[side * step for side in given.get("strides", (1, 1))],
        pads=[side * step for side in given.get("pads", (0, 0, 0, 0))],
    )


def chain_pools(nodes: Nodes) -> int:
    """Of pools of one value, a wide one is taken from the next narrower one: the maximum of maxima is the maximum.

    Spatial pyramids (SPP) take 5, 9 and 13 pixels of one value; each is 5 of the one before. Gives the number of
    pools made narrower.

    Raises:
        CannotChange: no two pools lie over one value.
    """
    pools: dict[str, list[tuple[int, Any]]] = {}
    for node in nodes.graph.node:
        if node.op_type == "MaxPool" and (size := _pool_size(nodes, node)):
            pools.setdefault(node.input[0], []).append((size, node))
    changed = 0
    for over_one in pools.values():
        over_one.sort(key=lambda entry: entry[0])
        for (narrow, before), (wide, node) in pairwise(over_one):
            if wide == narrow:
                continue
            node.input[0] = before.output[0]
            nodes.set_attributes(node, kernel_shape=[wide - narrow + 1] * 2, pads=[(wide - narrow) // 2] * 4)
            changed += 1
    if not changed:
        raise CannotChange("no two of its pools lie over one value")
    nodes.tidy()
    return changed


def _pool_size(nodes: Nodes, node: Any) -> int:
    """The side of a square maximum that keeps the size; 0: it is none."""
    given = nodes.attributes(node)
    side: int = given["kernel_shape"][0]
    plain = (
        list(given["kernel_shape"]) == [side, side]
        and side % 2 == 1
        and list(given.get("pads", ())) == [side // 2] * 4
        and set(given.get("strides", [1])) | set(given.get("dilations", [1])) == {1}
        and len(node.output) == 1
    )
    return side if plain else 0


def convolve_before_stacking(nodes: Nodes) -> int:
    """A 1x1 convolution of stacked values is done on each of them, and the results are added up.

    The stack is then never written. Of a value that was enlarged, the part is done before enlarging it: that mixes
    places and a 1x1 convolution channels, so that their order does not matter, and there are a quarter of the places.
    Gives the number of convolutions split.

    Raises:
        CannotChange: no stack goes into 1x1 convolutions only.
    """
    users, shapes = nodes.users(), nodes.shapes()
    split = 0
    for stack in [node for node in nodes.graph.node if node.op_type == "Concat"]:
        convolutions = users.get(stack.output[0], [])
        channels = [shapes[name][1] if len(shapes.get(name, ())) == 4 else 0 for name in stack.input]
        if nodes.attributes(stack).get("axis") != 1 or any(not width or width % _BLOCK for width in channels):
            continue
        if not convolutions or not all(_is_pointwise(nodes, conv) for conv in convolutions):
            continue
        for conv in convolutions:
            _split(nodes, conv, stack, channels, shapes)
            split += 1
    if not split:
        raise CannotChange("nothing stacked goes into 1x1 convolutions only")
    nodes.tidy()
    return split


def _split(nodes: Nodes, conv: Any, stack: Any, channels: list[int], shapes: dict[str, Shape]) -> None:
    makers, output = nodes.makers(), conv.output[0]
    conv.output[0] = f"{output}/before"
    parts = np.split(nodes.constant(conv.input[1]), np.cumsum(channels)[:-1], axis=1)
    enlarged = [_enlarges(nodes, makers.get(name), shapes) for name in stack.input]
    # what is enlarged comes first: runtimes add inside a convolution, but not inside a Resize
    order = sorted(range(len(parts)), key=lambda place: not enlarged[place])
    total = ""
    for place in order:
        source, part = stack.input[place], f"{output}/{place}"
        bias = conv.input[2:] if place == order[-1] else ()
        inputs = [source, nodes.new_constant(conv.input[1], parts[place]), *bias]
        if enlarged[place]:
            inputs[0] = makers[source].input[0]
            nodes.add("Conv", inputs, f"{part}/small", kernel_shape=[1, 1])
            nodes.copy(makers[source], f"{part}/small", part)
            # runtimes lose the batch's side on the way through a Resize, and then do not add inside the convolution
            nodes.state_shape(part, (0, len(parts[place]), *shapes[source][2:]))
        else:
            nodes.add("Conv", inputs, part, kernel_shape=[1, 1])
        if total:
            summed = output if place == order[-1] else f"{part}/sum"
            nodes.add("Add", [total, part], summed)
        total = summed if total else part


def _enlarges(nodes: Nodes, node: Any, shapes: dict[str, Shape]) -> bool:
    """Whether a node scales rows and columns up, and nothing else."""
    if node is None or node.op_type not in ("Resize", "Upsample") or node.input[0] not in shapes:
        return False
    # the sizes that a Resize may have as its fourth input would hold the number of channels too
    if len(node.input) > 3 or not nodes.is_constant(node.input[-1]):
        return False
    scales = nodes.constant(node.input[-1]).tolist()
    return len(scales) == 4 and scales[:2] == [1, 1] and min(scales[2:]) >= 1 and max(scales[2:]) > 1


def _is_pointwise(nodes: Nodes, node: Any) -> bool:
    given = nodes.attributes(node) if is_dense(nodes, node) else {}
    return (
        bool(given)
        and nodes.constant(node.input[1]).shape[2:] == (1, 1)
        and set(given.get("strides", [1])) == {1}
        and set(given.get("pads", [0])) == {0}
    )


def is_dense(nodes: Nodes, node: Any) -> bool:
    """Whether a node is an ordinary convolution of pictures, its weights in the file."""
    if node.op_type != "Conv" or not nodes.is_constant(node.input[1]) or nodes.constant(node.input[1]).ndim != 4:
        return False
    given = nodes.attributes(node)
    return (
        given.get("group", 1) == 1
        and set(given.get("dilations", [1])) == {1}
        and given.get("auto_pad", b"NOTSET") == b"NOTSET"
    )
