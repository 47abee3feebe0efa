"""Constant-velocity Kalman filter over all tracks at once, in seconds and box heights.

The four coordinates (centre and size) have the same noise relative to the box height, so one 2x2 covariance per
track serves all four and the filter is a few array operations. Noise grows with time, not with frames
(R. E. Kalman 1960; the white-noise acceleration model of Bar-Shalom, Li, Kirubarajan 2001, section 6.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camcount.tracking.table import BOX, LAST, VARIANCE, VELOCITY, Floats, Ints, Mask, TrackTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How boxes move and how well they are measured; lengths in box heights, times in seconds.

    Attributes:
        measured: standard deviation of a detected box (0.05..0.08 on common detectors).
        speed: standard deviation of a new track's speed, heights per second.
        agility: spectral density of the acceleration, heights² per second³.
        growth: share of the velocity gain given to the size, which changes slowly and is measured badly.
    """

    measured: float = 0.06
    speed: float = 1.4
    agility: float = 0.5
    growth: float = 0.3


def predict(table: TrackTable, dt: float, noise: Noise) -> None:
    """Moves all tracks ``dt`` seconds on."""
    if dt <= 0 or not table.n:
        return
    table.box += table.velocity * dt
    np.maximum(table.box[:, 2:], 1.0, out=table.box[:, 2:])
    variance, q = table.variance, noise.agility
    variance[:, 0] += variance[:, 1] * (2 * dt) + variance[:, 2] * dt**2 + q * dt**3 / 3
    variance[:, 1] += variance[:, 2] * dt + q * dt**2 / 2
    variance[:, 2] += q * dt


def begin(table: TrackTable, rows: Ints, noise: Noise) -> None:
    """The uncertainty of new tracks: the box as measured, the speed unknown."""
    table.variance[rows] = (noise.measured**2, 0.0, noise.speed**2)


def correct(block: Floats, boxes: Floats, noise: Noise) -> None:
    """Takes the measured ``boxes (k, 4)`` into account in ``block (k, 19)``, rows of `TrackTable.floats`."""
    p = block[:, VARIANCE]
    gain = p[:, :2] / (p[:, 0] + noise.measured**2)[:, None]
    innovation = boxes - block[:, BOX]
    block[:, BOX] += gain[:, :1] * innovation
    innovation[:, 2:] *= noise.growth
    block[:, VELOCITY] += gain[:, 1:] * innovation
    p[:, 2] -= gain[:, 1] * p[:, 1]
    p[:, :2] *= (1 - gain[:, 0])[:, None]


def refit(block: Floats, gap: Mask, boxes: Floats, elapsed_s: Floats, noise: Noise) -> None:
    """Repairs the rows ``gap (k,)`` of a block, found again after a while: their velocity is what led here.

    The observation-centric re-update of OC-SORT (Cao et al. 2023, section 4.1) in closed form: the virtual
    straight path between both observations has this velocity, whatever the filter made up in between.
    ``elapsed_s (k,)`` is the time since the last observation, above 0.
    """
    r, elapsed = noise.measured**2, elapsed_s[gap]
    velocity = (boxes[gap] - block[gap, LAST]) / elapsed[:, None]
    velocity[:, 2:] *= noise.growth
    block[gap, BOX] = boxes[gap]
    block[gap, VELOCITY] = velocity
    spread = 2 * r / elapsed**2 + noise.agility * elapsed / 3
    block[gap, VARIANCE] = np.stack([np.full(len(elapsed), r), r / elapsed, spread], axis=1)
