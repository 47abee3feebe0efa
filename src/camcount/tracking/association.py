"""Which detection continues which track: cost matrices over all pairs, and their exact assignment."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from camcount.tracking.table import Floats, Ints

_NOTHING: Ints = np.empty(0, np.int64)


def assign(cost: Floats, limit: float) -> tuple[Ints, Ints]:
    """The pairs ``(rows, columns)`` of least total cost, each below ``limit``; leaving a row out costs ``limit``.

    Where every row's cheapest column is another one, that is already the optimum; only where two rows want the
    same column does it take the shortest augmenting paths of Jonker and Volgenant (Crouse 2016).

    >>> assign(np.array([[0.1, 0.5], [0.2, 0.9]]), 1.0)
    (array([0, 1]), array([1, 0]))
    """
    if not cost.size:
        return _NOTHING, _NOTHING
    cheapest = cost.argmin(axis=1)
    rows = np.flatnonzero(cost.min(axis=1) < limit)
    columns = cheapest[rows]
    if len(set(columns.tolist())) == len(rows):
        return rows, columns
    rows, columns = linear_sum_assignment(np.minimum(cost, limit))
    good = cost[rows, columns] < limit
    return rows[good], columns[good]


def overlap(a: Floats, b: Floats, margin: Floats | float = 0.0) -> Floats:
    """Intersection over union ``(N, M)`` of boxes ``a (N, 4)`` and ``b (M, 4)`` given as centre and size.

    ``margin``, one value or ``(N,)``, widens both boxes of a pair by that share of their size on each side before
    they are compared: buffered IoU (Yang et al. 2023, C-BIoU), which links small and fast objects that no longer
    overlap.
    """
    scale = np.asarray(1 + 2 * np.asarray(margin, np.float64))
    if scale.ndim:
        scale = scale[:, None]
    width, height = (_common(a, b, axis, scale) for axis in (0, 1))
    inside = width * height
    area = scale**2 * ((a[:, 2] * a[:, 3])[:, None] + b[:, 2] * b[:, 3])
    return np.asarray(inside / (area - inside))


def _common(a: Floats, b: Floats, axis: int, scale: Floats) -> Floats:
    apart = np.abs(a[:, axis, None] - b[:, axis])
    size_a, size_b = a[:, axis + 2, None], b[:, axis + 2]
    both = np.minimum(scale * (0.5 * (size_a + size_b)) - apart, scale * np.minimum(size_a, size_b))
    return np.maximum(both, 0.0, out=both)


def improbability(a: Floats, b: Floats, variance: Floats, tail: float, size: float) -> Floats:
    """How improbable each box of ``b (M, 4)`` is as the next one of each track predicted at ``a (N, 4)``, ``(N, M)``.

    The negative logarithm, up to a constant, of Student's distribution with ``tail`` degrees of freedom of the
    centre's offset (``variance (N,)`` in box heights squared) and of the logarithm of the height ratio (standard
    deviation ``size``).
    """
    dx = a[:, 0, None] - b[:, 0]
    dy = a[:, 1, None] - b[:, 1]
    dx *= dx
    dy *= dy
    dx += dy
    dx *= (1 / (tail * variance * a[:, 3] ** 2))[:, None]
    grown = np.log(a[:, 3])[:, None] - np.log(b[:, 3])
    grown *= grown
    grown *= 1 / (tail * size**2)
    dx += grown
    np.log1p(dx, out=dx)
    dx *= (tail + 3) / 2
    dx += np.log(variance)[:, None]
    return np.asarray(dx)
