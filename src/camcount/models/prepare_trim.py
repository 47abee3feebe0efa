"""A first layer that looks at fewer pixels: what its outermost row or column tells, the pixels beside it nearly tell.

Pictures that were scaled are smooth. The other weights are fitted anew by least squares to what the layer gave
before, on sample pictures, as in `camcount.models.prepare_narrow`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.detection.buckets import best_size
from camcount.detection.preprocess import Preprocessor
from camcount.detection.spec import ModelSpec
from camcount.detections import Detections
from camcount.frame import Frame
from camcount.models.manifest import Size
from camcount.models.prepare_forms import is_dense
from camcount.models.prepare_narrow import RIDGE, Floats, place_weights
from camcount.models.prepare_nodes import CannotChange, Nodes

_SMALLEST = 5
"""Kernels of fewer rows or columns have none to spare."""


@dataclass(frozen=True, slots=True)
class _First:
    """The first convolution: ``weights`` ``(O, C, h, w)``, ``pads`` top, left, bottom, right."""

    node: Any
    weights: Floats
    offsets: Floats
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]

    @property
    def flat(self) -> Floats:
        """``(C h w + 1, O)``, the offsets last."""
        return np.vstack([self.weights.reshape(len(self.weights), -1).T, self.offsets])

    def patches(self, picture: NDArray[Any]) -> tuple[Floats, tuple[int, int]]:
        """What the layer sees of a picture ``(C, H, W)``: ``(places, C h w + 1)``, at the end 1; rows and columns."""
        top, left, bottom, right = self.pads
        padded = np.pad(picture, ((0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.weights.shape[2:], axis=(1, 2))
        windows = windows[:, :: self.strides[0], :: self.strides[1]].transpose(1, 2, 0, 3, 4)
        rows, columns = windows.shape[:2]
        flat = windows.reshape(rows * columns, -1).astype(np.float64)
        return np.hstack([flat, np.ones((len(flat), 1))]), (rows, columns)


def trim(
    files: Mapping[Size, bytes], spec: ModelSpec, frames: Sequence[Frame], found: Sequence[Detections]
) -> tuple[dict[Size, bytes], str]:
    """Leaves the row or column of the first layer out whose loss is least.

    Args:
        files: by input size; all of one model.
        spec: of the main size.
        frames: sample pictures.
        found: what the model sees in them.

    Returns:
        The changed files, and what was left out.

    Raises:
        CannotChange: the first layer has no row or column to spare.
    """
    first = _first(Nodes(next(iter(files.values()))))
    sides = _sides(first)
    sums = _sums(first, files, spec, frames, found)
    fits = {side: _fitted(first.flat, sums, _without(first.weights.shape, side)) for side in sides}
    side = min(fits, key=lambda side: fits[side][0])
    lost, weights = fits[side]
    changed = {size: _trimmed(content, side, weights) for size, content in files.items()}
    return changed, f"without its {side.name}, which tells {lost:.1%} of what it gives"


@dataclass(frozen=True, slots=True)
class _Side:
    """What may be left out: ``axis`` of the weights, ``place`` along it, ``pad`` of the four that lies there."""

    name: str
    axis: int
    place: int
    pad: int


_SIDES = (
    _Side("first row", axis=2, place=0, pad=0),
    _Side("last row", axis=2, place=-1, pad=2),
    _Side("first column", axis=3, place=0, pad=1),
    _Side("last column", axis=3, place=-1, pad=3),
)


def _sides(first: _First) -> list[_Side]:
    # where nothing is padded, the layer's outputs would move
    sides = [side for side in _SIDES if first.weights.shape[side.axis] >= _SMALLEST and first.pads[side.pad]]
    if not sides:
        rows, columns = first.weights.shape[2:]
        raise CannotChange(
            f"its first layer has no pixels to spare: it looks at {columns}x{rows} at a time, "
            f"with pads {list(first.pads)}"
        )
    return sides


def _first(nodes: Nodes) -> _First:
    users = nodes.users().get(nodes.graph.input[0].name, [])
    if len(users) != 1 or not is_dense(nodes, users[0]) or len(users[0].input) != 3:
        raise CannotChange("what sees its pictures first is no convolution")
    node, given = users[0], nodes.attributes(users[0])
    weights, offsets = (nodes.constant(name).astype(np.float64) for name in node.input[1:])
    strides, pads = given.get("strides", (1, 1)), given.get("pads", (0, 0, 0, 0))
    return _First(node, weights, offsets, tuple(strides), tuple(pads))


def _sums(
    first: _First,
    files: Mapping[Size, bytes],
    spec: ModelSpec,
    frames: Sequence[Frame],
    found: Sequence[Detections],
) -> Floats:
    """``(C h w + 1, C h w + 1)``: products of what the layer sees, added up over all places."""
    preprocess = {
        size: Preprocessor(replace(spec, width=size[0], height=size[1]), np.dtype(np.float32)) for size in files
    }
    total = np.zeros((len(first.flat),) * 2)
    for frame, boxes in zip(frames, found, strict=True):
        size = best_size(list(files), spec.fit, frame.width, frame.height)
        tensor, placements = preprocess[size].tensor([frame])
        patches, cells = first.patches(tensor[0])
        weights = place_weights(cells, size, placements[0], frame, boxes.xyxy)
        total += patches.T @ (weights.reshape(-1, 1) * patches)
    return total


def _without(shape: Sequence[int], side: _Side) -> NDArray[np.intp]:
    """The rows of `_First.flat` that stay."""
    stays = np.ones(shape[1:], bool)
    np.moveaxis(stays, side.axis - 1, 0)[side.place] = False
    return np.append(np.flatnonzero(stays), stays.size)


def _fitted(before: Floats, sums: Floats, stay: NDArray[np.intp]) -> tuple[float, Floats]:
    """The share of the outputs' variance that is lost, mean over outputs, and the weights that lose least."""
    inputs = sums[np.ix_(stay, stay)]
    ridge = RIDGE * 1e-3 * np.trace(inputs) / len(stay)  # pixels are alike: the sums differ by orders of magnitude
    weights = np.linalg.solve(inputs + ridge * np.eye(len(stay)), sums[stay] @ before)
    difference = before.copy()
    difference[stay] -= weights
    means = sums[-1] / sums[-1, -1]
    varies = sums / sums[-1, -1] - np.outer(means, means)
    lost = (difference * (sums @ difference)).sum(axis=0) / sums[-1, -1]
    whole = (before * (varies @ before)).sum(axis=0)
    return float((lost / np.maximum(whole, 1e-12)).mean()), weights


def _trimmed(content: bytes, side: _Side, fitted: Floats) -> bytes:
    nodes = Nodes(content)
    first = _first(nodes)
    outputs, *rest = first.weights.shape
    rest[side.axis - 1] -= 1
    nodes.set_weights(first.node, fitted[:-1].T.reshape(outputs, *rest), fitted[-1])
    pads = list(first.pads)
    pads[side.pad] -= 1
    nodes.set_attributes(first.node, kernel_shape=rest[1:], pads=pads)
    return nodes.content
